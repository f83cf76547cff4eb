"""Training: learners of gait and joint policies, and their export to policy files."""
