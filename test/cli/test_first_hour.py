"""The first hour of a new user: missing libraries, domains, tables and hints."""

import os
import subprocess
import sys

import pytest
from rich.console import Console

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.cli.evaluate.tables import table
from safe_locomotion.cli.main import main
from safe_locomotion.cli.missing import EXTRAS, remedy, require_simulation
from safe_locomotion.cli.sim.run import claim_ros_domain
from safe_locomotion.errors import ConfigurationError

ROW = {
    "policy": "random",
    "sigma": 0.05,
    "task": "trot",
    "supervisor": "reachability",
    "horizon": 10,
    "trigger_set": "c1",
    "terrain": "flat",
    "friction": 0.8,
    "push": 0.0,
    "falls": 12,
    "episodes": 100,
    "falls_interval": (0.07, 0.198),
    "uses": 1234,
    "share": 0.1234,
    "share_interval": (0.1, 0.15),
    "triggered": 0.98,
    "reward": 1234.5,
    "reward_interval": (1200.0, 1300.0),
    "energy_j": 4321.0,
    "energy_j_interval": (4200.0, 4400.0),
}


WITHOUT = """
import sys

for name in ("rclpy", "mujoco"):
    sys.modules[name] = None
from safe_locomotion.cli.main import main

for words in ("top", "evaluate --episodes 1", "bench --quick"):
    print(words, main(words.split()), flush=True)
"""


def python(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with what this process imports."""
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_missing_library_is_one_line() -> None:
    """Without ROS or simulator a command says what installs it, with status 2, in one line."""
    done = python("-c", WITHOUT)
    assert done.stdout.splitlines() == ["top 2", "evaluate --episodes 1 2", "bench --quick 2"]
    said = done.stderr.splitlines()
    assert len(said) == 3 and all(line.startswith("error: ") for line in said)
    assert "needs ROS 2, and rclpy cannot be imported" in said[0]
    assert all("pip install 'safe_locomotion[sim]'" in line for line in said[1:])


def test_each_missing_module_has_its_own_remedy() -> None:
    """Modules of extras name their extra, those of ROS the distribution; a broken one is quoted."""
    for module, extra in EXTRAS.items():
        assert f"[{extra}]" in remedy(ImportError(name=f"{module}.part"))
    for module in ("rclpy", "std_msgs.msg", "std_srvs.srv"):
        assert "ROS 2" in remedy(ImportError(name=module))
    assert "bad ELF" in remedy(ImportError("bad ELF"))
    assert "doctor" in remedy(ImportError(name="unheard_of"))


def test_a_simulation_without_its_libraries_names_all_of_them_at_once() -> None:
    """One line names what is missing and the extras that bring it."""
    require_simulation(lambda name: name)
    with pytest.raises(ConfigurationError, match=r"needs mujoco: pip install '.*\[sim\]'$"):
        require_simulation(lambda name: None if name == "mujoco" else name)
    with pytest.raises(ConfigurationError) as refusal:
        require_simulation(lambda name: None)
    assert "mujoco, cyclonedds, unitree_sdk2py, rclpy" in str(refusal.value)
    assert "pip install 'safe_locomotion[sim,ros]'" in str(refusal.value)
    assert "source /opt/ros" in str(refusal.value)


def test_an_exported_domain_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run takes ROS_DOMAIN_ID, and is refused while another run is on it."""
    with claim_domain() as free:
        pass
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free))
    with claim_ros_domain() as domain:
        assert domain == free
        with (
            pytest.raises(ConfigurationError, match="another run is on this domain"),
            claim_ros_domain(),
        ):
            pass
        with claim_domain() as other:
            assert other != free
    monkeypatch.setenv("ROS_DOMAIN_ID", "0")
    with claim_ros_domain() as domain:
        assert domain == 0
    monkeypatch.setenv("ROS_DOMAIN_ID", "kitchen")
    with pytest.raises(ConfigurationError, match="kitchen"), claim_ros_domain():
        pass
    monkeypatch.delenv("ROS_DOMAIN_ID")
    with claim_ros_domain() as first, claim_ros_domain() as second:
        assert first != second


def test_the_table_of_an_evaluation_fits_eighty_columns() -> None:
    """Short, each row is one line of 80 columns; what is the same in all rows is the title."""
    rows = [ROW, {**ROW, "supervisor": "off", "horizon": 0}]
    out = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    out.print(table(rows, short=True))
    out.file.close()
    lines = out.export_text().splitlines()
    assert len(lines) == 4 and all(len(line.rstrip()) <= 80 for line in lines)
    assert "task trot" in lines[0] and "12" in lines[2] and "12.3" in lines[2]
    assert "reachability" in lines[2] and "4321" in lines[2]
    assert "1200..1300" in " ".join(
        str(cell) for column in table(rows).columns for cell in column.cells
    )


@pytest.mark.parametrize("value", ["mpc.locomotion.colour=1", "arm.length=1", "x=1", "mpc.swing=2"])
def test_a_wrong_parameter_points_to_the_page(
    value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every refusal of --set names the page that explains the parameters."""
    assert main(["sim", "--headless", "--duration", "1", "--set", value]) == 2
    assert "docs/tuning.md" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_there(shell: str) -> None:
    """The variable of the quick start makes the program print its completion for the shell."""
    words = ("-m", "safe_locomotion.cli.main")
    done = python(*words, _SAFE_LOCOMOTION_COMPLETE=f"{shell}_source")
    assert "safe-locomotion" in done.stdout and done.returncode == 0
