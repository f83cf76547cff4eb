"""The sequence that turns a robot over: direction, joint ranges, no jumps, end on the belly."""

import math
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TICK_NS, low_state

from safe_locomotion.control.self_right import (
    ATTEMPT_TIME,
    FOLD_HOLD,
    FOLD_TIME,
    ROLL,
    SelfRighting,
)
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import Array, LowState

LEFT = np.array([3, 4, 5, 9, 10, 11])
RIGHT = np.array([0, 1, 2, 6, 7, 8])
MIRROR = np.array(
    [*LEFT[:3], *RIGHT[:3], *LEFT[3:], *RIGHT[3:]]
)  #: SDK order with the sides swapped
SIGN = np.tile((-1.0, 1.0, 1.0), 4)


def lying(roll: float, stamp_ns: int = START_NS, **changes: Any) -> LowState:
    return low_state(
        quaternion_wxyz=quaternion_from_rpy(roll, 0.0, 0.7), stamp_ns=stamp_ns, **changes
    )


def targets(roll: float, seconds: float, q: Array = A1.q_stand) -> tuple[SelfRighting, Array]:
    """Targets (n, 12) of a robot that stays as it lies."""
    one = SelfRighting(A1)
    one.begin(lying(roll, q=q))
    ticks = range(round(seconds * 500))
    return one, np.array([one.target(lying(roll, START_NS + k * TICK_NS)) for k in ticks])


@pytest.mark.parametrize("roll", [0.0, math.pi, 1.6, -1.6, 2.5, -2.5])
def test_targets_stay_in_range_and_never_jump(roll: float) -> None:
    """No joint is sent faster than its motor turns, nor outside its range.

    This holds over two attempts, from the pose in which the robot lies.
    """
    q = np.clip(A1.q_stand + np.random.default_rng(1).normal(size=12), A1.q_min, A1.q_max)
    _, path = targets(roll, 2.0 * ATTEMPT_TIME, q)
    np.testing.assert_array_equal(path[0], q)
    assert (path >= A1.q_min).all() and (path <= A1.q_max).all()
    assert (np.abs(np.diff(path, axis=0)) <= A1.dq_max * 0.002).all()


def test_a_robot_on_its_belly_folds_and_stays_folded() -> None:
    """Its target is the sitting pose after the fold, for ever, and no roll is begun."""
    one, path = targets(0.3, 5.0)
    assert one.attempts == 0
    np.testing.assert_allclose(
        path[round(FOLD_TIME * 500) :], np.tile(A1.q_sit, (len(path) - round(FOLD_TIME * 500), 1))
    )


@pytest.mark.parametrize("roll", [1.2, 1.57, 2.0, 2.9])
def test_a_robot_that_leans_is_rolled_further_the_way_it_leans(roll: float) -> None:
    """The legs of the side that is up already reach over the back first.

    The mirror image of a robot moves as its mirror image.
    """
    first = round((FOLD_TIME + FOLD_HOLD + ROLL[0].ramp + ROLL[0].hold / 2) * 500)
    _, left_up = targets(roll, 4.0)
    _, right_up = targets(-roll, 4.0)
    assert (left_up[first][[4, 10]] > 3.0).all() and (left_up[first][[1, 7]] < 1.5).all()
    np.testing.assert_allclose(right_up, SIGN * left_up[:, MIRROR], atol=1e-12)


def test_a_robot_flat_on_its_back_is_tried_over_both_sides_in_turn() -> None:
    """Each attempt takes its time, and the side changes."""
    one, path = targets(math.pi, FOLD_TIME + FOLD_HOLD + 2.0 * ATTEMPT_TIME)
    assert one.attempts == 2
    start = FOLD_TIME + FOLD_HOLD + ROLL[0].ramp + ROLL[0].hold / 2
    first = path[round(start * 500)]
    second = path[round((start + ATTEMPT_TIME) * 500)]
    assert (first[[4, 10]] > 3.0).all() and (second[[1, 7]] > 3.0).all()
    np.testing.assert_allclose(second, SIGN * first[MIRROR], atol=1e-12)


def test_it_starts_over_when_it_begins_again() -> None:
    """Attempts are counted from the last beginning; the first target is where the joints are."""
    one, _ = targets(math.pi, FOLD_TIME + FOLD_HOLD + 0.5)
    assert one.attempts == 1
    one.begin(lying(math.pi, START_NS + 10**10, q=A1.q_sit))
    np.testing.assert_array_equal(one.target(lying(math.pi, START_NS + 10**10)), A1.q_sit)
    assert one.attempts == 0
