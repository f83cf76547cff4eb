"""Intervention: who drives, tick by tick, what is counted and what is forecast."""

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TICK_NS, TROT, estimate
from supervised import NO_SUPPORT

from safe_locomotion import pipeline
from safe_locomotion.config import load_config
from safe_locomotion.control.gait import GaitPhase
from safe_locomotion.pipeline import make_forecaster
from safe_locomotion.safety.capture_point import CapturePoint
from safe_locomotion.safety.gait_rollout import GaitRollout
from safe_locomotion.safety.intervention import (
    LOOK_NS,
    NEWEST_USES,
    Decision,
    Intervention,
    InterventionStatistics,
    penalised,
)
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import Estimate, GaitParameters, JointTargets, Proposal, VelocityCommand

FORWARD = VelocityCommand(vx=0.3)
LEARNER = replace(TROT, frequency=3.0)
PUSHED: dict[str, Any] = {"velocity": np.array((0.0, 0.8, 0.0))}


class CaptureMargin(CapturePoint):
    """A capture point with a given margin."""

    def __init__(self, margin: float) -> None:
        super().__init__(A1)
        self.given = margin

    def margin(self, estimate: Estimate) -> float:
        """The given margin."""
        return self.given


def intervention(capture: CapturePoint | None = None, **changes: Any) -> Intervention:
    """An intervention with the paper's raw measures."""
    plain = {"supervisor.trigger_set.roll_rate": "raw", "supervisor.trigger_set.lookahead": 0.0}
    named = {f"supervisor.intervention.{name}": value for name, value in changes.items()}
    config = load_config("a1", {**plain, **named})
    return Intervention(
        config.supervisor.intervention,
        make_forecaster(A1, config),
        capture or CapturePoint(A1),
        config.policy.period_ns,
    )


class Walk:
    """Ticks of one robot that walks."""

    def __init__(self, tested: Intervention) -> None:
        self.tested = tested
        self.stamp_ns = START_NS

    def ticks(
        self, count: int, gait: GaitParameters | None = LEARNER, **changes: Any
    ) -> list[bool]:
        """Whether recovery drove, for `count` ticks of 2 ms."""
        out = []
        for _ in range(count):
            self.stamp_ns += TICK_NS
            proposal = Proposal(stamp_ns=self.stamp_ns, policy="l", kind="gait", gait=gait)
            wanted = proposal if gait is not None else None
            now = estimate(stamp_ns=self.stamp_ns, **changes)
            self.decision = self.tested.update(now, wanted, TROT, FORWARD)
            self.tested.look_ahead()
            out.append(self.decision.recovers)
        return out


def test_a_quiet_learner_gets_the_robot_at_once_and_keeps_it() -> None:
    """Recovery is the last driver on the first tick, and the learner is seen to stay safe."""
    walk = Walk(intervention())
    assert walk.ticks(1) == [False]
    assert walk.decision.predicted is not None and walk.decision.predicted.shape == (11, 12)
    assert not any(walk.ticks(200))
    assert {name: margin > 0.0 for name, margin in walk.decision.margins} == dict.fromkeys(
        ("height", "roll", "pitch", "lateral_velocity", "roll_rate", "capture"), True
    )


def test_the_trigger_set_takes_the_robot_at_the_next_policy_tick_and_only_there() -> None:
    """A decision holds for 8 ms. A push is answered on the first tick of the next period."""
    walk = Walk(intervention())
    walk.ticks(8)
    taken = walk.ticks(8, **PUSHED)
    assert taken[0] in (True, False) and all(taken[4:])
    assert sum(a != b for a, b in zip([False, *taken], taken, strict=False)) == 1
    assert dict(walk.decision.margins)["lateral_velocity"] == pytest.approx(-0.6)
    assert walk.tested.measured[COMPONENTS.index("lateral_velocity")] == pytest.approx(0.8)


