"""The command `safe-locomotion episodes`."""
