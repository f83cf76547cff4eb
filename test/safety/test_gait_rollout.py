"""Rollouts of gait and joint policies against mechanics: a nonlinear body, statics and batches."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import A1, START_NS, TROT, estimate

from safe_locomotion.bench.mpc_problems import RigidBody
from safe_locomotion.config import load_config
from safe_locomotion.control.friction_cone import clip_plan
from safe_locomotion.pipeline import make_forecaster
from safe_locomotion.robot.centroidal import driven
from safe_locomotion.rotations import matrix_from_quaternion, quaternion_from_rpy
from safe_locomotion.safety.forecast import Forecaster, Moment, Suppose
from safe_locomotion.safety.gait_rollout import GaitRollout, Scene
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.types import Estimate, GaitParameters, JointTargets, Proposal, VelocityCommand

SLOW = VelocityCommand(vx=0.3)
SOLVER_STEP = 3 * STEP  #: of the MPC in the rollout [s]
STANDING = replace(TROT, swing_ratio=1e-3)  #: a gait whose feet are down but for a moment
CALM: dict[str, Any] = {"velocity": np.array((0.3, 0.0, 0.0))}


def forecaster(suppose: Suppose | None = None, **changes: Any) -> Forecaster:
    config = load_config(
        "a1", {f"supervisor.intervention.{name}": value for name, value in changes.items()}
    )
    return make_forecaster(A1, config, suppose)


def rollout(**changes: Any) -> GaitRollout:
    return forecaster(**changes).rollout


def gait_moment(gait: GaitParameters = TROT, now: Estimate | None = None) -> Moment:
    return Moment(
        now or estimate(**CALM),
        Proposal(stamp_ns=START_NS, policy="l", kind="gait", gait=gait),
        TROT,
        SLOW,
    )


def joint_moment(q: np.ndarray, kp: float, kd: float, now: Estimate | None = None) -> Moment:
    targets = JointTargets(q=q, kp=np.full(12, kp), kd=np.full(12, kd))
    return Moment(
        now or estimate(),
        Proposal(stamp_ns=START_NS, policy="l", kind="joint", joints=targets),
        TROT,
        SLOW,
    )


def learner_states(f: Forecaster, moment: Moment) -> tuple[Scene, np.ndarray]:
    f.reset()
    f.follow(moment.estimate, TROT)
    scene = f.rollout.scene(moment.estimate, moment.command)
    states = f.learner(scene, moment)
    assert states is not None
    return scene, states


@pytest.mark.parametrize("kind", ["open_loop", "closed_loop"])
def test_a_robot_that_stands_is_predicted_to_stand(kind: str) -> None:
    """Under a gait that hardly lifts a foot nothing moves by more than 2.5 cm and 0.03 rad."""
    f = forecaster(rollout=kind)
    _, states = learner_states(f, gait_moment(STANDING, estimate()))
    assert states.shape == (11, 12)
    np.testing.assert_allclose(states[:, :3], 0.0, atol=0.03)
    np.testing.assert_allclose(states[:, 5], states[0, 5], atol=0.025)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_prediction_against_a_body_with_finite_rotations(scale: float) -> None:
    """Over 0.16 s a nonlinear body under the same forces ends near the prediction.

    It moves with 1 rad/s and 0.4 m/s and ends within 5 % of its way.
    """
    r = rollout()
    r.follow(START_NS, TROT)
    now = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.1 * scale, -0.05 * scale, 0.0),
        velocity=scale * np.array((0.4, 0.2, 0.0)),
        angular_velocity=scale * np.array((1.0, 0.3, 0.0)),
    )
    scene = r.scene(now, SLOW)
    inputs = r.inputs(scene, START_NS, TROT)
    assert inputs is not None
    states = driven(scene.x0, inputs.accelerations, STEP)
    body = RigidBody(r.model)
    x0 = scene.x0
    body.position = x0[3:6].copy()
    body.velocity = x0[9:12].copy()
    body.quaternion = now.quaternion_wxyz
    body.rates = matrix_from_quaternion(now.quaternion_wxyz).T @ x0[6:9]
    for k in range(10):
        for _ in range(8):
            feet = inputs.feet - STEP * (k + 0.5) * np.array((*x0[9:11], 0.0))
            body.advance(
                body.position + feet,
                inputs.forces[k // 3],
                np.zeros(3),
                duration=STEP / 8,
                substeps=1,
            )
    way = np.abs(states[-1] - states[0]).max()
    rotation = matrix_from_quaternion(body.quaternion)
    roll = np.arctan2(rotation[2, 1], rotation[2, 2])
    pitch = -np.arcsin(rotation[2, 0])
    seen = np.array((roll, pitch, *body.position, *body.velocity))
    predicted = np.array((*states[-1, :2], *states[-1, 3:6], *states[-1, 9:12]))
    assert np.abs(seen - predicted).max() < 0.05 * way


def test_hypotheses_side_by_side_are_single_ones() -> None:
    """Each of 64 states within the estimator's uncertainty gets the prediction it would get alone.

    The first of them is the estimate.
    """
    single = forecaster()
    many = forecaster(uncertainty=2.0)
    moment = gait_moment(now=estimate(velocity_covariance=np.diag((1e-2, 4e-2, 1e-4)), **CALM))
    scene, alone = learner_states(single, moment)
    _, states = learner_states(many, moment)
    assert states.shape == (64, 11, 12)
    np.testing.assert_allclose(states[0], alone, atol=1e-6)
    spread = states[:, 0, 9:12] - states[0, 0, 9:12]
    assert 0.2 < np.abs(spread[:, 1]).max() <= 0.4 and np.abs(spread[:, 0]).max() <= 0.2
    inputs = single.rollout.inputs(scene, START_NS, TROT)
    assert inputs is not None
    last = driven(states[63, 0], inputs.accelerations, STEP)
    np.testing.assert_allclose(states[63], last, atol=1e-3)


@pytest.mark.parametrize("kind", ["open_loop", "closed_loop"])
def test_a_forecast_leaves_no_trace_in_the_stride_that_is_executed(kind: str) -> None:
    """Predicting another gait on each policy tick does not change the clock of the executed one."""
    asked = forecaster(rollout=kind)
    left_alone = forecaster(rollout=kind)
    pace = gait_moment(replace(TROT, phase_offsets=(0.5, 0.0, 0.5), swing_ratio=0.6)).proposal
    for k in range(30):
        stamp_ns = START_NS + k * 8_000_000
        phase = asked.rollout.follow(stamp_ns, TROT)
        assert phase == left_alone.rollout.follow(stamp_ns, TROT)
        now = Moment(estimate(stamp_ns=stamp_ns, **CALM), pace, TROT, SLOW)
        assert asked.learner(asked.rollout.scene(now.estimate, SLOW), now) is not None


def turned_scene(r: GaitRollout, command: VelocityCommand) -> Scene:
    """A robot on a slope that moves faster than the command, seen half a stride after its start."""
    r.follow(START_NS, TROT)
    r.follow(START_NS + 100_000_000, TROT)
    now = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.05, -0.1, 0.4),
        ground_normal=np.array((-np.sin(0.1), 0.0, np.cos(0.1))),
        velocity=np.array((0.5, 0.9, -0.1)),
    )
    return r.scene(now, command)


@pytest.mark.parametrize("steps", [4, 10, 20])
def test_the_problem_is_that_of_a_body_that_moves_steadily(steps: int) -> None:
    """Reference and feet of each solver step, one number after the other."""
    r = rollout(horizon=steps)
    scene = turned_scene(r, SLOW)
    inputs = r.inputs(scene, START_NS + 100_000_000, TROT)
    assert inputs is not None
    problem = inputs.problem
    assert 0 < problem.stance.sum() < problem.stance.size
    x = scene.x0
    config = load_config("a1").mpc
    slack = config.locomotion.velocity_slack
    height = config.locomotion.body_height + A1.com[2]
    moving = np.array((*x[9:11], 0.0))
    wanted = np.clip((0.3, 0.0), x[9:11] - slack, x[9:11] + slack)
    for j, row in enumerate(problem.reference):
        ahead = x[3:5] + (j + 1) * SOLVER_STEP * wanted
        expected = (0.0, 0.0, x[2], *ahead, height, 0.0, 0.0, 0.0, *wanted, 0.0)
        np.testing.assert_allclose(row, expected, atol=1e-12)
        feet = inputs.feet - (j + 0.5) * SOLVER_STEP * moving
        np.testing.assert_allclose(problem.feet[j], feet, atol=1e-12)


@pytest.mark.parametrize("steps", [4, 10, 20])
def test_accelerations_are_those_of_the_forces_on_feet_that_fall_back(steps: int) -> None:
    """In the middle of each step they are the model's, and the forces are in the friction cone."""
    r = rollout(horizon=steps)
    scene = turned_scene(r, SLOW)
    inputs = r.inputs(scene, START_NS + 100_000_000, TROT)
    assert inputs is not None
    clipped = clip_plan(inputs.forces, inputs.problem.stance, load_config("a1").mpc.solver)
    np.testing.assert_array_equal(inputs.forces, clipped)
    moving = np.array((*scene.x0[9:11], 0.0))
    for k, row in enumerate(inputs.accelerations):
        feet = inputs.feet - STEP * (k + 0.5) * moving
        angular, linear = r.model.accelerations(feet, inputs.forces[k // 3])
        np.testing.assert_allclose(row, (*angular, *(linear + scene.gravity)), atol=1e-10)


def test_a_robot_that_turns_is_predicted_to_turn() -> None:
    """The reference turns with the command, and the heading follows it within 10 % over 0.16 s."""
    command = VelocityCommand(vx=0.3, wz=0.8)
    r = rollout(horizon=10)
    r.follow(START_NS, TROT)
    turning = estimate(angular_velocity=np.array((0.0, 0.0, 0.8)), **CALM)
    scene = r.scene(turning, command)
    inputs = r.inputs(scene, START_NS, TROT)
    assert inputs is not None
    ends = SOLVER_STEP * np.arange(1, len(inputs.problem.reference) + 1)
    np.testing.assert_allclose(inputs.problem.reference[:, 2], 0.8 * ends, atol=1e-12)
    np.testing.assert_allclose(inputs.problem.reference[:, 8], 0.8)
    states = driven(scene.x0, inputs.accelerations, STEP)
    assert states[-1, 2] == pytest.approx(0.8 * 10 * STEP, rel=0.1)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_the_estimate_of_a_predicted_state_gives_that_state_back(slope: float) -> None:
    """What the learner is shown in the closed loop describes the state that it stands for."""
    r = rollout()
    normal = np.array((-np.sin(slope), 0.0, np.cos(slope)))
    now = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.05, 0.02 - slope, 0.7),
        ground_normal=normal,
        ground_height=0.03,
        **CALM,
    )
    scene = r.scene(now, SLOW)
    x = scene.x0 + 0.05 * np.random.default_rng(2).normal(size=12)
    x[2:5] = 0.0
    shown = r.estimate_at(scene, x, now, 4)
    assert shown.stamp_ns == now.stamp_ns + round(4 * STEP * 1e9)
    again = r.scene(replace(shown, ground_height=now.ground_height), SLOW)
    np.testing.assert_allclose(again.x0[[0, 1, *range(6, 12)]], x[[0, 1, *range(6, 12)]], atol=0.01)


