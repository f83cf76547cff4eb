"""The gate: age of verdict and plan, damped modes, reported faults, and which reason it names."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import (
    LIMITS,
    START_NS,
    assert_damping,
    low_command,
    low_state,
    replaced,
    stance_plan,
    verdict,
)
from gate_values import DAMPED, DRIVEN, RAMPED, around, gate, refusal

from safe_locomotion.commands import damping_command
from safe_locomotion.safety.hazards import HAZARDS
from safe_locomotion.types import Array, Mode, Verdict

MAX_AGE_NS = round(LIMITS.max_age * 1e9)
FAULTS = (
    "estimate_diverged",
    "stand_up_timeout",
    "state_jump",
    "robot_mismatch",
    "motor_off",
    "foreign_publisher",
    "second_publisher",
    "second_state_source",
    "sensors_frozen",
    "sensors_disagree",
    "not_reset",
    "estop",
)


@pytest.mark.parametrize("mode", DRIVEN)
def test_an_ordinary_command_passes_unchanged(mode: Mode) -> None:
    """The gate returns the same object."""
    command = low_command()
    assert gate().filter(low_state(), verdict(mode=mode), stance_plan(), command) is command


@pytest.mark.parametrize("mode", DRIVEN)
@pytest.mark.parametrize("stale", ["verdict", "plan"])
def test_verdict_and_plan_are_fresh_up_to_max_age(mode: Mode, stale: str) -> None:
    """An age from 0 to max_age passes; one nanosecond more, or less than 0, does not.

    The ramps need no plan.
    """
    for age_ns, allowed in (
        (0, True),
        (MAX_AGE_NS, True),
        (MAX_AGE_NS + 1, False),
        (-1, False),
        (10 * MAX_AGE_NS, False),
    ):
        decided = verdict(mode=mode)
        plan = stance_plan()
        if stale == "verdict":
            decided = verdict(mode=mode, stamp_ns=START_NS - age_ns)
        else:
            plan = stance_plan(stamp_ns=START_NS - age_ns)
        passes = allowed or (stale == "plan" and mode in RAMPED)
        assert gate().refusal(low_state(), decided, plan, low_command()) == (
            "" if passes else f"{stale}_stale"
        )


def test_no_verdict_and_no_plan_are_stale() -> None:
    """Nothing moves before the first verdict.

    Damped modes and ramps need no plan, so a dead MPC does not drop a robot that sits down.
    """
    damping = damping_command(START_NS, 3.0, q=low_state().q)
    assert gate().refusal(low_state(), None, stance_plan(), low_command()) == "verdict_stale"
    assert gate().refusal(low_state(), verdict(), None, low_command()) == "plan_stale"
    for mode in DAMPED:
        assert gate().refusal(low_state(), verdict(mode=mode), None, damping) == ""
    for mode in DRIVEN:
        expected = "" if mode in RAMPED else "plan_stale"
        assert gate().refusal(low_state(), verdict(mode=mode), None, low_command()) == expected


@pytest.mark.parametrize("mode", DAMPED)
def test_in_a_damped_mode_only_damping_passes(mode: Mode) -> None:
    """Stiffness, torque or speed in any joint are refused, and so are bad damping gains."""
    damping = damping_command(START_NS, 3.0, q=low_state().q)
    assert gate().filter(low_state(), verdict(mode=mode), None, damping) is damping
    for field in ("kp", "tau", "dq"):
        for joint in range(12):
            for value in (1e-3, math.nan, math.inf):
                pushing = replace(damping, **{field: replaced(np.zeros(12), joint, value)})
                assert_damping(
                    gate().filter(low_state(), verdict(mode=mode), stance_plan(), pushing),
                    "command_not_damping",
                )
    for value, allowed in (*around(LIMITS.kd_max, 1), *around(0.0, -1)):
        command = replace(damping, kd=replaced(damping.kd, 5, value))
        assert refusal(command=command, mode=mode) == ("" if allowed else "command_not_damping")


@pytest.mark.parametrize("hazard", sorted(HAZARDS))
def test_a_reported_fault_refuses_what_moves_until_the_next_report(hazard: str) -> None:
    """The fault is named before any age is judged, and damping still passes.

    Hazards of lower severity do not concern the gate.
    """
    one = gate()
    damping = damping_command(START_NS, 3.0, q=low_state().q)
    one.report(frozenset({hazard, "battery_low"}))
    expected = hazard if hazard in FAULTS else ""
    assert one.refusal(low_state(), verdict(), stance_plan(), low_command()) == expected
    assert one.refusal(low_state(), None, None, low_command()) == (expected or "verdict_stale")
    for mode in DAMPED:
        assert one.refusal(low_state(), verdict(mode=mode), None, damping) == ""
    one.report(frozenset())
    assert one.refusal(low_state(), verdict(), stance_plan(), low_command()) == ""


def test_damping_answers_its_state() -> None:
    """It carries the stamp and the joint positions of the state, and the reason if one is given."""
    state = low_state(stamp_ns=START_NS + 5)
    command = damping_command(state.stamp_ns, 2.5, q=state.q)
    assert (command.stamp_ns, command.reason) == (START_NS + 5, "")
    np.testing.assert_array_equal(command.q, state.q)
    assert_damping(gate().damping(state, "because"), "because")
    refused = gate().damping(state, "because")
    assert refused.stamp_ns == state.stamp_ns
    np.testing.assert_array_equal(refused.q, state.q)


def test_the_first_reason_is_the_one_closest_to_the_robot() -> None:
    """The order is state, verdict, plan, command."""
    bad_state = low_state(voltage=1.0)
    bad_command = low_command(kp=np.full(12, 1e9))
    old_verdict = verdict(stamp_ns=0)
    old_plan = stance_plan(stamp_ns=0)
    assert gate().refusal(bad_state, old_verdict, old_plan, bad_command) == "battery"
    assert gate().refusal(low_state(), old_verdict, old_plan, bad_command) == "verdict_stale"
    assert gate().refusal(low_state(), verdict(), old_plan, bad_command) == "plan_stale"
    assert gate().refusal(low_state(), verdict(), stance_plan(), bad_command) == "command_kp"


def test_the_gate_leaves_its_inputs_alone() -> None:
    """The gate does not write to arrays that it receives."""
    state = low_state()
    command = low_command()
    arrays: list[Array] = [
        state.q,
        state.dq,
        state.quaternion_wxyz,
        command.q,
        command.tau,
        command.kp,
    ]
    for array in arrays:
        array.setflags(write=False)
    for mode in Mode:
        decided: Verdict = verdict(mode=mode)
        gate().filter(state, decided, stance_plan(), command)


def test_without_a_verdict_the_answer_is_damping() -> None:
    """The reason is `verdict_stale`, or that of a state that is refused itself."""
    assert_damping(gate().filter(low_state(), None, None, low_command()), "verdict_stale")
    assert_damping(
        gate().filter(low_state(voltage=1.0), None, stance_plan(), low_command()), "battery"
    )


def test_of_several_faults_the_first_by_name_is_reported() -> None:
    """Hazards of lower severity among them change nothing."""
    one = gate()
    one.report(frozenset({"motor_off", "battery_low", "estop", "policy_fault"}))
    assert one.refusal(low_state(), verdict(), stance_plan(), low_command()) == "estop"
