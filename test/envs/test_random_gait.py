"""The random learner: a walk of the stated size inside its bounds."""

import numpy as np
from core_values import TROT, estimate

from safe_locomotion.control.gait import executable
from safe_locomotion.envs.random_gait import RandomGait, RandomWalk
from safe_locomotion.types import VelocityCommand


def gaits(learner: RandomGait, count: int) -> list:
    return [learner.act(estimate(), VelocityCommand()).gait for _ in range(count)]


def test_stays_within_bounds() -> None:
    """Over 2,000 large steps every gait can be executed, and the bounds are reached."""
    walked = gaits(RandomGait(TROT, 1, RandomWalk(sigma=0.1)), 2000)
    assert all(executable(gait) for gait in walked)
    assert {min(g.frequency for g in walked), max(g.frequency for g in walked)} == {1.5, 4.0}
    assert {min(g.swing_ratio for g in walked), max(g.swing_ratio for g in walked)} == {0.3, 0.7}
    assert all(0.0 <= x < 1.0 for g in walked for x in g.phase_offsets) and {
        g.foot_y for g in walked
    } == {TROT.foot_y}


def test_steps_have_the_stated_size() -> None:
    """The steps of the offsets have the deviation sigma, those of the frequency five times that.

    Both hold within 5 %.
    """
    walk = RandomWalk(sigma=0.01, frequency=(-1e3, 1e3), swing_ratio=(-1e3, 1e3))
    walked = gaits(RandomGait(TROT, 2, walk), 4000)
    offsets = np.diff([g.phase_offsets for g in walked], axis=0)
    assert np.std((offsets + 0.5) % 1.0 - 0.5) == np.clip(
        np.std((offsets + 0.5) % 1.0 - 0.5), 0.0095, 0.0105
    )
    assert 0.0475 < np.std(np.diff([g.frequency for g in walked])) < 0.0525


def test_reset_goes_back_and_on() -> None:
    """`reset` returns to the first gait and goes on with other numbers; equal seeds walk alike."""
    one = RandomGait(TROT, 3)
    other = RandomGait(TROT, 3)
    first = gaits(one, 50)
    one.reset()
    second = gaits(one, 50)
    assert first == gaits(other, 50) and first != second
    assert abs(second[0].frequency - TROT.frequency) < 1.0
