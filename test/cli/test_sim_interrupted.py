"""`safe-locomotion sim` that is interrupted or killed leaves a damped robot and no process."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sim_runs import children_of, command, environment

pytest.importorskip("mujoco")
pytest.importorskip("rclpy")
pytest.importorskip("unitree_sdk2py")


def test_interrupt_damps_and_leaves_nothing_behind(tmp_path):
    """After Ctrl-C all children end with damping, and the report says interrupted."""
    folder = tmp_path / "run"
    process = subprocess.Popen(
        command(
            "sim",
            "--headless",
            "--duration",
            "60",
            "--record",
            folder,
            "--report",
            tmp_path / "r.json",
        ),
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60.0
        while (
            not (folder / "bridge.log").is_file()
            or (folder / "bridge.log").stat().st_size < 1000 * 32
        ) and time.monotonic() < end:
            time.sleep(0.1)
        children = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        status = process.wait(20)
    finally:
        process.kill()
        process.communicate()
    assert len(children) == 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert status == 130
    assert json.loads((folder / "robot.json").read_text())["ended_damped"]
    assert json.loads((tmp_path / "r.json").read_text())["interrupted"]


def test_interrupt_before_standing_says_that_there_is_no_report(tmp_path):
    """SIGTERM while the robot stands up ends the run damped, with one line and status 130.

    It takes the way of Ctrl-C, so each of the two is sent once, at different times.
    """
    folder = tmp_path / "run"
    never = "supervisor.thresholds.settle_time=1000"
    process = subprocess.Popen(
        command("sim", "--headless", "--set", never, "--record", folder, "--report", folder / "r"),
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60.0
        log = folder / "bridge.log"
        while (not log.is_file() or log.stat().st_size < 100 * 32) and time.monotonic() < end:
            time.sleep(0.1)
        children = children_of(process.pid)
        process.send_signal(signal.SIGTERM)
        shown, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert len(children) == 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert process.returncode == 130 and not shown and not (folder / "r").exists()
    assert said.splitlines()[-1] == "ended before the robot stood; there is no report"
    assert json.loads((folder / "robot.json").read_text())["ended_damped"]


def test_killed_it_leaves_nothing_behind(tmp_path):
    """After kill -9 of the command, its children end by themselves."""
    process = subprocess.Popen(
        command("sim", "--headless", "--duration", "60", "--record", tmp_path / "run"),
        env=environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    children = []
    try:
        end = time.monotonic() + 60.0
        while not (tmp_path / "run" / "bridge.log").is_file() and time.monotonic() < end:
            time.sleep(0.1)
        children = children_of(process.pid)
    finally:
        process.kill()
        process.wait()
    end = time.monotonic() + 20.0
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(children) == 3 and not any(Path(f"/proc/{pid}").exists() for pid in children)
