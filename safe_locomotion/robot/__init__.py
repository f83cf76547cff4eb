"""The robot: its numbers, its limits, its kinematics and its centroidal dynamics."""
