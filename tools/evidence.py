"""Write the tables of docs/evidence.md and README.md from docs/data/safety_evidence.json.

    .venv/bin/python tools/evidence.py

A table stands between `<!-- evidence: NAME -->` and `<!-- /evidence -->`.
NAME is a key of `TABLES`.
Everything outside of these marks is written by hand.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from page_tables import blocks, refilled
from safety_evidence import TASKS, condition, details, matrix, rule

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "docs/data/safety_evidence.json"
PAGES = (ROOT / "README.md", ROOT / "docs/evidence.md")
BLOCK = blocks("evidence")

SHIPPED = "reachability 10"
BOX_ALONE = f"{SHIPPED}, box alone"
HORIZONS = ("naive", "reachability 5", SHIPPED, "reachability 15", "reachability 20")
RESAMPLES = 2000

Row = dict[str, Any]


class Evidence:
    """Rows of the data, found by what was simulated and by the rule that supervised."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self._found = {(condition(row), rule(row)): row for row in rows}

    def row(self, simulated: str, by: str) -> Row:
        """One cell."""
        return self._found[simulated, by]

    def of_learner(self, name: str) -> list[Row]:
        """All cells of one learner."""
        return [row for row in self.rows if row["policy"] == name]


def read() -> Evidence:
    """The data that the tables are made from."""
    return Evidence(json.loads(DATA.read_text())["cells"])


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    every = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)


def percent(share: float) -> str:
    """A share with one digit."""
    return f"{100.0 * share:.1f} %"


def summary(evidence: Evidence) -> str:
    """The random learner on each task, alone and under the supervisor as it ships."""
    lines = []
    for task in TASKS:
        alone = evidence.row(task, "off")
        supervised = evidence.row(task, SHIPPED)
        lines.append(
            (
                f"`{task}`",
                f"{alone['falls']} of {alone['episodes']}",
                f"{supervised['falls']} of {supervised['episodes']}",
                percent(supervised["share"]),
            )
        )
    heads = ("gait", "falls without supervisor", "falls with supervisor", "time under recovery")
    return markdown(heads, lines)


def claims(evidence: Evidence) -> str:
    """What the evidence was asked to show of the random learner, and what it shows."""
    return markdown(
        ("claim", *TASKS, "holds"),
        [
            at_least_half_fall(evidence),
            fewer_falls(evidence, SHIPPED, "as shipped"),
            fewer_falls(evidence, BOX_ALONE, "box alone"),
            falls_by_horizon(evidence, "", "as shipped"),
            falls_by_horizon(evidence, ", box alone", "box alone"),
            planning_is_cheaper(evidence),
        ],
    )


def at_least_half_fall(evidence: Evidence) -> Sequence[str]:
    """How many unsupervised episodes of the random learner fall."""
    rows = [evidence.row(task, "off") for task in TASKS]
    results = [f"{row['falls']} of {row['episodes']}" for row in rows]
    holds = all(row["falls"] >= 0.5 * row["episodes"] for row in rows)
    return "at least half of the episodes without supervisor fall", *results, yes(holds)


def fewer_falls(evidence: Evidence, by: str, name: str) -> Sequence[str]:
    """How many falls the supervisor prevents, at which share of the steps."""
    results = []
    holds = True
    for task in TASKS:
        alone = evidence.row(task, "off")["falls"]
        row = evidence.row(task, by)
        fewer = 1.0 - row["falls"] / alone
        holds &= fewer >= 0.95 and row["share"] <= 0.3
        results.append(
            f"{alone} to {row['falls']} ({100.0 * fewer:.0f} % fewer), {percent(row['share'])}"
        )
    claim = "at least 95 % fewer falls with at most 30 % of the steps under recovery"
    return f"{claim}: w = 10, {name}", *results, yes(holds)


def falls_by_horizon(evidence: Evidence, suffix: str, name: str) -> Sequence[str]:
    """Falls against the number w of predicted steps; judged by their sum over the gaits."""
    rules = [f"{by}{suffix}" for by in HORIZONS]
    falls = [[evidence.row(task, by)["falls"] for by in rules] for task in TASKS]
    total = [sum(counts) for counts in zip(*falls, strict=True)]
    holds = yes(total == sorted(total, reverse=True))
    claim = f"falls do not rise with w = 0, 5, 10, 15, 20: {name}"
    return claim, *map(numbers, falls), f"{holds}, together {numbers(total)}"


