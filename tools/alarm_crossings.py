"""Shares of robots that cross the tiles of ALARM's terrain, after a training.

    .venv/bin/python tools/alarm_crossings.py runs/alarm --device cuda:0
    .venv/bin/python tools/alarm_crossings.py runs/alarm --device cpu --robots 1 --levels 0 3

The robots walk in the world of the training, without exploration. The teacher's row says what the
policy does when it sees the truth, the student's row what it does on a robot.
"""

import argparse
import json
from pathlib import Path

from safe_locomotion.sim.tiles import KINDS, LEVELS
from safe_locomotion.training.joint.alarm.crossings import (
    SPEED,
    STUDENT,
    TEACHER,
    Crossings,
    measure_crossings,
    robot_of,
    tiles_world,
    trained_agent,
)


def show(name: str, found: Crossings, levels: tuple[int, ...]) -> None:
    """Print the shares [%], crossed and fallen."""
    print(f"\n{name}: crossed / fallen [%]")
    print(f"{'level':14}" + "".join(f"{level:>9}" for level in levels))
    for kind, crossed, fallen in zip(KINDS, found.crossed, found.fallen, strict=True):
        cells = (f"{100 * c:4.0f}/{100 * f:<4.0f}" for c, f in zip(crossed, fallen, strict=True))
        print(f"{kind:14}" + "".join(cells))
    parts = (f"{cost} {value:.2f}" for cost, value in found.violations.items())
    print(f"costs per 1,000 steps: {', '.join(parts)}")


def main() -> None:
    """Measure one training and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the training")
    parser.add_argument("--device", default="cuda:0", help="of torch")
    parser.add_argument("--robots", type=int, default=20, help="on each tile")
    parser.add_argument("--levels", type=int, nargs="+", default=list(range(LEVELS)))
    parser.add_argument("--speed", type=float, default=SPEED, help="commanded [m/s]")
    parser.add_argument("--randomised", action="store_true", help="as in the training")
    parser.add_argument("--json", type=Path, help="file of the results")
    args = parser.parse_args()
    levels = tuple(args.levels)
    results = {}
    for name, beta in (("teacher", TEACHER), ("student", STUDENT)):
        world = tiles_world(
            robot_of(args.folder),
            robots=args.robots,
            levels=levels,
            speed=args.speed,
            randomised=args.randomised,
            device=args.device,
        )
        agent = trained_agent(args.folder, world)
        if agent.variant.beta == "student" and beta == TEACHER:
            continue
        found = measure_crossings(agent, world, beta)
        show(name, found, levels)
        results[name] = {
            "levels": levels,
            "kinds": KINDS,
            "crossed": found.crossed.tolist(),
            "fallen": found.fallen.tolist(),
            "violations_per_1000": found.violations,
        }
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
