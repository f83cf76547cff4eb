"""Environments: the whole stack on a simulated robot as an MDP."""
