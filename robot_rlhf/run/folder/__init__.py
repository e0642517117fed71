"""The folder of a run, and what is noted in it."""
