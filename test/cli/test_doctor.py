"""Each check of the doctor: once on a fit machine, once on one with the fault it is there for."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from click.testing import CliRunner

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
from safe_locomotion.cli.doctor import command, machine, robot, software, wire
from safe_locomotion.cli.doctor.findings import Finding
from safe_locomotion.cli.doctor.robot import Heard
from safe_locomotion.errors import BackendError
from safe_locomotion.runtime.realtime import Setting

TICKING = """import sys, time
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot
from dataclasses import replace
wire, state, start = RobotWire(domain=int(sys.argv[1])), standing_state(load_robot("a1"), 0), time.monotonic()
while True:
    wire.publish(replace(state, tick=1 + round(1e3 * (time.monotonic() - start))))
    time.sleep(0.002)
"""


SWITCHER = """import json, sys, time
from unitree_sdk2py.core.channel import ChannelFactoryInitialize
from unitree_sdk2py.rpc.server import Server
ChannelFactoryInitialize(int(sys.argv[1]), "lo")
server = Server("motion_switcher")
server._SetApiVersion("1.0.0.1")
server._RegistHandler(1001, lambda _: (0, json.dumps({"form": "0", "name": "normal"})), False)
server.Start(False)
print("up", flush=True)
time.sleep(60)
"""


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


def heard(
    rate_hz: float = 500.0, clock: float = 1.0, count: int = 250
) -> Callable[[int, str], Heard]:
    """A robot that sends this often, whose clock runs `clock` times as fast as ours."""
    return lambda domain, name: tuple(
        (k / rate_hz, round(1000 + 1e3 * clock * k / rate_hz)) for k in range(count)
    )


def silent(domain: int, name: str) -> str:
    raise BackendError("the robot's motion switcher does not answer")


def locks(folder: Path, text: str) -> Path:
    (folder / "run.lock").write_text(f"# Written by hand.\n{text}\n")
    return folder


def stale(folder: Path, age_s: float) -> Finding:
    """Two files of Fast DDS in a folder of the test's own, of which one is in use, `age_s` after they were written."""
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
    "extras": lambda _: software.check_extras(EXTRAS, lambda name: "1"),
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
                EXTRAS, lambda name: absent(name) if name == "viser" else "1"
            ),
            "pip install 'viser'",
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
    ],
    "firmware_mode": [
        (
            "problem",
            lambda _: robot.check_firmware("go2", "eth0", lambda domain, name: "normal"),
            "release_motion:=true",
        ),
        ("problem", lambda _: robot.check_firmware("go2", "eth0", silent), "ping"),
        ("warning", lambda _: robot.check_firmware("a1", "eth0"), "L2+B"),
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
    """On a machine without the fault the check is ok and asks for nothing."""
    finding = FIT[check](tmp_path)
    assert (finding.check, finding.level, finding.mend) == (check, "ok", ""), finding


@pytest.mark.parametrize(
    ("check", "level", "ill", "remedy"),
    [(check, *case) for check, cases in ILL.items() for case in cases],
)
def test_failing_twin(
    check: str, level: str, ill: Callable[[Path], Finding], remedy: str, tmp_path: Path
) -> None:
    """With the fault the check says so, at its level, and names the remedy."""
    finding = ill(tmp_path)
    assert (finding.check, finding.level) == (check, level), finding
    assert remedy in finding.mend
    assert finding.text


def test_every_check_has_a_twin(ros_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command runs is what is tested above."""
    check = wire.check_publishers
    monkeypatch.setattr(wire, "check_publishers", lambda name: check(name, lambda *_: 0))
    assert [finding.check for finding in command.examine("a1", None, Path())] == list(FIT)
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


def test_left_overs_are_named_with_their_age(tmp_path: Path) -> None:
    """Of three files two belong to a segment in use; the third is two hours old."""
    finding = stale(tmp_path, 7200.0)
    assert finding.text.startswith("1 Fast DDS files") and "2 h old" in finding.text
    assert "fastdds_1" not in finding.mend and "other" not in finding.mend


def test_a_simulated_robot_is_heard(wire_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LowStates on the real wire whose tick counts real milliseconds are ok; nothing is heard when they end."""
    monkeypatch.setattr(robot, "SIMULATION_DOMAIN", wire_domain)
    code = [sys.executable, "-c", TICKING, str(wire_domain)]
    with subprocess.Popen(
        code, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ) as ticking:
        try:
            finding = robot.check_states("a1", None)
            while "no robot heard" in finding.text and ticking.poll() is None:
                finding = robot.check_states("a1", None)
        finally:
            ticking.kill()
    assert "LowStates per second" in finding.text or "LowStates on" in finding.text, finding
    assert "no robot heard" in robot.check_states("a1", None).text


def test_a_silent_robot_is_a_problem_and_not_a_hang() -> None:
    """The motion switcher of a robot that is not there: an error with words, from a process of its own that ends."""
    finding = robot.check_firmware(
        "go2", "lo", lambda domain, name: robot.active_service(77, "nowhere0")
    )
    assert finding.level == "problem" and "nowhere0" in finding.text


def test_an_active_motion_service_is_named(wire_domain: int) -> None:
    """The vendor's own server answers the question over DDS: its service moves the robot, a problem with the launch that releases it."""
    with subprocess.Popen(
        [sys.executable, "-c", SWITCHER, str(wire_domain)], stdout=subprocess.PIPE, text=True
    ) as robots_computer:
        try:
            assert robots_computer.stdout is not None and any(
                row.strip() == "up" for row in robots_computer.stdout
            )
            finding = robot.check_firmware(
                "go2", "lo", lambda domain, name: robot.active_service(wire_domain, name)
            )
        finally:
            robots_computer.kill()
    assert (
        finding.level == "problem"
        and "'normal'" in finding.text
        and "release_motion:=true" in finding.mend
    )


def test_findings_go_to_the_screen_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json -` prints nothing but JSON."""
    monkeypatch.setattr(
        command,
        "examine",
        lambda *_: iter([Finding(check="x", level="warning", text="y", mend="z")]),
    )
    result = CliRunner().invoke(command.doctor, ["--json", "-"], standalone_mode=False)
    assert json.loads(result.stdout)["findings"] == [
        {"check": "x", "level": "warning", "text": "y", "mend": "z"}
    ]
    assert result.return_value == 0


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
