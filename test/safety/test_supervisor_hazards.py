"""Supervisor: hazards from the estimate, the operator and the bridge, at their thresholds."""

import math

import numpy as np
import pytest
from core_values import A1, THRESHOLDS, estimate, replaced
from supervised import FORWARD, Run

from safe_locomotion.errors import UnknownNameError
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import Mode, VelocityCommand


def test_a_hazard_that_stops_takes_the_velocity_away_at_once() -> None:
    """The robot could not become slow under the old velocity."""
    run = Run()
    run.walking()
    run.supervisor.report(frozenset({"command_not_finite"}))
    verdict = run.tick(velocity=np.array((0.5, 0.0, 0.0)))
    assert (verdict.mode, verdict.command, verdict.reasons) == (
        Mode.WALK,
        VelocityCommand(),
        ("command_not_finite",),
    )
    assert run.tick().mode is Mode.STAND
    run.supervisor.report(frozenset())
    assert run.until(Mode.WALK).command == FORWARD


@pytest.mark.parametrize("axis", ["vx", "vy", "wz"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_velocity_that_is_not_finite_never_reaches_the_verdict(axis: str, value: float) -> None:
    """It is a hazard that stops the robot. The velocity is zero from that tick on."""
    run = Run()
    run.walking()
    verdict = run.tick(command=VelocityCommand(**{axis: value}))
    assert verdict.command == VelocityCommand()
    assert verdict.reasons == ("command_not_finite",)


def tilted(angle: float, direction: float) -> np.ndarray:
    return np.array(
        (
            math.cos(angle / 2),
            math.sin(angle / 2) * math.cos(direction),
            math.sin(angle / 2) * math.sin(direction),
            0,
        )
    )


@pytest.mark.parametrize("direction", np.linspace(0.0, 2 * np.pi, 8, endpoint=False))
def test_tilt_counts_as_a_fall_past_its_threshold_in_every_direction(direction: float) -> None:
    """The angle between the body's z axis and the vertical decides."""
    for angle, mode in (
        (THRESHOLDS.fall_tilt - 1e-6, Mode.WALK),
        (THRESHOLDS.fall_tilt + 1e-6, Mode.FALLEN),
        (3.1, Mode.FALLEN),
    ):
        run = Run()
        run.walking()
        assert run.tick(quaternion_wxyz=tilted(angle, direction)).mode is mode


def test_yaw_is_no_tilt() -> None:
    """A robot at any heading is upright."""
    run = Run()
    run.walking()
    for yaw in np.linspace(-np.pi, np.pi, 9):
        assert run.tick(quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, yaw)).mode is Mode.WALK


@pytest.mark.parametrize("ground", [-1.0, 0.0, 2.5])
def test_height_above_ground_counts_as_a_fall_below_its_threshold(ground: float) -> None:
    """Height is measured from the ground plane and not in odom."""
    for height, mode in (
        (THRESHOLDS.fall_height + 1e-6, Mode.WALK),
        (THRESHOLDS.fall_height - 1e-6, Mode.FALLEN),
    ):
        run = Run()
        run.walking()
        verdict = run.tick(position=np.array((0.0, 0.0, ground + height)), ground_height=ground)
        assert verdict.mode is mode
        assert verdict.reasons == (() if mode is Mode.WALK else ("fallen",))


def test_a_robot_that_lies_prone_is_not_fallen() -> None:
    """A robot is low when it begins to stand up and when it has sat down."""
    low = {"position": np.array((0.0, 0.0, 0.05))}
    run = Run()
    assert run.tick(**low).reasons == ()
    run.supervisor.request("stand")
    for _ in range(3):
        assert run.tick(q=A1.q_sit, **low).mode is Mode.STAND_UP
    run.until(Mode.STAND)
    run.supervisor.request("sit")
    run.until(Mode.SIT)
    assert run.tick(**low).reasons == ()


NOT_FINITE = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    ("field", "size"),
    [
        ("position", 3),
        ("quaternion_wxyz", 4),
        ("velocity", 3),
        ("angular_velocity", 3),
        ("q", 12),
        ("dq", 12),
        ("ground_normal", 3),
    ],
)
def test_an_estimate_that_is_not_finite_has_diverged(field: str, size: int, value: float) -> None:
    """One number that is not finite, in any field that the controllers use, is this fault."""
    run = Run()
    for index in range(size):
        run.walking()
        verdict = run.tick(**{field: replaced(getattr(estimate(), field), index, value)})
        assert (verdict.mode, verdict.reasons) == (Mode.FAULT, ("estimate_diverged",))
        assert run.supervisor.request("reset") is None
        assert run.tick().mode is Mode.PASSIVE


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_ground_height_that_is_not_finite_has_diverged(value: float) -> None:
    """The ground plane is a part of the estimate."""
    assert Run().tick(ground_height=value).mode is Mode.FAULT


