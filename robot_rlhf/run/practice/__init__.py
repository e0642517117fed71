"""Practice: where a run's steps come from. One robot in this process, arms in processes of their own, recordings."""
