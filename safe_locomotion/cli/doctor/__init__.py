"""The command `safe-locomotion doctor`."""
