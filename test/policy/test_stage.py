"""Policy stage: the nominal gait, swaps between two proposals, resets and trials."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from core_values import A1, RECOVERY, START_NS, TROT, estimate
from policy_models import gait_contract

from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.policy.exploration import Exploration
from safe_locomotion.policy.stage import (
    MOST_LATE,
    NOMINAL,
    NOMINAL_PERIOD_NS,
    TRIAL,
    PolicyStage,
)
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import Estimate, Feedback, Mode, Proposal, VelocityCommand

TRIAL_STEPS = round(TRIAL * 1e9) // NOMINAL_PERIOD_NS


@dataclass
class Learner:
    """A learner that proposes a trot, or fails with `hazard` when one is set."""

    name: str
    rate_hz: int = 125
    hazard: str = ""
    resets: int = 0
    contract: Any = field(init=False)

    def __post_init__(self) -> None:
        self.contract = replace(gait_contract(), name=self.name, rate_hz=self.rate_hz)

    def reset(self) -> None:
        self.resets += 1

    def remember(self) -> None:
        """It has no memory."""

    def recall(self, kept: None) -> None:
        """It has no memory."""

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        if self.hazard:
            return None
        return Proposal(stamp_ns=estimate.stamp_ns, policy=self.name, kind="gait", gait=TROT)


class Run:
    """A policy stage with feedback; the last policy drives while the robot walks."""

    def __init__(self) -> None:
        self.stage = PolicyStage(A1, RECOVERY)
        self.stamp_ns = START_NS
        self.last = ""

    def step(
        self, mode: Mode = Mode.WALK, *, policy: str | None = None, gate: str = ""
    ) -> Proposal:
        """One proposal; `policy` is the learner that drove since the last one."""
        self.stamp_ns += NOMINAL_PERIOD_NS
        driver = self.last if policy is None else policy
        feedback = Feedback(mode=mode, policy=driver, gate=gate)
        proposal = self.stage.update(estimate(stamp_ns=self.stamp_ns), VelocityCommand(), feedback)
        self.last = proposal.policy
        return proposal

    def drive(self, steps: int) -> None:
        for _ in range(steps):
            self.step()


def swapped() -> tuple[Run, Learner, Learner]:
    """A run in which one policy has passed its trial, and a new one has just begun to drive."""
    run = Run()
    good = Learner("good")
    new = Learner("new")
    run.stage.take(good)
    run.drive(10)
    run.stage.take(new)
    run.drive(3)
    assert run.stage.name == "new"
    return run, good, new


def test_the_stage_proposes_the_nominal_gait_on_the_stamp_of_its_estimate() -> None:
    """The proposal has the kind gait, the name nominal, and no joint targets."""
    proposal = PolicyStage(A1, RECOVERY).update(estimate(stamp_ns=START_NS + 8), VelocityCommand())
    assert (proposal.stamp_ns, proposal.policy, proposal.kind, proposal.joints) == (
        START_NS + 8,
        "nominal",
        "gait",
        None,
    )
    assert proposal.gait == NominalGait(A1, RECOVERY).gait(VelocityCommand(), estimate())


def test_a_policy_takes_over_with_the_next_proposal_under_its_own_name_and_period() -> None:
    """A policy and the nominal gait take over with the next proposal."""
    run = Run()
    assert run.step().policy == NOMINAL
    run.stage.take(Learner("hundred", rate_hz=100))
    proposal = run.step()
    assert (proposal.policy, proposal.period_ns, proposal.gait) == ("hundred", 10_000_000, TROT)
    run.stage.take(None)
    proposal = run.step()
    assert (proposal.policy, proposal.period_ns) == (NOMINAL, NOMINAL_PERIOD_NS)


def test_of_two_policies_that_wait_the_later_one_counts() -> None:
    """Of two policies that wait the first one never acts."""
    run = Run()
    first = Learner("first")
    second = Learner("second")
    run.stage.take(first)
    run.stage.take(second)
    assert run.step().policy == "second" and first.resets == 0


def test_a_learner_starts_anew_when_it_takes_over_and_when_a_walk_begins() -> None:
    """A learner is reset at a swap and at the start of a walk, and at no other time."""
    run = Run()
    learner = Learner("learner")
    run.stage.take(learner)
    run.step(Mode.STAND)
    assert learner.resets == 1
    run.step(Mode.WALK)
    assert learner.resets == 2
    for driver in ("learner", "", "", "learner"):
        run.step(Mode.WALK, policy=driver)
    run.step(Mode.STAND)
    assert learner.resets == 2
    run.step(Mode.WALK)
    assert learner.resets == 3


@pytest.mark.parametrize(
    ("incident", "reason"),
    [
        ({"policy": ""}, "recovery took over"),
        ({"mode": Mode.FALLEN}, "the robot fell"),
        ({"gate": "command_torque"}, "the gate refused: command_torque"),
    ],
)
def test_a_policy_that_trips_on_trial_is_replaced_by_the_last_good_one(
    incident: dict[str, Any], reason: str
) -> None:
    """An incident on trial brings the last good policy back, reset, and `news` says why.

    After the trial the same incident changes nothing.
    """
    run, good, _ = swapped()
    before = good.resets
    assert run.step(**incident).policy == "good"
    assert good.resets == before + 1 and run.stage.rollbacks == 1
    assert run.stage.news == f"new failed its trial ({reason}); good is back"
    run, _, _ = swapped()
    run.drive(TRIAL_STEPS + 1)
    assert run.step(**incident).policy == "new" and run.stage.rollbacks == 0


@pytest.mark.parametrize(
    ("incident", "rollbacks"),
    [({"policy": ""}, 0), ({"mode": Mode.FALLEN}, 1), ({"gate": "command_torque"}, 1)],
)
def test_recovery_that_takes_over_from_a_policy_that_explores_is_expected(
    incident: dict[str, Any], rollbacks: int
) -> None:
    """Algorithm 1 of paper 1 learns from it. A fall and the gate still end the trial."""
    run, _, new = swapped()
    exploration = Exploration(deviation=(0.1,) * 9, seed=0)
    new.contract = replace(new.contract, exploration=exploration)
    run.step(**incident)
    assert run.stage.rollbacks == rollbacks
    run.drive(TRIAL_STEPS + 2)
    assert run.stage.name == ("good" if rollbacks else "new")


def test_a_fault_on_trial_goes_back_at_once_and_is_never_proposed() -> None:
    """A fault on trial is never proposed; after the trial it reaches the supervisor."""
    run, _, new = swapped()
    new.hazard = "policy_not_finite"
    proposal = run.step()
    assert (proposal.policy, proposal.fault) == ("good", "") and run.stage.rollbacks == 1
    run, _, new = swapped()
    run.drive(TRIAL_STEPS + 1)
    new.hazard = "policy_not_finite"
    proposal = run.step()
    assert (proposal.policy, proposal.fault, proposal.gait) == ("new", "policy_not_finite", None)
    assert run.stage.fault == "policy_not_finite"


def test_recovery_that_bridges_before_a_policy_first_drives_is_no_incident() -> None:
    """No trial fails before the policy first drives, however long that takes."""
    run = Run()
    new = Learner("new")
    run.drive(5)
    run.stage.take(new)
    for _ in range(2 * TRIAL_STEPS):
        run.step(policy="")
    run.step(Mode.STAND, policy="new")
    run.step(Mode.FALLEN, policy="")
    assert run.stage.name == "new" and run.stage.rollbacks == 0


def test_the_policy_that_it_starts_with_is_not_on_trial() -> None:
    """The first policy stays, because there is no better one to go back to."""
    run = Run()
    run.stage.take(Learner("first"))
    run.drive(3)
    run.step(policy="")
    assert run.stage.name == "first" and run.stage.rollbacks == 0


def test_both_ends_of_a_change_of_period_agree() -> None:
    """Sender and receiver count the same ticks as due through changes of the period."""
    sender = Divider(8_000_000)
    receiver = Divider(8_000_000)
    due: list[tuple[int, int]] = []
    for tick in range(500):
        stamp = START_NS + 2_000_000 * tick
        period = (8, 10, 4, 20)[tick // 120 % 4] * 1_000_000
        a = sender.due(stamp)
        b = receiver.due(stamp)
        assert a == b
        if a:
            due.append((tick, period))
            sender.pace(period, stamp)
            receiver.pace(period, stamp)
    gaps = [(b - a, period) for (a, period), (b, _) in pairwise(due)]
    assert sum(gap * 2_000_000 == period for gap, period in gaps) >= len(gaps) - 8


class Slow(Learner):
    """A learner that takes time on the clock of its run."""

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        self.clock.now += self.takes_s
        return super().act(estimate, command)


class Clock:
    """Processor time that only a learner advances."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


