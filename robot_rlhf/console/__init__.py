"""The operator's browser console: watch, drive, judge, speak, label, review."""
