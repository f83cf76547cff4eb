"""Learning of one robot from its recorded episodes: algorithm 1 of paper 1 off the robot."""
