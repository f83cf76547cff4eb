"""Safety: who drives, in which mode, and what may reach the motors.

It contains the trigger set, forecasts, the switching rule, the supervisor with its modes and
hazards, and the gate before the motors.
"""
