"""The ring, put together from settings; it knows ports, and neither simulation nor hardware."""
