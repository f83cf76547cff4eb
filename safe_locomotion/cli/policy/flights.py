"""Flights of gait policies of paper 1 over the wire, and the figures that are asked of them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.errors import SafeLocomotionError

Report = dict[str, Any]
Fly = Callable[[Sequence[str]], Report]

EFFICIENT_SPEED = 0.45  #: m/s, the middle of the task's range
CATWALK_SPEED = 0.3  #: m/s
PACING_SPEEDS = (0.2, 0.4, 0.6)  #: m/s
PUSH = 30.0  #: N s
PUSH_EACH = 3.0  #: s
BALANCE_SEEDS = 3
DURATIONS = {"efficient": 20.0, "catwalk": 60.0, "two_leg": 20.0, "pacing": 12.0, "recovery": 62.0}
"""Of the flights [s]."""
SHORTEST = 2.6  #: s; a shorter flight has no figures
ENDINGS = (0, 3)  #: of `sim`: completed, fell


class FlightFailedError(SafeLocomotionError):
    """A flight ended without a report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure.

    Attributes:
        figure: what it is.
        value, reference: of the policy, and of what it is compared with; NaN for none.
        unit: of both.
        against: what it is compared with.
        paper: what the paper reports.
        wanted: what is asked for.
        met: whether it is reached; a figure that is not finite never is.
    """

    figure: str
    value: float
    reference: float
    unit: str
    against: str
    paper: str
    wanted: str
    met: bool


def fly(words: Sequence[str]) -> Report:
    """Report of `safe-locomotion sim --headless` with these words.

    Raises:
        FlightFailedError: it wrote no report; the message holds its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "safe_locomotion.cli.main", "sim", "--headless", *words]
        done = subprocess.run(
            [*command, "--report", str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode not in ENDINGS or not path.exists():
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise FlightFailedError(f"sim {' '.join(words)}: {said[-1]}")
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        return report


def efficient(file: str, share: float, fly: Fly) -> list[Row]:
    """Energy over the way against the nominal trot at the same speed."""
    words = _words("efficient", share, EFFICIENT_SPEED)
    policy = fly(["--policy", file, *words])
    nominal = fly(words)
    cost = _number(policy["cost_of_transport"])
    trot = _number(nominal["cost_of_transport"])
    saved = 100.0 * (1.0 - cost / trot)
    return [
        Row(
            figure="efficient gait: energy saved",
            value=saved,
            reference=0.0,
            unit="%",
            against="nominal trot",
            paper="34 (robot)",
            wanted=">= 34, no fall",
            met=saved >= 34.0 and policy["falls"] == 0,
        )
    ]


def catwalk(file: str, share: float, fly: Fly) -> list[Row]:
    """Distance of left and right feet against the nominal trot, and falls."""
    words = _words("catwalk", share, CATWALK_SPEED)
    policy = fly(["--policy", file, *words])
    nominal = fly(words)
    wide = _number(policy["feet_distance_m"])
    return [
        Row(
            figure="catwalk: feet apart",
            value=wide,
            reference=_number(nominal["feet_distance_m"]),
            unit="m",
            against="nominal trot",
            paper="0.09 (robot), 40.9 % narrower",
            wanted="<= 0.09, no fall",
            met=wide <= 0.09 and policy["falls"] == 0,
        )
    ]


def two_leg(file: str, untrained: str, share: float, fly: Fly) -> list[Row]:
    """Time on two legs and hops without a supervisor, against the gait that training begins with.

    Both are means over seeds. The time ends with the first fall.
    """
    alone = ["--supervisor", "off", *_words("two_leg", share, 0.0)]
    seeds = range(BALANCE_SEEDS)
    trained = [fly(["--policy", file, "--seed", str(seed), *alone]) for seed in seeds]
    before = [fly(["--policy", untrained, "--seed", str(seed), *alone]) for seed in seeds]
    time = float(np.mean([_balanced(report) for report in trained]))
    short = float(np.mean([_balanced(report) for report in before]))
    hops = float(np.mean([report["hops"] for report in trained]))
    return [
        Row(
            figure="two-leg balance: time",
            value=time,
            reference=short,
            unit="s",
            against="untrained gait",
            paper="twice as long (robot)",
            wanted=">= twice",
            met=time >= 2.0 * short,
        ),
        Row(
            figure="two-leg balance: hops",
            value=hops,
            reference=float(np.mean([report["hops"] for report in before])),
            unit="",
            against="untrained gait",
            paper="4, before 2 (robot)",
            wanted=">= 4",
            met=hops >= 4.0,
        ),
    ]


def pacing(file: str, share: float, fly: Fly) -> list[Row]:
    """Error of the mean velocity at each speed."""
    rows = []
    for speed in PACING_SPEEDS:
        report = fly(["--policy", file, *_words("pacing", share, speed)])
        mean = _number(report["mean_velocity"]["vx_mps"])
        error = 100.0 * abs(mean - speed) / speed
        rows.append(
            Row(
                figure=f"pacing at {speed:g} m/s: velocity error",
                value=error,
                reference=float("nan"),
                unit="%",
                against="",
                paper="",
                wanted="<= 10, no fall",
                met=error <= 10.0 and report["falls"] == 0,
            )
        )
    return rows


def recovery(name: str, share: float, fly: Fly) -> list[Row]:
    """Pushes that the robot survives under the learned recovery policy and under the tuned one."""
    words = _words("recovery", share, 0.0)
    pushes = ["--pushes-every", f"{PUSH_EACH:g}", "--push-impulse", f"{PUSH:g}"]
    learned = fly([*words, *pushes, "--set", f"supervisor.recovery_policy={name}"])
    tuned = fly([*words, *pushes])
    saved = _survived(learned)
    wanted = _survived(tuned)
    return [
        Row(
            figure=f"recovery: pushes of {PUSH:g} N s survived",
            value=saved,
            reference=wanted,
            unit="%",
            against="tuned controller",
            paper="tuned better (robot)",
            wanted="as many",
            met=saved >= wanted,
        )
    ]


def reward(task: str, onboard: float, trained: float) -> Row:
    """Reward of a trajectory on the onboard pipeline, beside that at the end of the training."""
    return Row(
        figure=f"{task}: reward of a trajectory",
        value=onboard,
        reference=trained,
        unit="",
        against="training",
        paper="",
        wanted="within 10 %",
        met=abs(onboard - trained) <= 0.1 * abs(trained),
    )


def _words(task: str, share: float, speed: float) -> list[str]:
    """Duration and speed of a flight."""
    duration = max(SHORTEST, share * DURATIONS[task])
    return ["--duration", f"{duration:g}", "--vx", f"{speed:g}"]


def _balanced(report: Report) -> float:
    """Time to the first fall, or the whole flight [s]."""
    falls = report["fall_times_s"]
    return float(falls[0] if falls else report["duration_s"])


def _survived(report: Report) -> float:
    """Share of the pushes without a fall [%]; NaN without pushes."""
    pushes = report["pushes"]
    count = pushes if isinstance(pushes, int) else len(pushes)
    return 100.0 * max(0.0, 1.0 - report["falls"] / count) if count else float("nan")


def _number(value: float | None) -> float:
    """A number of a report, in which null stands for NaN."""
    return float("nan") if value is None else float(value)
