"""Control: gait clock, footholds, convex MPC and leg control."""
