"""Training of gait policies."""
