"""The gate: every limit swept past both ends, every field with NaN and infinities, every age to the nanosecond."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import (
    A1,
    LIMITS,
    START_NS,
    assert_damping,
    low_command,
    low_state,
    replaced,
    stance_plan,
    verdict,
)

from safe_locomotion.commands import commanded_torque, damping_command
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.safety.hazards import HAZARDS
from safe_locomotion.types import Array, LowCommand, LowState, Mode, StancePlan, Verdict

NOT_FINITE = [math.nan, math.inf, -math.inf]
MAX_AGE_NS = round(LIMITS.max_age * 1e9)
DAMPED = (Mode.PASSIVE, Mode.FALLEN, Mode.FAULT)
RAMPED = (Mode.STAND_UP, Mode.SIT, Mode.SELF_RIGHT)
DRIVEN = tuple(sorted(set(Mode) - set(DAMPED)))


def gate() -> CommandGate:
    return CommandGate(A1, LIMITS)


def refusal(
    state: LowState | None = None,
    command: LowCommand | None = None,
    *,
    mode: Mode = Mode.WALK,
    plan: StancePlan | None = None,
) -> str:
    return gate().refusal(
        low_state() if state is None else state,
        verdict(mode=mode),
        stance_plan() if plan is None else plan,
        low_command() if command is None else command,
    )


def around(bound: float, side: int) -> tuple[tuple[float, bool], ...]:
    """Values with whether they are allowed: the bound, just inside, just outside, far outside; `side` points outwards."""
    outwards = side * math.inf
    return (
        (bound, True),
        (math.nextafter(bound, -outwards), True),
        (math.nextafter(bound, outwards), False),
        (bound + side * 1e6, False),
        (math.nan, False),
        (side * math.inf, False),
    )


@pytest.mark.parametrize("mode", DRIVEN)
def test_an_ordinary_command_passes_unchanged(mode: Mode) -> None:
    """The very same object comes out."""
    command = low_command()
    assert gate().filter(low_state(), verdict(mode=mode), stance_plan(), command) is command


def test_limits_are_inclusive_and_nothing_beyond_passes() -> None:
    """Joint positions, speeds and temperatures at each joint, and the battery, at both ends of their range."""
    for joint in range(12):
        for field, bound, side, reason in (
            ("q", A1.q_min[joint] - LIMITS.position_margin, -1, "joint_position"),
            ("q", A1.q_max[joint] + LIMITS.position_margin, 1, "joint_position"),
            ("dq", -LIMITS.dq_max, -1, "joint_velocity"),
            ("dq", LIMITS.dq_max, 1, "joint_velocity"),
            ("temperature", LIMITS.temperature_max, 1, "temperature"),
        ):
            for value, allowed in around(float(bound), side):
                state = low_state(**{field: replaced(getattr(low_state(), field), joint, value)})
                fault = gate().state_fault(state)
                not_finite = not math.isfinite(value) and field != "temperature"
                assert fault == ("" if allowed else "joints_not_finite" if not_finite else reason)
    for value, allowed in around(LIMITS.voltage_min, -1):
        assert gate().state_fault(low_state(voltage=value)) == ("" if allowed else "battery")


def test_an_unreported_battery_voltage_is_no_fault() -> None:
    """Some links do not carry it."""
    assert gate().state_fault(low_state(voltage=None)) == ""


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("quaternion_wxyz", "imu_not_finite"),
        ("gyro", "imu_not_finite"),
        ("accelerometer", "imu_not_finite"),
        ("q", "joints_not_finite"),
        ("dq", "joints_not_finite"),
        ("tau", "joints_not_finite"),
        ("foot_force", "feet_not_finite"),
        ("temperature", "temperature"),
    ],
)
def test_a_state_that_is_not_finite_is_refused_in_every_field(
    field: str, reason: str, value: float
) -> None:
    """Each component alone is enough, in every mode, and the answer is a finite damping command."""
    array = getattr(low_state(), field)
    for index in range(len(array)):
        state = low_state(**{field: replaced(array, index, value)})
        if field == "temperature" and value == -math.inf:
            continue  # cold is no reason to stop
        for mode in Mode:
            assert_damping(
                gate().filter(state, verdict(mode=mode), stance_plan(), low_command()), reason
            )


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_voltage_that_is_not_finite_is_refused(value: float) -> None:
    """NaN is below every minimum."""
    assert refusal(low_state(voltage=value)) == "battery"


def test_opposite_infinities_do_not_cancel() -> None:
    """The test for finite numbers is not fooled by a sum."""
    with np.errstate(invalid="ignore"):
        assert (
            refusal(low_state(q=replaced(replaced(A1.q_stand, 0, math.inf), 1, -math.inf)))
            == "joints_not_finite"
        )


@pytest.mark.parametrize(
    ("scale", "allowed"),
    [(1.0, True), (1.009, True), (0.991, True), (1.011, False), (0.989, False), (0.0, False)],
)
def test_the_imu_quaternion_must_be_a_unit(scale: float, allowed: bool) -> None:
    """An IMU that is still starting sends zeros; 1 % of length is tolerated."""
    wxyz = scale * np.array((0.5, -0.5, 0.5, -0.5))
    assert refusal(low_state(quaternion_wxyz=wxyz)) == ("" if allowed else "imu_quaternion")


@pytest.mark.parametrize("mode", DRIVEN)
@pytest.mark.parametrize("stale", ["verdict", "plan"])
def test_verdict_and_plan_are_fresh_up_to_max_age(mode: Mode, stale: str) -> None:
    """Current and max_age old pass; one nanosecond older, or from the future, does not; the ramps need no plan at all."""
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
    """Nothing moves before the first decision; the damped modes and the ramps need no plan: a dead MPC drops nobody who sits."""
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
    """Whatever the leg controller says, stiffness, torque or speed in any joint are refused, as are bad damping gains."""
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


@pytest.mark.parametrize("joint", range(12))
def test_command_bounds_of_each_joint(joint: int) -> None:
    """Position, speed and both gains at both ends; the torque they would cause is kept out of the way."""
    soft = low_command(kp=np.zeros(12), kd=np.zeros(12))
    for field, bound, side, reason in (
        ("q", A1.q_min[joint] - LIMITS.position_margin, -1, "command_position"),
        ("q", A1.q_max[joint] + LIMITS.position_margin, 1, "command_position"),
        ("dq", -LIMITS.dq_max, -1, "command_velocity"),
        ("dq", LIMITS.dq_max, 1, "command_velocity"),
        ("kp", 0.0, -1, "command_kp"),
        ("kp", LIMITS.kp_max, 1, "command_kp"),
        ("kd", 0.0, -1, "command_kd"),
        ("kd", LIMITS.kd_max, 1, "command_kd"),
    ):
        for value, allowed in around(float(bound), side):
            command = replace(soft, **{field: replaced(getattr(soft, field), joint, value)})
            assert refusal(command=command) == ("" if allowed else reason)


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("sign", [1, -1])
def test_torque_bound_of_each_joint(joint: int, sign: int) -> None:
    """Feed-forward, stiffness and damping torque count together against the peak torque and its margin."""
    bound = float(A1.tau_max[joint] * LIMITS.torque_margin)
    still = low_command(kp=np.zeros(12), kd=np.zeros(12))
    for value, allowed in around(sign * bound, sign):
        command = replace(still, tau=replaced(np.zeros(12), joint, value))
        beyond = "command_torque" if abs(value) < 1.1 * abs(bound) else "command_feedforward"
        assert refusal(command=command) == ("" if allowed else beyond)
    for share, allowed in ((0.999, True), (1.001, False)):
        push = sign * bound * share / 3.0
        command = replace(
            still,
            tau=replaced(np.zeros(12), joint, push),
            kp=replaced(np.zeros(12), joint, 100.0),
            kd=replaced(np.zeros(12), joint, 2.0),
            dq=replaced(np.zeros(12), joint, push / 2.0),
        )
        state = low_state(q=replaced(A1.q_stand, joint, A1.q_stand[joint] - push / 100.0))
        assert refusal(state, command) == ("" if allowed else "command_torque")


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("sign", [1, -1])
def test_feedforward_bound_of_each_joint(joint: int, sign: int) -> None:
    """Torque that stiffness takes away at this moment counts all the same: a moment later it need not."""
    bound = sign * float(A1.tau_max[joint] * LIMITS.feedforward_margin)
    kp = replaced(np.zeros(12), joint, 100.0)
    state = low_state(q=replaced(A1.q_stand, joint, A1.q_stand[joint] + bound / 100.0))
    wide = replace(A1, q_min=A1.q_min - 10.0, q_max=A1.q_max + 10.0)
    for value, allowed in around(bound, sign):
        command = low_command(tau=replaced(np.zeros(12), joint, value), kp=kp, kd=np.zeros(12))
        reason = CommandGate(wide, LIMITS).refusal(state, verdict(), stance_plan(), command)
        assert reason == ("" if allowed else "command_feedforward")


FAULTS = (
    "estimate_diverged",
    "stand_up_timeout",
    "state_jump",
    "robot_mismatch",
    "motor_off",
    "foreign_publisher",
    "estop",
)


@pytest.mark.parametrize("hazard", sorted(HAZARDS))
def test_a_reported_fault_refuses_what_moves_until_the_next_report(hazard: str) -> None:
    """By its name, before the age of anything counts; lesser hazards are the supervisor's to judge; damping still passes."""
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


