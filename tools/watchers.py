"""Measure what a recorder or a viewer costs the control loop.

The simulated robot walks in real time: alone, recorded and viewed, in turns.

.venv/bin/python tools/watchers.py [--realtime] [--seconds 20] [--rounds 3] [--graph composed]
    [--json FILE]

With --realtime the control thread has the scheduling of a robot, where it is allowed.

The table holds medians over the rounds:

- state to command, p50 and p99;
- its p99 over that of the run alone in the same round, with quartiles, because runs of one round
  have much the same conditions;
- the share of a core that recorder or viewer took.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, sleep

CASES = {"alone": (), "recorded": ("--record", "{folder}"), "viewed": ("--viewer",)}
WATCHERS = {"recorded": "recorder", "viewed": "viewer"}
TRIES = 4
LINE = "{:10}{:>10}{:>10}{:>24}{:>24}"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, and print the table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of walking in each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--graph", default="composed")
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    extra = ["--graph", options.graph, *(["--realtime"] if options.realtime else [])]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for turn in range(options.rounds):
        for name in CASES:
            rows[name].append(repeated(name, options.seconds, extra))
            print(f"round {turn + 1} {name}: {rows[name][-1]}", file=sys.stderr, flush=True)
    print(LINE.format("", "p50 [ms]", "p99 [ms]", "p99, alone = 1", "watcher [% of a core]"))
    for name, runs in rows.items():
        p50 = median(row["p50_ms"] for row in runs)
        p99 = median(row["p99_ms"] for row in runs)
        cpu = median(row["cpu_percent"] for row in runs)
        pairs = zip(runs, rows["alone"], strict=True)
        low, ratio, high = quartiles([run["p99_ms"] / alone["p99_ms"] for run, alone in pairs])
        spread = f"{ratio:.2f} ({low:.2f} to {high:.2f})"
        print(LINE.format(name, f"{p50:.3f}", f"{p99:.3f}", spread, f"{cpu:.1f}"))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


def quartiles(values: list[float]) -> list[float]:
    """The three quartiles; a single value is all three."""
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * values


def repeated(name: str, seconds: float, extra: list[str]) -> dict[str, float]:
    """`measure`, repeated when the machine did not keep up and the robot was damped."""
    for _ in range(TRIES):
        try:
            return measure(name, seconds, extra)
        except RunEnded as error:
            print(error, file=sys.stderr, flush=True)
    raise SystemExit(
        f"{name}: none of {TRIES} runs was complete: this machine does not keep real time"
    )


class RunEnded(Exception):
    """A run ended early."""


def measure(name: str, seconds: float, extra: list[str]) -> dict[str, float]:
    """One run: its times from state to command [ms], and the CPU share of the watcher [%]."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [word.format(folder=Path(folder) / "walks") for word in CASES[name]]
        usual = [
            "--headless",
            "--wall-clock",
            *extra,
            "--vx",
            "0.3",
            "--duration",
            str(seconds),
            "--report",
            str(report),
        ]
        command = [sys.executable, "-m", "safe_locomotion.cli.main", "sim", *usual, *words]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples = list(cpu_samples(process, WATCHERS.get(name, "")))
        if process.returncode != 0:
            raise RunEnded(f"{name}: the run ended with status {process.returncode}")
        times = json.loads(report.read_text())["latency_ms"]["state_to_command"]
    walked = samples[len(samples) // 3 :]
    share = (
        100.0 * (walked[-1][1] - walked[0][1]) / (walked[-1][0] - walked[0][0])
        if len(walked) > 1
        else 0.0
    )
    return {"p50_ms": times["p50"], "p99_ms": times["p99"], "cpu_percent": share}


def cpu_samples(process: "subprocess.Popen[bytes]", watcher: str) -> Iterator[tuple[float, float]]:
    """Wall clock and CPU time of the watcher [s], twice a second until the run ends.

    The watcher is a child of the run.
    """
    while process.poll() is None:
        sleep(0.5)
        for child in children(process.pid):
            try:
                words = Path(f"/proc/{child}/cmdline").read_text()
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if watcher and f"nodes.{watcher}" in words:
                yield monotonic(), (int(fields[11]) + int(fields[12])) / TICKS


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
