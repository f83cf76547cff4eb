"""The robot process as a program of its own, over real DDS on loopback."""

import json
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("mujoco")

from memory_wire import Controller

from safe_locomotion import PARENT


@pytest.fixture
def backend(wire_domain):
    pytest.importorskip("unitree_sdk2py")
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

    link = UnitreeSdk2(stop_kd=3.0, domain=wire_domain)
    yield link
    link.close()


def robot_command(domain: int, *arguments: str) -> list[str]:
    """Command line of the robot process."""
    return [sys.executable, "-m", "safe_locomotion.sim", "--domain", str(domain), *arguments]


def start(domain: int, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(robot_command(domain, *arguments), stderr=subprocess.PIPE)


def serve(backend, process: subprocess.Popen, limit_s: float) -> int:
    """Answer every state until the process ends."""
    controller = Controller()
    answered = 0
    end = time.monotonic() + limit_s
    while process.poll() is None and time.monotonic() < end:
        state = backend.read(0.1)
        if state is not None:
            backend.write(controller(state))
            answered += 1
    return answered


def test_process_stands_up_over_real_dds(backend, wire_domain, tmp_path) -> None:
    """Commanded through the SDK2 backend, the process in lock-step stands up.

    It ends after its duration and reports.
    """
    summary_file = tmp_path / "summary.json"
    truth = str(tmp_path / "truth.npz")
    process = start(
        wire_domain,
        "--lockstep",
        "--duration",
        "0.5",
        "--summary",
        str(summary_file),
        "--truth",
        truth,
    )
    try:
        answered = serve(backend, process, 40.0)
        assert process.wait(10) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    summary = json.loads(summary_file.read_text())
    assert summary["stood_at_s"] is not None and summary["falls"] == 0
    assert summary["commands"] > 400 and answered >= summary["commands"]
    assert summary["commands_rejected"] == {}


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_process_ends_on_a_signal(which, tmp_path, wire_domain) -> None:
    """SIGINT and SIGTERM end the process with status 0 and a summary."""
    pytest.importorskip("unitree_sdk2py")
    summary_file = tmp_path / "summary.json"
    process = start(wire_domain, "--summary", str(summary_file))
    try:
        assert b"DDS domain" in process.stderr.readline()
        process.send_signal(which)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert json.loads(summary_file.read_text())["stood_at_s"] is None


def test_process_ends_with_its_parent(tmp_path, wire_domain) -> None:
    """As in a stack, the process ends with its parent, in the same way as on request."""
    pytest.importorskip("unitree_sdk2py")
    summary_file = tmp_path / "summary.json"
    code = (
        "import os, subprocess, sys\n"
        f"os.environ[{PARENT!r}] = str(os.getpid())\n"
        "subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE).stderr.readline()\n"
    )
    robot = robot_command(wire_domain, "--summary", str(summary_file))
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *robot], check=True, timeout=40)
    end = time.monotonic() + 20.0
    while not summary_file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert summary_file.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--robot", "spot"], "a1"),
        (["--terrain", "moon"], "stairs"),
        (["--interface", "nope0"], "lo"),
        (["--push", "7"], "J@t"),
    ],
)
def test_bad_options_end_with_status_2_and_name_the_choices(arguments, named) -> None:
    """One line without a traceback names the valid choices; the exit status is 2."""
    pytest.importorskip("unitree_sdk2py")
    done = subprocess.run(
        [sys.executable, "-m", "safe_locomotion.sim", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 2
    assert named in done.stderr and "Traceback" not in done.stderr
