"""How far a learned reward can be trusted: measured on recordings, told on one page."""
