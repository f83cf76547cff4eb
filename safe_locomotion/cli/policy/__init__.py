"""The commands `safe-locomotion policy ...`."""
