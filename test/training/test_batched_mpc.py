"""The batched MPC finds the forces of the onboard problem, for all robots at once."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("warp")


from safe_locomotion.bench.mpc_alternatives import exact_osqp
from safe_locomotion.bench.mpc_problems import A1_LIKE, PUSHED, TROT, record
from safe_locomotion.config import load_config
from safe_locomotion.control.mpc_matrices import FORCE_UNIT
from safe_locomotion.control.mpc_problem import MpcProblem
from safe_locomotion.training.gait.world.convex_mpc import (
    LONGEST_HORIZON,
    AdmmParameters,
    BatchedMpc,
)
from safe_locomotion.types import Array

PARAMETERS = load_config("a1").mpc.solver
FIELDS = ("x0", "reference", "feet", "stance", "gravity")
#: Deviation of a wild state from that of a pushed trot: rpy [rad], height [m], rates, velocities.
WILD = np.array([0.1, 0.1, 0.0, 0.0, 0.0, 0.02, 0.5, 0.5, 0.3, 0.3, 0.3, 0.2])


def wild(problem: MpcProblem, rng: np.random.Generator) -> MpcProblem:
    """The problem under a gait that is drawn at random, in a state that is thrown about."""
    times = rng.uniform() + PARAMETERS.dt * np.arange(PARAMETERS.horizon)
    phase = times[:, None] * rng.uniform(1.5, 4.0) + rng.uniform(size=4)
    stance = phase % 1.0 < rng.uniform(0.3, 0.7)
    return problem._replace(stance=stance, x0=problem.x0 + WILD * rng.standard_normal(12))


def wild_problems() -> list[MpcProblem]:
    """A hundred of them."""
    rng = np.random.default_rng(0)
    return [wild(problem, rng) for problem in record(PUSHED, PARAMETERS, 300)[::3]]


def solver(robots: int, **changes: float) -> BatchedMpc:
    """For robots like the A1, on Warp's CPU device."""
    return BatchedMpc(A1_LIKE, PARAMETERS, robots, admm=replace(AdmmParameters(), **changes))


def solve(mpc: BatchedMpc, problems: list[MpcProblem]) -> Array:
    """(B, N, 4, 3) planned forces [N]."""
    for name in FIELDS:
        values = np.array([getattr(problem, name) for problem in problems], dtype=np.float32)
        getattr(mpc.inputs, name).assign(values)
    mpc.inputs.mu.fill_(PARAMETERS.mu)
    mpc.solve()
    forces: Array = FORCE_UNIT * mpc.outputs.forces.numpy()
    return forces.reshape(*forces.shape[:2], 4, 3)


def error(problems: list[MpcProblem], forces: Array) -> float:
    """RMS of the first forces against a converged solution [N]."""
    exact = exact_osqp(A1_LIKE, PARAMETERS)
    expected = np.array([exact(problem) for problem in problems])
    return float(np.sqrt(np.mean((forces[:, 0] - expected) ** 2)))


def test_trot_forces_are_exact() -> None:
    """In a trot, from a cold start, the first forces are within 0.05 N RMS of the exact ones."""
    problems = record(TROT, PARAMETERS, 200)[::5]
    assert error(problems, solve(solver(len(problems)), problems)) <= 0.05


def test_forces_of_random_gaits_are_exact() -> None:
    """Gaits drawn at random saturate the cones; 0.5 N RMS hold there, too."""
    problems = wild_problems()
    mpc = solver(len(problems))
    assert error(problems, solve(mpc, problems)) <= 0.5


def test_every_force_lies_in_its_cone() -> None:
    """Friction and bounds of f_z hold after any number of iterations; swing feet push nothing."""
    problems = wild_problems()
    forces = solve(solver(len(problems), iterations=1), problems)
    stance = np.array([problem.stance for problem in problems])
    fx, fy, fz = np.moveaxis(forces, -1, 0)
    assert (fz >= PARAMETERS.fz_min).all() and (fz <= PARAMETERS.fz_max * (1.0 + 1e-6)).all()
    assert (np.maximum(abs(fx), abs(fy)) <= PARAMETERS.mu * fz + 1e-3).all()
    assert not forces[~stance].any() and forces[stance].any()


def test_the_last_solution_is_the_start_of_the_next() -> None:
    """Asked again, the solver is nearer to the exact forces; `reset` makes it forget."""
    problems = wild_problems()
    mpc = solver(len(problems), iterations=10)
    first = solve(mpc, problems)
    again = solve(mpc, problems)
    assert error(problems, again) < 0.5 * error(problems, first)
    mpc.reset()
    np.testing.assert_array_equal(solve(mpc, problems), first)


def test_one_bad_robot_spoils_no_other() -> None:
    """NaN in a state gives zero forces for that robot alone, and only for that tick."""
    problems = record(TROT, PARAMETERS, 60)[::10]
    good = solve(solver(len(problems)), problems)
    mpc = solver(len(problems))
    bad = [problems[0]._replace(x0=np.full(12, np.nan)), *problems[1:]]
    forces = solve(mpc, bad)
    assert not forces[0].any() and mpc.outputs.residual.numpy()[0] > 1e6
    np.testing.assert_array_equal(forces[1:], good[1:])
    np.testing.assert_array_equal(solve(mpc, problems)[0], good[0])


def test_a_horizon_that_does_not_fit_is_refused() -> None:
    """The message names the longest one."""
    with pytest.raises(ValueError, match=f"at most {LONGEST_HORIZON}"):
        BatchedMpc(A1_LIKE, replace(PARAMETERS, horizon=LONGEST_HORIZON + 1), 1)
