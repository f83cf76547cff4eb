"""How often an unsupervised random gait learner falls: python tools/random_falls.py --workers 4 --json falls.json."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from safe_locomotion.random_gait import RandomWalk
from safe_locomotion.training.episodes import RandomEpisodes, mean_score
from safe_locomotion.training.gait_env import GaitEnvOptions
from safe_locomotion.training.workers import workers
from safe_locomotion.types import VelocityCommand

SPEEDS = {"trot": 0.3, "catwalk": 0.3, "two_leg": 0.0}  # m/s


def main() -> None:
    """A table of tasks and sizes of the random walk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sigmas", default="0.02,0.03,0.05")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--duration", type=float, default=12.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cells = []
    for task, vx in SPEEDS.items():
        for sigma in (float(text) for text in arguments.sigmas.split(",")):
            options = GaitEnvOptions(task=task, duration=arguments.duration, command=VelocityCommand(vx=vx), starts=1)
            with workers(RandomEpisodes(options=options, walk=RandomWalk(sigma=sigma)), arguments.workers) as scored:
                score = mean_score(list(scored(range(arguments.episodes))))
            cells.append({"task": task, "sigma": sigma, **asdict(score)})
            print(f"{task:8} sigma {sigma:.3f}  falls {score.falls:2d} of {score.episodes}", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(cells, indent=2) + "\n")


if __name__ == "__main__":
    main()
