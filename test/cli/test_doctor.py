"""Each check of the doctor: once on a fit machine, once on one with the fault it is there for."""

import json
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from click.testing import CliRunner

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
from safe_locomotion.cli import checks_machine as machine
from safe_locomotion.cli import checks_software as software
from safe_locomotion.cli import checks_wire as wire
from safe_locomotion.cli import doctor as command
from safe_locomotion.cli.findings import Finding
from safe_locomotion.errors import BackendError


def absent(_: str) -> str:
    raise PackageNotFoundError


def refuses(_: int) -> float | None:
    raise BackendError("domain 7 cannot be joined")


def no_sdk(_: int) -> float | None:
    raise ImportError(name="cyclonedds")


def governor(folder: Path, name: str) -> Path:
    place = folder / "cpu0" / "cpufreq"
    place.mkdir(parents=True)
    (place / "scaling_governor").write_text(f"{name}\n")
    return folder


def clock(start: float, rate: float) -> Finding:
    """A machine whose wall clock reads `start` and runs `rate` times too fast."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return machine.check_clock(lambda: start + rate * now[0], lambda: now[0], sleep)


UNLIMITED = (-1, -1)
FIT: dict[str, Callable[[Path], Finding]] = {
    "python": lambda _: software.check_python((3, 11, 7)),
    "packages": lambda _: software.check_packages(lambda name: "99.1.0rc1"),
    "mujoco": lambda _: software.check_mujoco(lambda _: True),
    "files": lambda _: software.check_files("a1"),
    "ros": lambda _: software.check_ros({"ROS_DISTRO": "jazzy"}, lambda _: True),
    "rmw": lambda _: software.check_rmw({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}),
    "ros_domain": lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "42"}),
    "ros_discovery": lambda _: software.check_discovery({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
    "shared_memory": lambda _: machine.check_shared_memory([]),
    "interfaces": lambda _: machine.check_interfaces({"lo": "127.0.0.1", "eth0": "192.168.123.162"}, "eth0"),
    "dds_loopback": lambda _: wire.check_round_trip(7, lambda _: 1.0),
    "command_publishers": lambda _: wire.check_publishers("eth0", lambda domain, name: 0),
    "cpu_governor": lambda folder: machine.check_governor(governor(folder, "performance")),
    "realtime_priority": lambda _: machine.check_priority((0, 99), 1000),
    "memory_lock": lambda _: machine.check_memory_lock(UNLIMITED, 1000),
    "clock": lambda _: clock(1.8e9, 1.0),
}
ILL: dict[str, list[tuple[str, Callable[[Path], Finding], str]]] = {
    "python": [
        ("problem", lambda _: software.check_python((3, 9, 1)), "3.10"),
        ("warning", lambda _: software.check_python((3, 14, 0)), "3.13"),
    ],
    "packages": [
        ("problem", lambda _: software.check_packages(absent), "pip install 'numpy>=1.26'"),
        ("problem", lambda _: software.check_packages(lambda name: "0.9.9"), "'osqp>=1.0'"),
    ],
    "mujoco": [("warning", lambda _: software.check_mujoco(lambda _: False), "pip install mujoco")],
    "files": [
        ("problem", lambda _: software.check_files("a2"), "install"),
        ("problem", lambda folder: software.check_files("a1", lambda robot, suffix: folder / "none"), "install"),
    ],
    "ros": [
        ("problem", lambda _: software.check_ros({}, lambda _: False), "make setup"),
        ("warning", lambda _: software.check_ros({"ROS_DISTRO": "foxy"}, lambda _: True), "humble"),
    ],
    "rmw": [("warning", lambda _: software.check_rmw({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}), "rmw_fastrtps_cpp")],
    "ros_domain": [
        ("problem", lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "102"}), "export ROS_DOMAIN_ID"),
        ("problem", lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "-1"}), "export ROS_DOMAIN_ID"),
    ],
    "ros_discovery": [
        ("warning", lambda _: software.check_discovery({}), "LOCALHOST"),
        ("problem", lambda _: software.check_discovery({"ROS_AUTOMATIC_DISCOVERY_RANGE": "local"}), "SUBNET"),
    ],
    "shared_memory": [
        ("warning", lambda _: machine.check_shared_memory([Path("/dev/shm/fastrtps_1")]), "rm /dev/shm/fastrtps_1")
    ],
    "interfaces": [
        ("warning", lambda _: machine.check_interfaces({"lo": "127.0.0.1"}, None), "ip addr add"),
        ("problem", lambda _: machine.check_interfaces({"lo": "127.0.0.1"}, "eth7"), "ip -br addr"),
        ("problem", lambda _: machine.check_interfaces({"eth0": "", "eth1": "192.168.123.5"}, "eth0"), "dev eth0"),
    ],
    "dds_loopback": [
        ("problem", lambda _: wire.check_round_trip(7, lambda _: None), "lo"),
        ("problem", lambda _: wire.check_round_trip(7, refuses), "lo"),
        ("problem", lambda _: wire.check_round_trip(7, no_sdk), "cyclonedds"),
        ("warning", lambda _: wire.check_round_trip(7, lambda _: 30.0), "CPU"),
    ],
    "command_publishers": [
        ("problem", lambda _: wire.check_publishers("eth0", lambda domain, name: int(name == "eth0")), "motion service")
    ],
    "cpu_governor": [("warning", lambda folder: machine.check_governor(governor(folder, "powersave")), "performance")],
    "realtime_priority": [("warning", lambda _: machine.check_priority((0, 0), 1000), "rtprio 50")],
    "memory_lock": [("warning", lambda _: machine.check_memory_lock((65536, 65536), 1000), "memlock unlimited")],
    "clock": [
        ("problem", lambda _: clock(3600.0, 1.0), "date -s"),
        ("problem", lambda _: clock(float("nan"), 1.0), "date -s"),
        ("warning", lambda _: clock(1.8e9, 1.5), "timedatectl"),
    ],
}


@pytest.mark.parametrize("check", FIT)
def test_fit_machine(check: str, tmp_path: Path) -> None:
    """On a machine without the fault the check is ok and asks for nothing."""
    finding = FIT[check](tmp_path)
    assert (finding.check, finding.level, finding.mend) == (check, "ok", ""), finding


@pytest.mark.parametrize(("check", "level", "ill", "remedy"), [(check, *case) for check, cases in ILL.items() for case in cases])
def test_failing_twin(check: str, level: str, ill: Callable[[Path], Finding], remedy: str, tmp_path: Path) -> None:
    """With the fault the check says so, at its level, and names the remedy."""
    finding = ill(tmp_path)
    assert (finding.check, finding.level) == (check, level), finding
    assert remedy in finding.mend
    assert finding.text


def test_every_check_has_a_twin(ros_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command runs is what is tested above."""
    monkeypatch.setattr(wire, "_publishers", lambda: lambda domain, name: 0)
    assert [finding.check for finding in command.examine("a1", None)] == list(FIT)
    assert set(ILL) == set(FIT)