LATEST_S = 2.0**-9  # exact in binary, so that sums of it are too


def slow_run(trial: bool) -> tuple[Run, Slow]:
    """A run with a learner on trial, or past it; it is quick so far."""
    run = Run()
    clock = Clock()
    run.stage = PolicyStage(A1, RECOVERY, clock=clock)
    run.stage.latest_s = LATEST_S
    learner = Slow("slow")
    learner.clock = clock
    learner.takes_s = LATEST_S
    if trial:
        run.step()
    run.stage.take(learner)
    run.drive(10 if trial else TRIAL_STEPS + 10)
    assert run.stage.name == "slow" and run.stage.rollbacks == 0
    return run, learner


@pytest.mark.parametrize("trial", [True, False])
def test_a_policy_that_is_late_three_times_is_taken_back(trial: bool) -> None:
    """On trial and after it; at the bound it is not late."""
    run, learner = slow_run(trial)
    learner.takes_s = 1.01 * LATEST_S
    for _ in range(MOST_LATE - 1):
        assert run.step().policy == "slow"
    run.step()
    assert run.stage.name == NOMINAL and run.stage.rollbacks == 1
    assert "3 proposals took longer than 1.95312 ms" in run.stage.news
    assert run.step().policy == NOMINAL


def test_late_proposals_far_apart_do_not_count_together() -> None:
    """Two in every second are the machine's fault, three are the policy's."""
    run, learner = slow_run(trial=False)
    apart = round(1e9 / NOMINAL_PERIOD_NS) // 2 + 1
    for _ in range(8):
        learner.takes_s = 1.01 * LATEST_S
        run.step()
        learner.takes_s = LATEST_S
        run.drive(apart - 1)
    assert run.stage.name == "slow" and run.stage.rollbacks == 0
    learner.takes_s = 1.01 * LATEST_S
    run.drive(2)
    assert run.stage.rollbacks == 1


def test_a_late_newcomer_gives_way_to_the_policy_before() -> None:
    """The one that passed its trial comes back, with no late proposal to its name."""
    run, learner = slow_run(trial=False)
    new = Slow("new")
    new.clock = learner.clock
    new.takes_s = 1.0
    run.stage.take(new)
    run.drive(MOST_LATE)
    assert run.stage.name == "slow" and run.stage.rollbacks == 1
    learner.takes_s = 1.0
    run.drive(MOST_LATE - 1)
    assert run.stage.name == "slow"
    run.step()
    assert run.stage.name == NOMINAL


def test_where_nobody_waits_no_proposal_is_late() -> None:
    """Training and evaluation may take their time, and so may the nominal gait."""
    run, learner = slow_run(trial=False)
    run.stage.latest_s = float("inf")
    learner.takes_s = 100.0
    run.drive(10)
    assert run.stage.rollbacks == 0
