"""The MPC on OSQP: the same answers in a trot, and nothing from bad numbers."""

from copy import deepcopy

import numpy as np
import pytest

from safe_locomotion.bench.mpc_alternatives import exact_osqp
from safe_locomotion.bench.mpc_problems import A1_LIKE, HEIGHT, HIPS, TROT, record
from safe_locomotion.config import load_config
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.control.osqp_mpc import BATCHES, ITERATIONS, OsqpMpc
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Mode, VelocityCommand

PARAMETERS = MpcParameters(method="osqp")
N = PARAMETERS.horizon
UPRIGHT = np.array([0.0, 0.0, 0.0, 0.0, 0.0, HEIGHT, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
TROT_PROBLEMS = record(TROT, PARAMETERS, 250)


def standing(**changes: object) -> MpcProblem:
    """Upright on four feet, with changes."""
    problem = MpcProblem(
        x0=UPRIGHT,
        reference=np.tile(UPRIGHT, (N, 1)),
        feet=np.tile(HIPS - [0.0, 0.0, HEIGHT], (N, 1, 1)),
        stance=np.ones((N, 4), dtype=bool),
    )
    return problem._replace(**changes)


@pytest.fixture
def mpc() -> OsqpMpc:
    """Fresh solver of the A1."""
    return OsqpMpc(A1_LIKE, PARAMETERS)


def test_a_pushed_trot_agrees_with_the_exact_answer(mpc: OsqpMpc) -> None:
    """The first forces are within 0.2 N RMS, and of those of the Newton steps too."""
    exact = exact_osqp(A1_LIKE, PARAMETERS)
    newton = ConvexMpc(A1_LIKE, PARAMETERS)
    answers = [mpc.solve(problem) for problem in TROT_PROBLEMS]
    forces = np.array([answer.forces for answer in answers])
    for other in (exact, lambda problem: newton.solve(problem).forces):
        errors = forces - np.array([other(problem) for problem in TROT_PROBLEMS])
        assert np.sqrt(np.mean(np.square(errors))) < 0.2
    assert np.mean([answer.ok for answer in answers]) > 0.9
    assert all(answer.steps % ITERATIONS == 0 for answer in answers)
    assert max(answer.steps for answer in answers) <= ITERATIONS * BATCHES


def test_swing_feet_get_exactly_zero(mpc: OsqpMpc) -> None:
    """Feet in the air get no force, now and in the plan."""
    stance = np.tile([True, False, False, True], (N, 1))
    answer = mpc.solve(standing(stance=stance))
    assert (answer.forces[[1, 2]] == 0.0).all()
    assert (answer.plan[:, [1, 2]] == 0.0).all()
    assert (answer.forces[[0, 3], 2] > 30.0).all()


def test_less_friction_makes_a_steeper_pyramid(mpc: OsqpMpc) -> None:
    """A body that slides is braked by no more than the ground can hold."""
    sliding = UPRIGHT.copy()
    sliding[9] = 2.0
    mpc.assume_friction(0.2)
    for _ in range(30):
        forces = mpc.solve(standing(x0=sliding)).forces
    assert (np.abs(forces[:, :2]) <= 0.2 * forces[:, 2:] + 1e-9).all()
    assert forces[:, 0].sum() < -0.15 * forces[:, 2].sum()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("where", ["x0", "reference", "feet", "gravity"])
def test_bad_numbers_are_refused_and_leave_no_trace(mpc: OsqpMpc, where: str, bad: float) -> None:
    """OSQP itself would call NaN solved, now and on every later tick."""
    good = standing()
    wanted = mpc.solve(good).forces
    spoiled = getattr(good, where).copy()
    spoiled.flat[-1] = bad
    answer = mpc.solve(good._replace(**{where: spoiled}))
    assert not answer.ok and not answer.found
    assert (answer.forces == 0.0).all()
    np.testing.assert_allclose(mpc.solve(good).forces, wanted, atol=1e-6)


def test_copies_and_warm_ups_leave_no_trace(mpc: OsqpMpc) -> None:
    """A fresh solver, one that was warmed up, and a copy answer alike."""
    fresh = mpc.solve(TROT_PROBLEMS[0]).forces
    other = OsqpMpc(A1_LIKE, PARAMETERS)
    other.warm_up(TROT_PROBLEMS[9])
    np.testing.assert_allclose(other.solve(TROT_PROBLEMS[0]).forces, fresh, atol=1e-9)
    mpc.assume_friction(0.3)
    twin = deepcopy(mpc)
    assert twin.mu == 0.3
    mpc.reset()
    for problem in TROT_PROBLEMS[:3]:
        np.testing.assert_allclose(twin.solve(problem).forces, mpc.solve(problem).forces, atol=1e-9)


def test_the_robot_walks_on_it() -> None:
    """One parameter chooses it, and the robot stands up and walks."""
    robot = SimulatedRobot(SimulationOptions(seed=2))
    pipeline = Pipeline(load_robot("a1"), load_config("a1", {"mpc.solver.method": "osqp"}))
    assert isinstance(pipeline.locomotion.mpc, OsqpMpc)
    pipeline.supervisor.request("walk")
    for _ in range(2000):
        robot.step(pipeline.step(robot.low_state(), VelocityCommand(vx=0.5)).command)
    assert pipeline.supervisor.mode is Mode.WALK
    assert robot.falls == 0
    assert robot.truth().position[0] > 0.5


def test_an_unknown_solver_is_refused() -> None:
    """With the choices."""
    with pytest.raises(UnknownNameError, match="newton, osqp"):
        MpcParameters(method="magic")
