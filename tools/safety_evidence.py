"""The evidence of docs/safety.md in one run: python tools/safety_evidence.py --workers 16 --minutes 30 --json evidence.json.

Cells come in groups, the most important first; within a group they grow together, so that a run that is out of time has fair figures.
A second run with the same file goes on where the first one was.
"""

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safe_locomotion.cli.evaluate import draw, run_cells
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.evaluation.cells import SIGMAS, SUPERVISORS, Cell
from safe_locomotion.evaluation.random_gait import NAME as RANDOM
from safe_locomotion.policy.file import find_policy, read_policy

TASKS = ("trot", "catwalk", "two_leg")
HORIZONS = (5, 10, 15, 20)  # w = 0 is `naive`
BASELINES = ("ellipsoid", "critic")  # the critic judges gaits, so no joint policy
STEP_S = 1.0 / RATE_HZ
# N s
HIT = 35.0
OTHERS = (20.0, 50.0)
BOX_ALONE = ("supervisor.intervention.capture", False)  # as in the paper
SLIPPERY = {"push": 20.0, "friction": 0.4, "push_offset": 0.15}  # N s; m before the centre of mass


def groups(random: Cell, policies: list[str]) -> dict[str, list[Cell]]:
    """Cells in the order of their importance; the first of `policies` walks without pushes only."""
    walking = [replace(random, policy=name) for name in policies]
    pushed = walking[1:]
    walked = {task: replace(random, task=task, sigma=SIGMAS[task]) for task in TASKS}
    hit, slipped = ([replace(one, **how) for one in pushed] for how in ({"push": HIT}, SLIPPERY))
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
    """Rules of others that can judge a policy."""
    return BASELINES if read_policy(find_policy(policy))[0].kind == "gait" else BASELINES[:1]


def grid(cell: Cell, others: tuple[str, ...]) -> list[Cell]:
    """Every criterion, w and box, and rules of others, for what `cell` simulates."""
    return [
        replace(cell, supervisor="off"),
        *supervised(cell),
        *(replace(cell, supervisor=name) for name in others),
    ]


def supervised(cell: Cell) -> list[Cell]:
    """Every criterion that intervenes, w and box."""
    naive, *others = (replace(cell, supervisor=name) for name in ("naive", "planning", "dwell"))
    return [
        naive,
        *(replace(cell, horizon=w) for w in HORIZONS),
        *others,
        *(replace(cell, trigger_set=box) for box in ("c2", "c3")),
    ]


def condition(row: Mapping[str, Any]) -> str:
    """What a row simulates, whoever supervises."""
    words = [row["task"] if row["policy"] == RANDOM else row["policy"]]
    if row["push"]:
        words.append(f"{row['push']:g} N s")
    if row["push_offset"]:
        words.append(f"off centre, friction {row['friction']:g}")
    return ", ".join(words)


def rule(row: Mapping[str, Any]) -> str:
    """Who supervises."""
    words = [f"{row['supervisor']} {row['horizon']}" if row["horizon"] else row["supervisor"]]
    if row["trigger_set"] != "c1":
        words.append(row["trigger_set"])
    if row["overrides"]:
        words.append("box alone")
    return ", ".join(words)


def rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Order of the rules: nobody, as shipped, the box alone, those of others; the configured box before others, then by criterion and w."""
    supervisor = row["supervisor"]
    kind = (
        0 if supervisor == "off" else 2 if row["overrides"] else 3 if supervisor in BASELINES else 1
    )
    return kind, row["trigger_set"], SUPERVISORS.index(supervisor), row["horizon"]


def matrix(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rules against conditions, as Markdown: episodes that fell of those walked, and the share of steps under recovery."""
    conditions, rules = (
        list(dict.fromkeys(map(name, some)))
        for name, some in ((condition, rows), (rule, sorted(rows, key=rank)))
    )
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
        low, high, share, least, most = (
            100.0 * x for x in (*row["falls_interval"], row["share"], *row["share_interval"])
        )
        recovered = row["uses"] > 0
        lasts = 1e3 * STEP_S * sum(row["results"]["recovery_steps"]) / max(1, row["uses"])
        lines.append(
            (
                rule(row),
                f"{row['falls']} of {row['episodes']}",
                f"{low:.1f} to {high:.1f}",
                str(row["uses"]) if recovered else "-",
                f"{share:.1f} ({least:.1f} to {most:.1f})" if recovered else "-",
                f"{100.0 * row['triggered']:.1f}",
                f"{lasts:.0f}" if recovered else "-",
            )
        )
    return _markdown(lines)


def _markdown(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def by_learner(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows of each learner."""
    return [
        [row for row in rows if row["policy"] == name]
        for name in dict.fromkeys(row["policy"] for row in rows)
    ]


def main() -> None:
    """Run, print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=4.5)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument(
        "--calibrate",
        default="",
        help="sizes of the random walk, with commas: how often it falls on each task, instead of the rest",
    )
    parser.add_argument("--duration", type=float, default=12.0)
    parser.add_argument(
        "--policies", default="", help="shipped ones by name, with commas between them"
    )
    parser.add_argument(
        "--groups",
        default="",
        help="names with commas, all if empty: tasks, walking, pushed, slippery, others, box",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--critic",
        type=Path,
        default=None,
        help="file of the safety critic; beside the JSON file when not given",
    )
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path, help="picture of the rules on trot")
    parser.add_argument(
        "--markdown",
        type=Path,
        help="tables: trot in detail; of each learner, rules against tasks or pushes",
    )
    a = parser.parse_args()
    deadline = time.time() + 60.0 * a.minutes
    policies = [name for name in a.policies.split(",") if name]
    every = groups(Cell(duration=a.duration), ["nominal", *policies])
    chosen = [every[name] for name in (a.groups.split(",") if a.groups else every)]
    if a.calibrate:
        unsupervised = Cell(duration=a.duration, supervisor="off")
        chosen = [
            [
                replace(unsupervised, task=task, sigma=float(size))
                for task in TASKS
                for size in a.calibrate.split(",")
            ]
        ]
    rows = run_cells(
        chosen,
        range(a.seed, a.seed + a.episodes),
        processes=a.workers,
        deadline=deadline,
        file=a.json,
        critic_file=a.critic or a.json.with_suffix(".critic.npz"),
    )
    if a.plot:
        draw(sorted((row for row in rows if condition(row) == TASKS[0]), key=rank), a.plot)
    if a.markdown:
        a.markdown.write_text(
            "\n".join(
                [
                    details([row for row in rows if condition(row) == TASKS[0]]),
                    *map(matrix, by_learner(rows)),
                ]
            )
        )


if __name__ == "__main__":
    main()
