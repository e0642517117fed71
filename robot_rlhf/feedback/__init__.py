"""Who drives, and what a person says: arbitration and feedback."""