def test_a_zero_quaternion_is_a_fall() -> None:
    """An orientation without meaning does not count as upright."""
    run = Run()
    run.walking()
    assert run.tick(quaternion_wxyz=np.zeros(4)).mode is Mode.FALLEN


def test_diverged_estimate_is_a_latched_fault_that_keeps_its_reason() -> None:
    """The robot is damped until reset. The verdict names the cause until then."""
    run = Run()
    run.walking()
    assert run.tick(diverged=True).reasons == ("estimate_diverged",)
    later = [run.tick() for _ in range(100)]
    assert {(v.mode, v.reasons) for v in later} == {(Mode.FAULT, ("estimate_diverged",))}
    assert (
        run.supervisor.request("walk") == "the mode is FAULT: call reset first (estimate_diverged)"
    )
    assert run.supervisor.request("reset") is None
    verdict = run.tick()
    assert (verdict.mode, verdict.reasons, verdict.mode_since_ns) == (
        Mode.PASSIVE,
        (),
        run.stamp_ns,
    )


def test_a_fault_collects_what_follows_it() -> None:
    """The reasons of FALLEN and FAULT add up, sorted by name."""
    run = Run()
    run.walking()
    run.tick(quaternion_wxyz=quaternion_from_rpy(2.0, 0.0, 0.0))
    run.supervisor.request("estop")
    assert run.tick().reasons == ("estop", "fallen")


def test_standing_up_for_too_long_is_a_fault_with_its_reason() -> None:
    """A blocked robot is damped 1 ns past the timeout."""
    run = Run()
    run.tick()
    run.supervisor.request("stand")
    assert run.tick(q=A1.q_sit).mode is Mode.STAND_UP
    timeout_ns = round(THRESHOLDS.stand_up_timeout * 1e9)
    assert run.later(timeout_ns).tick(q=A1.q_sit).mode is Mode.STAND_UP
    verdict = run.later(1).tick(q=A1.q_sit)
    assert (verdict.mode, verdict.reasons) == (Mode.FAULT, ("stand_up_timeout",))
    assert run.tick().reasons == ("stand_up_timeout",)


def test_hazards_seen_elsewhere_hold_until_the_next_report() -> None:
    """A low battery makes the robot sit down and is named. Unknown hazards are errors."""
    run = Run()
    run.walking()
    for _ in range(2):
        run.supervisor.report(frozenset({"battery_low"}))
    run.until(Mode.SIT)
    assert run.tick().reasons == ("battery_low",)
    assert run.supervisor.request("stand") == "a hazard of severity SIT holds (battery_low)"
    run.supervisor.report(frozenset())
    assert run.tick().reasons == ()
    with pytest.raises(UnknownNameError, match="unknown hazard 'meteor'"):
        run.supervisor.report(frozenset({"meteor"}))


def test_a_jump_in_time_is_no_fault_in_a_damped_mode() -> None:
    """The robot may be switched off and on there. A robot that stands goes to FAULT."""
    run = Run()
    run.tick()
    run.supervisor.report(frozenset({"state_jump"}))
    assert [run.tick().mode for _ in range(3)] == [Mode.PASSIVE] * 3
    run.supervisor.report(frozenset())
    run.supervisor.request("stand")
    run.until(Mode.STAND)
    run.supervisor.report(frozenset({"state_jump"}))
    assert run.tick().mode is Mode.FAULT
    run.supervisor.report(frozenset())
    assert run.tick().reasons == ("state_jump",)


@pytest.mark.parametrize("hazard", ["foreign_publisher", "robot_mismatch"])
def test_what_the_bridge_sees_is_a_fault_in_every_mode(hazard: str) -> None:
    """This holds for a lying robot too, because it must not stand up."""
    for mode in (Mode.PASSIVE, Mode.STAND_UP, Mode.STAND, Mode.WALK):
        run = Run()
        run.tick()
        if mode is not Mode.PASSIVE:
            run.supervisor.request("walk")
            run.until(mode)
        run.supervisor.report(frozenset({hazard}))
        verdict = run.tick()
        assert (verdict.mode, verdict.reasons) == (Mode.FAULT, (hazard,))


def test_divergence_is_no_fault_of_a_robot_that_lies() -> None:
    """Nothing depends on the estimate in PASSIVE. It counts as soon as the robot rises."""
    run = Run()
    assert {run.tick(diverged=True).mode for _ in range(10)} == {Mode.PASSIVE}
    run.supervisor.request("stand")
    run.tick(diverged=True)
    assert run.tick(diverged=True).reasons == ("estimate_diverged",)
