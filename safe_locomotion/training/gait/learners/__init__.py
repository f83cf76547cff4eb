"""Learners of gait policies, each for all runs of a grid at once."""
