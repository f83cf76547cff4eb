"""Supervisor: hazards from the estimate, the operator and elsewhere, each at its threshold; what the verdict then says."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, THRESHOLDS, TICK_NS, TROT, estimate, replaced

from safe_locomotion.config import load_config
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.pipeline import make_supervisor
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import JointTargets, Mode, Proposal, VelocityCommand, Verdict

FORWARD = VelocityCommand(vx=0.5)
#: Nobody intervenes (test_intervention is about that), and a robot that is held still does not step faster.
CONFIG = load_config("a1", {"supervisor.intervention.criterion": "off", "supervisor.recovery.hurry_gain": 0.0})
RECOVERY = CONFIG.supervisor.recovery


class Run:
    """A supervisor fed on consecutive ticks."""

    def __init__(self) -> None:
        self.supervisor = make_supervisor(A1, CONFIG)
        self.stamp_ns = START_NS

    def tick(self, *, proposal: Proposal | None = None, command: VelocityCommand = FORWARD, **changes: Any) -> Verdict:
        """One tick; a proposal is made on it, unless it is told how old it is."""
        self.stamp_ns += TICK_NS
        made = proposal if proposal is None or proposal.stamp_ns else replace(proposal, stamp_ns=self.stamp_ns)
        return self.supervisor.update(estimate(stamp_ns=self.stamp_ns, **changes), made, command)

    def until(self, mode: Mode, **changes: Any) -> Verdict:
        """Ticks until `mode`; fails after 10 s of robot time."""
        for _ in range(5000):
            verdict = self.tick(**changes)
            if verdict.mode is mode:
                return verdict
        raise AssertionError(f"never reached {mode.name}")

    def walking(self) -> Verdict:
        assert self.supervisor.request("walk") is None
        return self.until(Mode.WALK)


def gait_proposal(**changes: Any) -> Proposal:
    return Proposal(stamp_ns=0, policy="learner", kind="gait", gait=replace(TROT, **changes))


def test_from_passive_to_walking_and_down_again() -> None:
    """The modes follow the requests, each entered at the stamp the verdict names."""
    run = Run()
    assert run.tick().mode is Mode.PASSIVE
    run.supervisor.request("walk")
    seen = [(run.tick().mode, run.stamp_ns) for _ in range(400)]
    assert [mode for mode in dict(seen)] == [Mode.STAND_UP, Mode.STAND, Mode.WALK]
    last = run.tick()
    assert last.mode_since_ns == next(stamp for mode, stamp in seen if mode is Mode.WALK)
    assert run.supervisor.mode is Mode.WALK
    run.supervisor.request("sit")
    run.until(Mode.SIT)
    assert run.until(Mode.PASSIVE, q=A1.q_sit).reasons == ()


def test_velocity_is_applied_in_walk_only() -> None:
    """Zero in every other mode, and zero while walking to a stop."""
    run = Run()
    run.supervisor.request("walk")
    for _ in range(400):
        verdict = run.tick()
        assert verdict.command == (FORWARD if verdict.mode is Mode.WALK else VelocityCommand())
    run.supervisor.request("stand")
    verdict = run.tick(velocity=np.array((0.5, 0.0, 0.0)))
    assert (verdict.mode, verdict.command) == (Mode.WALK, VelocityCommand())


def test_a_hazard_that_stops_takes_the_velocity_away_at_once() -> None:
    """The robot cannot become slow while the old velocity stays in force."""
    run = Run()
    run.walking()
    run.supervisor.report(frozenset({"command_not_finite"}))
    verdict = run.tick(velocity=np.array((0.5, 0.0, 0.0)))
    assert (verdict.mode, verdict.command, verdict.reasons) == (Mode.WALK, VelocityCommand(), ("command_not_finite",))
    assert run.tick().mode is Mode.STAND
    run.supervisor.report(frozenset())
    assert run.until(Mode.WALK).command == FORWARD


@pytest.mark.parametrize("axis", ["vx", "vy", "wz"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_velocity_that_is_not_finite_never_reaches_the_verdict(axis: str, value: float) -> None:
    """It counts as a hazard that stops the robot, with zero velocity from that tick on."""
    run = Run()
    run.walking()
    verdict = run.tick(command=VelocityCommand(**{axis: value}))
    assert verdict.command == VelocityCommand()
    assert verdict.reasons == ("command_not_finite",)


def tilted(angle: float, direction: float) -> np.ndarray:
    return np.array(
        (math.cos(angle / 2), math.sin(angle / 2) * math.cos(direction), math.sin(angle / 2) * math.sin(direction), 0)
    )


@pytest.mark.parametrize("direction", np.linspace(0.0, 2 * np.pi, 8, endpoint=False))
def test_tilt_counts_as_a_fall_past_its_threshold_in_every_direction(direction: float) -> None:
    """The angle of the body's z axis to the vertical decides, whatever the mix of roll and pitch."""
    for angle, mode in ((THRESHOLDS.fall_tilt - 1e-6, Mode.WALK), (THRESHOLDS.fall_tilt + 1e-6, Mode.FALLEN), (3.1, Mode.FALLEN)):
        run = Run()
        run.walking()
        assert run.tick(quaternion_wxyz=tilted(angle, direction)).mode is mode


