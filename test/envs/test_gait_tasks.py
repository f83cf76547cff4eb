"""Rewards of the paper's tasks against numbers worked out by hand."""

import pytest
from core_values import A1, TROT

from safe_locomotion.control.gait import executable
from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import (
    TASKS,
    StepOutcome,
    catwalk,
    efficient_gait,
    gait_task,
    hip_width,
    pacing,
    recovery,
    start_gait,
    two_leg,
)
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.policy.contract import Origin
from safe_locomotion.types import GaitParameters, VelocityCommand


def outcome(**changes) -> StepOutcome:
    """A robot that follows its command exactly, level, without power."""
    values = {
        "height": A1.nominal_height,
        "velocity": (0.4, 0.0, 0.0),
        "yaw_rate": 0.0,
        "rates": (0.0, 0.0, 0.0),
        "roll": 0.0,
        "pitch": 0.0,
        "power": 0.0,
        "gait": TROT,
        "command": VelocityCommand(vx=0.4),
    }
    return StepOutcome(**{**values, **changes})


def feet(y) -> GaitParameters:
    return GaitParameters(frequency=2.5, swing_ratio=0.45, phase_offsets=(0.5, 0.5, 0.0), foot_y=y)


def test_efficient_gait() -> None:
    """1 - P / (m g 1 m/s) - 8 |dv|^2 - dw^2 - 4 tilt^2; the velocity error counts up to 0.5 m/s."""
    weight = A1.mass * 9.81
    assert efficient_gait(outcome(), A1) == 1.0
    assert efficient_gait(outcome(power=0.4 * weight), A1) == pytest.approx(0.6)
    assert efficient_gait(outcome(velocity=(0.3, 0.1, 0.0)), A1) == pytest.approx(1.0 - 8.0 * 0.02)
    assert efficient_gait(outcome(velocity=(9.0, 0.0, 0.0)), A1) == pytest.approx(1.0 - 8.0 * 0.25)
    assert efficient_gait(outcome(yaw_rate=0.2, roll=0.1, pitch=-0.1), A1) == pytest.approx(
        1.0 - 0.04 - 0.08
    )


def test_catwalk() -> None:
    """The reward is largest with the feet in one line; at the nominal width each pair costs 1."""
    half = 0.5 * hip_width(A1)
    assert catwalk(outcome(gait=feet((0.0, 0.0, 0.0, 0.0))), A1) == 1.0
    assert catwalk(outcome(gait=feet((-half, half, -half, half))), A1) == pytest.approx(-1.0)
    assert catwalk(outcome(gait=feet((-half / 2, half / 2, 0.0, 0.0))), A1) == pytest.approx(0.75)


def test_two_leg_and_pacing() -> None:
    """`two_leg` rewards the nominal height, `pacing` the velocity, also the vertical one."""
    assert two_leg(outcome(), A1) == 1.0
    assert two_leg(outcome(height=0.9 * A1.nominal_height), A1) == pytest.approx(0.99)
    assert pacing(outcome(), A1) == 1.0
    assert pacing(outcome(velocity=(0.2, 0.1, 0.3)), A1) == pytest.approx(1.0 - 0.04 - 0.01 - 0.09)


def test_recovery() -> None:
    """Every deviation from standing still and upright counts by its square."""
    still = {"velocity": (0.0, 0.0, 0.0)}
    assert recovery(outcome(**still), A1) == 5.0
    assert recovery(outcome(**still, height=0.9 * A1.nominal_height), A1) == pytest.approx(4.99)
    tilted = outcome(velocity=(0.1, 0.0, 0.2), roll=0.3, pitch=-0.1, rates=(0.4, 0.0, 0.5))
    assert recovery(tilted, A1) == pytest.approx(5.0 - 0.05 - 0.1 - 0.41)


@pytest.mark.parametrize("name", TASKS)
def test_tasks_begin_with_a_gait(name) -> None:
    """The first gait can be executed, and its feet lie on their own sides.

    Each of the nine parameters is free or fixed.
    """
    task = gait_task(name)
    gait = start_gait(task, A1)
    assert executable(gait) and gait.foot_y[0] < 0.0 < gait.foot_y[1] and len(task.free) == 9


def test_two_leg_is_the_papers_task() -> None:
    """FL and RR are lifted; frequency, swing ratio and the offset of RL change (paper 1, VI)."""
    task = gait_task("two_leg")
    assert task.lifted == (False, True, True, False)
    assert task.free == (True, True, False, False, True, False, False, False, False)
    contract = gait_contract(A1, task, name="two_leg", origin=Origin(command="", seed=0, commit=""))
    assert contract.gait is not None and contract.gait.lifted == ("FL", "RR")
    assert start_gait(task, A1).lifted == task.lifted
    others = [gait_task(name) for name in TASKS if name != "two_leg"]
    assert not any(any(other.lifted) for other in others)


def test_unknown_tasks_are_named() -> None:
    """The error names the choices."""
    with pytest.raises(UnknownNameError, match="catwalk"):
        gait_task("moonwalk")