def test_the_gate_judges_each_state_by_itself() -> None:
    """A good state after a bad one, and a bad one after a good one, are not mistaken for each other."""
    one = gate()
    good = low_state()
    bad = low_state(voltage=1.0)
    for state, fault in (
        (good, ""),
        (bad, "battery"),
        (bad, "battery"),
        (good, ""),
        (good, ""),
        (low_state(voltage=1.0), "battery"),
    ):
        assert one.state_fault(state) == fault


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("field", ["q", "dq", "tau", "kp", "kd"])
def test_a_command_that_is_not_finite_is_refused_in_every_field(field: str, value: float) -> None:
    """Also where its gain is zero, in every joint and every mode that drives."""
    for joint in range(12):
        for mode in DRIVEN:
            for gain in (0.0, 20.0):
                command = low_command(
                    kp=np.full(12, gain), kd=np.full(12, min(gain, LIMITS.kd_max))
                )
                command = replace(
                    command, **{field: replaced(getattr(command, field), joint, value)}
                )
                filtered = gate().filter(low_state(), verdict(mode=mode), stance_plan(), command)
                assert filtered.reason.startswith("command_")
                assert_damping(filtered, filtered.reason)


def test_commanded_torque_by_hand() -> None:
    """tau + kp (q* - q) + kd (dq* - dq): 1 + 20 * 0.1 + 0.5 * (2 - 4) = 2."""
    state = low_state(q=np.full(12, 0.3), dq=np.full(12, 4.0))
    command = low_command(
        q=np.full(12, 0.4),
        dq=np.full(12, 2.0),
        tau=np.full(12, 1.0),
        kp=np.full(12, 20.0),
        kd=np.full(12, 0.5),
    )
    np.testing.assert_allclose(commanded_torque(state, command), 2.0, rtol=1e-12)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_damping_is_finite_whatever_the_state(value: float) -> None:
    """Missing joint positions, and those that are not finite, give zeros as set-point."""
    for q in (None, replaced(A1.q_stand, 7, value)):
        command = damping_command(START_NS, 2.5, q=q, reason="why")
        np.testing.assert_array_equal(command.q, 0.0)
        np.testing.assert_array_equal(command.kd, 2.5)
        assert command.reason == "why" and not (
            command.kp.any() or command.tau.any() or command.dq.any()
        )


