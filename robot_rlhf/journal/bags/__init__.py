"""Recorded ROS bags: read, cut into episodes, resampled, and written as journals."""
