"""`safe-locomotion learn`: a robot learns by itself."""
