"""The two baselines: an ellipsoid with a dwell time, and a safety critic that learns."""

from math import nan

import numpy as np
import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.baselines import (
    CriticRule,
    EllipsoidRule,
    Trace,
    load_critic,
    train_critic,
)
from safe_locomotion.safety.trigger_set import TriggerBounds, TriggerSet

BOX = TriggerSet(
    TriggerBounds(
        height_min=0.2, height_max=0.3, roll=0.2, pitch=0.2, lateral_velocity=0.5, roll_rate=0.5
    ),
    0.1,
)


@pytest.mark.parametrize(
    ("state", "inside"),
    [
        ((0.25, 0.0, 0.0, 0.0, 0.0), True),
        ((0.25, 0.199, 0.0, 0.0, 0.0), True),
        ((0.25, 0.201, 0.0, 0.0, 0.0), False),
        ((0.25, 0.15, 0.15, 0.0, 0.0), False),  # inside the box: 2 * 0.75^2 > 1
        ((0.29, 0.0, 0.0, 0.0, 0.35), False),  # 0.8^2 + 0.7^2 > 1
        ((nan, 0.0, 0.0, 0.0, 0.0), False),
    ],
)
def test_the_ellipsoid_touches_the_sides_of_the_box(state, inside) -> None:
    """One component alone may go as far as the box; together they may not. NaN lies outside."""
    assert EllipsoidRule(BOX, lambda: state, 1.0).recovers(0, False, None) is not inside


def test_the_ellipsoid_keeps_recovery_for_its_dwell_time() -> None:
    """Recovery acts from the last state outside until the dwell time is over.

    A new walk has forgotten the state.
    """
    states = iter([(0.25, 0.3, 0.0, 0.0, 0.0)] + [(0.25, 0.0, 0.0, 0.0, 0.0)] * 3)
    rule = EllipsoidRule(BOX, lambda: next(states), 1.0)
    assert [rule.recovers(stamp, False, None) for stamp in (0, 999_999_999, 1_000_000_000)] == [
        True,
        True,
        False,
    ]
    rule.reset()
    assert rule.recovers(500_000_000, False, None) is False


def traces(rng: np.random.Generator) -> list[Trace]:
    """Walks whose second number rises in the last 100 steps before a fall, among noise."""
    made = []
    for fell in [True, False] * 15:
        seen = rng.normal(size=(400, 3)).astype(np.float32)
        seen[:, 1] *= 0.1
        if fell:
            seen[-100:, 1] += np.linspace(1.0, 3.0, 100)
        made.append(Trace(seen, fell))
    return made


def test_the_critic_learns_what_goes_before_a_fall(tmp_path) -> None:
    """It tells unseen walks with and without a fall apart, and its threshold warns in time.

    It survives a file, and NaN is a risk.
    """
    train_critic(traces(np.random.default_rng(0)), 0).save(tmp_path / "critic.npz")
    critic = load_critic(tmp_path / "critic.npz")
    for trace in traces(np.random.default_rng(1)):
        risk = critic.risk(trace.observations)
        assert risk[:250].max() < 0.5
        assert (risk[-100:-18].max() >= critic.threshold) == trace.fell
    seen = [np.array((0.0, 0.0, 0.0)), np.array((0.0, 2.5, 0.0)), np.array((nan, 0.0, 0.0))]
    assert [CriticRule(critic, lambda x=x: x).recovers(0, False, None) for x in seen] == [
        False,
        True,
        True,
    ]


def test_a_critic_needs_falls_and_walks(tmp_path) -> None:
    """Episodes of one kind alone teach it nothing, and a file of something else is no critic."""
    with pytest.raises(ConfigurationError, match="with and without falls"):
        train_critic([Trace(np.zeros((10, 3), dtype=np.float32), False)], 0)
    (tmp_path / "other.npz").write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="no safety critic"):
        load_critic(tmp_path / "other.npz")
