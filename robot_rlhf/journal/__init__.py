"""The append-only record of a session on disk, and what reads, follows, describes and exports it."""
