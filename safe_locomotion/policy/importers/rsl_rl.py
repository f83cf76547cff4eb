"""rsl_rl: its exporter writes the network alone, so options say everything else."""

from safe_locomotion.policy.importers.layout import Layout


def read() -> Layout:
    """Nothing."""
    return Layout(source="rsl_rl")
