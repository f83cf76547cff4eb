"""Import every fixture of the zoo, fly it as `policy check --fly` does, and write the page's table.

    .venv/bin/python tools/policy_zoo.py [--page]

Results go to `docs/data/policy_zoo.json`; those that it holds already are not repeated. It takes
five minutes on an idle core. `--page` only writes the table of `docs/policy_zoo.md` from them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from page_tables import with_only_table
from zoo_fixtures import fixtures, imported

from safe_locomotion.evaluation.flight.course import COURSE
from safe_locomotion.evaluation.flight.flight import fly
from safe_locomotion.evaluation.flight.judgement import judge
from safe_locomotion.evaluation.flight.rate import better_rate

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "docs/data/policy_zoo.json"
PAGE = ROOT / "docs/policy_zoo.md"
MARK = "zoo"
Row = dict[str, Any]


def flown(name: str) -> Row:
    """Import the fixture of this name and fly it."""
    contract, model = imported(name)
    flight = fly(contract, model, COURSE)
    found = judge(flight, len(COURSE))
    flies = found.flies and better_rate(contract, model, COURSE, flight) is None
    return {
        "fixture": name,
        "observation": contract.observation_width,
        "flies": flies,
        "velocity_error": round(found.velocity_error, 4),
        "turn_error": round(found.turn_error, 4),
        "roughness": round(flight.roughness, 3),
        "tilt_rate": round(flight.tilt_rate, 3),
        "saves": flight.uses,
        "falls": flight.falls,
    }


def read() -> list[Row]:
    """The results so far."""
    rows: list[Row] = json.loads(DATA.read_text())["rows"] if DATA.exists() else []
    return rows


def table(rows: list[Row]) -> str:
    """The table of the page."""
    lines = [
        "| fixture | numbers observed | largest error [m/s], [rad/s] | roughness | saves | falls"
        " | may fly |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['fixture']} | {row['observation']} | {row['velocity_error']:.2f},"
        f" {row['turn_error']:.2f} | {row['roughness']:.2f} | {row['saves']} | {row['falls']} |"
        f" {'yes' if row['flies'] else 'no'} |"
        for row in rows
    ]
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    return with_only_table(page, MARK, table(read()))


def main() -> int:
    """Fly what has not been flown, and write data and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page alone")
    rows = read()
    if not parser.parse_args().page:
        known = {row["fixture"] for row in rows}
        for name in fixtures():
            if name not in known:
                rows.append(flown(name))
                print(rows[-1], flush=True)
                content = {"command": "tools/policy_zoo.py", "rows": rows}
                DATA.write_text(json.dumps(content, indent=1) + "\n")
    PAGE.write_text(with_table(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
