"""A gait clock that follows feet which a joint policy moves, and goes on where they are."""

from dataclasses import replace

import pytest
from core_values import START_NS, TROT
from hypothesis import given
from hypothesis import strategies as st

from safe_locomotion.control.gait import LATEST_CATCH, PHASE_OFFSETS, GaitClock

TICK = 0.004  #: [s], 250 Hz
TICK_NS = 4_000_000


@pytest.mark.parametrize("pair", [(0, 3), (1, 2)])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7])
def test_a_clock_that_follows_a_trot_goes_on_where_the_feet_are(
    pair: tuple[int, int], share: float
) -> None:
    """The pair in the air is as far in its swing as it has been up, and the other pair carries.

    Both feet touch down when they are due.
    """
    clock = GaitClock()
    swing = TROT.swing_ratio / TROT.frequency
    air = [share * swing if leg in pair else 0.0 for leg in range(4)]
    ground = [0.0 if leg in pair else 0.1 for leg in range(4)]
    followed = clock.follow(START_NS, TROT, air, ground)
    assert list(followed.stance) == [leg not in pair for leg in range(4)]
    assert [followed.swing_progress[leg] for leg in pair] == pytest.approx([share] * 2)
    stamp = START_NS
    landed_after = None
    while landed_after is None:
        stamp += 2_000_000
        phase = clock.update(stamp, TROT, step=True)
        landed_after = (stamp - START_NS) * 1e-9 if all(phase.stance[leg] for leg in pair) else None
    assert landed_after == pytest.approx((1.0 - share) * swing, abs=2.1e-3)


def test_a_clock_that_follows_four_feet_on_the_ground_lifts_none_at_once() -> None:
    """The foot that landed last is at its touchdown; the next to lift off is not its own pair."""
    for last in range(4):
        clock = GaitClock()
        phase = clock.follow(
            START_NS, TROT, [0.0] * 4, [0.01 if leg == last else 0.2 for leg in range(4)]
        )
        assert all(phase.stance)
        stamp = START_NS
        while all(phase.stance):
            stamp += 2_000_000
            phase = clock.update(stamp, TROT, step=True)
        assert stamp - START_NS >= 18_000_000
        assert phase.stance[last]


@given(
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.floats(0.0, 0.5),
    st.sampled_from(["trot", "pace", "bound", "walk"]),
)
def test_no_foot_that_is_down_is_in_a_swing_whatever_the_feet_do(
    up: list[bool], time: float, name: str
) -> None:
    """No foot that is down is in a swing, even where the feet do not fit the gait.

    On the next tick it begins no swing but a fresh one. Some swing has time left.
    """
    gait = replace(TROT, phase_offsets=PHASE_OFFSETS[name])
    air = [1e-6 + time * (leg + 1) / 4 if flies else 0.0 for leg, flies in enumerate(up)]
    clock = GaitClock()
    phase = clock.follow(START_NS, gait, air, [0.0 if flies else 0.05 for flies in up])
    assert all(phase.stance[leg] for leg in range(4) if not up[leg])
    after = clock.update(START_NS + TICK_NS, gait, step=True)
    fresh = 2.5 * TICK / gait.swing_ratio
    assert all(
        after.stance[leg] or after.swing_progress[leg] <= fresh for leg in range(4) if not up[leg]
    )
    swinging = [
        progress
        for progress, stands in zip(phase.swing_progress, phase.stance, strict=True)
        if not stands
    ]
    assert not any(up) or min(swinging) <= LATEST_CATCH + 1e-9
