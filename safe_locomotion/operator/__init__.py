"""Operator: what a person asks for, by topic, remote or gamepad."""
