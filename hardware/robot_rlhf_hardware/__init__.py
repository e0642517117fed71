"""Drivers of real robots, one per file, and a fake one; the only package that knows ROS 2."""
