"""The world in which ALARM's policies learn: terrain, robots, rewards, costs and curriculum."""
