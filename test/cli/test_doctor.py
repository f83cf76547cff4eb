"""The doctor on this machine: real files, processes and DDS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from places import VENDOR_SERVICES

from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2
from safe_locomotion.cli.doctor import command, machine, robot, wire
from safe_locomotion.cli.doctor.findings import Finding

TICKING = """import sys, time
from dataclasses import replace
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot
wire = RobotWire(domain=int(sys.argv[1]))
state = standing_state(load_robot("a1"), 0)
start = time.monotonic()
while True:
    wire.publish(replace(state, tick=1 + round(1e3 * (time.monotonic() - start))))
    time.sleep(0.002)
"""


def test_only_files_without_an_owner_are_stale() -> None:
    """A Fast DDS file is stale once no running process holds it or its lock open."""
    file = machine.SHARED_MEMORY / f"fastdds_{os.getpid()}_test"
    lock = file.with_name(f"{file.name}_el")
    try:
        file.touch()
        with lock.open("w"):
            assert not {file, lock} & set(machine.stale_files())
        assert {file, lock} <= set(machine.stale_files())
    finally:
        file.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)


def test_a_simulated_robot_is_heard(wire_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LowStates on the real wire are heard, until they end."""
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
    """Without a motion switcher the check ends with an error that names the interface."""
    finding = robot.check_firmware(
        "go2", "lo", lambda domain, name: robot.active_service(77, "nowhere0")
    )
    assert finding.level == "problem" and "nowhere0" in finding.text


def test_an_active_motion_service_is_named(wire_domain: int) -> None:
    """An active service of the vendor's own server is a problem; the remedy releases it."""
    with subprocess.Popen(
        [sys.executable, str(VENDOR_SERVICES), str(wire_domain), "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
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
    """`--json -` prints only JSON."""
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
    """A second program on rt/lowcmd is a problem until it leaves."""
    monkeypatch.setattr(wire, "SIMULATION_DOMAIN", wire_domain)
    other = UnitreeSdk2(stop_kd=3.0, domain=wire_domain)
    assert wire.check_publishers(None).level == "problem"
    other.close()
    assert wire.check_publishers(None).level == "ok"


def test_round_trip_over_real_dds(wire_domain: int) -> None:
    """The round trip crosses real DDS and leaves the domain afterwards."""
    spent = wire.round_trip_ms(wire_domain)
    assert spent is not None and spent > 0.0
    RobotWire(domain=wire_domain).close()


def test_unknown_interface_is_a_problem(tmp_path: Path, ros_domain: int) -> None:
    """The command ends with status 1 and names the present interfaces."""
    result = CliRunner().invoke(command.doctor, ["--interface", "nowhere0"], standalone_mode=False)
    assert result.return_value == 1
    assert "nowhere0" in result.output and "lo 127.0.0.1" in result.output
