"""Policy stage with learners: swaps at a proposal, resets, trials and what ends them."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from core_values import A1, RECOVERY, START_NS, TROT, estimate
from policy_models import gait_contract

from safe_locomotion.policy.stage import NOMINAL, NOMINAL_PERIOD_NS, TRIAL, PolicyStage
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import Estimate, Feedback, Mode, Proposal, VelocityCommand

TRIAL_STEPS = round(TRIAL * 1e9) // NOMINAL_PERIOD_NS


@dataclass
class Learner:
    """Proposes a trot, or fails with `hazard`."""

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
    """A stage whose policy drives as soon as it walks, unless said otherwise."""

    def __init__(self) -> None:
        self.stage = PolicyStage(A1, RECOVERY)
        self.stamp_ns = START_NS
        self.last = ""

    def step(
        self, mode: Mode = Mode.WALK, *, policy: str | None = None, gate: str = ""
    ) -> Proposal:
        """One proposal; `policy` is who drove since the last one."""
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
    """A walk under a policy that has passed its trial, and another that has just begun to drive."""
    run = Run()
    good = Learner("good")
    new = Learner("new")
    run.stage.take(good)
    run.drive(10)
    run.stage.take(new)
    run.drive(3)
    assert run.stage.name == "new"
    return run, good, new


def test_a_policy_takes_over_with_the_next_proposal_under_its_own_name_and_period() -> None:
    """And back to the nominal gait the same way."""
    run = Run()
    assert run.step().policy == NOMINAL
    run.stage.take(Learner("hundred", rate_hz=100))
    proposal = run.step()
    assert (proposal.policy, proposal.period_ns, proposal.gait) == ("hundred", 10_000_000, TROT)
    run.stage.take(None)
    proposal = run.step()
    assert (proposal.policy, proposal.period_ns) == (NOMINAL, NOMINAL_PERIOD_NS)


def test_of_two_policies_that_wait_the_later_one_counts() -> None:
    """The first never acts."""
    run = Run()
    first = Learner("first")
    second = Learner("second")
    run.stage.take(first)
    run.stage.take(second)
    assert run.step().policy == "second" and first.resets == 0


def test_a_learner_starts_anew_when_it_takes_over_and_when_a_walk_begins() -> None:
    """Not on any other change of mode, nor when recovery takes over and hands back."""
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
    """Which starts anew; the incident is told. The same after the trial replaces nothing."""
    run, good, _ = swapped()
    before = good.resets
    assert run.step(**incident).policy == "good"
    assert good.resets == before + 1 and run.stage.rollbacks == 1
    assert run.stage.news == f"new failed its trial ({reason}); good is back"
    run, _, _ = swapped()
    run.drive(TRIAL_STEPS + 1)
    assert run.step(**incident).policy == "new" and run.stage.rollbacks == 0


def test_a_fault_on_trial_goes_back_at_once_and_is_never_proposed() -> None:
    """After the trial it is proposed as a fault, for the supervisor to hear."""
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
    """However long it takes; nor is a robot that stands."""
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
    """There is no better one to go back to."""
    run = Run()
    run.stage.take(Learner("first"))
    run.drive(3)
    run.step(policy="")
    assert run.stage.name == "first" and run.stage.rollbacks == 0


def test_both_ends_of_a_change_of_period_agree() -> None:
    """Whoever ticks on stamps and whoever waits for the proposals count the same ticks due, through changes of period."""
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
