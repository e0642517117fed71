"""The loop that runs the ring, and what feeds the learner from it."""
