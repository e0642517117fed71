"""Limits, and the guard: the only way to a Robot."""
