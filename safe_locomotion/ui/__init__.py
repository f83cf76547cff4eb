"""What a person sees of the robot and its safety, in RViz and in the web viewer."""
