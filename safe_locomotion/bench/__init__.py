"""Time and accuracy of every stage, side by side with the alternatives it claims to beat."""
