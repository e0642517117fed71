"""A run that people attend, in real time."""
