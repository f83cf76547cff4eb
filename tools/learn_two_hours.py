"""The 115 minutes of paper 1, figure 5, over the wire: three tasks, three seeds, two criteria.

    python tools/learn_two_hours.py --out runs/two_hours
    python tools/learn_two_hours.py --out runs/two_hours --tasks efficient --seeds 1 --updates 10

Each run is a `safe-locomotion learn` in a folder of its own. The same command goes on after an
interruption. After each update of a run the table `docs/data/paper1_fig5.json` is written again,
with the runs that are not finished marked as such. Numbers of updates follow the paper's minutes
of walking: 45 of the efficient gait, 29 of the catwalk, 28 of two legs.

With `--kills` a process of each run is killed (SIGKILL) from time to time. The table then counts
kills and what was lost.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs/data/paper1_fig5.json"
UPDATES = {"efficient": 84, "catwalk": 54, "two_leg": 105}
#: As on the paper's robot, and as in its simulation.
CRITERIA = {"dwell": ("--supervisor", "dwell"), "w10": ("--supervisor", "reachability")}
PERSON = "5@20"
LOOK_S = 5.0
KILLED = ("composed_node", "recorder_node", "follow")  #: words in the command lines of what dies
FIRST = 3  #: updates of which a cell keeps the mean as the beginning, and as the end
CURVES = ("reward", "recovery_share", "falls", "energy_j_per_m", "width_m", "streak_s")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One learning."""

    task: str
    seed: int
    criterion: str
    updates: int
    folder: Path
    start: str = "scratch"

    def command(self) -> list[str]:
        """Command line."""
        return [
            *(sys.executable, "-m", "safe_locomotion.cli.main", "learn"),
            *("--task", self.task, "--seed", str(self.seed), "--from", self.start),
            *("--updates", str(self.updates), "--record", str(self.folder)),
            *("--person", PERSON, *CRITERIA[self.criterion]),
        ]


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """All runs, the criterion of the paper's robot first."""
    for criterion in options.criteria:
        for seed in range(options.seeds):
            for task in options.tasks:
                yield Run(
                    task=task,
                    seed=seed,
                    criterion=criterion,
                    updates=options.updates or UPDATES[task],
                    folder=options.out / f"{task}-{criterion}-s{seed}",
                    start=options.two_leg_from if task == "two_leg" else "scratch",
                )


def read(path: Path) -> dict[str, Any]:
    """A JSON file; empty before it exists."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def mean(history: Sequence[dict[str, float]], name: str, part: slice) -> float | None:
    """Mean of a figure over some updates."""
    values = [row[name] for row in history[part] if name in row]
    return round(sum(values) / len(values), 4) if values else None


def cell(run: Run) -> dict[str, Any] | None:
    """Figures of a run so far; None before its first update."""
    status = read(run.folder / "learning.json")
    flight = read(run.folder / "flight.json")
    history = status.get("history", [])
    if not history:
        return None
    ends = {
        f"{when}_{name}": mean(history, name, part)
        for name in CURVES
        for when, part in (("first", slice(0, FIRST)), ("last", slice(-FIRST, None)))
    }
    robot_s = flight.get("robot_s", 0.0)
    wall_s = flight.get("wall_s", 0.0)
    return {
        "task": run.task,
        "robot": status["options"]["robot"],
        "criterion": run.criterion,
        "seed": run.seed,
        "start": run.start,
        "updates": len(history),
        "finished": len(history) >= run.updates,
        "steps": int(sum(row["steps"] for row in history)),
        "trajectories": len(history) * status["wanted"],
        "walking_min": round(flight.get("walking_s", 0.0) / 60.0, 2),
        "robot_min": round(robot_s / 60.0, 2),
        "wall_min": round(wall_s / 60.0, 1),
        "real_time_factor": round(robot_s / wall_s, 3) if wall_s else None,
        "falls": len(flight.get("falls", [])),
        "fall_list": flight.get("falls", []),
        "faults": flight.get("faults", []),
        "pauses": flight.get("pauses", {}),
        "restarts": len(flight.get("restarts", [])),
        "rejected": len(status.get("rejected", [])),
        "share": mean(history, "recovery_share", slice(None)),
        "reward": ends["last_reward"],
        **ends,
        "curves": {name: [round(row[name], 4) for row in history] for name in CURVES},
    }


def write_table(options: argparse.Namespace, wanted: Sequence[Run]) -> None:
    """Write the table of all runs so far."""
    cells = [found for run in wanted if (found := cell(run)) is not None]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    content = {
        "command": "python tools/learn_two_hours.py " + " ".join(options.words),
        "commit": commit,
        "device": f"{os.cpu_count()} processor cores, lock-step",
        "minutes": round(sum(found["wall_min"] for found in cells), 1),
        "person": PERSON,
        "cells": cells,
    }
    options.table.parent.mkdir(parents=True, exist_ok=True)
    new = options.table.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(options.table)


def kill_one(parent: int, rng: random.Random) -> None:
    """Kill one process of a run that our child started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    mortal = []
    for child in children:
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
        if any(word in words for word in KILLED):
            mortal.append(int(child))
    if mortal:
        os.kill(rng.choice(mortal), signal.SIGKILL)


def learn(run: Run, options: argparse.Namespace, wanted: Sequence[Run]) -> int:
    """Go through one run; its exit status."""
    run.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(run.seed)
    with (run.folder / "learn.log").open("ab") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        child = subprocess.Popen(run.command(), stdout=log, stderr=log, env=environment, cwd=ROOT)
    try:
        due = time.monotonic() + options.kills if options.kills else None
        updates = -1
        while child.poll() is None:
            time.sleep(LOOK_S)
            made = int(read(run.folder / "learning.json").get("updates", 0))
            if made != updates:
                updates = made
                write_table(options, wanted)
            if due is not None and time.monotonic() >= due:
                kill_one(child.pid, rng)
                due = time.monotonic() + options.kills * rng.uniform(0.5, 1.5)
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        child.wait()
        raise
    return child.returncode


def main() -> int:
    """Run what is not finished; return 130 when a person ended it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--tasks", nargs="+", choices=tuple(UPDATES), default=list(UPDATES))
    parser.add_argument("--criteria", nargs="+", choices=tuple(CRITERIA), default=list(CRITERIA))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=0, help="of each run; 0 for the paper's")
    parser.add_argument(
        "--two-leg-from", default="scratch", help="policy file, as the paper's robot began with"
    )
    parser.add_argument("--kills", type=float, default=0.0, help="mean time between kills [s]")
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    options.words = sys.argv[1:]
    options.out = options.out.resolve()
    wanted = list(runs(options))
    try:
        for run in wanted:
            status = learn(run, options, wanted)
            write_table(options, wanted)
            if status:
                sys.stderr.write(f"{run.folder}: ended with status {status}, see learn.log\n")
                return status
    except KeyboardInterrupt:
        write_table(options, wanted)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
