"""What cannot start says why in one line and ends with status 2; nothing starts half."""

import os
import signal
import subprocess
import sys
from importlib import import_module

import pytest

from safe_locomotion.runtime.stack import WATCHER_MODULES

CASES = {
    "unknown robot": ("estimator", ["robot:=b2"], ["b2", "a1"]),
    "unknown key": ("mpc", ["locomotion.body_hight:=0.2"], ["body_hight", "body_height"]),
    "wrong type": ("mpc", ["locomotion.body_height:='high'"], ["body_height", "high"]),
    "not finite": ("mpc", ["locomotion.body_height:=.nan"], ["body_height"]),
    "no such file": ("supervisor", ["config_file:=/nowhere/a1.yaml"], ["/nowhere/a1.yaml"]),
    "unknown cmd_vel type": (
        "supervisor",
        ["cmd_vel_type:=Pose"],
        ["Pose", "TwistStamped", "Twist"],
    ),
    "unknown policy": ("policy", ["policy:=moonwalk"], ["moonwalk", "nominal"]),
    "unknown sdk": ("bridge", ["sdk:=spot"], ["spot", "unitree_sdk2", "legged_sdk", "mock"]),
    "unknown sdk option": ("bridge", ["sdk_options.nic:=lo"], ["nic", "interface"]),
    "missing sdk option": ("bridge", ["sdk:=legged_sdk"], ["legged_sdk", "sdk_options.robot"]),
    "unknown lifecycle state": ("bridge", ["autostart:=running"], ["autostart", "running"]),
    "states that are old before the wait ends": (
        "bridge",
        ["answer_wait_ms:=60.0"],
        ["state_age_ms", "longer than answer_wait_ms"],
    ),
    "unknown parameter in composed": ("composed", ["mpc_node:speed:=1.0"], ["speed", "locomotion"]),
}


@pytest.fixture(autouse=True)
def own_signals():
    """A node takes the process's signal handlers; give them back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("case", CASES)
def test_refused_with_the_reason(case, capfd, ros_domain):
    """Status 2 and one line that names what was found and what is valid."""
    module, settings, words = CASES[case]
    main = import_module(f"safe_locomotion.{WATCHER_MODULES.get(module, f'nodes.{module}')}").main
    assert main(["--ros-args", *(word for setting in settings for word in ("-p", setting))]) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines


def test_no_traceback_from_a_real_process(ros_domain):
    """The same as a process of its own: exit status 2, no traceback."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [
        sys.executable,
        "-m",
        "safe_locomotion.nodes.composed",
        "--ros-args",
        "-p",
        "bridge_node:sdk:=spot",
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr and "spot" in done.stderr
