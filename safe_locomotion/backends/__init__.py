"""Backends: the link to the robot, over DDS or the UDP module of the vendor."""
