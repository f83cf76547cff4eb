"""Evaluation: what a supervisor is worth, counted over many episodes."""
