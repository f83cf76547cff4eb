"""Messages: layouts of the topics, and their bytes without ROS."""
