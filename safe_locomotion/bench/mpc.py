"""MPC beside alternatives on the same problems: time per tick and error of the first force."""

import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from safe_locomotion.bench import mpc_alternatives as alternatives
from safe_locomotion.bench.mpc_problems import A1_LIKE, PUSHED, STAND, TROT, Scenario, record
from safe_locomotion.bench.timing import REPLAYS, collector_off, figures
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.types import Array

LEAD_IN = 10
WHAT = {
    "mpc": "MpcProblem to forces, as the robot runs it",
    "mpc_textbook_osqp": "the sparse QP in newtons on OSQP's defaults, warm started",
    "mpc_daqp": "the QP in the stance forces, condensed in numpy, on daqp",
    "mpc_proxqp": "the QP in the stance forces, condensed in numpy, on proxqp dense, warm started",
}
Build = Callable[[CentroidalModel, MpcParameters], alternatives.Split]


def ours(model: CentroidalModel, parameters: MpcParameters) -> alternatives.Split:
    """`ConvexMpc` as the robot runs it."""
    mpc = ConvexMpc(model, parameters)
    return alternatives.Split(
        mpc.matrices.fill, lambda problem, _: mpc.solve_filled(problem).forces
    )


SOLVERS: dict[str, Build] = {
    "mpc": ours,
    "mpc_textbook_osqp": alternatives.textbook_osqp,
    "mpc_daqp": alternatives.condensed_daqp,
    "mpc_proxqp": alternatives.condensed_proxqp,
}


def run(
    problems: list[MpcProblem] | None = None,
    *,
    parameters: MpcParameters | None = None,
    model: CentroidalModel = A1_LIKE,
    count: int = 1000,
    scenario: Scenario = TROT,
    only: tuple[str, ...] = tuple(SOLVERS),
    replays: int = REPLAYS,
) -> dict[str, Any]:
    """Replay problems, in order, to every solver.

    Every solver gets the sequence `replays` times; see `timing.figures`. The solvers take turns,
    so that the load of the machine affects all of them alike.

    Args:
        problems: problems of consecutive ticks; None records `count` of them from `scenario`.
        only: names of SOLVERS to run.

    Returns:
        `stages.<name>`: figures of the whole tick, build_p50_ms of writing the matrices, and
        solve_p50_ms and solve_p99_ms of the solver with its own update. `accuracy.<name>`:
        u0_rms_n, u0_max_n and cone_violation_n against the same QP, solved to 1e-9.
        `missing`: {name: reason} of solvers whose package is not installed.
    """
    parameters = parameters or MpcParameters()
    problems = problems or record(scenario, parameters, count, model)
    reference = alternatives.exact_osqp(model, parameters)
    exact = np.array([reference(problem) for problem in problems])
    report: dict[str, Any] = {"stages": {}, "accuracy": {}, "missing": {}}
    solvers = {}
    for name in only:
        try:
            solvers[name] = SOLVERS[name](model, parameters)
        except ImportError as error:
            report["missing"][name] = f"needs {error.name}, which is not installed"
    spent = {name: np.zeros((replays, len(problems), 2)) for name in solvers}
    with collector_off():
        for replay in range(replays):
            for name, solver in solvers.items():
                spent[name][replay], forces = _replay(solver, problems)
                report["accuracy"][name] = _accuracy(forces, exact, parameters)
    report["stages"] = {
        name: {**_split_figures(times), "what": WHAT[name]} for name, times in spent.items()
    }
    return report


def _replay(solver: alternatives.Split, problems: list[MpcProblem]) -> tuple[Array, Array]:
    """Milliseconds (n, 2) of build and solve, and forces (n, 4, 3), of one pass after LEAD_IN."""
    for _ in range(LEAD_IN):
        solver(problems[0])
    spent = np.empty((len(problems), 2))
    forces = np.empty((len(problems), 4, 3))
    for i, problem in enumerate(problems):
        start = perf_counter_ns()
        built = solver.build(problem)
        between = perf_counter_ns()
        forces[i] = solver.solve(problem, built)
        end = perf_counter_ns()
        spent[i] = (between - start, end - between)
    return spent * 1e-6, forces


def _split_figures(times: Array) -> dict[str, Any]:
    build = times[..., 0]
    solve = times[..., 1]
    return {
        **figures(build + solve),
        "build_p50_ms": float(np.median(build)),
        "solve_p50_ms": float(np.median(solve)),
        "solve_p99_ms": float(np.percentile(solve, 99)),
    }


def _accuracy(forces: Array, exact: Array, parameters: MpcParameters) -> dict[str, float]:
    error = forces - exact
    normal = forces[:, :, 2]
    outside = np.abs(forces[:, :, :2]).max(axis=2) - parameters.mu * normal
    violation = max(0.0, outside.max(), -normal.min(), normal.max() - parameters.fz_max)
    return {
        "u0_rms_n": float(np.sqrt((error**2).mean())),
        "u0_max_n": float(np.abs(error).max()),
        "cone_violation_n": float(violation),
    }


if __name__ == "__main__":
    slippery = MpcParameters(mu=0.25)
    cases = {
        "trot": run(),
        "trot_pushed": run(scenario=PUSHED, only=("mpc",)),
        "trot_mu_0.25": run(parameters=slippery, only=("mpc",)),
        "stand": run(scenario=STAND, count=300),
    }
    json.dump(cases, sys.stdout, indent=1)
