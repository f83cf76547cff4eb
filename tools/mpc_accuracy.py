"""Measure the onboard MPC on recorded ticks of trots and random gaits of the simulated A1.

    .venv/bin/python tools/mpc_accuracy.py [--ticks 1500] [--replays 4] [--only trot,random-alone]

It takes about two minutes. The problems of each walk are recorded in closed loop, noisy sensors and
pushes included, and then replayed in order to a fresh solver. A fall begins the next walk, and the
ticks of the fall count. Errors are those of the first forces of the feet that push, against the
active set solver daqp. Times are the least of all replays of each tick.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter_ns

import numpy as np

from safe_locomotion.bench.mpc_alternatives import SolveForces, condensed_daqp
from safe_locomotion.bench.timing import collector_off
from safe_locomotion.config import load_config
from safe_locomotion.control.mpc import ConvexMpc, MpcAnswer
from safe_locomotion.control.mpc_problem import MpcProblem
from safe_locomotion.envs.gait_env import GaitEnv
from safe_locomotion.envs.random_gait import NAME as RANDOM
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import Array

WALKS = {
    "trot": Cell(supervisor="off", policy=NOMINAL),
    "trot-pushed": Cell(supervisor="off", policy=NOMINAL, push=25.0),
    "random": Cell(),
    "random-pushed": Cell(push=20.0),
    "random-alone": Cell(supervisor="off"),
    "random-alone-pushed": Cell(supervisor="off", push=20.0),
}
"""Walks by name; the random learner has the supervisor as shipped, or walks alone."""
ROBOT = load_robot("a1")
MODEL = CentroidalModel(mass=ROBOT.mass, inertia=ROBOT.inertia)
PARAMETERS = load_config("a1").mpc.solver


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One problem, the friction that the solver assumed, and whether a walk begins with it."""

    problem: MpcProblem
    mu: float
    first: bool


class ListeningMpc(ConvexMpc):
    """The onboard solver, which keeps its problems."""

    def __init__(self) -> None:
        super().__init__(MODEL, PARAMETERS)
        self.ticks: list[Tick] = []

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        """The answer; the problem is kept."""
        self.ticks.append(Tick(problem=problem, mu=self.mu, first=not self.ticks))
        return super().solve(problem)


def record(cell: Cell, count: int) -> list[Tick]:
    """The first `count` ticks of as many walks as it takes."""
    env = GaitEnv(cell.options(0))
    ticks: list[Tick] = []
    seed = 0
    while len(ticks) < count:
        env.reset(seed=seed)
        learner = RandomLearner(env.robot.robot, cell.task, seed, cell.sigma)
        env.host(learner if cell.policy == RANDOM else None)
        mpc = ListeningMpc()
        env.pipeline.locomotion.mpc = mpc
        done = False
        while not done and len(ticks) + len(mpc.ticks) < count:
            _, _, fell, late, _ = env.advance()
            done = fell or late
        ticks += mpc.ticks
        seed += 1
    return ticks


def answers(ticks: list[Tick]) -> Iterator[tuple[MpcAnswer, float]]:
    """The solver's answer to each tick and its time [ms], with the first forces included."""
    for tick in ticks:
        if tick.first:
            solver = ConvexMpc(MODEL, PARAMETERS)
        start = perf_counter_ns()
        solver.assume_friction(tick.mu)
        answer = solver.solve(tick.problem)
        _ = answer.forces
        yield answer, 1e-6 * (perf_counter_ns() - start)


@lru_cache(maxsize=8)
def exact(mu: float) -> SolveForces:
    """An exact solver for this friction."""
    return condensed_daqp(MODEL, replace(PARAMETERS, mu=mu))


def row(name: str, ticks: list[Tick], replays: int) -> str:
    """One line of the table."""
    with collector_off():
        runs = [list(answers(ticks)) for _ in range(replays)]
    found = [answer for answer, _ in runs[0]]
    times = np.array([[spent for _, spent in run] for run in runs]).min(axis=0)
    errors: list[Array] = []
    for answer, tick in zip(found, ticks, strict=True):
        error = answer.forces - exact(tick.mu)(tick.problem)
        errors.append(error[tick.problem.stance[0]].ravel())
    error = np.abs(np.concatenate(errors))
    steps = [answer.steps for answer in found]
    cells = (
        name,
        str(len(ticks)),
        f"{np.sqrt(np.mean(error**2)):.3f} / {error.max():.1f}",
        f"{100.0 * np.mean([not answer.ok for answer in found]):.2f}",
        f"{np.mean(steps):.2f} / {np.percentile(steps, 99):.0f}",
        f"{np.median(times):.3f} / {np.mean(times):.3f} / {np.percentile(times, 99):.3f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Record and replay each walk, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ticks", type=int, default=1500, help="of each walk")
    parser.add_argument("--replays", type=int, default=4)
    parser.add_argument("--only", default=",".join(WALKS), help="walks, by name")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = sorted(set(names) - set(WALKS))
    if unknown:
        parser.error(f"unknown walk {', '.join(unknown)}; choose from {', '.join(WALKS)}")
    print("| walk | ticks | error RMS / max [N] | not ok [%] | steps, mean / p99 |", end="")
    print(" time, p50 / mean / p99 [ms] |")
    print("|---" * 6 + "|", flush=True)
    for name in names:
        print(row(name, record(WALKS[name], options.ticks), options.replays), flush=True)


if __name__ == "__main__":
    main()
