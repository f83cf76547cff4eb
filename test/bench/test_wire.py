"""The wire alone, as the bench measures it."""

import pytest

from safe_locomotion.bench import wire


def test_round_trips_of_a_controller_that_only_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each state that the echo process gets comes back as a command and is counted."""
    monkeypatch.setattr(wire, "ECHO_ROUNDS", 40)
    monkeypatch.setattr(wire, "ECHO_LEAD", 5)
    figures = wire.measure_echo("a1")[wire.ECHO]
    assert figures["n"] == 40 and 0.0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
