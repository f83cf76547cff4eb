"""`make setup-robot`: what the computer of a robot gets, and that a Jetson can get it.

The lock is resolved for aarch64 where a package index may be asked:

    SAFE_LOCOMOTION_NETWORK=1 make test ARGS=test/test_robot_lock.py
"""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from places import ROOT

NETWORK = "SAFE_LOCOMOTION_NETWORK"
FROM_SOURCE = "cyclonedds"
PYTHONS = {"humble": "3.10", "jazzy": "3.12"}
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
NODES = (
    *("bridge", "estimator", "policy", "supervisor", "mpc", "composed"),
    *("ui.monitor_node", "recording.recorder_node", "backends.unitree_sdk2"),
)
OURS = "safe_locomotion"


def locked(name: str) -> list[Requirement]:
    """Lines of a lock."""
    text = (ROOT / f"requirements/{name}.lock").read_text()
    lines = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
    return [Requirement(line.removesuffix("\\")) for line in lines]


def pins(name: str) -> dict[str, set[str]]:
    """Versions by package of a lock; some differ by the version of Python."""
    found: dict[str, set[str]] = {}
    for requirement in locked(name):
        found.setdefault(requirement.name, set()).add(str(requirement.specifier))
    return found


def test_the_robot_runs_the_versions_of_the_desk() -> None:
    """Each package that both locks hold has one version in them."""
    robot = pins("robot")
    desk = pins("run") | pins("test")
    assert len(robot) > 30
    assert {name: robot[name] for name in robot.keys() & desk.keys()} == {
        name: desk[name] for name in robot.keys() & desk.keys()
    }


def test_the_robot_gets_no_simulator_and_no_pictures() -> None:
    """The lean lock leaves out what only a desk needs."""
    left_out = {"mujoco", "mujoco-core", "matplotlib", "viser", "trimesh", "daqp", "proxsuite"}
    assert left_out & pins("run").keys() >= {"matplotlib", "viser", "daqp"}
    assert not left_out & pins("robot").keys()


WITHOUT = """
import sys
from importlib import import_module

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
for name in {modules}:
    import_module(name)
"""
"""A program that imports modules where others are not installed."""


def test_the_nodes_start_without_what_the_lock_leaves_out() -> None:
    """A node, the monitor, the recorder and the link of a Go2 import nothing else."""
    left_out = pins("run").keys() - pins("robot").keys()
    missing = {
        module
        for module, packages in packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", name).lower() for name in packages} <= left_out
    }
    assert {"mujoco", "matplotlib", "viser"} <= missing
    modules = [f"{OURS}.{name if '.' in name else f'nodes.{name}'}" for name in NODES]
    code = WITHOUT.format(missing=missing - {"cmeel_pth"}, modules=modules)
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_source_of_cyclonedds_is_that_of_the_lock() -> None:
    """tools/cyclonedds.sh builds the version that x86-64 gets as a wheel, from one commit."""
    script = (ROOT / "tools/cyclonedds.sh").read_text()
    (version,) = re.findall(r"^version=(\S+)$", script, re.MULTILINE)
    (commit,) = re.findall(r"^commit=(\S+)$", script, re.MULTILINE)
    assert pins("robot")[FROM_SOURCE] == pins("run")[FROM_SOURCE] == {f"=={version}"}
    assert re.fullmatch("[0-9a-f]{40}", commit)


@pytest.mark.skipif(NETWORK not in os.environ, reason=f"asks a package index; set {NETWORK}=1")
@pytest.mark.timeout(500)
@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
@pytest.mark.parametrize("lock", ["robot", "run"])
def test_a_jetson_finds_a_wheel_of_everything_else(lock: str, python: str, tmp_path: Path) -> None:
    """For aarch64 and the Python of JetPack 6 or Jazzy only cyclonedds must be compiled."""
    environment = {
        "platform_machine": "aarch64",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "python_version": python,
        "python_full_version": f"{python}.4",
    }
    wanted = [
        f"{requirement.name}{requirement.specifier}"
        for requirement in locked(lock)
        if requirement.name != FROM_SOURCE
        and (requirement.marker is None or requirement.marker.evaluate(environment))
    ]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--ignore-requires-python", "--implementation", "cp"),
            *("--python-version", python),
            *(word for platform in PLATFORMS for word in ("--platform", platform)),
            *("--target", str(tmp_path), *wanted),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
