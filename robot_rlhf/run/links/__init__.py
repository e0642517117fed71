"""Links: where the policy's weights come from, and where a run's steps go."""