def test_yaw_is_no_tilt() -> None:
    """A robot may face anywhere."""
    run = Run()
    run.walking()
    for yaw in np.linspace(-np.pi, np.pi, 9):
        assert run.tick(quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, yaw)).mode is Mode.WALK


@pytest.mark.parametrize("ground", [-1.0, 0.0, 2.5])
def test_height_above_ground_counts_as_a_fall_below_its_threshold(ground: float) -> None:
    """Height is measured from the ground plane, wherever odom has its zero."""
    for height, mode in ((THRESHOLDS.fall_height + 1e-6, Mode.WALK), (THRESHOLDS.fall_height - 1e-6, Mode.FALLEN)):
        run = Run()
        run.walking()
        verdict = run.tick(position=np.array((0.0, 0.0, ground + height)), ground_height=ground)
        assert verdict.mode is mode
        assert verdict.reasons == (() if mode is Mode.WALK else ("fallen",))


def test_a_robot_that_lies_prone_is_not_fallen() -> None:
    """Low is where a robot starts to stand up from and where sitting ends."""
    low = {"position": np.array((0.0, 0.0, 0.05))}
    run = Run()
    assert run.tick(**low).reasons == ()
    run.supervisor.request("stand")
    assert run.tick(**low).mode is Mode.STAND_UP
    assert run.tick(**low).mode is Mode.STAND_UP
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
    """Any number that the controllers use and that is not finite is the same fault, in every component."""
    for index in range(size):
        run = Run()
        run.walking()
        verdict = run.tick(**{field: replaced(getattr(estimate(), field), index, value)})
        assert (verdict.mode, verdict.reasons) == (Mode.FAULT, ("estimate_diverged",))


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_ground_height_that_is_not_finite_has_diverged(value: float) -> None:
    """The ground plane is part of the estimate."""
    assert Run().tick(ground_height=value).mode is Mode.FAULT


def test_a_zero_quaternion_is_a_fall() -> None:
    """An orientation that means nothing is not upright."""
    run = Run()
    run.walking()
    assert run.tick(quaternion_wxyz=np.zeros(4)).mode is Mode.FALLEN


def test_diverged_estimate_is_a_latched_fault_that_keeps_its_reason() -> None:
    """Damping until reset; the cause stays readable after it is gone, and is forgotten with the reset."""
    run = Run()
    run.walking()
    assert run.tick(diverged=True).reasons == ("estimate_diverged",)
    later = [run.tick() for _ in range(100)]
    assert {(v.mode, v.reasons) for v in later} == {(Mode.FAULT, ("estimate_diverged",))}
    assert run.supervisor.request("walk") == "the mode is FAULT: call reset first (estimate_diverged)"
    assert run.supervisor.request("reset") is None
    verdict = run.tick()
    assert (verdict.mode, verdict.reasons, verdict.mode_since_ns) == (Mode.PASSIVE, (), run.stamp_ns)


def test_a_fault_collects_what_follows_it() -> None:
    """Reasons of FALLEN and FAULT add up, sorted by name."""
    run = Run()
    run.walking()
    run.tick(quaternion_wxyz=quaternion_from_rpy(2.0, 0.0, 0.0))
    run.supervisor.request("estop")
    assert run.tick().reasons == ("estop", "fallen")