def test_only_files_without_an_owner_are_stale() -> None:
    """A Fast DDS file counts while a living process holds it or its lock open, and is stale from then on."""
    file, lock = (machine.SHARED_MEMORY / f"fastdds_{os.getpid()}_test{end}" for end in ("", "_el"))
    try:
        file.touch()
        with lock.open("w"):
            assert not {file, lock} & set(machine.stale_files())
        assert {file, lock} <= set(machine.stale_files())
    finally:
        file.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)


def test_another_commander_is_heard(wire_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second program on rt/lowcmd is a problem; when it has gone, none."""
    monkeypatch.setattr(wire, "SIMULATION_DOMAIN", wire_domain)
    other = UnitreeSdk2(stop_kd=3.0, domain=wire_domain)
    assert wire.check_publishers(None).level == "problem"
    other.close()
    assert wire.check_publishers(None).level == "ok"


def test_round_trip_over_real_dds(wire_domain: int) -> None:
    """The round trip crosses real DDS; and leaves the domain free again."""
    spent = wire.round_trip_ms(wire_domain)
    assert spent is not None and spent > 0.0
    RobotWire(domain=wire_domain).close()


def test_command_on_this_machine(tmp_path: Path, ros_domain: int) -> None:
    """One real run: JSON with a row per check, exit status 0 exactly when none is a problem."""
    file = tmp_path / "doctor.json"
    result = CliRunner().invoke(command.doctor, ["--json", str(file)], standalone_mode=False)
    assert result.exception is None, result.exception
    findings = json.loads(file.read_text())["findings"]
    assert [row["check"] for row in findings] == list(FIT)
    assert result.return_value == int(any(row["level"] == "problem" for row in findings))
    assert all(row["mend"] for row in findings if row["level"] != "ok")


def test_unknown_interface_is_a_problem(tmp_path: Path, ros_domain: int) -> None:
    """The command ends with 1 and names the interfaces there are."""
    result = CliRunner().invoke(command.doctor, ["--interface", "nowhere0"], standalone_mode=False)
    assert result.return_value == 1
    assert "nowhere0" in result.output and "lo 127.0.0.1" in result.output
