"""Run learned locomotion policies on Unitree quadrupeds and keep the robot on its feet."""

import gc
import os

__version__ = "0.2.0"
PARENT = "SAFE_LOCOMOTION_PARENT"  #: environment variable: a child ends when this process ends

if PARENT in os.environ:  # a process of a stack, whose imports make a million objects that stay
    gc.disable()  # until its loop begins
