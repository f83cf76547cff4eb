"""Compare a trained gait policy with the tuned gait: energy by speed, and falls by push.

python tools/compare_gait.py CHECKPOINT_FOLDER --workers 4 --json comparison.json
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.envs.episodes import Score, mean_score, walk, walk_learner
from safe_locomotion.envs.gait_env import GaitEnv, GaitEnvOptions
from safe_locomotion.envs.workers import workers
from safe_locomotion.training.gait.evolution import CHECKPOINT, read_checkpoint
from safe_locomotion.training.gait.mlp import Mlp
from safe_locomotion.types import Estimate, Proposal, VelocityCommand

SPEEDS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # m/s
PUSHES = (15.0, 25.0, 35.0, 45.0)  # N s
PUSHED_SPEED = 0.4  # m/s


class Tuned:
    """The tuned gait with the interface of a learner."""

    def __init__(self, env: GaitEnv) -> None:
        self._gait = NominalGait(env.robot.robot, env.tuned_gait)

    def reset(self) -> None:
        """Do nothing: the tuned gait has no memory."""

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal:
        """The tuned gait for this command and estimate."""
        return Proposal(
            stamp_ns=estimate.stamp_ns,
            policy="nominal",
            kind="gait",
            gait=self._gait.gait(command, estimate),
        )


@dataclass(frozen=True)
class Cell:
    """One episode of a policy in a situation."""

    policy: str
    vx: float
    impulse: float
    seed: int


@dataclass(frozen=True)
class Comparison:
    """Makes, in a worker, the function from a cell to its score."""

    networks: dict[str, Mlp]
    duration: float

    def __call__(self) -> Callable[[Cell], Score]:
        """The function; it makes the environment of a situation at its first cell."""
        made: dict[tuple[float, float], GaitEnv] = {}

        def score(cell: Cell) -> Score:
            key = (cell.vx, cell.impulse)
            if key not in made:
                options = GaitEnvOptions(
                    duration=self.duration, command=VelocityCommand(vx=cell.vx), starts=2
                )
                pushed = replace(options, push_share=1.0, push_impulse=(cell.impulse, cell.impulse))
                made[key] = GaitEnv(pushed if cell.impulse else options)
            env = made[key]
            if cell.policy == "nominal":
                return walk_learner(env, Tuned(env), cell.seed)
            mlp = self.networks[cell.policy]
            return walk(env, lambda seen: env.step(mlp.act(seen)), cell.seed)

        return score


def main() -> None:
    """Walk all cells, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--episodes", type=int, default=4, help="at each speed; eight times as many at each push"
    )
    parser.add_argument("--duration", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = read_checkpoint(arguments.folder / CHECKPOINT)
    networks = {"best": found.best, "last": found.last}
    situations = [(vx, 0.0, arguments.episodes) for vx in SPEEDS]
    situations += [(PUSHED_SPEED, impulse, 8 * arguments.episodes) for impulse in PUSHES]
    rows = [(policy, *situation) for situation in situations for policy in ("nominal", *networks)]
    # Seeds that training never draws: its own lie below 2^31.
    cells = [
        Cell(policy, vx, impulse, 2**31 + k)
        for policy, vx, impulse, count in rows
        for k in range(count)
    ]
    table = []
    with workers(Comparison(networks, arguments.duration), arguments.workers) as scored:
        answers = iter(scored(cells))
        for policy, vx, impulse, count in rows:
            score = mean_score([next(answers) for _ in range(count)])
            table.append({"policy": policy, "vx": vx, "impulse": impulse, **asdict(score)})
            print(
                f"{policy:8} vx {vx:.1f}  push {impulse:4.0f}"
                f"  falls {score.falls:3d} of {score.episodes:3d}  power {score.power:6.1f} W"
                f"  cost of transport {score.cost_of_transport:6.3f}"
                f"  velocity error {score.velocity_error:.3f} m/s",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
