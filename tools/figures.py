"""Measure the figures of a release, and print them as a table.

Every scenario runs through `safe-locomotion sim --headless --report`.

Impulses and payload are those of an A1; for another robot they are scaled with its mass. A run
whose report the file of `--json` holds already is not repeated.

.venv/bin/python tools/figures.py [--robot go2] [--seeds 0-4] [--workers 2] [--only trot,push-25]
                                  [--json FILE] [--minutes 20]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_locomotion.robot.models import load_robot, robot_names

Report = dict[str, Any]
ROBOT = "a1"
SCALED = ("--push-impulse", "--payload")
POLICIES = f"--policy {ROBOT}_"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row: the arguments of `sim`, and the figures that the run must reach."""

    name: str
    arguments: str
    wanted: str = "no fall"
    holds: Callable[[Report], bool] = lambda report: report["falls"] == 0


HEADINGS = (
    "scenario",
    "seed",
    "outcome",
    "mean vx vy wz",
    "RMSE [m/s]",
    "roll / pitch RMS [deg]",
    "estimator RMSE [m/s]",
    "drift [%]",
    "trips",
    "real time",
    "wanted",
)
SUMMARY = (
    "scenario",
    "seeds",
    "outcome",
    "RMSE [m/s]",
    "roll / pitch RMS [deg]",
    "estimator RMSE [m/s]",
    "drift [%]",
    "trips",
    "wanted",
)


def _near(key: str, value: float) -> Callable[[Report], bool]:
    return lambda r: r["falls"] == 0 and abs(r["mean_velocity"][key] - value) <= 0.1 * value


def _trot(r: Report) -> bool:
    return bool(
        r["falls"] == 0
        and r["velocity_rmse_mps"] <= 0.03
        and r["roll_rms_deg"] <= 2.0
        and r["pitch_rms_deg"] <= 3.0
        and r["estimator_velocity_rmse_mps"] <= 0.04
        and r["estimator_drift_m"] <= 0.04 * r["distance_m"]
    )


PUSHES = "--vx 0.3 --pushes-every 3 --duration 93"
STANDING = "--script stand@0 --pushes-every 5 --duration 93"
SCENARIOS = (
    Scenario(
        name="trot",
        arguments="--vx 0.5 --duration 30",
        wanted="RMSE <= 0.03, drift <= 4 %",
        holds=_trot,
    ),
    Scenario(
        name="vx",
        arguments="--vx 1.2 --duration 20",
        wanted="within 10 %",
        holds=_near("vx_mps", 1.2),
    ),
    Scenario(
        name="vy",
        arguments="--vy 0.6 --duration 20",
        wanted="within 10 %",
        holds=_near("vy_mps", 0.6),
    ),
    Scenario(
        name="wz",
        arguments="--wz 2.0 --duration 20",
        wanted="within 10 %",
        holds=_near("wz_radps", 2.0),
    ),
    Scenario(
        name="modes",
        arguments="--script stand@0,walk@1:0.4:0:0,sit@6,stand@10 --duration 16",
        wanted="no fall, no trip",
        holds=lambda r: r["falls"] == 0 and not r["gate_trips"],
    ),
    Scenario(name="push-25", arguments=f"{PUSHES} --push-impulse 25"),
    Scenario(
        name="push-40",
        arguments=f"{PUSHES} --push-impulse 40",
        wanted=">= 75 %",
        holds=lambda r: r["falls"] <= 0.25 * r["pushes"],
    ),
    Scenario(name="stand-push-30", arguments=f"{STANDING} --push-impulse 30"),
    Scenario(
        name="stand-push-40",
        arguments=f"{STANDING} --push-impulse 40",
        wanted=">= 75 %",
        holds=lambda r: r["falls"] <= 0.25 * r["pushes"],
    ),
    Scenario(
        name="push-20-slippery",
        arguments=f"{PUSHES} --push-impulse 20 --friction 0.4",
        wanted=">= 95 %",
        holds=lambda r: r["falls"] <= 0.05 * r["pushes"],
    ),
    Scenario(name="slope", arguments="--terrain slope --vx 0.4 --duration 30"),
    Scenario(name="rough", arguments="--terrain rough --vx 0.4 --duration 30"),
    Scenario(name="stairs", arguments="--terrain stairs --vx 0.4 --duration 30"),
    Scenario(name="payload", arguments="--payload 2.5 --vx 0.5 --duration 20"),
    Scenario(name="delay", arguments="--motor-delay-ms 8 --vx 0.5 --duration 20"),
    Scenario(name="gait-policy", arguments="--policy a1_trot --vx 0.4 --duration 60"),
    Scenario(name="joint-policy", arguments="--policy a1_velocity_lstm --vx 0.4 --duration 60"),
    Scenario(
        name="endurance",
        arguments="--random-commands --duration 600",
        wanted="no fall, no trip, < 5 MB",
        holds=lambda r: r["falls"] == 0 and not r["gate_trips"] and r["memory_mb"]["growth"] < 5.0,
    ),
)


