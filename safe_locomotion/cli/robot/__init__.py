"""The command `safe-locomotion robot`: robots of one's own."""
