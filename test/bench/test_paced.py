"""The paced walk: what counts as a response and as a miss."""

from time import sleep

from safe_locomotion.bench import paced
from safe_locomotion.runtime.realtime import Garbage
from safe_locomotion.types import STATE_PERIOD_NS

STUMBLE = 5
PERIOD_S = 1e-9 * STATE_PERIOD_NS


def test_lateness_is_counted_until_it_is_made_up(monkeypatch):
    """A tick of three and a half periods misses, and so do the two states that it overtakes."""
    steps = []

    def step(_, tick):
        steps.append(tick)
        if tick == STUMBLE:
            sleep(3.5 * PERIOD_S)

    monkeypatch.setattr(paced, "Pipeline", lambda robot, config: None)
    monkeypatch.setattr(paced, "_step", step)
    walk = {"robot": None, "config": None, "ticks": list(range(12)), "first": 2}
    responses, misses = paced.respond(walk, Garbage(freeze=False))
    assert steps == list(range(12)) and len(responses) == 10
    assert responses[STUMBLE - 2] >= 7.0 and responses[STUMBLE - 1] >= responses[STUMBLE - 2] % 2.0
    assert misses >= 3
    assert misses == sum(int(r // 2.0) for r in responses)
