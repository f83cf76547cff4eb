"""The algorithm of ALARM: networks, equations, collection and updates, on torch alone."""
