"""Control: gait clock, footholds, convex MPC and leg control; what turns an estimate and a gait into motor commands."""
