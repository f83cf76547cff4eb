"""The command `safe-locomotion evaluate`."""
