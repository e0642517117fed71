"""Composition roots: the only importers of sim and hardware, and the command line."""
