"""Data sets of others' formats read back into a journal."""
