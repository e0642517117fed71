"""What the learner draws from: a device-resident ring of transitions, its mixing by source, and augmentation."""
