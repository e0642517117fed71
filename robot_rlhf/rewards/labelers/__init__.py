"""Labelers: everyone and everything that compares recorded segments."""
