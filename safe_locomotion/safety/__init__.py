"""Safety: trigger set, forecasts, the switching rule, the supervisor with its modes, and the gate before the motors."""
