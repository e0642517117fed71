"""A robot, a person's hands and an e-stop over ROS 2 topics: with rclpy, or over the same wire without ROS."""
