"""Supervisor: what a verdict contains besides its mode, and how each walk begins."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, START_NS, THRESHOLDS, TICK_NS
from supervised import AT_ONCE, FORWARD, PLAIN, Run, gait_proposal

from safe_locomotion.config import load_config
from safe_locomotion.control.gait_handover import RATIO_MARGIN
from safe_locomotion.pipeline import make_recovery, make_supervisor
from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.safety.supervisor import Supervisor
from safe_locomotion.types import (
    Estimate,
    GaitParameters,
    JointTargets,
    Mode,
    Proposal,
    VelocityCommand,
)

CAREFUL = load_config(
    "a1",
    {
        **PLAIN,
        "supervisor.thresholds.settle_time": 0.0,
        "supervisor.intervention.recovery_speed": 0.5,
    },
)
NAIVE = load_config(
    "a1", {"supervisor.thresholds.settle_time": 0.0, "supervisor.intervention.criterion": "naive"}
)
LOOKING = load_config(
    "a1",
    {"supervisor.thresholds.settle_time": 0.0, "supervisor.intervention.criterion": "reachability"},
)


class Listening:
    """A recovery policy that records its calls."""

    def __init__(self) -> None:
        self.policy = make_recovery(A1, AT_ONCE)
        self.resets: list[int] = []
        self.commands: list[VelocityCommand] = []

    def reset(self) -> None:
        self.resets.append(len(self.commands))
        self.policy.reset()

    def gait(self, command: VelocityCommand, estimate: Estimate) -> GaitParameters:
        self.commands.append(command)
        return self.policy.gait(command, estimate)


def test_recovery_begins_anew_with_each_walk() -> None:
    """Recovery is reset before its first gait of a walk, and not again during the walk."""
    run = Run()
    recovery = Listening()
    run.supervisor = Supervisor(
        A1, AT_ONCE.supervisor.thresholds, recovery, make_supervisor(A1, AT_ONCE).intervention
    )
    begun = []
    for _ in range(2):
        run.walking()
        begun.append(len(recovery.commands) - 1)
        for _ in range(5):
            run.tick()
        run.supervisor.request("stand")
        run.until(Mode.STAND)
    assert recovery.resets == begun


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_recovery_follows_its_share_of_the_wanted_velocity(share: float) -> None:
    """The verdict has the velocity of the driver; it is zero unless the robot walks."""
    run = Run(CAREFUL if share < 1.0 else AT_ONCE)
    run.walking()
    assert run.tick().command == VelocityCommand(vx=share * FORWARD.vx)
    verdict = run.tick(proposal=gait_proposal())
    assert (verdict.command, verdict.active, verdict.policy) == (FORWARD, "learner", "learner")
    verdict = run.tick()
    assert (verdict.command, verdict.active, verdict.policy) == (
        VelocityCommand(vx=share * FORWARD.vx),
        "recovery",
        "",
    )


def test_a_verdict_names_its_tick_and_the_entry_of_its_mode() -> None:
    """Both stamps are stamps of estimates."""
    run = Run()
    first = run.tick()
    later = [run.tick() for _ in range(3)][-1]
    assert (first.stamp_ns, first.mode_since_ns) == (START_NS + TICK_NS, START_NS + TICK_NS)
    assert (later.stamp_ns, later.mode_since_ns) == (START_NS + 4 * TICK_NS, START_NS + TICK_NS)


def test_a_verdict_has_margins_while_the_robot_walks() -> None:
    """It has one of each component, and an entry into the trigger set is counted."""
    run = Run()
    assert run.tick().margins == ()
    walking = run.walking()
    assert (
        tuple(name for name, _ in walking.margins) == MARGINS
        and run.supervisor.statistics.steps == 1
    )
    for _ in range(10):
        run.tick(position=np.array((0.0, 0.0, 0.15)))
    assert run.supervisor.statistics.triggers == {"height": 1}
    assert run.supervisor.statistics is run.supervisor.intervention.statistics
    run.supervisor.request("stand")
    assert run.until(Mode.STAND).margins == ()


def test_a_verdict_has_predicted_states_on_the_tick_of_the_rollout() -> None:
    """They are the present state and those of the horizon.

    The first decision of a walk looks ahead, because recovery acted until then.
    """
    run = Run(LOOKING)
    run.supervisor.request("walk")
    verdicts = [run.tick(proposal=gait_proposal()) for _ in range(5)]
    told = [v for v in verdicts if v.predicted is not None]
    assert [v.mode for v in told] == [Mode.WALK] and told[0].stamp_ns == told[0].mode_since_ns
    assert told[0].predicted is not None
    assert told[0].predicted.shape == (LOOKING.supervisor.intervention.horizon + 1, 12)


def test_a_look_ahead_is_shown_by_a_later_verdict_of_a_walk() -> None:
    """No criterion asks for a forecast here, so nobody else predicts."""
    run = Run()
    run.tick()
    run.supervisor.look_ahead()
    assert run.tick().predicted is None
    run.walking()
    verdicts = []
    for _ in range(10):
        verdicts.append(run.tick(proposal=gait_proposal()))
        run.supervisor.look_ahead()
    assert sum(v.predicted is not None for v in verdicts) == 1


def test_a_broken_proposal_is_a_hazard_until_its_timeout() -> None:
    """An old proposal, and none at all, are no hazard. The hazard hides no other one."""
    broken = gait_proposal(frequency=math.nan)
    timeout_ns = round(THRESHOLDS.proposal_timeout * 1e9)
    run = Run()
    run.walking()
    for age_ns, reasons in (
        (0, ("policy_fault",)),
        (timeout_ns, ("policy_fault",)),
        (timeout_ns + 1, ()),
        (-1, ()),
    ):
        verdict = run.tick(proposal=replace(broken, stamp_ns=run.stamp_ns + TICK_NS - age_ns))
        assert (verdict.reasons, verdict.active, verdict.mode) == (reasons, "recovery", Mode.WALK)
    assert run.tick().reasons == ()
    run.supervisor.report(frozenset({"motor_off"}))
    verdict = run.tick(proposal=replace(broken, stamp_ns=run.stamp_ns + TICK_NS))
    assert (verdict.reasons, verdict.mode) == (("motor_off", "policy_fault"), Mode.FAULT)


def test_a_fault_names_everything_that_led_to_it() -> None:
    """The refusal names it too, in the order of the names. Earlier hazards are not named."""
    run = Run()
    run.walking()
    run.supervisor.report(frozenset({"command_not_finite"}))
    run.tick()
    run.supervisor.report(frozenset({"motor_off", "foreign_publisher"}))
    assert run.tick().reasons == ("foreign_publisher", "motor_off")
    run.supervisor.report(frozenset())
    assert run.tick().reasons == ("foreign_publisher", "motor_off")
    assert (
        run.supervisor.request("stand")
        == "the mode is FAULT: call reset first (foreign_publisher, motor_off)"
    )


def test_gaits_change_hands_without_a_jump_and_begin_a_walk_as_they_are() -> None:
    """A learner changes the phase offsets gradually; recovery plants the feet with its own.

    A new walk begins with its own gait.
    """
    run = Run()
    moved = gait_proposal(phase_offsets=(0.75, 0.25, 0.5))
    own = run.walking().gait
    first = run.tick(proposal=moved).gait
    assert (first.phase_offsets, first.swing_ratio) == (own.phase_offsets, own.swing_ratio)
    learner = run.later(10**9).tick(proposal=moved).gait
    assert learner.phase_offsets == (0.75, 0.25, 0.5)
    after = run.tick().gait
    assert after.phase_offsets == own.phase_offsets and after.frequency == own.frequency
    assert after.swing_ratio == RATIO_MARGIN < learner.swing_ratio
    run.supervisor.request("stand")
    assert run.until(Mode.STAND).gait == own
    assert run.walking().gait == own


def test_a_learner_with_a_proposal_is_named_in_stand() -> None:
    """In STAND its gait is in the verdict, and the velocity is zero."""
    run = Run()
    proposal = gait_proposal(frequency=3.3)
    run.supervisor.request("stand")
    run.until(Mode.STAND)
    verdict = run.tick(proposal=proposal)
    assert (verdict.active, verdict.gait, verdict.command) == (
        "learner",
        proposal.gait,
        VelocityCommand(),
    )
    assert run.tick().active == "recovery"


def test_recovery_drives_in_the_trigger_set_and_the_learner_outside() -> None:
    """The learner drives again outside of the set."""
    run = Run(NAIVE)
    low = {"position": np.array((0.0, 0.0, 0.15))}
    run.walking()
    for height, active in (({}, "learner"), (low, "recovery"), ({}, "learner")):
        for _ in range(10):
            verdict = run.tick(proposal=gait_proposal(), **height)
        assert (verdict.mode, verdict.active, verdict.policy) == (
            Mode.WALK,
            active,
            "learner" if active == "learner" else "",
        )


def test_recovery_drives_between_a_joint_policy_and_the_next_learner() -> None:
    """It drives for `bridge_time`, to the nanosecond, even if the next learner proposes gaits."""
    targets = JointTargets(q=A1.q_stand, kp=np.full(12, 20.0), kd=np.full(12, 0.5))
    joint = Proposal(stamp_ns=0, policy="alarm", kind="joint", joints=targets)
    bridge = round(THRESHOLDS.bridge_time * 1e9)
    run = Run()
    run.walking()
    run.later(bridge).tick(proposal=joint)
    verdict = run.tick(proposal=joint)
    assert (verdict.active, verdict.policy, verdict.joints) == ("learner", "alarm", targets)
    assert run.tick(proposal=gait_proposal()).active == "recovery"
    assert run.later(bridge - 1).tick(proposal=gait_proposal()).active == "recovery"
    assert run.later(1).tick(proposal=gait_proposal()).active == "learner"
