"""Steps of algorithm 1 from a recorded episode that is small enough to check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.evaluation.recorded_transitions import joined
from safe_locomotion.evaluation.transitions import episode_transitions, stored_steps
from safe_locomotion.recording.episode import (
    CommandTrace,
    EpisodeInfo,
    EpisodeRecord,
    EstimateTrace,
    PlanTrace,
    ProposalTrace,
    StateTrace,
    StepTrace,
    VelocityTrace,
    VerdictTrace,
)
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import Mode

N = 40
PERIOD_NS = 2_000_000
START_NS = 10**18
POLICY_EACH = 4  # ticks
WALK = 8  # tick
FALLEN_FROM = 32  # tick
RECOVERY = slice(16, 24)  # ticks

STAMPS = START_NS + PERIOD_NS * np.arange(N)
DUE = np.arange(0, N, POLICY_EACH)
LEVEL = np.tile((1.0, 0.0, 0.0, 0.0), (N, 1))
TRIPLE = np.zeros((N, 3))
TWELVE = np.zeros((N, 12))


def record():
    """Episode of 40 ticks: standing, a walk, then a fall.

    Recovery takes two of the six policy steps of the walk.
    """
    return EpisodeRecord(
        info=EpisodeInfo(robot="a1"),
        whole=True,
        states=states(),
        estimates=estimates(),
        verdicts=verdicts(),
        proposals=proposals(),
        steps=StepTrace(
            stamp_ns=STAMPS[DUE],
            observation=np.column_stack((DUE, 2.0 * DUE, np.full(len(DUE), np.nan))),
            action=10.0 + DUE[:, None],
        ),
        plans=PlanTrace(
            stamp_ns=STAMPS[::2],
            stance=np.ones((N // 2, 4), dtype=bool),
            force=np.tile((0.0, 0.0, 30.0), (N // 2, 4, 1)),
            foot_position=np.zeros((N // 2, 4, 3)),
            foot_velocity=np.zeros((N // 2, 4, 3)),
            solved=np.ones(N // 2, dtype=bool),
        ),
        commands=CommandTrace(
            stamp_ns=STAMPS[:0],
            **{n: TWELVE[:0] for n in ("q", "dq", "tau", "kp", "kd")},
            reason=(),
            latency=np.empty(0),
        ),
        velocity=VelocityTrace(stamp_ns=STAMPS[:0], velocity=TRIPLE[:0]),
    )


def states():
    """Joints that turn at 2 rad/s against a torque that grows from tick to tick."""
    return StateTrace(
        stamp_ns=STAMPS,
        q=TWELVE,
        dq=np.full((N, 12), 2.0),
        tau=np.full((N, 12), -0.5) * np.arange(N)[:, None],
        foot_force=np.zeros((N, 4)),
        quaternion_wxyz=LEVEL,
        gyro=TRIPLE,
        accelerometer=TRIPLE,
    )


def estimates():
    """A level robot at constant height and velocity."""
    return EstimateTrace(
        stamp_ns=STAMPS,
        position=np.tile((0.0, 0.0, 0.30), (N, 1)),
        quaternion_wxyz=LEVEL,
        velocity=np.tile((0.4, 0.1, 0.0), (N, 1)),
        angular_velocity=np.tile((0.0, 0.0, 0.2), (N, 1)),
        position_covariance=np.zeros((N, 3, 3)),
        velocity_covariance=np.zeros((N, 3, 3)),
        q=TWELVE,
        dq=TWELVE,
        contact=np.ones((N, 4), dtype=bool),
        ground_normal=TRIPLE,
        ground_height=np.full(N, 0.01),
        diverged=np.zeros(N, dtype=bool),
    )


def verdicts():
    """Modes and the driving policy."""
    mode = np.full(N, Mode.STAND)
    mode[WALK:FALLEN_FROM] = Mode.WALK
    mode[FALLEN_FROM:] = Mode.FALLEN
    learner = np.ones(N, dtype=bool)
    learner[RECOVERY] = False
    return VerdictTrace(
        stamp_ns=STAMPS,
        mode=mode,
        mode_since_ns=STAMPS,
        learner=learner,
        command=np.tile((0.5, 0.0, 0.0), (N, 1)),
        gait=np.zeros((N, 9)),
        lifted=np.zeros((N, 4), dtype=bool),
        joints=np.full((N, 3, 12), np.nan),
        components=(),
        margins=np.zeros((N, 0)),
        hazards=(),
        reasons=np.zeros((N, 0), dtype=bool),
        policies=("p",),
        policy=np.zeros(N, dtype=int),
        predicted_at=np.empty(0, dtype=int),
        predicted=(),
    )


def proposals():
    """One gait, proposed on every policy step."""
    n = len(DUE)
    return ProposalTrace(
        stamp_ns=STAMPS[DUE],
        policies=("p",),
        policy=np.zeros(n, dtype=int),
        gait=np.tile((2.5, 0.45, 0.5, 0.5, 0.0, -0.1, 0.1, -0.1, 0.1), (n, 1)),
        lifted=np.zeros((n, 4), dtype=bool),
        joints=np.full((n, 3, 12), np.nan),
        period_ns=np.zeros(n, dtype=int),
        fault=("",) * n,
    )


def test_algorithm_1_stores_the_learners_action_and_the_penalty():
    """There is one row per policy step of the walk, and the fall is at the end.

    Under recovery the action is still the learner's, and the reward is less by one.
    """
    stored = stored_steps(record(), "p", load_robot("a1"))
    ticks = np.array([8, 12, 16, 20, 24, 28])
    assert np.array_equal(stored.stamp_ns, START_NS + PERIOD_NS * ticks)
    assert np.array_equal(stored.action[:, 0], 10.0 + ticks)
    assert np.array_equal(stored.observation, np.column_stack((ticks, 2.0 * ticks)))
    assert np.array_equal(stored.next_observation[:, 0], ticks + 4)
    assert stored.recovered.tolist() == [False, False, True, True, False, False]
    assert stored.reward.tolist() == [0.0, 0.0, -1.0, -1.0, 0.0, 0.0]
    assert stored.fell.tolist() == [False] * 5 + [True]


def test_a_reward_sees_what_the_robot_knew():
    """It sees height above the ground, velocity in the yaw frame, the command, and motor power."""
    seen = []
    stored = stored_steps(
        record(), "p", load_robot("a1"), lambda outcome, robot: seen.append(outcome) or 2.0
    )
    assert stored.reward.tolist() == [2.0, 2.0, 1.0, 1.0, 2.0, 2.0]
    first = seen[0]
    assert first.height == pytest.approx(0.29) and first.velocity == pytest.approx((0.4, 0.1, 0.0))
    assert (
        first.yaw_rate == pytest.approx(0.2)
        and first.command.vx == 0.5
        and first.gait.frequency == 2.5
    )
    assert first.power == pytest.approx(12 * 2.0 * 0.5 * np.mean((9, 10, 11, 12)))


def test_a_policy_that_never_acted_is_said_so():
    """Another name, or a learner without a network, is an error that names who proposed."""
    with pytest.raises(ConfigurationError, match="who proposed: p"):
        stored_steps(record(), "q", load_robot("a1"))
    empty = StepTrace(
        stamp_ns=np.empty(0, dtype=int), observation=np.empty((0, 0)), action=np.empty((0, 0))
    )
    with pytest.raises(ConfigurationError, match="no network 'p' acted"):
        stored_steps(replace(record(), steps=empty), "p", load_robot("a1"))


def test_steps_for_the_models_error():
    """Steps of 0.016 s lie in the walk as a whole.

    When several episodes are joined, no window runs across.
    """
    found = episode_transitions(record(), load_robot("a1"), "here", 0.016)
    assert len(found.state) == 2 and found.wrench[0, 5] == pytest.approx(120.0)
    assert found.follows.tolist() == [False, True]
    assert joined([found, found]).follows.tolist() == [False, True, False, True]
    with pytest.raises(ConfigurationError, match="--robot a1"):
        episode_transitions(record(), replace(load_robot("a1"), name="laikago"), "here", 0.016)
