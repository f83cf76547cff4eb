"""ALARM: joint policies that cross stairs, slopes and obstacles without seeing them."""
