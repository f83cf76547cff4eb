"""Robot: model, kinematics and centroidal dynamics."""