def test_damping_answers_its_state() -> None:
    """Stamp and joint positions of the state, no reason unless given, no gate in between."""
    state = low_state(stamp_ns=START_NS + 5)
    command = damping_command(state.stamp_ns, 2.5, q=state.q)
    assert (command.stamp_ns, command.reason) == (START_NS + 5, "")
    np.testing.assert_array_equal(command.q, state.q)
    assert_damping(gate().damping(state, "because"), "because")
    refused = gate().damping(state, "because")
    assert refused.stamp_ns == state.stamp_ns
    np.testing.assert_array_equal(refused.q, state.q)


def test_the_first_reason_is_the_one_closest_to_the_robot() -> None:
    """State before verdict, verdict before plan, plan before command."""
    bad_state = low_state(voltage=1.0)
    bad_command = low_command(kp=np.full(12, 1e9))
    old_verdict = verdict(stamp_ns=0)
    old_plan = stance_plan(stamp_ns=0)
    assert gate().refusal(bad_state, old_verdict, old_plan, bad_command) == "battery"
    assert gate().refusal(low_state(), old_verdict, old_plan, bad_command) == "verdict_stale"
    assert gate().refusal(low_state(), verdict(), old_plan, bad_command) == "plan_stale"
    assert gate().refusal(low_state(), verdict(), stance_plan(), bad_command) == "command_kp"


def test_the_gate_leaves_its_inputs_alone() -> None:
    """Arrays that were handed over are not written to."""
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


def test_what_is_no_number_is_named_before_what_is_out_of_bounds() -> None:
    """Of several numbers the first that is none, else the first in order of the state, wherever in the row they lie."""
    hot = np.full(12, LIMITS.temperature_max + 1.0)
    far = A1.q_max + 1.0
    fast = np.full(12, LIMITS.dq_max + 1.0)
    broken = replaced(np.full(4, 30.0), 2, math.nan)
    for changes, reason in (
        ({"temperature": hot, "dq": fast}, "joint_velocity"),
        ({"temperature": hot, "dq": fast, "q": far}, "joint_position"),
        ({"q": far, "foot_force": broken}, "feet_not_finite"),
        (
            {"q": far, "tau": replaced(np.zeros(12), 3, -math.inf), "foot_force": broken},
            "joints_not_finite",
        ),
    ):
        assert gate().state_fault(low_state(**changes)) == reason
    both = low_command(q=far, kd=np.full(12, LIMITS.kd_max + 1.0))
    assert refusal(command=both) == "command_position"


def test_without_a_verdict_the_answer_is_damping() -> None:
    """Whatever the command; also of a state that is refused itself, by its own name."""
    assert_damping(gate().filter(low_state(), None, None, low_command()), "verdict_stale")
    assert_damping(
        gate().filter(low_state(voltage=1.0), None, stance_plan(), low_command()), "battery"
    )


def test_of_several_faults_the_first_by_name_is_told() -> None:
    """Among lesser hazards, too."""
    one = gate()
    one.report(frozenset({"motor_off", "battery_low", "estop", "policy_fault"}))
    assert one.refusal(low_state(), verdict(), stance_plan(), low_command()) == "estop"


def test_a_battery_below_nothing_and_above_everything() -> None:
    """The voltage has no upper end; zero is a voltage."""
    assert refusal(low_state(voltage=1e9)) == "" and refusal(low_state(voltage=0.0)) == "battery"
