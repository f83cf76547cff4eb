"""The evidence for the supervisor in one run: cells and a picture.

python tools/safety_evidence.py --workers 16 --minutes 30 --json evidence.json

Cells come in groups, the most important first. Within a group they grow together, so a run that is
out of time has useful figures. A second run with the same file continues.
"""

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safe_locomotion.cli.evaluate.run import run_cells
from safe_locomotion.cli.evaluate.tables import draw
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.random_gait import NAME as RANDOM
from safe_locomotion.envs.random_gait import SIGMAS
from safe_locomotion.evaluation.cells import SUPERVISORS, Cell
from safe_locomotion.policy.file import find_policy, read_policy

TASKS = ("trot", "catwalk", "two_leg")
HORIZONS = (5, 10, 15, 20)  # w = 0 is `naive`
BASELINES = ("ellipsoid", "critic")  # the critic judges gaits, so no joint policy
STEP_S = 1.0 / RATE_HZ
HIT = 35.0  # N s
OTHERS = (20.0, 50.0)  # N s
BOX_ALONE = ("supervisor.intervention.capture", False)  # as in the paper
SLIPPERY = {"push": 20.0, "friction": 0.4, "push_offset": 0.15}  # N s; m before the centre of mass


def groups(random: Cell, policies: list[str]) -> dict[str, list[Cell]]:
    """Groups of cells, the most important first.

    The first of `policies` walks without pushes only.
    """
    walking = [replace(random, policy=name) for name in policies]
    pushed = walking[1:]
    walked = {task: replace(random, task=task, sigma=SIGMAS[task]) for task in TASKS}
    hit = [replace(one, push=HIT) for one in pushed]
    slipped = [replace(one, **SLIPPERY) for one in pushed]
    return {
        **{task: grid(cell, BASELINES) for task, cell in walked.items()},
        "walking": walking,
        "pushed": [cell for one in hit for cell in grid(one, baselines(one.policy))],
        "slippery": [cell for one in slipped for cell in grid(one, baselines(one.policy))],
        "others": [
            replace(one, push=push, supervisor=name)
            for one in pushed
            for push in OTHERS
            for name in ("off", "naive", "reachability", "planning")
        ],
        "box": [
            replace(cell, overrides=(BOX_ALONE,))
            for one in (*walked.values(), *hit)
            for cell in supervised(one)
        ],
    }


def baselines(policy: str) -> tuple[str, ...]:
    """Baselines that can judge a policy."""
    return BASELINES if read_policy(find_policy(policy))[0].kind == "gait" else BASELINES[:1]


def grid(cell: Cell, others: tuple[str, ...]) -> list[Cell]:
    """Every criterion, w and box, and the baselines `others`, for what `cell` simulates."""
    return [
        replace(cell, supervisor="off"),
        *supervised(cell),
        *(replace(cell, supervisor=name) for name in others),
    ]


def supervised(cell: Cell) -> list[Cell]:
    """Every criterion that intervenes, w and box."""
    return [
        replace(cell, supervisor="naive"),
        *(replace(cell, horizon=w) for w in HORIZONS),
        replace(cell, supervisor="planning"),
        replace(cell, supervisor="dwell"),
        *(replace(cell, trigger_set=box) for box in ("c2", "c3")),
    ]


def condition(row: Mapping[str, Any]) -> str:
    """What a row simulates, without the supervisor."""
    words = [row["task"] if row["policy"] == RANDOM else row["policy"]]
    if row["push"]:
        words.append(f"{row['push']:g} N s")
    if row["push_offset"]:
        words.append(f"off centre, friction {row['friction']:g}")
    return ", ".join(words)


def rule(row: Mapping[str, Any]) -> str:
    """The supervisor of a row."""
    words = [f"{row['supervisor']} {row['horizon']}" if row["horizon"] else row["supervisor"]]
    if row["trigger_set"] != "c1":
        words.append(row["trigger_set"])
    if row["overrides"]:
        words.append("box alone")
    return ", ".join(words)


def rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Order of the rules: none, as shipped, the box alone, baselines.

    Within these the configured box comes first; then criterion and w count.
    """
    supervisor = row["supervisor"]
    kind = (
        0 if supervisor == "off" else 2 if row["overrides"] else 3 if supervisor in BASELINES else 1
    )
    return kind, row["trigger_set"], SUPERVISORS.index(supervisor), row["horizon"]


def matrix(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rules against conditions, as Markdown.

    A cell says how many of its episodes fell, and the share of steps under recovery.
    """
    conditions = list(dict.fromkeys(map(condition, rows)))
    rules = list(dict.fromkeys(map(rule, sorted(rows, key=rank))))
    cells = {
        (rule(row), condition(row)): f"{row['falls']} of {row['episodes']}"
        + (f", {100.0 * row['share']:.1f} %" if row["supervisor"] != "off" else "")
        for row in rows
    }
    lines = [["", *conditions], ["---"] * (1 + len(conditions))]
    lines += [[name, *(cells.get((name, what), "") for what in conditions)] for name in rules]
    return _markdown(lines)


def details(rows: Sequence[Mapping[str, Any]]) -> str:
    """One condition with intervals of 95 %, as Markdown."""
    headings = (
        "",
        "fell",
        "Wilson [%]",
        "uses",
        "steps under recovery [%]",
        "in trigger set [%]",
        "a use lasts [ms]",
    )
    lines = [headings, ("---",) * len(headings)]
    for row in sorted(rows, key=rank):
        low, high = row["falls_interval"]
        least, most = row["share_interval"]
        recovered = row["uses"] > 0
        share = f"{100.0 * row['share']:.1f} ({100.0 * least:.1f} to {100.0 * most:.1f})"
        lasts = 1e3 * STEP_S * sum(row["results"]["recovery_steps"]) / max(1, row["uses"])
        lines.append(
            (
                rule(row),
                f"{row['falls']} of {row['episodes']}",
                f"{100.0 * low:.1f} to {100.0 * high:.1f}",
                str(row["uses"]) if recovered else "-",
                share if recovered else "-",
                f"{100.0 * row['triggered']:.1f}",
                f"{lasts:.0f}" if recovered else "-",
            )
        )
    return _markdown(lines)


def _markdown(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=4.5, help="of wall-clock time")
    parser.add_argument("--episodes", type=int, default=100, help="in each cell")
    parser.add_argument(
        "--calibrate",
        default="",
        help="step sizes of the random walk, with commas: how often it falls on each task; "
        "nothing else is walked",
    )
    parser.add_argument("--duration", type=float, default=12.0, help="of an episode [s]")
    parser.add_argument("--policies", default="", help="names of shipped policies, with commas")
    parser.add_argument(
        "--groups",
        default="",
        help="names with commas: trot, catwalk, two_leg, walking, pushed, slippery, others, box; "
        "all when empty",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument(
        "--critic",
        type=Path,
        default=None,
        help="file of the safety critic; the default lies beside the JSON file",
    )
    parser.add_argument("--json", type=Path, required=True, help="file of the results")
    parser.add_argument("--plot", type=Path, help="picture of the rules on trot")
    return parser.parse_args()


def chosen(a: argparse.Namespace) -> list[list[Cell]]:
    """Groups of cells that the options ask for."""
    if a.calibrate:
        unsupervised = Cell(duration=a.duration, supervisor="off")
        return [
            [
                replace(unsupervised, task=task, sigma=float(size))
                for task in TASKS
                for size in a.calibrate.split(",")
            ]
        ]
    policies = [name for name in a.policies.split(",") if name]
    every = groups(Cell(duration=a.duration), ["nominal", *policies])
    return [every[name] for name in (a.groups.split(",") if a.groups else every)]


def main() -> None:
    """Walk the cells, print the table, write the files."""
    a = arguments()
    rows = run_cells(
        chosen(a),
        range(a.seed, a.seed + a.episodes),
        processes=a.workers,
        deadline=time.monotonic() + 60.0 * a.minutes,
        file=a.json,
        critic_file=a.critic or a.json.with_suffix(".critic.npz"),
    )
    trot = [row for row in rows if condition(row) == TASKS[0]]
    if a.plot:
        draw(sorted(trot, key=rank), a.plot)


if __name__ == "__main__":
    main()
