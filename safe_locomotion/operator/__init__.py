"""The operator: velocities and requests of a person, from a topic, a remote or a gamepad."""
