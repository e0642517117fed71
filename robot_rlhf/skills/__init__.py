"""What can be done with things, by closed loops over what is perceived."""
