"""Models of others, and how one asks them."""