def test_a_learner_that_would_fall_is_not_handed_the_robot() -> None:
    """The state is safe, but nothing would carry the body. A sane gait gets the robot."""
    walk = Walk(intervention(horizon=20))
    assert all(walk.ticks(4, NO_SUPPORT))
    assert not any(walk.ticks(40)[4:])


@pytest.mark.parametrize("criterion", ["naive", "planning", "dwell", "off"])
def test_other_criteria_hand_back_in_their_own_way(criterion: Any) -> None:
    """`off` and `naive` do so at once, `dwell` after 1 s, `planning` after the planned steps."""
    walk = Walk(intervention(criterion=criterion))
    walk.ticks(20)
    taken = walk.ticks(20, **PUSHED)
    after = walk.ticks(600)
    assert any(taken) is (criterion != "off")
    longest = {"naive": 4, "off": 0, "dwell": 505, "planning": 90}[criterion]
    assert sum(after) <= longest and not after[-1]
    if criterion == "dwell":
        assert sum(after) > 480


def test_without_a_proposal_recovery_drives_at_once() -> None:
    """This holds between policy ticks too. A new proposal waits for the next decision."""
    walk = Walk(intervention())
    walk.ticks(9)
    assert all(walk.ticks(20, None))
    assert not any(walk.ticks(8)[4:])


def test_statistics_count_uses_steps_durations_and_triggers() -> None:
    """Two pushes give two uses, two triggers of one component, and two durations."""
    walk = Walk(intervention(criterion="naive"))
    assert walk.tested.statistics.share == 0.0
    walk.ticks(100)
    for _ in range(2):
        walk.ticks(100, **PUSHED)
        walk.ticks(100)
    s = walk.tested.statistics
    assert 125 <= s.steps <= 126 and (s.uses, dict(s.triggers)) == (2, {"lateral_velocity": 2})
    assert s.durations == pytest.approx([0.2, 0.2], abs=0.008)
    assert s.share == s.recovery_steps / s.steps == pytest.approx(0.4, abs=0.02)
    assert isinstance(s, InterventionStatistics)


def test_durations_of_old_uses_are_forgotten() -> None:
    """A robot that walks for days keeps those of the newest thousand."""
    walk = Walk(intervention(criterion="naive"))
    durations = walk.tested.statistics.durations
    durations += [9.0] + [0.5] * (NEWEST_USES - 1)
    walk.ticks(100)
    walk.ticks(100, **PUSHED)
    walk.ticks(100)
    assert len(durations) == NEWEST_USES
    assert durations[0] == 0.5 and durations[-1] == pytest.approx(0.2, abs=0.008)


def test_another_rule_drives_between_decisions_too() -> None:
    """A rule that always lets recovery act does so on every tick, even under `off`."""

    class Always:
        def recovers(self, *_: object) -> bool:
            return True

    walk = Walk(intervention(criterion="off"))
    assert not any(walk.ticks(8))
    walk.tested.judge_by(Always())
    assert all(walk.ticks(12)[4:])


def test_a_walk_that_begins_in_the_trigger_set_counts_it() -> None:
    """Each component counts once. A capture point on its bound is not outside."""
    walk = Walk(intervention(criterion="naive"))
    assert all(walk.ticks(4, **PUSHED))
    assert dict(walk.tested.statistics.triggers) == {"lateral_velocity": 1}
    for margin, triggers in ((0.0, {}), (-1e-9, {"capture": 1})):
        walk = Walk(intervention(CaptureMargin(margin), criterion="naive"))
        walk.ticks(4)
        assert dict(walk.tested.statistics.triggers) == triggers


@pytest.mark.parametrize(("margin", "recovers"), [(0.3, False), (0.3 - 1e-9, True), (-0.1, True)])
def test_a_capture_point_triggers_before_the_edge_by_its_margin(
    margin: float, recovers: bool
) -> None:
    """The margin moves the bound inwards. The verdict shows the distance from that bound."""
    walk = Walk(intervention(CaptureMargin(margin), criterion="naive", capture_margin=0.3))
    assert walk.ticks(4) == [recovers] * 4
    assert dict(walk.tested.statistics.triggers) == ({"capture": 1} if recovers else {})
    assert dict(walk.decision.margins)["capture"] == pytest.approx(margin - 0.3, abs=1e-12)


