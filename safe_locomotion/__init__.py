"""Run learned locomotion policies on Unitree quadrupeds and keep the robot on its feet."""

__version__ = "0.2.0"
