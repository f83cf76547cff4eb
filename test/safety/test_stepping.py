"""A standing robot that is pushed steps in place until it is slow, and then stands again."""

import numpy as np
import pytest
from core_values import A1, THRESHOLDS, estimate
from mode_values import (
    FAULT,
    NONE,
    RECOVER,
    SIT,
    START_NS,
    STEP_TIME,
    STOP,
    TICK_NS,
    machine_in,
)
from supervised import AT_ONCE, Run, gait_proposal

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.hazards import Severity
from safe_locomotion.safety.modes import Conditions, Goal, ModeMachine
from safe_locomotion.types import Mode, VelocityCommand

PUSHED = Conditions(pushed=True)
SLOW = Conditions(slow=True)
FAST = Conditions()
STEP_NS = round(STEP_TIME * 1e9)


def stepping(goal: Goal = "stand") -> ModeMachine:
    """A machine that was pushed at START_NS + 2 ms."""
    one = machine_in(Mode.STAND, goal, settle_time=0.3)
    assert one.update(START_NS + TICK_NS, NONE, PUSHED) is Mode.WALK
    return one


@pytest.mark.parametrize("goal", ["stand", "sit", "walk"])
@pytest.mark.parametrize("worst", [NONE, RECOVER, STOP, SIT])
def test_a_push_makes_a_standing_robot_step_at_once(goal: Goal, worst: Severity) -> None:
    """Whatever it was about to do, and under every hazard that leaves it on its feet."""
    one = machine_in(Mode.STAND, goal, settle_time=0.3)
    assert one.update(START_NS + TICK_NS, worst, PUSHED) is Mode.WALK
    assert one.since_ns == START_NS + TICK_NS
    assert one.catches_itself is (one.wanted != "walk")


@pytest.mark.parametrize(
    ("worst", "expected"), [(Severity.FALLEN, Mode.FALLEN), (FAULT, Mode.FAULT)]
)
def test_a_fall_and_a_fault_come_first(worst: Severity, expected: Mode) -> None:
    """Nobody steps with a fault, or on the ground."""
    one = machine_in(Mode.STAND, "stand")
    assert one.update(START_NS + TICK_NS, worst, PUSHED) is expected
    assert not one.catches_itself


@pytest.mark.parametrize("mode", [Mode.PASSIVE, Mode.STAND_UP, Mode.SIT, Mode.SELF_RIGHT])
def test_no_other_mode_steps(mode: Mode) -> None:
    """A push matters to a robot that stands; others have their own edges."""
    one = machine_in(mode, "stand", settle_time=0.3)
    other = machine_in(mode, "stand", settle_time=0.3)
    assert one.update(START_NS + TICK_NS, NONE, PUSHED) is other.update(
        START_NS + TICK_NS, NONE, FAST
    )


def test_it_stands_again_when_it_is_slow_but_not_before_the_step_time() -> None:
    """To the tick: slow all the time, it steps for the step time; then it waits to be slow."""
    one = stepping()
    begin = one.since_ns
    assert one.update(begin + STEP_NS - 1, NONE, SLOW) is Mode.WALK
    assert one.update(begin + STEP_NS, NONE, FAST) is Mode.WALK
    assert one.catches_itself
    assert one.update(begin + STEP_NS + 1, NONE, SLOW) is Mode.STAND
    assert not one.catches_itself
    other = stepping()
    assert other.update(begin + STEP_NS, NONE, SLOW) is Mode.STAND


def test_a_robot_that_never_gets_slow_stops_at_the_timeout() -> None:
    """As any robot that is told to stop."""
    one = stepping()
    begin = one.since_ns
    seen = [one.update(begin + k * 10**8, NONE, FAST) for k in range(1, 60)]
    assert seen[39] is Mode.WALK
    assert seen[42] is Mode.STAND


def test_a_request_to_walk_makes_it_a_walk() -> None:
    """The learner may drive then, and the robot does not stop after the step time."""
    one = stepping()
    assert one.request("walk") is None
    assert one.update(one.since_ns + TICK_NS, NONE, SLOW) is Mode.WALK
    assert not one.catches_itself
    assert one.update(one.since_ns + 2 * STEP_NS, NONE, SLOW) is Mode.WALK
    assert one.request("stand") is None
    assert one.update(one.since_ns + 2 * STEP_NS + TICK_NS, NONE, SLOW) is Mode.STAND


def test_a_walk_that_is_told_to_stop_does_not_step_on() -> None:
    """Only a push begins the step time."""
    one = machine_in(Mode.STAND, "walk")
    assert one.update(START_NS + TICK_NS, NONE, Conditions(still=True)) is Mode.WALK
    assert one.request("stand") is None
    assert one.update(START_NS + 2 * TICK_NS, NONE, SLOW) is Mode.STAND


def push_speed(margin: float) -> float:
    """Sideways speed [m/s] at which the capture point of a standing robot has this margin."""
    capture = CapturePoint(A1)
    slow = capture.margin(estimate(velocity=np.array((0.0, 0.5, 0.0))))
    fast = capture.margin(estimate(velocity=np.array((0.0, 1.0, 0.0))))
    return 0.5 + 0.5 * (margin - slow) / (fast - slow)


def standing(config: StackConfig = AT_ONCE) -> Run:
    """A run whose robot stands."""
    run = Run(config)
    run.tick()
    run.supervisor.request("stand")
    run.until(Mode.STAND)
    return run


def test_the_supervisor_steps_where_the_capture_point_nears_the_edge() -> None:
    """Just inside the margin it stands; just outside it steps, with zero velocity."""
    run = standing()
    edge = push_speed(THRESHOLDS.step_margin)
    assert run.tick(velocity=np.array((0.0, edge - 0.01, 0.0))).mode is Mode.STAND
    verdict = run.tick(velocity=np.array((0.0, edge + 0.01, 0.0)))
    assert verdict.mode is Mode.WALK
    assert verdict.command == VelocityCommand()


def test_recovery_alone_catches_a_pushed_robot() -> None:
    """A learner that proposes gaits does not drive until someone asks to walk."""
    run = standing()
    fast = np.array((0.0, push_speed(THRESHOLDS.step_margin) + 0.05, 0.0))
    run.tick(velocity=fast, proposal=gait_proposal())
    verdict = run.tick(velocity=np.zeros(3), proposal=gait_proposal())
    assert verdict.mode is Mode.WALK
    assert (verdict.active, verdict.policy, verdict.joints) == ("recovery", "", None)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_unknown_capture_point_is_no_reason_to_step(bad: float) -> None:
    """A velocity that is not finite is a hazard of its own, and nobody steps because of it."""
    run = standing()
    assert run.tick(velocity=np.array((0.0, bad, 0.0))).mode is Mode.FAULT


def test_the_margin_decides_alone() -> None:
    """With a margin that nothing reaches, the robot stands through every push."""
    run = standing(load_config("a1", {"supervisor.thresholds.step_margin": -1e9}))
    assert run.tick(velocity=np.array((0.0, 3.0, 0.0))).mode is Mode.STAND


def test_a_capture_point_on_the_margin_is_inside() -> None:
    """The next number in double precision is not."""
    velocity = np.array((0.0, 0.6, 0.0))
    edge = CapturePoint(A1).margin(estimate(velocity=velocity))
    for margin, mode in ((edge, Mode.STAND), (float(np.nextafter(edge, np.inf)), Mode.WALK)):
        run = standing(load_config("a1", {"supervisor.thresholds.step_margin": margin}))
        assert run.tick(velocity=velocity).mode is mode