def planning_is_cheaper(evidence: Evidence) -> Sequence[str]:
    """Steps under recovery with `planning` and with `reachability`, paired by seed."""
    results = []
    holds = True
    for task in TASKS:
        planning = evidence.row(task, "planning 10")
        reaching = evidence.row(task, SHIPPED)
        low, high = paired_interval(planning, reaching)
        difference = 100.0 * (planning["share"] - reaching["share"])
        holds &= high < 0.0 and planning["falls"] <= reaching["falls"]
        results.append(
            f"{percent(planning['share'])} against {percent(reaching['share'])}"
            f" (difference {difference:.2f}, 95 %: {low:.2f} to {high:.2f});"
            f" falls {planning['falls']} and {reaching['falls']}"
        )
    claim = "`planning` needs less recovery than `reachability` at no more falls: w = 10"
    return claim, *results, yes(holds)


def sound(evidence: Evidence) -> str:
    """Steps in the trigger set while the tuned gait or a shipped policy walks undisturbed."""
    lines = []
    for policy in ("nominal", "a1_trot", "a1_velocity_lstm"):
        row = evidence.row(policy, SHIPPED)
        triggered = sum(row["results"]["triggered_steps"])
        lines.append(
            (
                f"`{policy}`",
                f"{row['falls']} of {row['episodes']}",
                f"{triggered} of {sum(row['results']['steps']):,}",
                percent(row["share"]),
            )
        )
    heads = ("learner", "falls", "steps in the trigger set", "steps under recovery")
    return markdown(heads, lines)


def paired_interval(one: Row, other: Row) -> tuple[float, float]:
    """Bootstrap interval (95 %) of the difference of two shares of recovery [%], paired by seed."""

    def shares(row: Row) -> Any:
        recovered = np.array(row["results"]["recovery_steps"])
        walked = np.array(row["results"]["steps"])
        return recovered[picks].sum(axis=1) / walked[picks].sum(axis=1)

    assert one["seeds"] == other["seeds"]
    episodes = one["episodes"]
    picks = np.random.default_rng(0).integers(episodes, size=(RESAMPLES, episodes))
    low, high = np.quantile(shares(one) - shares(other), (0.025, 0.975))
    return 100.0 * float(low), 100.0 * float(high)


def numbers(counts: Iterable[int]) -> str:
    """Counts with commas between them."""
    return ", ".join(map(str, counts))


def yes(holds: bool) -> str:
    """A word for the last column."""
    return "yes" if holds else "**no**"


def pushed_falls(evidence: Evidence) -> str:
    """Falls of the pushed policies over all pushes, with and without the capture point."""
    lines = []
    for name, by in (("as shipped", SHIPPED), ("box alone", BOX_ALONE)):
        rows = [row for row in evidence.rows if row["push"] and rule(row) == by]
        falls = sum(row["falls"] for row in rows)
        episodes = sum(row["episodes"] for row in rows)
        lines.append((name, f"{falls} of {episodes}"))
    return markdown(("w = 10", "falls in all pushed episodes of both policies"), lines)


TABLES: dict[str, Callable[[Evidence], str]] = {
    "summary": summary,
    "claims": claims,
    "random": lambda evidence: matrix(evidence.of_learner("random")),
    "trot": lambda evidence: details([row for row in evidence.rows if condition(row) == TASKS[0]]),
    "sound": sound,
    "a1_trot": lambda evidence: matrix(evidence.of_learner("a1_trot")),
    "a1_velocity_lstm": lambda evidence: matrix(evidence.of_learner("a1_velocity_lstm")),
    "pushed": pushed_falls,
}


def filled(text: str, evidence: Evidence) -> str:
    """A page with its tables made anew."""
    return refilled(text, BLOCK, lambda name: TABLES[name](evidence))


def main() -> None:
    """Write the pages."""
    evidence = read()
    for page in PAGES:
        page.write_text(filled(page.read_text(), evidence))


if __name__ == "__main__":
    main()
