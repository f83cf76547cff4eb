"""Falls of supervised robots by the thousands: how many, of which kind, by which setting."""
