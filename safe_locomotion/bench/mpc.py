"""MPC: time per tick and error of the first force, ours beside the alternatives, on the same problems in the same run."""

import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from safe_locomotion.bench import mpc_alternatives as alternatives
from safe_locomotion.bench.mpc_problems import A1_LIKE, PUSHED, STAND, TROT, Scenario, record
from safe_locomotion.centroidal import CentroidalModel
from safe_locomotion.mpc import ConvexMpc, MpcParameters, MpcProblem
from safe_locomotion.types import Array

REPLAYS, LEAD_IN = 4, 10
Build = Callable[[CentroidalModel, MpcParameters], alternatives.SolveForces]


def ours(model: CentroidalModel, parameters: MpcParameters) -> alternatives.SolveForces:
    """`ConvexMpc` as the robot runs it."""
    mpc = ConvexMpc(model, parameters)
    return lambda problem: mpc.solve(problem).forces


SOLVERS: dict[str, Build] = {
    "mpc": ours,
    "mpc_textbook_osqp": alternatives.textbook_osqp,
    "mpc_daqp": alternatives.condensed_daqp,
    "mpc_proxqp": alternatives.condensed_proxqp,
}


def run(
    problems: list[MpcProblem] | None = None, *, parameters: MpcParameters | None = None, model: CentroidalModel = A1_LIKE,
    count: int = 1000, scenario: Scenario = TROT, only: tuple[str, ...] = tuple(SOLVERS),
) -> dict[str, Any]:  # fmt: skip
    """Replay problems, in order, to every solver.

    Every solver sees the sequence REPLAYS times. p50, p99 and max are over all ticks; quiet figures over the best replay of each
    tick, which leaves out what other processes of a shared machine did. Solvers take turns, so all share the same disturbances.

    Args:
        problems: consecutive ticks; recorded from `scenario` when not given.
        only: names of SOLVERS to run; one whose package is not installed is left out and named under `missing`.

    Returns:
        `stages.<name>`: p50_ms, p99_ms, max_ms, n, quiet_p50_ms, quiet_p99_ms, and `accuracy.<name>`: u0_rms_n, u0_max_n,
        cone_violation_n, against the same QP solved to 1e-9.
    """
    parameters = parameters or MpcParameters()
    problems = problems or record(scenario, parameters, count, model)
    reference = alternatives.exact_osqp(model, parameters)
    exact = np.array([reference(problem) for problem in problems])
    report: dict[str, Any] = {"stages": {}, "accuracy": {}, "missing": []}
    solvers = {}
    for name in only:
        try:
            solvers[name] = SOLVERS[name](model, parameters)
        except ImportError:
            report["missing"].append(name)
    spent = {name: np.zeros((REPLAYS, len(problems))) for name in solvers}
    for replay in range(REPLAYS):
        for name, solve in solvers.items():
            spent[name][replay], forces = _replay(solve, problems)
            report["accuracy"][name] = _accuracy(forces, exact, parameters)
    report["stages"] = {name: _figures(times) for name, times in spent.items()}
    return report


def _replay(solve: alternatives.SolveForces, problems: list[MpcProblem]) -> tuple[Array, Array]:
    """Milliseconds (n,) and forces (n, 4, 3) of one pass; LEAD_IN ticks on its first problem are not counted."""
    for _ in range(LEAD_IN):
        solve(problems[0])
    spent, forces = np.empty(len(problems)), np.empty((len(problems), 4, 3))
    for i, problem in enumerate(problems):
        start = perf_counter_ns()
        forces[i] = solve(problem)
        spent[i] = (perf_counter_ns() - start) * 1e-6
    return spent, forces


def _figures(times: Array) -> dict[str, float]:
    quiet = times.min(axis=0)
    return {
        "p50_ms": float(np.median(times)),
        "p99_ms": float(np.percentile(times, 99)),
        "max_ms": float(times.max()),
        "n": times.size,
        "quiet_p50_ms": float(np.median(quiet)),
        "quiet_p99_ms": float(np.percentile(quiet, 99)),
    }


def _accuracy(forces: Array, exact: Array, parameters: MpcParameters) -> dict[str, float]:
    error = forces - exact
    outside = np.abs(forces[:, :, :2]).max(axis=2) - parameters.mu * forces[:, :, 2]
    return {
        "u0_rms_n": float(np.sqrt((error**2).mean())),
        "u0_max_n": float(np.abs(error).max()),
        "cone_violation_n": float(max(0.0, outside.max(), -forces[:, :, 2].min(), forces[:, :, 2].max() - parameters.fz_max)),
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
