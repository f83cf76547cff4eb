"""Estimation: base state and contacts from the IMU, the joints and the foot sensors."""
