"""Bad input at start-up: status 2 and one line with the choices, without a traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from core_values import A1, CONFIG_FILE, START_NS, TICK_NS, low_state, replaced

from safe_locomotion.backends.log import save_states
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError


def refused(command: Sequence[str]) -> str:
    """The error line of a process that does not start."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def composed(*settings: str) -> list[str]:
    """Command line of the composed process with parameters of its nodes."""
    return [
        "safe_locomotion.nodes.composed",
        "--ros-args",
        *(word for setting in settings for word in ("-p", setting)),
    ]


# DDSI-RTPS 2.3, section 9.6.1
FIRST_PORT = 7410
PORTS_PER_DOMAIN = 250


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--robot", "b2"], ["b2", "a1"]),
        (["--gait", "moonwalk"], ["moonwalk", "trot", "pace"]),
        (["--terrain", "lava"], ["lava", "flat", "slope", "stairs", "rough", "up_stairs:9"]),
        (["--terrain", "up_stairs"], ["up_stairs", "level", "0 to 9"]),
        (["--terrain", "up_stairs:10"], ["up_stairs", "10", "0 to 9"]),
        (["--terrain", "obstacles:-1"], ["obstacles", "level", "0 to 9"]),
        (["--set", "mpc.locomotion.body_hight=0.3"], ["body_hight", "body_height"]),
        (["--set", "bridge.limits.dq_max=.nan"], ["dq_max", "finite"]),
        (["--vx", "nan"], ["vx", "finite"]),
        (["--policy", "moonwalk"], ["moonwalk", "nominal"]),
    ],
)
def test_sim_names_the_choices(
    options: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown robots, gaits, terrains, keys, values and policies give one line and status 2."""
    from safe_locomotion.cli.main import main

    assert main(["sim", "--headless", *options]) == 2
    said = capsys.readouterr().err
    assert (
        said.startswith("error: ") and said.count("\n") == 1 and all(word in said for word in words)
    ), said


def test_a_refused_sim_ends_its_process() -> None:
    """The same holds for a real process."""
    said = refused(["safe_locomotion.cli.main", "sim", "--headless", "--terrain", "lava"])
    assert all(word in said for word in ("lava", "flat", "slope", "stairs", "rough"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["bridge_node:robot:=b2"], ["b2", "a1"]),
        (["bridge_node:sdk:=spot"], ["spot", "unitree_sdk2", "legged_sdk", "mock"]),
        (["bridge_node:limits.dq_maximum:=3.0"], ["dq_maximum", "dq_max"]),
        (["policy_node:gait.name:=moonwalk"], ["moonwalk", "trot"]),
    ],
)
def test_the_runtime_names_the_choices(
    ros_domain: int, settings: list[str], words: list[str]
) -> None:
    """Unknown robots, SDKs, limits and gaits are refused with the choices."""
    pytest.importorskip("rclpy")
    said = refused(composed(*settings))
    assert all(word in said for word in words), said


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all values of nested mappings."""
    return [
        p
        for key, value in tree.items()
        for p in (leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)])
    ]


DOCUMENT = yaml.safe_load(CONFIG_FILE.read_text())


def without(path: tuple[str, ...], folder: Path) -> Path:
    """The A1's parameter file without one key."""
    document = deepcopy(DOCUMENT)
    place = document
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    file = folder / "a1.yaml"
    file.write_text(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    return file


LIMITS = [path for path in leaves(DOCUMENT) if path[0] in ("bridge_node", "supervisor_node")]


def test_a_file_without_one_of_its_keys_is_refused(tmp_path: Path) -> None:
    """No key of gate, leg controller and supervisor has a default; the error names it."""
    assert len(LIMITS) > 80
    for path in LIMITS:
        with pytest.raises(ConfigurationError, match=rf"a1\.yaml.*missing {path[-1]}$"):
            load_config(without(path, tmp_path))


def test_a_missing_limit_stops_the_runtime(ros_domain: int, tmp_path: Path) -> None:
    """The same holds for a real process."""
    pytest.importorskip("rclpy")
    file = without(("bridge_node", "ros__parameters", "limits", "dq_max"), tmp_path)
    said = refused(composed(f"bridge_node:config_file:={file}"))
    assert "missing dq_max" in said and str(file) in said


def test_a_busy_port_stops_the_runtime(ros_domain: int) -> None:
    """The runtime does not start while another program uses the port of the UDP link."""
    pytest.importorskip("rclpy")
    pytest.importorskip("unitree_legged_sdk")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        options = {
            "robot": "go1",
            "local_port": port,
            "robot_address": "127.0.0.1",
            "robot_port": port + 1,
        }
        said = refused(
            composed(
                "bridge_node:sdk:=legged_sdk",
                *(f"bridge_node:sdk_options.{k}:={v}" for k, v in options.items()),
            )
        )
    assert f"UDP port {port} cannot be bound" in said and "local_port" in said


def test_a_busy_domain_stops_the_runtime(ros_domain: int, wire_domain: int) -> None:
    """The runtime does not start while other programs use all ports of the domain."""
    pytest.importorskip("rclpy")
    first = FIRST_PORT + PORTS_PER_DOMAIN * wire_domain
    with ExitStack() as taken:
        for index in range(61):
            holder = taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with suppress(OSError):  # taken already is as good
                holder.bind(("0.0.0.0", first + 2 * index))
        said = refused(composed(f"bridge_node:sdk_options.domain:={wire_domain}"))
    assert f"DDS domain {wire_domain}" in said and "choose another" in said


def test_another_robot_is_not_activated(ros_domain: int, tmp_path: Path) -> None:
    """With a calf angle that an A1 cannot have, no command is sent, and the error names it."""
    pytest.importorskip("rclpy")
    states = [
        low_state(tick=k, stamp_ns=START_NS + k * TICK_NS, q=replaced(A1.q_stand, 5, -3.2))
        for k in range(1, 500)
    ]
    save_states(tmp_path / "states.npz", states)
    said = refused(
        composed(
            "bridge_node:sdk:=mock", f"bridge_node:sdk_options.path:={tmp_path / 'states.npz'}"
        )
    )
    assert (
        "no a1" in said
        and "FL_calf at -3.20 rad, outside -2.70..-0.92" in said
        and "one of: a1" in said
    )