def test_recovery_is_slower_by_one_factor() -> None:
    """The factor is the same in all directions."""
    wanted = VelocityCommand(vx=0.4, vy=-0.2, wz=0.6)
    assert intervention().recovery_command(wanted) == wanted
    assert intervention(recovery_speed=0.5).recovery_command(wanted) == VelocityCommand(
        vx=0.2, vy=-0.1, wz=0.3
    )


def test_the_forecast_knows_the_stride_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its phase follows the learner's gait from the decision after the hand-over."""
    followed = []

    class Followed(GaitRollout):
        def follow(
            self, stamp_ns: int, gait: GaitParameters, speed_to_left: float = 0.0
        ) -> GaitPhase:
            followed.append(gait)
            return super().follow(stamp_ns, gait, speed_to_left)

    monkeypatch.setattr(pipeline, "GaitRollout", Followed)
    walk = Walk(intervention())
    walk.ticks(8)
    assert followed[:2] == [TROT, LEARNER]
    walk.ticks(4, None)
    assert followed[-1] == TROT


def test_a_tick_that_comes_twice_is_not_looked_ahead_from_twice() -> None:
    """The same stamp again gives no second forecast."""
    walk = Walk(intervention(criterion="off"))
    walk.ticks(3)
    assert walk.decision.predicted is not None
    walk.stamp_ns -= TICK_NS
    walk.ticks(1)
    assert walk.decision.predicted is None


def test_a_forecast_is_shown_ten_times_a_second() -> None:
    """It is computed while the learner drives, and never shown on a tick that decides."""
    walk = Walk(intervention())
    walk.ticks(1)
    told = []
    decided = walk.tested.statistics.steps
    for k in range(500):
        walk.ticks(1)
        if walk.decision.predicted is not None:
            told.append(k)
            assert walk.tested.statistics.steps == decided
        decided = walk.tested.statistics.steps
    assert 9 <= len(told) <= 10 and 49 <= np.diff(told).min() <= np.diff(told).max() <= 52


def test_what_is_only_shown_is_predicted_when_it_is_asked_for() -> None:
    """No tick computes it itself, so no command waits for it; the next tick has it, once."""
    tested = intervention(criterion="off")
    stamps = count(START_NS, TICK_NS)

    def tick() -> Decision:
        stamp_ns = next(stamps)
        proposal = Proposal(stamp_ns=stamp_ns, policy="l", kind="gait", gait=LEARNER)
        return tested.update(estimate(stamp_ns=stamp_ns), proposal, TROT, FORWARD)

    assert [tick().predicted for _ in range(62)] == 62 * [None]
    tested.look_ahead()
    tested.look_ahead()
    shown = [tick().predicted for _ in range(3)]
    assert sum(states is not None for states in shown) == 1


def test_what_is_only_shown_is_predicted_each_tenth_of_a_second() -> None:
    """To the nanosecond, and at once when the time goes back; before the first tick never."""
    tested = intervention(criterion="off")
    tested.look_ahead()

    def shown(after_ns: int) -> bool:
        """Whether a look ahead from this stamp is made; the first of its ticks only decides."""
        now = estimate(stamp_ns=START_NS + after_ns)
        proposal = Proposal(stamp_ns=now.stamp_ns, policy="l", kind="gait", gait=LEARNER)
        decisions = []
        for _ in range(3):
            decisions.append(tested.update(now, proposal, TROT, FORWARD))
            if len(decisions) == 2:
                tested.look_ahead()
        return decisions[-1].predicted is not None

    times_ns = (0, 0, LOOK_NS - 1, LOOK_NS, LOOK_NS, 0)
    assert [shown(t) for t in times_ns] == [True, False, False, True, False, True]


