"""Estimation: the body's motion and the feet's contacts out of LowStates."""
