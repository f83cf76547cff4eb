"""The commands `safe-locomotion teleop` and `top`."""