def test_estop_is_a_fault_until_reset_from_every_mode() -> None:
    """The emergency stop holds although nothing else is wrong, and its reset leads to PASSIVE only."""
    for reach in ((), ("stand",), ("walk",)):
        run = Run()
        run.tick()
        for request in reach:
            run.supervisor.request(request)
            run.until(Mode.STAND if request == "stand" else Mode.WALK)
        assert run.supervisor.request("estop") is None
        assert run.tick().mode is Mode.FAULT
        assert run.tick().reasons == ("estop",)
        assert run.supervisor.request("reset") is None
        assert {run.tick().mode for _ in range(100)} == {Mode.PASSIVE}


def test_a_reset_before_the_next_tick_does_not_swallow_an_estop() -> None:
    """Nothing is to be reset yet: refused, and the stop takes place."""
    run = Run()
    run.walking()
    run.supervisor.request("estop")
    assert run.supervisor.request("reset") == "nothing to reset: the mode is WALK"
    assert run.tick().mode is Mode.FAULT


def test_standing_up_for_too_long_is_a_fault_with_its_reason() -> None:
    """A blocked robot is let go after the timeout, to the tick."""
    run = Run()
    run.tick()
    run.supervisor.request("stand")
    entered = run.tick(q=A1.q_sit)
    ticks = round(THRESHOLDS.stand_up_timeout * 1e9) // TICK_NS
    verdicts = [run.tick(q=A1.q_sit) for _ in range(ticks + 1)]
    assert entered.mode is Mode.STAND_UP and {v.mode for v in verdicts[:-1]} == {Mode.STAND_UP}
    assert (verdicts[-1].mode, verdicts[-1].reasons) == (Mode.FAULT, ("stand_up_timeout",))
    assert run.tick().reasons == ("stand_up_timeout",)


def test_hazards_seen_elsewhere_hold_until_the_next_report() -> None:
    """A low battery sits the robot down and says so; unknown hazards are errors."""
    run = Run()
    run.walking()
    run.supervisor.report(frozenset({"battery_low"}))
    run.until(Mode.SIT)
    assert run.tick().reasons == ("battery_low",)
    assert run.supervisor.request("stand") == "a hazard of severity SIT holds (battery_low)"
    run.supervisor.report(frozenset())
    assert run.tick().reasons == ()
    with pytest.raises(UnknownNameError, match="unknown hazard 'meteor'"):
        run.supervisor.report(frozenset({"meteor"}))


@pytest.mark.parametrize(
    ("field", "threshold", "mode"), [("q", "pose_tolerance", Mode.STAND_UP), ("dq", "still_joint_speed", Mode.STAND_UP)]
)
@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_standing_needs_every_joint_near_its_pose_and_still(
    field: str, threshold: str, mode: Mode, joint: int, sign: float
) -> None:
    """One joint just outside its tolerance holds STAND_UP, just inside lets it go on."""
    base = A1.q_stand if field == "q" else np.zeros(12)
    for factor, expected in ((1.0 - 1e-6, Mode.STAND), (1.0 + 1e-6, mode)):
        run = Run()
        run.tick()
        run.supervisor.request("stand")
        changes = {field: replaced(base, joint, base[joint] + sign * factor * getattr(THRESHOLDS, threshold))}
        for _ in range(160):
            verdict = run.tick(**changes)
        assert verdict.mode is expected


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stepping_stops_at_its_speed_and_walking_starts_at_rest(axis: int, sign: float) -> None:
    """WALK ends just below slow_speed; STAND is left just below still_speed."""
    for factor, ended, left in ((1.0 - 1e-6, Mode.STAND, Mode.WALK), (1.0 + 1e-6, Mode.WALK, Mode.STAND)):
        run = Run()
        run.walking()
        run.supervisor.request("stand")
        assert run.tick(velocity=replaced(np.zeros(3), axis, sign * factor * THRESHOLDS.slow_speed)).mode is ended
        run.until(Mode.STAND)
        run.supervisor.request("walk")
        for _ in range(160):
            verdict = run.tick(velocity=replaced(np.zeros(3), axis, sign * factor * THRESHOLDS.still_speed))
        assert verdict.mode is left


def test_without_a_proposal_the_recovery_policy_drives() -> None:
    """Its gait is the configured one."""
    run = Run()
    verdict = run.walking()
    assert (verdict.active, verdict.joints) == ("recovery", None)
    assert (verdict.gait.frequency, verdict.gait.swing_ratio) == (RECOVERY.frequency, RECOVERY.swing_ratio)


def test_a_gait_proposal_is_taken_as_it_is() -> None:
    """The learner drives with its own parameters."""
    run = Run()
    run.walking()
    verdict = run.tick(proposal=gait_proposal(frequency=3.3))
    assert (verdict.active, verdict.gait.frequency) == ("learner", 3.3)


