"""The command `safe-locomotion sim`."""
