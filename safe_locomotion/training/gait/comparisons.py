"""What the cells of an experiment say about its question: intervals, and ours beside the others."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from safe_locomotion.training.gait.grid import PAPER_TASKS
from safe_locomotion.training.gait.results import Cell
from safe_locomotion.types import Array

CONFIDENCE = 0.95
BASELINES = ("trpo", "trpo_n", "pcpo", "recovery_rl")
UNSAFE = ("trpo",)  #: the oracle of the paper, which ignores falls
PAPERS_SHARE = 48.6  #: fewer falls than the baselines, mean over the paper's tasks [%]


def values_of(cells: Sequence[Cell], name: str) -> Array:
    """One figure of some cells."""
    return np.array([cell[name] for cell in cells], dtype=np.float64)


def interval(cells: Sequence[Cell], name: str) -> tuple[float, float]:
    """Interval of 95 % of a figure's mean over seeds, after Student; NaN of a single seed."""
    found = values_of(cells, name)
    count = len(found)
    if count < 2:
        return float("nan"), float("nan")
    factor = float(stdtrit(count - 1, 0.5 + 0.5 * CONFIDENCE))
    half = factor * float(found.std(ddof=1)) / count**0.5
    mean = float(found.mean())
    return mean - half, mean + half


def ours_of(cells: Sequence[Cell], task: str) -> list[Cell]:
    """Ours in the paper's settings on a task: definition 3, w = 10, box c1, raw measures."""
    wanted = ("ours", "reachability", 10, "c1", "paper")
    names = ("learner", "criterion", "horizon", "trigger_set", "measures")
    return [
        cell
        for cell in cells
        if cell["task"] == task and tuple(cell[name] for name in names) == wanted
    ]


def fewer_falls(cells: Sequence[Cell]) -> list[list[str]]:
    """Table of figure 3's claim: falls of ours against the mean of the baselines, and rewards.

    Tasks without ours or without a baseline are left out.
    """
    out = [
        [
            "task",
            "falls of ours",
            "mean of the baselines",
            "fewer [%]",
            "fewest",
            "reward of ours",
            "best safe baseline",
        ]
    ]
    shares = []
    for task in PAPER_TASKS:
        ours = ours_of(cells, task)
        others = {
            name: [cell for cell in cells if (cell["task"], cell["learner"]) == (task, name)]
            for name in BASELINES
        }
        others = {name: members for name, members in others.items() if members}
        if not ours or not others:
            continue
        falls = float(values_of(ours, "falls").mean())
        theirs = [float(values_of(members, "falls").mean()) for members in others.values()]
        mean = float(np.mean(theirs))
        share = 100.0 * (1.0 - falls / mean) if mean > 0.0 else 0.0
        shares.append(share)
        safe = [m for name, m in others.items() if name not in UNSAFE]
        rewards = [float(values_of(members, "reward").mean()) for members in safe]
        out.append(
            [
                task,
                f"{falls:,.1f}",
                f"{mean:,.1f}",
                f"{share:.1f}",
                "yes" if falls <= min(theirs) else "no",
                f"{values_of(ours, 'reward').mean():.1f}",
                f"{max(rewards):.1f}" if rewards else "",
            ]
        )
    if shares:
        mean_share = f"{np.mean(shares):.1f} (paper: {PAPERS_SHARE})"
        out.append(["mean", "", "", mean_share, "", "", ""])
    return out
