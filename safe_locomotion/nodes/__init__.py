"""The ROS 2 side: nodes that move the core's values over topics. The only code that imports rclpy."""
