"""The evidence of docs/safety.md in one run: python tools/safety_evidence.py --workers 16 --minutes 30 --json evidence.json.

Cells come in groups, the most important first; within a group they grow together, so that a run that is out of time has fair figures.
A second run with the same file goes on where the first one was.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from safe_locomotion.cli.evaluate import draw, run_cells
from safe_locomotion.training.evaluation import SIGMA, Cell

HORIZONS = (0, 5, 10, 15, 20)
PUSHES = (20.0, 35.0, 50.0)  # N s
SLIPPERY, OFF_CENTRE = 0.4, 0.15  # friction; m before the centre of mass


def groups(random: Cell, policies: list[str]) -> list[list[Cell]]:
    """Cells in the order of their importance; the first of `policies` walks without pushes only."""
    criteria = [replace(random, supervisor=name) for name in ("off", "naive", "planning", "dwell", "ellipsoid", "critic")]
    horizons = [replace(random, horizon=w) for w in HORIZONS]
    boxes = [replace(random, trigger_set=box) for box in ("c2", "c3")]
    looks = [replace(random, horizon=w) for w in (0, 10, 20)]
    tasks = [replace(cell, task=task) for task in ("catwalk", "two_leg") for cell in (*criteria[:3], *looks)]
    walking = [replace(random, policy=name) for name in policies]
    pushed = [
        replace(cell, supervisor=name, push=push, friction=friction, push_offset=offset)
        for push, friction, offset in (*((push, random.friction, 0.0) for push in PUSHES), (PUSHES[0], SLIPPERY, OFF_CENTRE))
        for cell in walking[1:]
        for name in ("off", "reachability")
    ]
    hit = [replace(cell, push=PUSHES[1]) for cell in walking[1:]]
    choices = [replace(cell, supervisor=name) for name in ("naive", "planning", "dwell") for cell in hit]
    choices += [replace(cell, trigger_set="c3") for cell in hit]
    return [[*criteria, *horizons, *boxes], tasks, walking, pushed, choices]


def main() -> None:
    """Run, print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=4.5)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--sigma", type=float, default=SIGMA)
    parser.add_argument(
        "--calibrate", default="", help="sizes of the random walk, with commas: how often it falls, instead of the rest"
    )
    parser.add_argument("--duration", type=float, default=12.0)
    parser.add_argument("--policies", default="", help="shipped ones by name, with commas between them")
    parser.add_argument(
        "--groups", default="0,1,2,3,4", help="which groups: criteria, tasks, policies without pushes, with, by criterion"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--critic", type=Path, default=None, help="file of the safety critic; beside the JSON file when not given"
    )
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    a = parser.parse_args()
    deadline = time.time() + 60.0 * a.minutes
    policies = [name for name in a.policies.split(",") if name]
    every = groups(Cell(sigma=a.sigma, duration=a.duration), ["nominal", *policies])
    chosen = [every[int(index)] for index in a.groups.split(",")]
    if a.calibrate:
        sizes = [float(text) for text in a.calibrate.split(",")]
        chosen = [[Cell(sigma=size, duration=a.duration, supervisor=name) for size in sizes for name in ("off", "reachability")]]
    rows = run_cells(
        chosen,
        range(a.seed, a.seed + a.episodes),
        processes=a.workers,
        deadline=deadline,
        file=a.json,
        critic_file=a.critic or a.json.with_suffix(".critic.npz"),
    )
    if a.plot:
        draw(rows, a.plot)


if __name__ == "__main__":
    main()
