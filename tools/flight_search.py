"""Measure how often the search of the flight check names the true error of an import.

    .venv/bin/python tools/flight_search.py [--minutes 60] [--workers 2] [--page]

Each fixture of the zoo is imported rightly. Then one property of its contract is made wrong, and
the search of `safe-locomotion policy check --fly` looks for the error. Results go to
`docs/data/flight_search.json`; those that it holds already are not repeated. A search takes two to
five minutes on an idle core, and none begins after `--minutes`. `--page` only writes the table of
`docs/flight_check.md` from them.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page_tables import with_only_table
from zoo_fixtures import fixtures, imported

from safe_locomotion.evaluation.flight.permutations import PERMUTATIONS, changes
from safe_locomotion.evaluation.flight.search import attempts, best, confirm
from safe_locomotion.policy.contract import PolicyContract

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "docs/data/flight_search.json"
PAGE = ROOT / "docs/flight_check.md"
MARK = "search"
ERRORS = ("joint order", "joint sign", "action scale", "gains", "observation scale")
WANTED = {"action scale": "x 2", "gains": "x 2"}
"""The wrong value of a property; where none is named, the first one that differs."""
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fixture and what is made wrong about it."""

    fixture: str
    kind: str


def cases(names: list[str]) -> list[Case]:
    """Every fixture with every error, such that each begins with other fixtures.

    Args:
        names: of the fixtures.
    """
    n = len(names)
    spread = max(1, n // len(ERRORS))
    return [
        Case(fixture=names[(turn + spread * k) % n], kind=kind)
        for turn in range(n)
        for k, kind in enumerate(ERRORS)
    ]


def wrong(right: PolicyContract, kind: str) -> tuple[str, PolicyContract]:
    """Name and contract of a wrong import.

    Args:
        right: contract that walks.
        kind: property that is made wrong.
    """
    wanted = WANTED.get(kind)
    return next(
        (name, changed)
        for name, changed in PERMUTATIONS[kind](right)
        if changed != right and wanted in (None, name)
    )


def searched(case: Case, processes: int) -> Row:
    """Search for the error of one case.

    Args:
        case: that is searched.
        processes: that fly at the same time.
    """
    right, model = imported(case.fixture)
    name, contract = wrong(right, case.kind)
    began = time.monotonic()
    tried = changes(contract)
    walk = best(list(attempts(model, tried, processes)))
    confirmed = [trial for trial in confirm(model, walk) if trial.judgement.flies]
    found = confirmed[-1].change if confirmed else None
    return {
        "fixture": case.fixture,
        "kind": case.kind,
        "wrong": name,
        "tried": len(tried),
        "walk": [f"{trial.change.kind}, {trial.change.name}" for trial in walk],
        "named": None if found is None else found.kind,
        "with": None if found is None else found.name,
        "right_again": found is not None and found.contract == right,
        "minutes": round((time.monotonic() - began) / 60.0, 2),
    }


def read() -> list[Row]:
    """The results so far."""
    rows: list[Row] = json.loads(DATA.read_text())["rows"] if DATA.exists() else []
    return rows


def run(minutes: float, processes: int) -> None:
    """Search all cases that are not in the file, until the time is up."""
    end = time.monotonic() + 60.0 * minutes
    rows = read()
    known = {(row["fixture"], row["kind"]) for row in rows}
    for case in cases(list(fixtures())):
        if (case.fixture, case.kind) in known:
            continue
        if time.monotonic() > end:
            break
        rows.append(searched(case, processes))
        print(rows[-1], flush=True)
        content = {"command": "tools/flight_search.py", "rows": rows}
        DATA.write_text(json.dumps(content, indent=1) + "\n")


def lines(rows: list[Row]) -> Iterator[str]:
    """The table of the page, one row for each property."""
    if not rows:
        yield "No search has been measured yet."
        return
    yield "| what was wrong | searches | named the property | named none | the same file again |"
    yield "|---|---|---|---|---|"
    for kind in ERRORS:
        of_kind = [row for row in rows if row["kind"] == kind]
        if of_kind:
            named = sum(row["named"] == kind for row in of_kind)
            none = sum(row["named"] is None for row in of_kind)
            again = sum(row["right_again"] for row in of_kind)
            yield f"| {kind} | {len(of_kind)} | {named} | {none} | {again} |"


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    return with_only_table(page, MARK, "\n".join(lines(read())))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="no search begins later")
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    parser.add_argument("--page", action="store_true", help="only write the table")
    options = parser.parse_args()
    if not options.page:
        run(options.minutes, options.workers)
    PAGE.write_text(with_table(PAGE.read_text()))
