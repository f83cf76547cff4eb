"""Supervisor: requests, modes, settle conditions, and who drives."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, THRESHOLDS, TICK_NS, replaced
from supervised import CONFIG, FORWARD, Run, gait_proposal

from safe_locomotion.types import JointTargets, Mode, Proposal, VelocityCommand

RECOVERY = CONFIG.supervisor.recovery


def test_from_passive_to_walking_and_down_again() -> None:
    """The modes follow the requests. The verdict has the stamp at which each was entered."""
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
    """It is zero in every other mode, and while the robot walks to a stop."""
    run = Run()
    run.supervisor.request("walk")
    for _ in range(400):
        verdict = run.tick()
        assert verdict.command == (FORWARD if verdict.mode is Mode.WALK else VelocityCommand())
    run.supervisor.request("stand")
    verdict = run.tick(velocity=np.array((0.5, 0.0, 0.0)))
    assert (verdict.mode, verdict.command) == (Mode.WALK, VelocityCommand())


def test_estop_is_a_fault_until_reset_from_every_mode() -> None:
    """The stop holds by itself, and its reset leads to PASSIVE."""
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
    """There is nothing to reset yet, so the reset is refused and the stop takes place."""
    run = Run()
    run.walking()
    run.supervisor.request("estop")
    assert run.supervisor.request("reset") == "nothing to reset: the mode is WALK"
    assert run.tick().mode is Mode.FAULT


@pytest.mark.parametrize(
    ("field", "threshold"), [("q", "pose_tolerance"), ("dq", "still_joint_speed")]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_standing_needs_every_joint_near_its_pose_and_still(
    field: str, threshold: str, sign: float
) -> None:
    """One joint just outside its tolerance keeps STAND_UP. All just inside end it."""
    base = A1.q_stand if field == "q" else np.zeros(12)
    bound = sign * getattr(THRESHOLDS, threshold)
    run = Run()
    run.tick()
    run.supervisor.request("stand")
    for joint in range(12):
        assert (
            run.tick(**{field: replaced(base, joint, base[joint] + (1.0 + 1e-6) * bound)}).mode
            is Mode.STAND_UP
        )
    assert run.tick(**{field: base + (1.0 - 1e-6) * bound}).mode is Mode.STAND


def test_sitting_down_ends_with_every_joint_near_its_pose_and_still() -> None:
    """A folded robot that moves, or a still one in another pose, keeps SIT."""
    run = Run()
    moving = replaced(np.zeros(12), 8, THRESHOLDS.still_joint_speed * (1.0 + 1e-6))
    run.walking()
    run.supervisor.request("sit")
    run.until(Mode.SIT)
    off = replaced(A1.q_sit, 5, A1.q_sit[5] - THRESHOLDS.pose_tolerance - 1e-6)
    for changes in ({"q": A1.q_sit, "dq": moving}, {"q": off}, {"q": A1.q_stand}):
        assert run.tick(**changes).mode is Mode.SIT
    assert run.tick(q=A1.q_sit).mode is Mode.PASSIVE


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stepping_stops_at_its_speed_and_walking_starts_at_rest(axis: int, sign: float) -> None:
    """WALK ends just below slow_speed; STAND is left just below still_speed."""
    for factor, ended, left in (
        (1.0 - 1e-6, Mode.STAND, Mode.WALK),
        (1.0 + 1e-6, Mode.WALK, Mode.STAND),
    ):
        run = Run()
        run.walking()
        run.supervisor.request("stand")
        assert (
            run.tick(
                velocity=replaced(np.zeros(3), axis, sign * factor * THRESHOLDS.slow_speed)
            ).mode
            is ended
        )
        run.until(Mode.STAND)
        run.supervisor.request("walk")
        for _ in range(2):
            verdict = run.tick(
                velocity=replaced(np.zeros(3), axis, sign * factor * THRESHOLDS.still_speed)
            )
        assert verdict.mode is left


def test_without_a_proposal_the_recovery_policy_drives() -> None:
    """The gait is the configured one."""
    run = Run()
    verdict = run.walking()
    assert (verdict.active, verdict.joints) == ("recovery", None)
    assert (verdict.gait.frequency, verdict.gait.swing_ratio) == (
        RECOVERY.frequency,
        RECOVERY.swing_ratio,
    )


def test_a_gait_proposal_is_taken_as_it_is() -> None:
    """The learner's gait parameters are not changed."""
    run = Run()
    run.walking()
    verdict = run.tick(proposal=gait_proposal(frequency=3.3))
    assert (verdict.active, verdict.gait.frequency) == ("learner", 3.3)


def test_a_joint_proposal_is_executed_in_walk_only_and_leaves_the_mpc_a_gait() -> None:
    """Joint targets appear in WALK after the bridge. The gait stays that of recovery."""
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
    "changes",
    [{"frequency": 0.0}, {"frequency": math.nan}, {"swing_ratio": 1.0}, {"swing_ratio": -math.inf}],
)
def test_an_impossible_gait_is_not_followed(changes: dict[str, float]) -> None:
    """Recovery drives instead, until the learner's next good proposal."""
    run = Run()
    run.walking()
    verdict = run.tick(proposal=gait_proposal(**changes))
    assert (verdict.active, verdict.gait.frequency) == ("recovery", RECOVERY.frequency)
    assert run.tick(proposal=gait_proposal()).active == "learner"


def test_a_proposal_drives_up_to_its_timeout_and_none_from_the_future() -> None:
    """Recovery takes over 1 ns past the timeout and hands back to a fresh proposal.

    A joint learner waits for the bridge time first.
    """
    timeout_ns = round(THRESHOLDS.proposal_timeout * 1e9)
    joints = JointTargets(q=A1.q_stand, kp=np.full(12, 20.0), kd=np.full(12, 0.5))
    for learner in (
        gait_proposal(),
        Proposal(stamp_ns=0, policy="alarm", kind="joint", joints=joints),
    ):
        run = Run()
        run.walking()
        for age_ns, active in (
            (0, "learner"),
            (timeout_ns, "learner"),
            (timeout_ns + 1, "recovery"),
            (-1, "recovery"),
            (0, "learner"),
        ):
            run.tick()
            run.later(round(THRESHOLDS.bridge_time * 1e9))
            for _ in range(2):
                assert (
                    run.tick(proposal=replace(learner, stamp_ns=run.stamp_ns + TICK_NS)).mode
                    is Mode.WALK
                )
            verdict = run.tick(proposal=replace(learner, stamp_ns=run.stamp_ns + TICK_NS - age_ns))
            assert (verdict.active, verdict.joints) == (
                active,
                learner.joints if active == "learner" else None,
            )


def test_a_robot_that_never_comes_to_rest_sits_down_all_the_same() -> None:
    """A high speed, as of a wrong estimate, keeps WALK and STAND for `stop_timeout` at most."""
    run = Run()
    run.walking()
    run.supervisor.request("sit")
    drifting = {"velocity": np.array((0.3, 0.0, 0.0))}
    wait_ns = round(THRESHOLDS.stop_timeout * 1e9)
    for mode, onwards in ((Mode.WALK, Mode.STAND), (Mode.STAND, Mode.SIT)):
        assert run.tick(**drifting).mode is mode
        assert run.later(wait_ns).tick(**drifting).mode is mode
        assert run.later(1).tick(**drifting).mode is onwards
