"""Intervention: who drives, tick by tick, and what is counted; hand-over of gaits without a jump of phase."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TICK_NS, TROT, estimate
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.control.gait_handover import (
    OFFSET_RATE,
    PLANTED_FROM,
    RATIO_MARGIN,
    RATIO_RATE,
    GaitBlend,
)
from safe_locomotion.pipeline import make_supervisor
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.safety.forecast import Forecast, Moment
from safe_locomotion.safety.intervention import Intervention, InterventionStatistics, penalised
from safe_locomotion.safety.trigger_set import COMPONENTS
from safe_locomotion.types import GaitParameters, JointTargets, Proposal, VelocityCommand

FORWARD = VelocityCommand(vx=0.3)
LEARNER = replace(TROT, frequency=3.0)
PUSHED: dict[str, Any] = {"velocity": np.array((0.0, 0.8, 0.0))}
NO_SUPPORT = replace(
    TROT, swing_ratio=0.98, phase_offsets=(0.0, 0.0, 0.0)
)  #: pronking with hardly a stance


def intervention(**changes: Any) -> Intervention:
    plain = {"supervisor.trigger_set.roll_rate": "raw", "supervisor.trigger_set.lookahead": 0.0}
    named = {f"supervisor.intervention.{name}": value for name, value in changes.items()}
    return make_supervisor(A1, load_config("a1", {**plain, **named}))._intervention


class Walk:
    """Ticks of one robot."""

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
            proposal = (
                None
                if gait is None
                else Proposal(stamp_ns=self.stamp_ns, policy="l", kind="gait", gait=gait)
            )
            now = estimate(stamp_ns=self.stamp_ns, **changes)
            self.decision = self.tested.update(now, proposal, TROT, FORWARD)
            out.append(self.decision.recovers)
        return out


def test_a_quiet_learner_gets_the_robot_at_once_and_keeps_it() -> None:
    """On the first tick of walking recovery has acted last: the learner is predicted to stay safe, and drives."""
    walk = Walk(intervention())
    assert walk.ticks(1) == [False]
    assert walk.decision.predicted is not None and walk.decision.predicted.shape == (11, 12)
    assert not any(walk.ticks(200))
    assert {name: margin > 0.0 for name, margin in walk.decision.margins} == dict.fromkeys(
        ("height", "roll", "pitch", "lateral_velocity", "roll_rate", "capture"), True
    )


def test_the_trigger_set_takes_the_robot_at_the_next_policy_tick_and_only_there() -> None:
    """Decisions hold for 8 ms; a push is answered on the first tick of the next period."""
    walk = Walk(intervention())
    walk.ticks(8)
    taken = walk.ticks(8, **PUSHED)
    assert taken[0] in (True, False) and all(taken[4:])
    assert sum(a != b for a, b in zip([False, *taken], taken, strict=False)) == 1
    assert dict(walk.decision.margins)["lateral_velocity"] == pytest.approx(-0.6)


def test_a_learner_that_would_fall_is_not_handed_the_robot() -> None:
    """Outside the trigger set, but nothing would carry the body in the next 0.16 s; a sane gait gets it."""
    walk = Walk(intervention(horizon=20))
    assert all(walk.ticks(4, NO_SUPPORT))
    assert not any(walk.ticks(40)[4:])


@pytest.mark.parametrize("criterion", ["naive", "planning", "dwell", "off"])
def test_other_criteria_hand_back_in_their_own_way(criterion: Any) -> None:
    """`off` and `naive` at once, `dwell` after its second, `planning` after the steps that it planned."""
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
    """Also between policy ticks; when the learner speaks again it waits for the next decision."""
    walk = Walk(intervention())
    walk.ticks(9)
    assert all(walk.ticks(20, None))
    assert not any(walk.ticks(8)[4:])


def test_statistics_count_uses_steps_durations_and_triggers() -> None:
    """Two pushes: two uses, two triggers of one component, and their time."""
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


def test_what_is_told_of_durations_are_their_ranks() -> None:
    """Of 200 uses of 1 to 200 ms the middle one, the one that two are longer than, and the longest."""
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


def test_another_rule_drives_between_decisions_too() -> None:
    """Though the configuration says `off`: one that always takes the robot has it on every tick."""

    class Always:
        def recovers(self, *_: object) -> bool:
            return True

    walk = Walk(intervention(criterion="off"))
    assert not any(walk.ticks(8))
    walk.tested.judge_by(Always())
    assert all(walk.ticks(12)[4:])


def test_a_walk_that_begins_in_the_trigger_set_counts_it() -> None:
    """What was outside before the first decision is nothing; on the bound of the capture point nobody is outside."""
    walk = Walk(intervention(criterion="naive"))
    assert all(walk.ticks(4, **PUSHED))
    assert dict(walk.tested.statistics.triggers) == {"lateral_velocity": 1}
    for margin, triggers in ((0.0, {}), (-1e-9, {"capture": 1})):
        walk = Walk(intervention(criterion="naive"))
        walk.tested._capture = SimpleNamespace(margin=lambda _, m=margin: m)
        walk.ticks(4)
        assert dict(walk.tested.statistics.triggers) == triggers


def test_recovery_is_slower_by_one_factor() -> None:
    """In all directions."""
    wanted = VelocityCommand(vx=0.4, vy=-0.2, wz=0.6)
    assert intervention().recovery_command(wanted) == wanted
    assert intervention(recovery_speed=0.5).recovery_command(wanted) == VelocityCommand(
        vx=0.2, vy=-0.1, wz=0.3
    )


def test_the_forecast_knows_the_stride_of_who_drove() -> None:
    """The gait whose phase goes on is the learner's from the decision after it got the robot, else that of recovery."""
    walk = Walk(intervention())
    followed = []
    follow = walk.tested._forecaster.follow
    walk.tested._forecaster.follow = lambda stamp_ns, gait: (
        followed.append(gait),
        follow(stamp_ns, gait),
    )
    walk.ticks(8)
    assert followed[:2] == [TROT, LEARNER]
    walk.ticks(4, None)
    assert followed[-1] == TROT


