"""Evaluation of supervisors over many episodes: falls prevented, and what this costs."""
