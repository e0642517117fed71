"""Learning with a person, beside its baselines: methods over people, tasks and seeds, in the background over days."""
