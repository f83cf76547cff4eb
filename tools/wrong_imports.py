"""Import a shipped policy and the zoo's fixtures wrongly, check each file, and write two tables.

    .venv/bin/python tools/wrong_imports.py [--workers 2] [--page]

The wrong files are the shipped network with a contract that one usual error, or two, have changed,
and every fixture of the zoo with one error of each kind. Each one is checked as
`safe-locomotion policy check --fly` does. Results go to
`docs/data/wrong_imports.json`; those that it holds already are not repeated. It takes about an hour
on two cores. `--page` only writes the tables of `docs/flight_check.md` from them.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from page_tables import with_only_table
from zoo_fixtures import fixtures, imported

from safe_locomotion.config import load_config
from safe_locomotion.envs.workers import workers
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.evaluation.flight.course import COURSE
from safe_locomotion.evaluation.flight.flight import fly
from safe_locomotion.evaluation.flight.judgement import judge
from safe_locomotion.evaluation.flight.permutations import PERMUTATIONS
from safe_locomotion.evaluation.flight.rate import better_rate
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import check_fit, find_policy, pack, read_policy
from safe_locomotion.policy.term import ObservationHistory
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.report import without_nan

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "docs/data/wrong_imports.json"
PAGE = ROOT / "docs/flight_check.md"
MARK = "wrong imports"
POLICIES = ("a1_velocity_lstm",)
SECOND = ("joint sign", "observation scale", "action scale", "gains", "control rate")
"""Properties that are changed together with the joint order."""
HISTORY = 6  #: frames that a wrong contract claims
LONGEST = 110  #: characters of a verdict in the table
ZOO = "zoo/"  #: before the name of a fixture
IN_ZOO = ("joint order", "joint sign", "observation scale", "action scale", "gains", "control rate")
"""Properties of which each fixture has the first usual error."""
TOLERATED = 0.2  #: trainings randomise gains by as much, so such gains are no wrong import


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A wrong import.

    Attributes:
        policy: that was imported.
        kind, name: what was wrong about it.
        make: gives its contract, or raises why there is none.
    """

    policy: str
    kind: str
    name: str
    make: Callable[[], PolicyContract]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found about a wrong import.

    Attributes:
        policy, kind, name: as in `Wrong`.
        caught: by the `import`, by the `flight`, or by `nothing`.
        falls, saves: of the flight.
        recovery: share of the time under recovery.
        duration: of the flight [s].
        velocity_error, turn_error: largest of the segments [m/s, rad/s]; None without a flight.
        line: the verdict, or why it was refused.
    """

    policy: str
    kind: str
    name: str
    caught: str
    falls: int = 0
    saves: int = 0
    recovery: float | None = None
    duration: float | None = None
    velocity_error: float | None = None
    turn_error: float | None = None
    line: str = ""


def wrong_imports(policy: str) -> Iterator[Wrong]:
    """Wrong imports of a shipped policy, or of a fixture of the zoo."""
    contract = _policy(policy)[0]
    seen = [contract]

    def new(kind: str, name: str, changed: PolicyContract) -> Iterator[Wrong]:
        if changed not in seen and not _tolerated(contract, changed):
            seen.append(changed)
            yield Wrong(policy=policy, kind=kind, name=name, make=lambda: changed)

    if policy.startswith(ZOO):
        for kind in IN_ZOO:
            changes = (
                one
                for name, change in PERMUTATIONS[kind](contract)
                for one in new(kind, name, change)
            )
            yield from islice(changes, 1)
        if contract.history is not None:
            yield Wrong(policy=policy, kind="history", name="missing", make=lambda: alone(contract))
        return
    for kind, permute in PERMUTATIONS.items():
        for name, changed in permute(contract):
            yield from new(kind, name, changed)
    for order, ordered in islice(PERMUTATIONS["joint order"](contract), 4):
        for kind in SECOND:
            name, changed = next(iter(PERMUTATIONS[kind](ordered)))
            if ordered != contract:
                yield from new(f"joint order and {kind}", f"{order}; {name}", changed)
    for name, make in _impossible(contract).items():
        yield Wrong(policy=policy, kind="impossible", name=name, make=make)


def alone(contract: PolicyContract) -> PolicyContract:
    """The contract of a network that sees one frame."""
    terms = tuple(replace(term, ages=(0,)) for term in contract.observation)
    return replace(contract, observation=terms, history=None)


def _tolerated(right: PolicyContract, changed: PolicyContract) -> bool:
    """Whether only the gains differ, by less than the randomisation of a training."""
    a = right.joint
    b = changed.joint
    if a is None or b is None or replace(changed, joint=a) != right or a.scale != b.scale:
        return False
    pairs = zip((*a.kp, *a.kd), (*b.kp, *b.kd), strict=True)
    return all(abs(y - x) < TOLERATED * x for x, y in pairs)


def _impossible(c: PolicyContract) -> dict[str, Callable[[], PolicyContract]]:
    """Contracts that no file can have."""
    terms = c.observation
    made: dict[str, Callable[[], PolicyContract]] = {
        "a term is missing": lambda: replace(c, observation=terms[1:]),
        "a term too many": lambda: replace(c, observation=(*terms, terms[0])),
        f"a history of {HISTORY} frames": lambda: replace(
            c,
            observation=tuple(replace(term, ages=tuple(range(HISTORY))) for term in terms),
            history=ObservationHistory(order="term", start="repeat"),
        ),
        "a rate of 60 Hz": lambda: replace(c, rate_hz=60),
        "no memory" if c.recurrent else "another input": lambda: replace(
            c, recurrent=(), observation_input="input"
        ),
    }
    if c.joint is not None:
        joint = c.joint
        made["gains x 10"] = lambda: replace(
            c, joint=replace(joint, kp=tuple(10.0 * kp for kp in joint.kp))
        )
        made["a joint named twice"] = lambda: replace(
            c, joint_order=(c.joint_order[0], *c.joint_order[:-1])
        )
    return made


@cache
def _policy(name: str) -> tuple[PolicyContract, bytes]:
    if name.startswith(ZOO):
        return imported(name.removeprefix(ZOO))
    return read_policy(find_policy(name))


def examine(wrong: Wrong) -> Row:
    """Import a wrong file, and fly it if nothing refuses it."""
    row = partial(Row, policy=wrong.policy, kind=wrong.kind, name=wrong.name)
    model = _policy(wrong.policy)[1]
    try:
        _, contract = pack(model, replace(wrong.make(), parity=None))
        limits = load_config(contract.robot).bridge.limits
        check_fit(contract, load_robot(contract.robot), limits)
    except PolicyRefusedError as error:
        return row(caught="import", line=str(error))
    flight = fly(contract, model, COURSE)
    found = judge(flight, len(COURSE))
    better = better_rate(contract, model, COURSE, flight) if found.flies else None
    line = found.line
    if better is not None:
        line = f"walks better at {better.rate_hz} Hz; {line}"
    return row(
        caught="nothing" if found.flies and better is None else "flight",
        falls=flight.falls,
        saves=flight.uses,
        recovery=flight.recovery,
        duration=flight.duration,
        velocity_error=found.velocity_error,
        turn_error=found.turn_error,
        line=line,
    )


def zoo() -> list[str]:
    """Names of the fixtures."""
    return [f"{ZOO}{name}" for name in fixtures()]


def make() -> Callable[[tuple[str, int]], Row]:
    """In a worker: the function that examines a wrong import by its policy and number."""
    return lambda job: examine(list(wrong_imports(job[0]))[job[1]])


def read() -> list[dict[str, Any]]:
    """The results so far."""
    rows: list[dict[str, Any]] = json.loads(DATA.read_text())["rows"] if DATA.exists() else []
    return rows


def write(rows: list[dict[str, Any]]) -> None:
    """Keep the results."""
    content = {"command": "tools/wrong_imports.py", "rows": without_nan(rows)}
    DATA.write_text(json.dumps(content, indent=1) + "\n")


def run(processes: int) -> None:
    """Examine all wrong imports that are not in the file."""
    wrongs = {
        (policy, wrong.kind, wrong.name): (policy, i)
        for policy in (*POLICIES, *zoo())
        for i, wrong in enumerate(wrong_imports(policy))
    }
    rows = [row for row in read() if (row["policy"], row["kind"], row["name"]) in wrongs]
    known = {(row["policy"], row["kind"], row["name"]) for row in rows}
    jobs = [job for key, job in wrongs.items() if key not in known]
    with workers(make, processes) as walked:
        for k, row in enumerate(walked(jobs)):
            rows.append(asdict(row))
            write(rows)
            said = f"{row.policy}, {row.kind}, {row.name}: {row.caught}; {row.line}"
            print(f"{k + 1} of {len(jobs)}: {said}")
            sys.stdout.flush()


def table(rows: list[dict[str, Any]]) -> str:
    """The table of the shipped policy."""
    lines = [
        "| what was wrong | | caught by | falls | saves | verdict |",
        "|---|---|---|---|---|---|",
    ]
    shipped = (row for row in rows if not row["policy"].startswith(ZOO))
    for row in sorted(shipped, key=lambda row: row["kind"]):
        said = row["line"].replace("|", "/")
        said = said if len(said) < LONGEST else f"{said[:LONGEST]}..."
        lines.append(
            f"| {row['kind']} | {row['name']} | {row['caught']} |"
            f" {row['falls']} | {row['saves']} | {said} |"
        )
    return "\n".join(lines)


def zoo_table(rows: list[dict[str, Any]]) -> str:
    """The table of the fixtures: what caught each kind of error."""
    kinds = (*IN_ZOO, "history")
    lines = [f"| fixture | {' | '.join(kinds)} |", f"|---{'|---' * len(kinds)}|"]
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["policy"].startswith(ZOO):
            found.setdefault(row["policy"], {})[row["kind"]] = row["caught"]
    for policy, caught in found.items():
        cells = " | ".join(caught.get(kind, "-") for kind in kinds)
        lines.append(f"| {policy.removeprefix(ZOO)} | {cells} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    return with_only_table(page, MARK, f"{table(read())}\n\n{zoo_table(read())}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    parser.add_argument("--page", action="store_true", help="only write the table")
    options = parser.parse_args()
    if not options.page:
        run(options.workers)
    PAGE.write_text(with_table(PAGE.read_text()))