def test_a_tick_that_comes_twice_is_not_looked_ahead_from_twice() -> None:
    """The same stamp again: what was shown is no older than it was."""
    walk = Walk(intervention(criterion="off"))
    walk.ticks(2)
    assert walk.decision.predicted is not None
    walk.stamp_ns -= TICK_NS
    walk.ticks(1)
    assert walk.decision.predicted is None


def test_the_watcher_gets_a_forecast_ten_times_a_second() -> None:
    """Although nobody needs it while the learner drives, and never on a tick that decides, which has enough to do."""
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
    assert 9 <= len(told) <= 10 and 50 <= np.diff(told).min() <= np.diff(told).max() <= 51


def test_while_forecasts_decide_no_other_is_made() -> None:
    """Recovery holds on to a robot that the learner would drop: each decision looks ahead, and no tick between them; nor soon after."""
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
    """Targets that hold the robot are handed it, targets that fold its legs are not."""
    for q, recovers in ((A1.q_stand, False), (A1.q_sit, True)):
        tested = intervention()
        targets = JointTargets(q=q, kp=np.full(12, 80.0), kd=np.full(12, 2.0))
        proposal = Proposal(stamp_ns=START_NS, policy="j", kind="joint", joints=targets)
        assert tested.update(estimate(), proposal, TROT, FORWARD).recovers is recovers


def test_uncertainty_hands_back_later_never_earlier() -> None:
    """Fewer hand-backs the less the estimator knows of its velocity."""
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


def test_no_forecast_is_no_hand_back() -> None:
    """A moment without a learner, or without numbers, gives neither answer."""
    forecaster = intervention(criterion="planning")._forecaster
    nothing = Forecast(forecaster, Moment(estimate(), None, TROT, FORWARD))
    assert not nothing.learner_stays_safe()
    assert nothing.least_recovery_steps() is None
    assert nothing.states_in_odom() is None
    falling = Forecast(
        forecaster,
        Moment(
            estimate(),
            Proposal(stamp_ns=0, policy="l", kind="gait", gait=NO_SUPPORT),
            NO_SUPPORT,
            FORWARD,
        ),
    )
    assert falling.least_recovery_steps() in (None, 9)


def test_predicted_states_lie_in_odom() -> None:
    """Wherever the robot is and looks: first row the centre of mass now, velocity in odom."""
    forecaster = intervention()._forecaster
    now = estimate(
        position=np.array((3.0, -2.0, 0.27)),
        quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, 1.2),
        velocity=np.array((0.1, 0.2, 0.0)),
    )
    forecaster.state.update(now, TROT.frequency)
    forecast = Forecast(
        forecaster,
        Moment(now, Proposal(stamp_ns=0, policy="l", kind="gait", gait=TROT), TROT, FORWARD),
    )
    assert forecast.learner_stays_safe()
    states = forecast.states_in_odom()
    assert states is not None
    np.testing.assert_allclose(states[0, 3:6], (3.0, -2.0, 0.25), atol=0.02)
    np.testing.assert_allclose(states[0, 9:12], (0.1, 0.2, 0.0), atol=1e-9)
    assert states[0, 2] == pytest.approx(1.2)