def test_no_other_forecast_is_made_while_forecasts_decide() -> None:
    """Each decision of a recovering robot looks ahead, and no tick between or soon after does."""
    walk = Walk(intervention(horizon=20))
    told = []
    for _ in range(27 + 50):
        decided = walk.tested.statistics.steps
        recovers = walk.ticks(1, NO_SUPPORT)[0]
        told.append(
            (walk.decision.predicted is not None, walk.tested.statistics.steps > decided, recovers)
        )
    held = [shown is decides for shown, decides, recovers in told if recovers]
    assert len(held) == 27 and all(held)
    assert [shown for shown, _, recovers in told if not recovers] == [True] + 49 * [False]


def test_joint_learners_are_judged_by_their_own_rollout() -> None:
    """Targets that hold the robot get it, targets that fold its legs do not."""
    for q, recovers in ((A1.q_stand, False), (A1.q_sit, True)):
        tested = intervention()
        targets = JointTargets(q=q, kp=np.full(12, 80.0), kd=np.full(12, 2.0))
        proposal = Proposal(stamp_ns=START_NS, policy="j", kind="joint", joints=targets)
        assert tested.update(estimate(), proposal, TROT, FORWARD).recovers is recovers


def test_uncertainty_hands_back_later_never_earlier() -> None:
    """A larger covariance of the velocity gives fewer hand-backs."""
    for vy, expected in ((0.0, [True, True]), (0.2, [True, False])):
        answers = []
        for sigma in (0.0, 2.0):
            tested = intervention(uncertainty=sigma)
            now = estimate(
                velocity=np.array((0.0, vy, 0.0)),
                velocity_covariance=np.diag((1e-6, vy * vy, 1e-6)),
            )
            proposal = Proposal(stamp_ns=START_NS, policy="l", kind="gait", gait=TROT)
            answers.append(not tested.update(now, proposal, TROT, VelocityCommand(vy=vy)).recovers)
        assert answers == expected


def test_recovery_may_follow_a_share_of_the_command() -> None:
    """A share of 0 lets the robot come to rest while it recovers."""
    assert intervention(recovery_speed=0.0).recovery_command(FORWARD) == VelocityCommand()
    assert intervention(recovery_speed=0.5).recovery_command(FORWARD) == VelocityCommand(vx=0.15)
    assert intervention().recovery_command(FORWARD) is FORWARD


def test_a_step_under_recovery_costs_one() -> None:
    """This is line 7 of algorithm 1."""
    assert (penalised(2.5, recovered=False), penalised(2.5, recovered=True)) == (2.5, 1.5)


def test_reported_durations_are_ranks() -> None:
    """They are the middle one of 200 uses, the one that one use exceeds, and the longest."""
    s = InterventionStatistics(
        steps=400, recovery_steps=100, uses=200, durations=[k / 1000 for k in range(200, 0, -1)]
    )
    told = s.figures()
    assert {name: told[f"duration_{name}_s"] for name in ("p50", "p99", "max")} == {
        "p50": "0.101",
        "p99": "0.199",
        "max": "0.200",
    }
    assert (told["steps"], told["recovery_steps"], told["share"], told["uses"]) == (
        "400",
        "100",
        "0.2500",
        "200",
    )


def test_figures_of_the_statistics_by_hand() -> None:
    """Each component has a count, and durations are those of the uses that are kept."""
    empty = InterventionStatistics().figures()
    assert set(empty.values()) == {"0", "0.0000", "0.000"} and {
        f"triggers/{name}" for name in COMPONENTS
    } <= set(empty)
    s = InterventionStatistics(
        steps=400,
        recovery_steps=14,
        uses=4,
        durations=[0.2] * 600 + [0.5] * 389 + [1.5] * 11,
    )
    s.triggers.update({"roll": 3})
    figures = s.figures()
    assert figures["share"] == "0.0350" and figures["uses"] == "4" and figures["steps"] == "400"
    assert [figures[f"duration_{name}_s"] for name in ("p50", "p99", "max")] == [
        "0.200",
        "1.500",
        "1.500",
    ]
    assert figures["triggers/roll"] == "3" and figures["triggers/height"] == "0"
