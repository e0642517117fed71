"""What turns batches into better weights: losses, off-policy learner, cloning, checkpoints."""
