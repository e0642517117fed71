"""The console's pages: drive, label, review, and the look that they share."""