def test_recovery_may_follow_a_share_of_the_command() -> None:
    """0 lets the robot come to rest while it recovers."""
    assert intervention(recovery_speed=0.0).recovery_command(FORWARD) == VelocityCommand()
    assert intervention(recovery_speed=0.5).recovery_command(FORWARD) == VelocityCommand(vx=0.15)
    assert intervention().recovery_command(FORWARD) is FORWARD


def test_a_step_under_recovery_costs_one() -> None:
    """Algorithm 1, line 7."""
    assert (penalised(2.5, recovered=False), penalised(2.5, recovered=True)) == (2.5, 1.5)


def wrapped(a: float, b: float) -> float:
    return abs((a - b + 0.5) % 1.0 - 0.5)


gaits = st.builds(
    GaitParameters,
    frequency=st.floats(1.0, 4.0),
    swing_ratio=st.floats(0.2, 0.8),
    phase_offsets=st.tuples(*[st.floats(0.0, 0.999)] * 3),
    foot_y=st.just(TROT.foot_y),
)


def far_apart(a: GaitParameters, b: GaitParameters) -> bool:
    return max(map(wrapped, a.phase_offsets, b.phase_offsets)) > PLANTED_FROM


@settings(max_examples=40)
@given(gaits, gaits, st.booleans())
def test_no_phase_jumps_at_a_hand_over(
    before: GaitParameters, after: GaitParameters, to_recovery: bool
) -> None:
    """Offsets and swing ratio move at bounded rates from the old gait to the new one, and arrive; only planting feet is sudden."""
    blend = GaitBlend()
    last = before
    driver = "recovery" if to_recovery else "learner"
    blend.update(START_NS, "learner" if to_recovery else "recovery", before)
    for k in range(1, 400):
        gait = blend.update(START_NS + k * TICK_NS, driver, after)
        for a, b in zip(gait.phase_offsets, last.phase_offsets, strict=True):
            assert wrapped(a, b) <= OFFSET_RATE * 0.002 + 1e-9
        planted = k == 1 and to_recovery and far_apart(before, after)
        assert planted or abs(gait.swing_ratio - last.swing_ratio) <= RATIO_RATE * 0.002 + 1e-9
        assert 0.0 < gait.swing_ratio < 1.0 and gait.frequency == after.frequency
        last = gait
    assert last == after


def test_figures_of_the_statistics_by_hand() -> None:
    """Every component has its count, durations are of the newest thousand uses; before the first step all is zero."""
    empty = InterventionStatistics().figures()
    assert set(empty.values()) == {"0", "0.0000", "0.000"} and {
        f"triggers/{name}" for name in COMPONENTS
    } <= set(empty)
    s = InterventionStatistics(
        steps=400,
        recovery_steps=14,
        uses=4,
        durations=[9.0] + [0.2] * 600 + [0.5] * 389 + [1.5] * 11,
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


def test_recovery_plants_the_feet_of_a_gait_far_from_its_own() -> None:
    """All feet carry at once, and step again at the bounded rate; a gait near its own is blended, and a learner plants nothing."""
    far = replace(TROT, phase_offsets=(0.5, 0.5, 0.3))
    near = replace(TROT, phase_offsets=(0.5, 0.5, 0.05))
    for before, driver, ratio in (
        (far, "recovery", RATIO_MARGIN),
        (near, "recovery", TROT.swing_ratio),
        (far, "learner", TROT.swing_ratio),
    ):
        blend = GaitBlend()
        blend.update(START_NS, "learner" if driver == "recovery" else "recovery", before)
        assert blend.update(START_NS + TICK_NS, driver, TROT).swing_ratio == pytest.approx(ratio)


def test_what_a_policy_changes_by_itself_passes_through() -> None:
    """Only the hand-over is smoothed, not the learner; a new walk starts with no memory."""
    blend = GaitBlend()
    for k, ratio in enumerate((0.3, 0.6, 0.4)):
        gait = replace(TROT, swing_ratio=ratio)
        assert blend.update(START_NS + k * TICK_NS, "learner", gait) is gait
    blend.reset()
    assert blend.update(START_NS + 9 * TICK_NS, "recovery", TROT) is TROT