def test_a_foot_in_the_air_that_is_to_stand_pushes_later() -> None:
    """A foot that hangs 5 cm high when the gait wants it down carries nothing for 0.09 s."""
    r = rollout()
    q = A1.q_stand.copy()
    q[1:3] += (0.3, -0.8)
    r.follow(START_NS, STANDING)
    scene = r.scene(estimate(q=q), SLOW)
    assert scene.aloft == [True, False, False, False]
    inputs = r.inputs(scene, START_NS, STANDING)
    assert inputs is not None
    assert (inputs.forces[0, 0] == 0.0).all() and (inputs.forces[2:, 0, 2] > 0.0).all()
    assert (inputs.forces[:, 1:, 2] > 0.0).all()


def test_the_learner_is_asked_again_at_each_predicted_state() -> None:
    """The learner is asked w - 1 times, each time later, and its answer is what is predicted."""
    asked: list[Estimate] = []

    def answer(later: Estimate) -> Proposal:
        asked.append(later)
        return Proposal(
            stamp_ns=later.stamp_ns, policy="l", kind="gait", gait=replace(TROT, swing_ratio=0.9)
        )

    _, kept = learner_states(forecaster(rollout="closed_loop"), gait_moment())
    asking = forecaster(lambda command: nullcontext(answer), rollout="closed_loop")
    _, changed = learner_states(asking, gait_moment())
    assert [later.stamp_ns - START_NS for later in asked] == [
        round(k * STEP * 1e9) for k in range(1, 10)
    ]
    assert np.abs(changed[-1] - kept[-1]).max() > 0.01


