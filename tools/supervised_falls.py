"""Why do supervised robots fall, and which setting of the supervisor helps?

Thousands of robots, each with a floor, a payload and motors of its own, walk under an untrained
learner. Every setting sees the same robots and gaits. The tables give falls per hour of walking,
the share of recovery, the kinds of the falls, and what the robots that fell have in common.

    .venv/bin/python tools/supervised_falls.py trot --device cuda:0 --robots 4000 --rounds 10
    .venv/bin/python tools/supervised_falls.py trot --settings alone shipped intervention.horizon=15
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.envs.random_gait import SIGMAS
from safe_locomotion.safety.trigger_set import TriggerSet
from safe_locomotion.sim.falls import FAILURE_HEIGHT
from safe_locomotion.training.devices import device_name
from safe_locomotion.training.gait.falls.last_seconds import COLUMNS, Falls, joined
from safe_locomotion.training.gait.falls.study import STEPS, Study, StudyOptions, settings_of
from safe_locomotion.training.gait.falls.taxonomy import kinds, rates, shares
from safe_locomotion.training.gait.world.world import WorldOptions

EXAMPLES = 20  #: falls of each setting whose last second is kept


def described(study: Study, falls: Falls) -> list[dict[str, Any]]:
    """What became of each setting, in numbers."""
    out = []
    options = study.options
    owner = study.setting_of(falls.robots)
    for k, (row, setting) in enumerate(zip(study.rows(), options.settings, strict=True)):
        mine = Falls(*(values[owner == k] for values in falls))
        box = TriggerSet(setting.supervisor(options.world.robot).trigger_set.bounds, FAILURE_HEIGHT)
        found = kinds(mine, np.array(box.low), np.array(box.high))
        first = k * options.robots
        out.append(
            {
                **row._asdict(),
                "per_hour": row.falls / row.hours,
                **{name: dict(counts) for name, counts in shares(found).items()},
                "drawn": rates(mine.robots - first, row.hours, study.drawn_once),
            }
        )
    return out


def show(rows: list[dict[str, Any]]) -> None:
    """The tables."""
    print(f"{'setting':52} {'hours':>7} {'falls':>6} {'per hour':>9} {'recovery':>9}")
    for row in rows:
        print(
            f"{row['name']:52} {row['hours']:7.2f} {row['falls']:6d} {row['per_hour']:9.3f} "
            f"{100.0 * row['recovery']:7.1f} %"
        )
    for row in rows:
        if row["falls"]:
            print(f"\n{row['name']}")
            for name in ("kind", "first", "airborne"):
                print(f"  {name:9}", ", ".join(f"{k} {n}" for k, n in row[name].items()))
            for name, thirds in row["drawn"].items():
                cells = (f"{third['mean']:.2f}: {third['per_hour']:.2f}" for third in thirds)
                print(f"  {name:9}", ", ".join(cells), "falls per hour")


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=SIGMAS)
    parser.add_argument("--settings", nargs="+", default=["alone", "shipped"])
    parser.add_argument("--robot", default="a1")
    parser.add_argument("--robots", type=int, default=2000, help="of each setting")
    parser.add_argument("--rounds", type=int, default=5, help="of walking")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a round, of 8 ms each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--equal", action="store_true", help="robots do not differ from the model")
    parser.add_argument("--physics-ms", type=float, default=1.0, help="time step of the physics")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no round after them")
    parser.add_argument("--device", default="cuda:0", help="of torch")
    parser.add_argument("--json", type=Path, help="file of the tables")
    parser.add_argument("--traces", type=Path, help="file (npz) of some falls' last seconds")
    return parser.parse_args()


def main() -> None:
    """Walk, print and write."""
    a = arguments()
    load_config(a.robot)
    world = WorldOptions(robot=a.robot, physics_ms=a.physics_ms, device=a.device)
    options = StudyOptions(
        task=a.task,
        settings=settings_of(a.settings),
        robots=a.robots,
        seed=a.seed,
        steps=a.steps,
        drawn=not a.equal,
        world=world,
    )
    study = Study(options)
    end = time.monotonic() + 60.0 * a.minutes
    parts = []
    for number in range(a.rounds):
        if time.monotonic() > end:
            break
        parts.append(study.round(number))
        counts = [row.falls for row in study.rows()]
        print(f"round {number + 1} of {a.rounds}: falls {counts}", flush=True)
    falls = joined(parts)
    rows = described(study, falls)
    show(rows)
    if a.json:
        found = {"device": device_name(a.device), "options": asdict(options), "rows": rows}
        a.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if a.traces:
        owner = study.setting_of(falls.robots)
        kept = np.concatenate(
            [np.flatnonzero(owner == k)[:EXAMPLES] for k in range(len(options.settings))]
        ).astype(int)
        np.savez_compressed(
            a.traces,
            columns=np.array(COLUMNS),
            setting=owner[kept],
            robot=falls.robots[kept],
            step=falls.steps[kept],
            traces=falls.traces[kept],
        )


if __name__ == "__main__":
    main()
