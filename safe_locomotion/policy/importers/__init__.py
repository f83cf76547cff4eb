"""Contracts for networks that other projects trained and exported."""