def test_a_solver_without_an_answer_gives_no_forecast() -> None:
    """With NaN in the state nothing is predicted."""
    for kind in ("open_loop", "closed_loop"):
        f = forecaster(rollout=kind)
        moment = gait_moment(now=estimate(velocity=np.array((np.nan, 0.0, 0.0))))
        scene = f.rollout.scene(moment.estimate, moment.command)
        assert f.learner(scene, moment) is None
        assert f.recovery_first(scene, moment) is None


def test_joint_targets_hold_a_robot_where_pd_and_weight_balance() -> None:
    """Stiff joints hold the height, soft ones let it sink, and nothing else moves."""
    heights = []
    for kp, kd in ((300.0, 8.0), (80.0, 3.0), (20.0, 0.5)):
        _, states = learner_states(forecaster(), joint_moment(A1.q_stand, kp, kd))
        heights.append(states[-1, 5])
        assert np.abs(states[:, [0, 2, 4]] - states[0, [0, 2, 4]]).max() < 0.03
    assert states[0, 5] - 0.01 < heights[0] and heights[0] > heights[1] > heights[2]


def test_legs_pulled_up_leave_the_ground_and_the_body_falls_freely() -> None:
    """A foot never pulls: the height follows g t^2 / 2."""
    q = A1.q_stand + np.tile((0.0, 0.5, -1.2), 4)
    _, states = learner_states(forecaster(), joint_moment(q, 80.0, 2.0))
    t = STEP * np.arange(11)
    np.testing.assert_allclose(states[:, 5], states[0, 5] - 9.81 * t * t / 2.0, atol=1e-9)


