"""The bound on sudden changes: each joint at its largest step, and the robot's own motion."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, low_command, low_state, replaced
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from safe_locomotion.commands import commanded_torque
from safe_locomotion.safety.rate_limit import RateLimit
from safe_locomotion.types import LowCommand

TORQUE = np.tile((4.0, 5.0, 6.0), 4)
POSITION = np.tile((0.1, 0.2, 0.3), 4)
LIMP = low_command(kp=np.zeros(12), kd=np.zeros(12))


def limit(last: LowCommand | None = None) -> RateLimit:
    """A limit that has just sent `last`."""
    one = RateLimit(torque_step=TORQUE, position_step=POSITION, patience_ns=10)
    if last is not None:
        one.sent(last)
    return one


def test_the_first_command_has_no_step() -> None:
    """There is no command to compare it with."""
    command = replace(LIMP, tau=np.full(12, 30.0))
    assert limit().limited(low_state(), command) == (command, False)


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("side", [1, -1])
def test_a_step_up_to_its_bound_passes_as_it_is_and_one_beyond_is_clamped_to_it(
    joint: int, side: int
) -> None:
    """This holds for torque and position of each joint. The other joints are not changed."""
    bound = side * float(TORQUE[joint])
    at = replace(LIMP, tau=replaced(LIMP.tau, joint, bound))
    beyond = replace(LIMP, tau=replaced(LIMP.tau, joint, bound * (1 + 1e-12)))
    one = limit(LIMP)
    assert one.limited(low_state(), at)[0] is at and not one.clamped
    clamped = one.limited(low_state(), replace(beyond, tau=3.0 * beyond.tau))[0]
    np.testing.assert_allclose(clamped.tau, at.tau, atol=1e-12)
    assert one.limited(low_state(), beyond)[0] is not beyond and one.clamped == {"torque_step": 2}

    soft = low_command(q=np.zeros(12), kp=np.full(12, 1.0), kd=np.zeros(12))
    one = limit(soft)
    bound = side * float(POSITION[joint])
    inside = replace(soft, q=replaced(soft.q, joint, bound))
    assert one.limited(low_state(), inside)[0] is inside
    outside = replace(soft, q=replaced(soft.q, joint, soft.q[joint] + 2.0 * bound))
    clamped = one.limited(low_state(), outside)[0]
    np.testing.assert_allclose(clamped.q - soft.q, replaced(np.zeros(12), joint, bound), atol=1e-12)
    assert one.clamped == {"position_step": 1}


def test_the_target_of_a_joint_without_stiffness_does_not_count() -> None:
    """A stance leg follows torque, so its target is left unchanged."""
    one = limit(LIMP)
    kp = replaced(np.zeros(12), 4, 1.0)
    far = replace(LIMP, q=LIMP.q + 1.0)
    assert one.limited(low_state(), far)[0] is far
    clamped = one.limited(low_state(), replace(far, kp=kp))[0]
    np.testing.assert_allclose(clamped.q - LIMP.q, np.where(kp > 0.0, POSITION, 1.0))


def test_motion_of_the_robot_does_not_count() -> None:
    """The same command on a joint that was pushed away gives another torque, but no step."""
    stiff = low_command(kp=np.full(12, 100.0), kd=np.full(12, 5.0))
    pushed = low_state(q=A1.q_stand + 0.3, dq=np.full(12, 4.0))
    assert limit(stiff).limited(pushed, stiff)[0] is stiff


def scaled_command(v: Any) -> LowCommand:
    """Command made of numbers (5, 12) between -1 and 1."""
    return low_command(
        q=A1.q_stand + v[0],
        dq=20.0 * v[1],
        tau=30.0 * v[2],
        kp=50.0 * abs(v[3]),
        kd=5.0 * abs(v[4]),
    )


@given(
    values=arrays(np.float64, (2, 5, 12), elements=st.floats(-1.0, 1.0, width=32)),
    motion=arrays(np.float64, (2, 12), elements=st.floats(-1.0, 1.0, width=32)),
)
def test_the_step_of_any_command_stays_within_its_bounds(values: Any, motion: Any) -> None:
    """Torque and targets of the result are compared with the last command at this state."""
    last = scaled_command(values[0])
    wanted = scaled_command(values[1])
    state = low_state(q=A1.q_stand + motion[0], dq=20.0 * motion[1])
    sent, _ = limit(last).limited(state, wanted)
    step = commanded_torque(state, sent) - commanded_torque(state, last)
    assert (np.abs(step) <= TORQUE + 1e-9).all()
    assert (np.abs(sent.q - last.q)[wanted.kp > 0.0] <= POSITION[wanted.kp > 0.0] + 1e-12).all()


def test_patience_counts_from_the_first_clamped_command_and_a_calm_one_starts_it_over() -> None:
    """A patience of 10 ns ends at 11 ns. A stamp that goes back ends it too."""
    one = limit(LIMP)
    sudden = replace(LIMP, tau=np.full(12, 30.0))

    def lasting(elapsed_ns: int, command: LowCommand) -> bool:
        return one.limited(low_state(stamp_ns=START_NS + elapsed_ns), command)[1]

    assert [lasting(k, sudden) for k in (0, 10, 11)] == [False, False, True]
    assert [lasting(12, LIMP), lasting(13, sudden), lasting(23, sudden), lasting(24, sudden)] == [
        False,
        False,
        False,
        True,
    ]
    assert lasting(12, sudden)


@pytest.mark.parametrize("field", ["torque_step", "position_step"])
def test_a_bound_of_nan_clamps_every_command(field: str) -> None:
    """A comparison with NaN is always false."""
    steps = {"torque_step": TORQUE, "position_step": POSITION} | {field: np.full(12, math.nan)}
    one = RateLimit(**steps, patience_ns=10)
    stiff = low_command()
    one.sent(stiff)
    assert one.limited(low_state(), stiff)[0] is not stiff