def arguments_for(scenario: Scenario, robot: str) -> list[str]:
    """Arguments of `sim`; impulses and payload grow with the robot's mass over the A1's."""
    words = scenario.arguments.split()
    if robot != ROBOT:
        factor = load_robot(robot).mass / load_robot(ROBOT).mass
        for option in SCALED:
            if option in words:
                place = words.index(option) + 1
                words[place] = f"{factor * float(words[place]):.3g}"
    return ["--robot", robot, *words]


def measure(scenario: Scenario, seed: int, robot: str) -> Report:
    """The report of one run; a run without a report ends the program."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        words = [
            sys.executable,
            "-m",
            "safe_locomotion.cli.main",
            "sim",
            "--headless",
            *arguments_for(scenario, robot),
        ]
        run = subprocess.run(
            [*words, "--seed", str(seed), "--report", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        if not file.exists():
            sys.exit(
                f"{scenario.name}, seed {seed}: exit status {run.returncode}: {run.stderr[-2000:]}"
            )
        report: Report = json.loads(file.read_text())
    return report | {
        "scenario": scenario.name,
        "seed": seed,
        "robot": robot,
        "holds": scenario.holds(report),
    }


def row(scenario: Scenario, seed: int, r: Report) -> str:
    """One line of the table."""
    mean = " ".join(f"{r['mean_velocity'][name]:.3f}" for name in ("vx_mps", "vy_mps", "wz_radps"))
    cells = (
        scenario.name,
        str(seed),
        _outcome([r]),
        mean,
        f"{r['velocity_rmse_mps']:.4f}",
        f"{r['roll_rms_deg']:.2f} / {r['pitch_rms_deg']:.2f}",
        f"{r['estimator_velocity_rmse_mps']:.4f}",
        f"{_drift(r):.2f}",
        str(sum(r["gate_trips"].values())),
        f"{r['real_time_factor']:.2f}",
        _wanted(scenario, r["holds"]),
    )
    return _line(cells)


def summary(scenario: Scenario, reports: list[Report]) -> str:
    """One line for all seeds of a scenario: smallest and largest value of each figure.

    Survived pushes are counted over all seeds.
    """

    def spread(figure: Callable[[Report], float], digits: int) -> str:
        values = [figure(report) for report in reports]
        low = f"{min(values):.{digits}f}"
        high = f"{max(values):.{digits}f}"
        return low if low == high else f"{low} to {high}"

    pushed = {key: sum(r[key] for r in reports) for key in ("pushes", "falls")}
    holds = (
        scenario.holds({**reports[0], **pushed})
        if pushed["pushes"]
        else all(r["holds"] for r in reports)
    )
    cells = (
        scenario.name,
        str(len(reports)),
        _outcome(reports),
        spread(lambda r: r["velocity_rmse_mps"], 4),
        f"{spread(lambda r: r['roll_rms_deg'], 2)} / {spread(lambda r: r['pitch_rms_deg'], 2)}",
        spread(lambda r: r["estimator_velocity_rmse_mps"], 4),
        spread(_drift, 2),
        str(sum(sum(r["gate_trips"].values()) for r in reports)),
        _wanted(scenario, holds),
    )
    return _line(cells)


def table(reports: list[Report]) -> str:
    """The summary of each scenario that ran."""
    lines = ["|".join(("", *SUMMARY, "")), "|---" * len(SUMMARY) + "|"]
    for scenario in SCENARIOS:
        own = [r for r in reports if r["scenario"] == scenario.name]
        lines += [summary(scenario, own)] if own else []
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _wanted(scenario: Scenario, holds: bool) -> str:
    return f"{scenario.wanted}: {'yes' if holds else '**no**'}"


def _outcome(reports: list[Report]) -> str:
    pushes = sum(r["pushes"] for r in reports)
    falls = sum(r["falls"] for r in reports)
    if not pushes:
        return f"{falls} falls"
    # A robot may fall again while it gets up, so there may be more falls than pushes.
    held = f"{max(pushes - falls, 0)}/{pushes}"
    return held if falls <= pushes else f"{held} ({falls} falls)"


def _drift(r: Report) -> float:
    return float(100.0 * r["estimator_drift_m"] / max(r["distance_m"], 1e-9))


def parse() -> argparse.Namespace:
    """Options, with the names of the scenarios as a list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--robot", choices=robot_names(), default=ROBOT)
    parser.add_argument("--seeds", default="0-4", help="first and last seed")
    parser.add_argument("--workers", type=int, default=2, help="runs at once")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no run after them")
    parser.add_argument(
        "--only",
        default=",".join(s.name for s in SCENARIOS if s.name != "endurance"),
        help="scenarios, by name",
    )
    parser.add_argument("--json", type=Path, help="all reports")
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = sorted(set(options.only) - {s.name for s in SCENARIOS})
    if unknown:
        parser.error(
            f"unknown scenario {', '.join(unknown)}; "
            f"choose from {', '.join(s.name for s in SCENARIOS)}"
        )
    return options


