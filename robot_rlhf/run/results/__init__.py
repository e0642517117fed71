"""What comes out of a run: measured, kept, summed up and drawn."""
