"""Each check of the doctor: on a machine without the fault, and on one with it."""

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from click.testing import CliRunner

from safe_locomotion.backends.listen import Heard
from safe_locomotion.cli.doctor import command, machine, robot, software, wire
from safe_locomotion.cli.doctor.findings import Finding
from safe_locomotion.errors import BackendError
from safe_locomotion.runtime.realtime import Setting


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
    """The check on a machine whose wall clock reads `start` and runs `rate` times as fast."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return machine.check_clock(lambda: start + rate * now[0], lambda: now[0], sleep)


def heard(
    rate_hz: float = 500.0, clock: float = 1.0, count: int = 250, **refused: int
) -> Callable[[int, str], Heard]:
    """A robot that sends at this rate, and whose clock runs `clock` times as fast as ours."""
    states = tuple((k / rate_hz, round(1000 + 1e3 * clock * k / rate_hz)) for k in range(count))
    return lambda domain, name: Heard(states=states, refused=refused)


def silent(domain: int, name: str) -> str:
    raise BackendError("the robot's motion switcher does not answer")


def locks(folder: Path, text: str) -> Path:
    (folder / "run.lock").write_text(f"# Written by hand.\n{text}\n")
    return folder


def stale(folder: Path, age_s: float) -> Finding:
    """The check `age_s` after two segments of Fast DDS were written, of which one is in use."""
    for name in ("fastdds_1", "fastdds_1_el", "fastdds_2", "other"):
        (folder / name).touch()
    written = (folder / "fastdds_2").stat().st_mtime
    return machine.check_shared_memory(
        machine.stale_files(folder, lambda: ["fastdds_1"]), lambda: written + age_s
    )


EXTRAS = [
    'viser>=1; extra == "viewer"',
    'rosbags>=0.10; extra == "record"',
    'torch>=2; extra == "train"',
    'evdev>=1; python_version < "3" and extra == "viewer"',
    "numpy>=1",
]
GRANTED = Setting(name="priority", text="SCHED_FIFO 50")
REFUSED = Setting(name="priority", text="refused", mend="rtprio 50")
FIT: dict[str, Callable[[Path], Finding]] = {
    "python": lambda _: software.check_python((3, 11, 7)),
    "packages": lambda _: software.check_packages(lambda name: "99.1.0rc1"),
    "versions": lambda folder: software.check_versions(
        lambda name: "1.2", locks(folder, "\n".join(f"{n}==1.2 ; x" for n in software.VERSIONS))
    ),
    "extras": lambda _: software.check_extras(
        EXTRAS, lambda name: absent(name) if name == "evdev" else "1"
    ),
    "mujoco": lambda _: software.check_mujoco(lambda _: True),
    "files": lambda _: software.check_files("a1"),
    "ros": lambda _: software.check_ros({"ROS_DISTRO": "jazzy"}, lambda _: True),
    "rmw": lambda _: software.check_rmw({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}),
    "ros_domain": lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "42"}),
    "ros_discovery": lambda _: software.check_discovery(
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    ),
    "shared_memory": lambda _: machine.check_shared_memory([]),
    "interfaces": lambda _: machine.check_interfaces(
        {"lo": "127.0.0.1", "eth0": "192.168.123.162"}, "eth0"
    ),
    "dds_loopback": lambda _: wire.check_round_trip(7, lambda _: 1.0),
    "command_publishers": lambda _: wire.check_publishers("eth0", lambda domain, name: 0),
    "robot_states": lambda _: robot.check_states("go2", "eth0", heard()),
    "firmware_mode": lambda _: robot.check_firmware("go2", "eth0", lambda domain, name: ""),
    "cpu_governor": lambda folder: machine.check_governor(governor(folder, "performance")),
    "realtime_priority": lambda _: machine.check_priority(lambda: GRANTED),
    "memory_lock": lambda _: machine.check_memory_lock(lambda: True),
    "clock": lambda _: clock(1.8e9, 1.0),
    "time_sync": lambda _: machine.check_time_sync(lambda: "yes"),
    "disk": lambda folder: machine.check_disk(
        folder / "later" / "episodes", lambda _: (0, 0, 10**11)
    ),
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
    "versions": [
        (
            "warning",
            lambda folder: software.check_versions(
                lambda name: "1.3", locks(folder, "osqp==1.2 ; x\nosqp==1.1")
            ),
            "make setup",
        )
    ],
    "extras": [
        (
            "warning",
            lambda _: software.check_extras(
                EXTRAS, lambda name: absent(name) if name in ("viser", "evdev") else "1"
            ),
            "pip install 'safe_locomotion[viewer]'",
        )
    ],
    "mujoco": [("warning", lambda _: software.check_mujoco(lambda _: False), "pip install mujoco")],
    "files": [
        ("problem", lambda _: software.check_files("a2"), "install"),
        (
            "problem",
            lambda folder: software.check_files("a1", lambda robot, suffix: folder / "none"),
            "install",
        ),
    ],
    "ros": [
        ("problem", lambda _: software.check_ros({}, lambda _: False), "make setup"),
        ("warning", lambda _: software.check_ros({"ROS_DISTRO": "foxy"}, lambda _: True), "humble"),
    ],
    "rmw": [
        (
            "warning",
            lambda _: software.check_rmw({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}),
            "rmw_fastrtps_cpp",
        )
    ],
    "ros_domain": [
        (
            "problem",
            lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "102"}),
            "export ROS_DOMAIN_ID",
        ),
        (
            "problem",
            lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "-1"}),
            "export ROS_DOMAIN_ID",
        ),
        (
            "warning",
            lambda _: software.check_ros_domain({"ROS_DOMAIN_ID": "1"}),
            "export ROS_DOMAIN_ID",
        ),
        ("warning", lambda _: software.check_ros_domain({}, "go2"), "export ROS_DOMAIN_ID"),
    ],
    "ros_discovery": [
        ("warning", lambda _: software.check_discovery({}), "LOCALHOST"),
        (
            "problem",
            lambda _: software.check_discovery({"ROS_AUTOMATIC_DISCOVERY_RANGE": "local"}),
            "SUBNET",
        ),
    ],
    "shared_memory": [
        (
            "warning",
            lambda _: machine.check_shared_memory([Path("/dev/shm/fastrtps_1")]),
            "rm -f /dev/shm/fastrtps_1",
        ),
        ("warning", lambda folder: stale(folder, 7200.0), "fastdds_2"),
    ],
    "interfaces": [
        ("warning", lambda _: machine.check_interfaces({"lo": "127.0.0.1"}, None), "ip addr add"),
        ("problem", lambda _: machine.check_interfaces({"lo": "127.0.0.1"}, "eth7"), "ip -br addr"),
        (
            "problem",
            lambda _: machine.check_interfaces({"eth0": "", "eth1": "192.168.123.5"}, "eth0"),
            "dev eth0",
        ),
    ],
    "dds_loopback": [
        ("problem", lambda _: wire.check_round_trip(7, lambda _: None), "lo"),
        ("problem", lambda _: wire.check_round_trip(7, refuses), "lo"),
        ("problem", lambda _: wire.check_round_trip(7, no_sdk), "cyclonedds"),
        ("warning", lambda _: wire.check_round_trip(7, lambda _: 30.0), "CPU"),
    ],
    "command_publishers": [
        (
            "problem",
            lambda _: wire.check_publishers("eth0", lambda domain, name: int(name == "eth0")),
            "motion service",
        )
    ],
    "robot_states": [
        ("problem", lambda _: robot.check_states("go2", "eth0", heard(count=0)), "ping"),
        ("problem", lambda _: robot.check_states("go2", "eth0", heard(count=20)), "ip -s link"),
        ("warning", lambda _: robot.check_states("go2", "eth0", heard(rate_hz=300.0)), "wired"),
        ("warning", lambda _: robot.check_states("go2", "eth0", heard(clock=0.9)), "wired"),
        (
            "problem",
            lambda _: robot.check_states("go2", None, heard(count=0, crc=120)),
            "tolerate:=crc,tick,mode",
        ),
        ("problem", lambda _: robot.check_states("go2", None, heard(clock=0.0)), "tolerate:="),
        ("problem", lambda _: robot.check_states("go2", "eth0", heard(crc=3)), "second program"),
    ],
    "firmware_mode": [
        (
            "problem",
            lambda _: robot.check_firmware("go2", "eth0", lambda domain, name: "normal"),
            "release_motion:=true",
        ),
        ("problem", lambda _: robot.check_firmware("go2", "eth0", silent), "ping"),
        ("warning", lambda _: robot.check_firmware("a1", "eth0"), "L2+B"),
        ("problem", lambda _: robot.check_firmware("laikago", "eth0"), "without --interface"),
    ],
    "cpu_governor": [
        (
            "warning",
            lambda folder: machine.check_governor(governor(folder, "powersave")),
            "performance",
        )
    ],
    "realtime_priority": [
        ("warning", lambda _: machine.check_priority(lambda: REFUSED), "rtprio 50")
    ],
    "memory_lock": [
        ("warning", lambda _: machine.check_memory_lock(lambda: False), "memlock unlimited")
    ],
    "clock": [
        ("problem", lambda _: clock(3600.0, 1.0), "date -s"),
        ("problem", lambda _: clock(float("nan"), 1.0), "date -s"),
        ("warning", lambda _: clock(1.8e9, 1.5), "timedatectl"),
        (
            "warning",
            lambda _: machine.check_clock(lambda: 1.8e9, lambda: 0.0, lambda _: None, 4e-3),
            "clocksource",
        ),
    ],
    "time_sync": [("warning", lambda _: machine.check_time_sync(lambda: "no"), "set-ntp true")],
    "disk": [
        ("warning", lambda folder: machine.check_disk(folder, lambda _: (0, 0, 10**9)), "du -sh")
    ],
}


@pytest.mark.parametrize("check", FIT)
def test_fit_machine(check: str, tmp_path: Path) -> None:
    """On a machine without the fault the check is ok and has no remedy."""
    finding = FIT[check](tmp_path)
    assert (finding.check, finding.level, finding.mend) == (check, "ok", ""), finding


@pytest.mark.parametrize(
    ("check", "level", "ill", "remedy"),
    [(check, *case) for check, cases in ILL.items() for case in cases],
)
def test_failing_twin(
    check: str, level: str, ill: Callable[[Path], Finding], remedy: str, tmp_path: Path
) -> None:
    """With the fault the check reports it at its level and names the remedy."""
    finding = ill(tmp_path)
    assert (finding.check, finding.level) == (check, level), finding
    assert remedy in finding.mend
    assert finding.text


def test_every_check_has_a_twin(ros_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs exactly the checks that are tested here."""
    check = wire.check_publishers
    monkeypatch.setattr(wire, "check_publishers", lambda name: check(name, lambda *_: 0))
    assert [finding.check for finding in command.examine("a1", None, Path())] == list(FIT)
    assert set(ILL) == set(FIT)


def test_left_overs_are_named_with_their_age(tmp_path: Path) -> None:
    """Only the file of the segment without a process is stale; its age is stated."""
    finding = stale(tmp_path, 7200.0)
    assert finding.text.startswith("1 Fast DDS files") and "2 h old" in finding.text
    assert "fastdds_1" not in finding.mend and "other" not in finding.mend


def test_command_on_this_machine(tmp_path: Path, ros_domain: int) -> None:
    """A real run writes one row per check; its exit status is 0 exactly without problems."""
    file = tmp_path / "doctor.json"
    result = CliRunner().invoke(command.doctor, ["--json", str(file)], standalone_mode=False)
    assert result.exception is None, result.exception
    findings = json.loads(file.read_text())["findings"]
    assert [row["check"] for row in findings] == list(FIT) and len(FIT) == command.CHECKS
    assert result.return_value == int(any(row["level"] == "problem" for row in findings))
    assert all(row["mend"] for row in findings if row["level"] != "ok")