def reports_of(file: Path | None, robot: str) -> list[Report]:
    """Reports that a file holds; those of another robot end the program."""
    if not (file and file.exists()):
        return []
    reports: list[Report] = json.loads(file.read_text())
    if any(report.get("robot") != robot for report in reports):
        sys.exit(f"{file}: holds runs of another robot than {robot}; name another file")
    return reports


def main() -> int:
    """Run the scenarios; return 1 when one misses its figures."""
    options = parse()
    first, _, last = options.seeds.partition("-")
    reports = reports_of(options.json, options.robot)
    done = {(r["scenario"], r["seed"]) for r in reports}
    jobs = [
        (s, seed)
        for s in SCENARIOS
        if s.name in options.only and (options.robot == ROBOT or POLICIES not in s.arguments)
        for seed in range(int(first), int(last or first) + 1)
        if (s.name, seed) not in done
    ]
    end = time.monotonic() + 60.0 * options.minutes

    def run(job: tuple[Scenario, int]) -> Report | None:
        return measure(*job, options.robot) if time.monotonic() < end else None

    print("|".join(("", *HEADINGS, "")))
    print("|---" * len(HEADINGS) + "|", flush=True)
    with ThreadPoolExecutor(options.workers) as pool:
        for (scenario, seed), report in zip(jobs, pool.map(run, jobs), strict=True):
            if report is None:
                print(f"{scenario.name}, seed {seed}: no time left", flush=True)
                continue
            reports.append(report)
            print(row(scenario, seed, report), flush=True)
            if options.json:
                options.json.write_text(json.dumps(reports, indent=1))
    summaries = table(reports)
    print(f"\n{summaries}")
    return int("**no**" in summaries)


if __name__ == "__main__":
    sys.exit(main())