def test_a_joint_proposal_is_executed_in_walk_only_and_leaves_the_mpc_a_gait() -> None:
    """Joint targets appear in WALK, after recovery has driven for a while; the gait stays the recovery policy's."""
    targets = JointTargets(q=A1.q_stand, kp=np.full(12, 20.0), kd=np.full(12, 0.5))
    proposal = Proposal(stamp_ns=0, policy="alarm", kind="joint", joints=targets)
    run = Run()
    run.supervisor.request("walk")
    for _ in range(600):
        verdict = run.tick(proposal=proposal)
        bridged = verdict.stamp_ns - verdict.mode_since_ns >= THRESHOLDS.bridge_time * 1e9 - TICK_NS
        driving = verdict.mode is Mode.WALK and bridged
        assert verdict.joints is (targets if driving else None)
        assert verdict.gait.frequency == RECOVERY.frequency
    assert driving and verdict.policy == "alarm"


@pytest.mark.parametrize(
    "changes", [{"frequency": 0.0}, {"frequency": math.nan}, {"swing_ratio": 1.0}, {"swing_ratio": -math.inf}]
)
def test_a_proposal_that_is_no_gait_is_not_driven(changes: dict[str, float]) -> None:
    """The recovery policy drives instead, and the learner is taken again with its next good proposal."""
    run = Run()
    run.walking()
    verdict = run.tick(proposal=gait_proposal(**changes))
    assert (verdict.active, verdict.gait.frequency) == ("recovery", RECOVERY.frequency)
    assert run.tick(proposal=gait_proposal()).active == "learner"


def test_a_proposal_drives_up_to_its_timeout_and_none_from_the_future() -> None:
    """To the nanosecond, for both kinds of learner; recovery takes over, and hands back to fresh proposals, joint ones in time."""
    timeout_ns = round(THRESHOLDS.proposal_timeout * 1e9)
    joints = JointTargets(q=A1.q_stand, kp=np.full(12, 20.0), kd=np.full(12, 0.5))
    for learner in (gait_proposal(), Proposal(stamp_ns=0, policy="alarm", kind="joint", joints=joints)):
        run = Run()
        run.walking()
        for age_ns, active in (
            (0, "learner"),
            (timeout_ns, "learner"),
            (timeout_ns + 1, "recovery"),
            (-1, "recovery"),
            (0, "learner"),
        ):
            for _ in range(round(THRESHOLDS.bridge_time * 1e9) // TICK_NS + 1):
                assert run.tick(proposal=replace(learner, stamp_ns=run.stamp_ns + TICK_NS)).mode is Mode.WALK
            verdict = run.tick(proposal=replace(learner, stamp_ns=run.stamp_ns + TICK_NS - age_ns))
            assert (verdict.active, verdict.joints) == (active, learner.joints if active == "learner" else None)


def test_a_jump_in_time_is_no_fault_of_a_robot_that_lies_there() -> None:
    """It may be switched off and on; a robot that stands is let down, latched."""
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
    """Also of a robot that lies there: it must not stand up."""
    for mode in (Mode.PASSIVE, Mode.STAND_UP, Mode.STAND, Mode.WALK):
        run = Run()
        run.tick()
        if mode is not Mode.PASSIVE:
            run.supervisor.request("walk")
            run.until(mode)
        run.supervisor.report(frozenset({hazard}))
        verdict = run.tick()
        assert (verdict.mode, verdict.reasons) == (Mode.FAULT, (hazard,))


def test_a_robot_that_never_comes_to_rest_sits_down_all_the_same() -> None:
    """A speed that stays up, as under a wrong estimate, holds neither WALK nor STAND for ever."""
    run = Run()
    run.walking()
    run.supervisor.request("sit")
    drifting = {"velocity": np.array((0.3, 0.0, 0.0))}
    run.until(Mode.STAND, **drifting)
    run.until(Mode.SIT, **drifting)


def test_divergence_is_no_fault_of_a_robot_that_lies() -> None:
    """In PASSIVE nothing hangs on the estimate; as soon as the robot is to stand, it does."""
    run = Run()
    assert {run.tick(diverged=True).mode for _ in range(10)} == {Mode.PASSIVE}
    run.supervisor.request("stand")
    run.tick(diverged=True)
    assert run.tick(diverged=True).reasons == ("estimate_diverged",)
