"""Where a stride begins: with the front foot on the side to which the body moves."""

import math

import pytest
from core_values import START_NS, TROT

from safe_locomotion.control.gait import GaitClock, first_stride

TICK_NS = 4_000_000


@pytest.mark.parametrize(
    ("speed_to_left", "first"),
    [(0.0, "FL"), (2.0, "FL"), (-0.3, "FL"), (-0.4, "FR"), (-2.0, "FR"), (math.nan, "FL")],
)
def test_the_front_foot_on_the_side_of_the_push_swings_first(
    speed_to_left: float, first: str
) -> None:
    """In a trot from a stand; the diagonal hind foot goes with it."""
    clock = GaitClock()
    for k in range(10):
        clock.update(START_NS + k * TICK_NS, TROT, step=False)
    begin = first_stride(speed_to_left)
    for k in range(10, 20):
        phase = clock.update(START_NS + k * TICK_NS, TROT, step=True, begin=begin)
    fr, fl, rr, rl = phase.stance
    assert (fl, rr) == (first != "FL",) * 2
    assert (fr, rl) == (first != "FR",) * 2


def test_a_walk_goes_on_from_where_it_is() -> None:
    """Where a stride begins matters on the first step only."""
    clock = GaitClock()
    other = GaitClock()
    for k in range(200):
        stamp_ns = START_NS + k * TICK_NS
        phase = clock.update(stamp_ns, TROT, step=True)
        assert phase == other.update(stamp_ns, TROT, step=True, begin=0.5 if k else 0.0)