def test_a_leg_in_the_air_stands_once_its_target_is_in_the_ground() -> None:
    """The body is caught in time on the side of the foot that is on its way down.

    The other three feet are on the ground.
    """
    q = A1.q_stand.copy()
    q[1:3] += (0.3, -0.8)
    now = estimate(q=q, contact=np.array((False, True, True, True)))
    _, caught = learner_states(forecaster(), joint_moment(A1.q_stand, 80.0, 3.0, now))
    _, left = learner_states(forecaster(), joint_moment(q, 80.0, 3.0, now))
    assert abs(caught[-1, 0]) + abs(caught[-1, 1]) < abs(left[-1, 0]) + abs(left[-1, 1])


def test_joint_policies_are_asked_again_and_planned_for() -> None:
    """The closed loop asks with the predicted joints.

    Planning predicts one row for each number of recovery steps.
    """
    asked: list[Estimate] = []
    moment = joint_moment(A1.q_stand, 80.0, 3.0)

    def answer(later: Estimate) -> Proposal:
        asked.append(later)
        assert moment.proposal is not None
        return moment.proposal

    f = forecaster(lambda command: nullcontext(answer), rollout="closed_loop", criterion="planning")
    scene, states = learner_states(f, moment)
    assert len(asked) == 9 and (asked[-1].q != moment.estimate.q).any()
    rows = f.recovery_first(scene, moment)
    assert rows is not None and rows.shape == (9, 11, 12)
    np.testing.assert_array_equal(rows[:, 0], np.tile(states[0], (9, 1)))


def test_a_recovery_step_more_changes_only_what_comes_after_it() -> None:
    """Row i is the recovery policy's prediction up to step i, and the learner acts after it."""
    f = forecaster(criterion="planning")
    moment = gait_moment(replace(TROT, swing_ratio=0.8))
    scene, _ = learner_states(f, moment)
    rows = f.recovery_first(scene, moment)
    recovery = f.rollout.inputs(scene, START_NS, moment.recovery)
    assert rows is not None and recovery is not None
    alone = driven(scene.x0, recovery.accelerations, STEP)
    for i, row in enumerate(rows, start=1):
        np.testing.assert_allclose(row[: i + 1], alone[: i + 1], atol=1e-3)
        assert not np.allclose(row[i + 1 :], alone[i + 1 :]) or i == 9
