"""Simulated people: who they are, how they watch, and how their hands move."""
