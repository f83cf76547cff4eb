"""State to command over the real wire: the simulated robot in one process, the stack in one or five others, in lock-step."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

GRAPHS = {"state_to_command_composed": "composed", "state_to_command_nodes": "nodes"}
TIMEOUT_S = 180.0


def measure_graph(graph: str, *, robot: str, seconds: float) -> dict[str, Any]:
    """Latency of a walk of `seconds`: from reception of a LowState to its LowCommand handed to the wire.

    Raises:
        RuntimeError: the run failed; says how.
    """
    with tempfile.TemporaryDirectory(prefix="safe_locomotion_bench_") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "safe_locomotion.cli.main", "sim", "--robot", robot, "--headless", "--graph", graph]
        command += ["--duration", repr(seconds), "--vx", "0.5", "--report", str(report)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"no end after {TIMEOUT_S:g} s") from None
        if not report.exists():
            said = run.stderr.strip().splitlines()
            raise RuntimeError(f"safe-locomotion sim ended with {run.returncode}: {said[-1] if said else 'it said nothing'}")
        figures = json.loads(report.read_text())
    latency = figures["latency_ms"]["state_to_command"]
    return {
        "p50_ms": latency["p50"],
        "p99_ms": latency["p99"],
        "max_ms": latency["max"],
        "n": round(figures["rates_hz"]["lowcmd"] * figures["duration_s"]),
        "what": f"LowState received to LowCommand handed to the wire, graph {graph}, lock-step",
    }
