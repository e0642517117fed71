"""Where rewards come from: learned models, labelers, and the transforms of what they say."""
