"""What a user gets from `colcon build`, held against what `setup.py` and the checkout promise."""

import ast
import importlib
import importlib.metadata
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from places import ROOT

from safe_locomotion.cli.missing import EXTRAS, SIMULATION

PACKAGE = "safe_locomotion"
README = (ROOT / "README.md").read_text()
ENVIRONMENT = ROOT / ".venv-colcon"


def declared_scripts() -> list[EntryPoint]:
    """The executables of this checkout, from the metadata that installing it wrote."""
    return [
        script
        for script in entry_points(group="console_scripts")
        if script.value.startswith(f"{PACKAGE}.")
    ]


def shared_files() -> list[Path]:
    """Every file of the checkout that nodes, launch files or RViz read at run time."""
    found = (
        path for folder in ("launch", "config", "models") for path in (ROOT / folder).rglob("*")
    )
    return [path.relative_to(ROOT) for path in found if path.is_file() and path.suffix != ".pyc"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The install folder of the package in a workspace that colcon built without ROS."""
    subprocess.run([ROOT / "tools" / "setup.sh", "colcon"], check=True, stdin=subprocess.DEVNULL)
    base = tmp_path_factory.mktemp("workspace")
    built = subprocess.run(
        [
            *(
                ENVIRONMENT / "bin" / "colcon",
                "--log-base",
                base / "log",
                "build",
                "--event-handlers",
                "console_direct+",
            ),
            *("--paths", ROOT, "--build-base", base / "build", "--install-base", base / "install"),
        ],
        cwd=base,
        env={**os.environ, "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return base / "install" / PACKAGE


def test_every_place_names_the_same_version() -> None:
    """Package, metadata, ROS manifest, citation and the newest release of the changelog agree."""
    version = importlib.import_module(PACKAGE).__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE)
    assert importlib.metadata.version(PACKAGE) == version
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == version
    assert citation["version"] == version
    assert released[0] == (version, citation["date-released"])


@pytest.mark.colcon
def test_colcon_installs_every_executable_where_ros2_run_looks(workspace: Path) -> None:
    """Every console script of `setup.py` is an executable in lib/safe_locomotion.

    It runs the active interpreter.
    """
    names = {script.name for script in declared_scripts()}
    installed = {path.name for path in (workspace / "lib" / PACKAGE).iterdir()}
    assert names >= {"safe-locomotion", "bridge_node", "sim_robot"}
    assert installed == names
    for path in (workspace / "lib" / PACKAGE).iterdir():
        assert os.access(path, os.X_OK), path
        assert path.read_text().splitlines()[0] == "#!/usr/bin/env python3"


@pytest.mark.colcon
def test_an_installed_executable_finds_its_package(workspace: Path, tmp_path: Path) -> None:
    """Run from elsewhere with the workspace on its path, Python loads the installed copy."""
    (site,) = workspace.glob("lib/python*/site-packages")
    code = f"import {PACKAGE}; print({PACKAGE}.__file__)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert Path(found) == site / PACKAGE / "__init__.py"


@pytest.mark.colcon
def test_colcon_installs_every_shared_file(workspace: Path) -> None:
    """Launch files, configuration and models lie under share/safe_locomotion, byte for byte."""
    files = [Path("package.xml"), *shared_files()]
    assert any(path.parts[0] == "config" for path in files)
    for path in files:
        installed = workspace / "share" / PACKAGE / path
        assert installed.is_file(), f"{path} is not installed"
        assert installed.read_bytes() == (ROOT / path).read_bytes()


@pytest.mark.colcon
def test_the_ament_index_knows_the_package(workspace: Path) -> None:
    """The marker by which `ros2 pkg` and launch find the package is there."""
    assert (workspace / "share/ament_index/resource_index/packages" / PACKAGE).is_file()


@pytest.mark.colcon
def test_every_module_is_installed_and_no_test_is(workspace: Path) -> None:
    """The installed Python files are exactly those of the checkout's package."""
    (site,) = workspace.glob("lib/python*/site-packages")
    installed = {path.relative_to(site) for path in site.glob(f"{PACKAGE}/**/*.py")}
    assert installed == {path.relative_to(ROOT) for path in ROOT.glob(f"{PACKAGE}/**/*.py")}
    assert {
        path.name for path in site.iterdir() if path.is_dir() and path.suffix != ".egg-info"
    } == {PACKAGE}


@pytest.mark.parametrize("script", declared_scripts(), ids=lambda script: script.name)
def test_every_executable_names_a_function_that_exists(script: EntryPoint) -> None:
    """The module of each console script imports, and what it names can be called."""
    assert callable(getattr(importlib.import_module(script.module), script.attr))


@pytest.fixture
def promised(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `setup.py` hands to setuptools, which puts it into a wheel."""
    words: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **given: words.update(given))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return words


def test_a_wheel_holds_every_file_that_runs_or_is_read(promised: dict[str, Any]) -> None:
    """Each file of the package and each shared one is in a package or among the data files."""
    data = {Path(file) for _, files in promised["data_files"] for file in files}
    assert set(shared_files()) <= data
    packages = {Path(*name.split(".")) for name in promised["packages"]}
    patterns = promised["package_data"][PACKAGE]
    for path in (ROOT / PACKAGE).rglob("*"):
        if path.is_dir() or path.suffix == ".pyc":
            continue
        file = path.relative_to(ROOT)
        matched = any(file.match(f"{PACKAGE}/{pattern}") for pattern in patterns)
        assert (path.suffix == ".py" and file.parent in packages) or matched, file
    assert {Path(place).parts[0] for place, _ in promised["data_files"]} == {"share"}


def test_the_extras_for_a_desk_bring_what_the_simulated_robot_imports(
    promised: dict[str, Any],
) -> None:
    """`pip install 'safe_locomotion[sim,ros]'` installs each library that `sim` asks for."""
    extras = promised["extras_require"]
    wanted = " ".join((*extras["sim"], *extras["ros"])).replace("-", "_")
    assert SIMULATION.keys() == {"mujoco", "cyclonedds", "unitree_sdk2py", "rclpy"}
    assert all(module in wanted for module in SIMULATION)
    assert all(extra in extras for extra in (*EXTRAS.values(), *SIMULATION.values()))


def test_badges_say_what_holds(promised: dict[str, Any]) -> None:
    """The badges of the README name licence, Python versions and type check as configured."""
    badges = dict(re.findall(r"!\[(.+?)\]\(https://img\.shields\.io/badge/(\S+)\)", README))
    minors = [row.rpartition(".")[2] for row in promised["classifiers"] if ":: Python :: 3." in row]
    first = minors[0]
    last = minors[-1]
    assert promised["license"] == "Apache-2.0"
    assert badges == {
        "licence: Apache 2.0": "licence-Apache%202.0-blue",
        f"Python 3.{first} to 3.{last}": f"Python-3.{first}%20to%203.{last}-blue",
        "types: mypy strict": "types-mypy%20strict-blue",
    }
    assert "\nstrict = true\n" in (ROOT / "pyproject.toml").read_text()


def test_setup_and_manifest_agree() -> None:
    """Licence and description are the same in `setup.py` and in `package.xml`."""
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    (call,) = (
        node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if is_setup_call(node)
    )
    values = {
        word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)
    }
    assert manifest.findtext("name") == PACKAGE
    for tag in ("license", "description"):
        assert manifest.findtext(tag) == values[tag]


def test_the_manifest_names_the_ros_packages_that_the_code_imports() -> None:
    """No ROS package is imported without being declared, and none is declared for nothing.

    `ros2launch` holds the command, which nothing imports.
    """
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {element.text or "" for element in manifest.findall("exec_depend")}
    files = [path for folder in (PACKAGE, "launch") for path in (ROOT / folder).rglob("*.py")]
    imported = {name.partition(".")[0] for path in files for name in imports(path)}
    ros = {name for name in imported if name.endswith(("_msgs", "_interfaces", "_srvs"))}
    ros |= imported & {"rclpy", "launch", "launch_ros"}
    named = {name for name in declared if not name.startswith("python3-")}
    assert named - {"ros2launch"} == ros


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def is_setup_call(node: ast.AST) -> bool:
    """Tells the call of `setup(...)` from every other node of a syntax tree."""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup"
    )


def test_what_the_build_reads_is_in_the_repository() -> None:
    """The licence is Apache's whole text, and the marker file carries the package's name."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert (ROOT / "resource" / PACKAGE).is_file()


def test_every_test_states_its_claim() -> None:
    """Each test function has a docstring."""
    for path in sorted((ROOT / "test").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), (
                    f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                )
