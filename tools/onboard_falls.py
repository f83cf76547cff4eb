"""Which falls of a random learner does the onboard pipeline have, and which seed shows each kind?

The episodes are those of `safe-locomotion evaluate`: the whole pipeline with estimator and sensor
noise, on a robot like its model. A fall gets the kind that `tools/supervised_falls.py` would give
it. An episode depends on its seed, so the line of a fall is also the command that shows it again.

    .venv/bin/python tools/onboard_falls.py trot --settings alone shipped --seed 0 --episodes 20
"""

import argparse
import time
from collections import deque
from math import inf

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_env import GaitEnv
from safe_locomotion.envs.random_gait import SIGMAS
from safe_locomotion.evaluation.cells import Cell
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.safety.capture_point import CAPTURE
from safe_locomotion.safety.trigger_set import TriggerSet
from safe_locomotion.training.gait.falls.last_seconds import (
    COLUMNS,
    LOADS,
    MEASURED,
    STEPS,
    Falls,
)
from safe_locomotion.training.gait.falls.study import Setting, settings_of
from safe_locomotion.training.gait.falls.taxonomy import Kind, kinds
from safe_locomotion.types import Mode

Row = dict[str, float]


class Walks:
    """Episodes of the random learner under one setting."""

    def __init__(
        self, task: str, setting: Setting, *, duration: float, start: int = 0, push: float = 0.0
    ) -> None:
        """Let the robot stand up.

        Args:
            task: key of `envs.gait_tasks.TASKS`.
            setting: of the supervisor.
            duration: of an episode [s].
            start: seed of the robot's start, whose sensor biases all episodes share.
            push: impulse of a push every 1.5 to 3 s [N s].
        """
        rule = load_config("a1").supervisor.intervention
        keys = tuple((f"supervisor.{key}", value) for key, value in setting.overrides)
        cell = Cell(
            task=task,
            sigma=SIGMAS[task],
            supervisor=rule.criterion,
            horizon=rule.horizon,
            duration=duration,
            push=push,
            overrides=keys,
        )
        self._cell = cell
        self._env = GaitEnv(cell.options(start))
        supervisor = self._env.config.supervisor
        box = TriggerSet(supervisor.trigger_set.bounds, supervisor.thresholds.fall_height)
        self._box = box.low, box.high

    def walk(self, seed: int) -> tuple[Kind | None, int]:
        """The kind of the fall, if there is one, and the number of steps of 8 ms."""
        env = self._env
        env.reset(seed=seed)
        env.host(RandomLearner(env.robot.robot, self._cell.task, seed, self._cell.sigma))
        rows: deque[Row] = deque(maxlen=STEPS)
        fell = late = False
        while not (fell or late):
            forces = env.robot.truth().foot_force.tolist()
            _, _, fell, late, info = env.advance()
            if env.pipeline.supervisor.mode is Mode.WALK:
                rows.append(self._row(forces, info["active"] == "recovery"))
        return (self._kind(rows, seed) if fell else None), env.steps

    def _row(self, forces: list[float], recovers: bool) -> Row:
        """Truth before a step, and the decision on it; columns that no kind needs are left out."""
        pipeline = self._env.pipeline
        assert pipeline.cycle is not None
        margins = dict(pipeline.cycle.verdict.margins)
        measured = (*pipeline.supervisor.intervention.measured, margins.get(CAPTURE, inf))
        return {
            "recovers": float(recovers),
            **dict(zip(LOADS, forces, strict=False)),
            **dict(zip(MEASURED, measured, strict=True)),
        }

    def _kind(self, rows: deque[Row], seed: int) -> Kind:
        trace = np.full((1, STEPS, len(COLUMNS)), np.nan, np.float32)
        for k, row in enumerate(rows, STEPS - len(rows)):
            for name, value in row.items():
                trace[0, k, COLUMNS.index(name)] = value
        falls = Falls(robots=np.array([0]), steps=np.array([seed]), traces=trace)
        return kinds(falls, *self._box)[0]


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=SIGMAS)
    parser.add_argument("--settings", nargs="+", default=["shipped"])
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument("--episodes", type=int, default=1, help="of each setting")
    parser.add_argument("--start", type=int, default=0, help="seed of the robot's sensor biases")
    parser.add_argument("--duration", type=float, default=12.0, help="of an episode [s]")
    parser.add_argument("--pushes", type=float, default=0.0, help="impulse each 1.5 to 3 s [N s]")
    parser.add_argument("--minutes", type=float, default=20.0, help="begin no episode after them")
    return parser.parse_args()


def main() -> None:
    """Walk, and print a line for each fall."""
    a = arguments()
    end = time.monotonic() + 60.0 * a.minutes
    pushed = f" --pushes {a.pushes:g}" if a.pushes else ""
    walks = {
        one.name: Walks(a.task, one, duration=a.duration, start=a.start, push=a.pushes)
        for one in settings_of(a.settings)
    }
    done = dict.fromkeys(walks, 0)
    falls = dict.fromkeys(walks, 0)
    for seed in range(a.seed, a.seed + a.episodes):
        for name, walk in walks.items():
            if time.monotonic() > end:
                break
            kind, steps = walk.walk(seed)
            done[name] += 1
            if kind is not None:
                falls[name] += 1
                flew = ", airborne" if kind.airborne else ""
                print(
                    f"{a.task} --settings {name} --start {a.start} --seed {seed}{pushed}: "
                    f"{kind.kind}, first {kind.first}"
                    f"{flew}, after {steps / RATE_HZ:.2f} s",
                    flush=True,
                )
    for name in walks:
        print(f"{name}: {falls[name]} of {done[name]} episodes fell")


if __name__ == "__main__":
    main()
