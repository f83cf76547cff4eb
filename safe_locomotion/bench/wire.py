"""Times from state to command over the real wire, in lock-step.

The simulated robot is one process; the stack is one process or five. Each graph gives two times:

- `state_to_command`, in the controller: from the decoded LowState to the LowCommand that the
  transport accepted.
- `round_trip`, in the robot: from the published LowState to the decoded LowCommand. It includes
  both ways over the wire and the wake-ups of both processes.

`wire_echo` is the round trip of a controller that computes nothing, so it is the time of the wire.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import LowState

STATES_TO_COMMANDS = {graph: f"state_to_command_{graph}" for graph in ("composed", "nodes")}
ROUND_TRIPS = {graph: f"round_trip_{graph}" for graph in STATES_TO_COMMANDS}
TIMEOUT_S = 180.0
ECHO = "wire_echo"
ECHO_ROUNDS = 2000
ECHO_LEAD = 100
ECHO_PAUSE_S = 0.001  # between an answer and the next state, as for the physics of a robot


def measure_graph(graph: str, robot: str, seconds: float) -> dict[str, dict[str, Any]]:
    """`state_to_command_<graph>` and `round_trip_<graph>` of a walk of `seconds`.

    Raises:
        RuntimeError: the run failed; the message says why.
    """
    with tempfile.TemporaryDirectory(prefix="safe_locomotion_bench_") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "safe_locomotion.cli.main", "sim", "--headless"]
        command += ["--robot", robot, "--graph", graph]
        command += ["--duration", repr(seconds), "--vx", "0.5", "--report", str(report)]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the run did not end within {TIMEOUT_S:g} s") from None
        if not report.exists():
            said = run.stderr.strip().splitlines()
            reason = said[-1] if said else "it printed no error"
            raise RuntimeError(f"safe-locomotion sim ended with {run.returncode}: {reason}")
        figures = json.loads(report.read_text())
    n = round(figures["rates_hz"]["lowcmd"] * figures["duration_s"])
    return {
        STATES_TO_COMMANDS[graph]: {
            **_ms(figures["latency_ms"]["state_to_command"]),
            "n": n,
            "what": f"LowState decoded to LowCommand on the wire, graph {graph}, lock-step",
        },
        ROUND_TRIPS[graph]: {
            **_ms(figures["round_trip_ms"]),
            "n": n,
            "what": "LowState published by the robot to LowCommand decoded there,"
            f" graph {graph}, lock-step",
        },
    }


def _ms(percentiles: dict[str, float]) -> dict[str, float]:
    return {f"{name}_ms": value for name, value in percentiles.items()}


def measure_echo(robot: str) -> dict[str, dict[str, Any]]:
    """`wire_echo`: round trips to a controller that computes nothing.

    Raises:
        RuntimeError: the controller did not answer.
    """
    from safe_locomotion.backends.robot_wire import RobotWire

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with claim_domain() as domain:
        wire = RobotWire(domain=domain)
        with subprocess.Popen(
            [sys.executable, "-m", "safe_locomotion.bench.echo", str(domain)], env=environment
        ) as echo:
            try:
                times = _round_trips(wire, standing_state(load_robot(robot), 0))
            finally:
                echo.terminate()
                wire.close()
    p50, p99, most = np.percentile(times, (50, 99, 100))
    what = (
        "LowState published to LowCommand decoded, with a controller that computes nothing:"
        " encode and decode twice, wake up twice"
    )
    return {
        ECHO: {
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "max_ms": float(most),
            "n": len(times),
            "what": what,
        }
    }


def _round_trips(wire: Any, state: LowState) -> list[float]:
    """Milliseconds of each answered round, without the first ones."""
    times: list[float] = []
    end = time.monotonic() + TIMEOUT_S / 6.0
    ticks = itertools.count(2, 2)
    while len(times) < ECHO_ROUNDS + ECHO_LEAD:
        if time.monotonic() > end:
            raise RuntimeError(f"only {len(times)} of {ECHO_ROUNDS} states were answered")
        start = time.perf_counter()
        wire.publish(replace(state, tick=next(ticks)))
        if wire.take_command(0.1) is not None:
            times.append(1e3 * (time.perf_counter() - start))
        time.sleep(ECHO_PAUSE_S)
    return times[ECHO_LEAD:]
