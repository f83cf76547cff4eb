"""The page of `top`, from reports made by hand."""

from io import StringIO
from math import inf, nan

import pytest

pytest.importorskip("rclpy")

from core_values import TROT
from rich.console import Console

from safe_locomotion.cli.drive.hearing import ros_domain, unheard
from safe_locomotion.cli.drive.top_page import BAR, page
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.types import Mode, VelocityCommand, Verdict
from safe_locomotion.ui.stack_view import Row, StackReport

NOW = 1000.0
STREAM = {
    "alive": "True",
    "received": "9",
    "age_ms": "2",
    "missed": "3",
    "rejected": "4",
    "rate_hz": "499.9",
}
STATISTICS = {
    "steps": "200",
    "share": "0.0350",
    "uses": "4",
    "duration_max_s": "0.5",
    "triggers/roll": "4",
    "triggers/pitch": "0",
}


def verdict(mode=Mode.WALK, active="learner", margins=(), reasons=()):
    """A verdict of a learner's walk."""
    return Verdict(
        stamp_ns=0,
        mode=mode,
        mode_since_ns=0,
        active=active,
        gait=TROT,
        command=VelocityCommand(vx=0.4),
        margins=margins,
        reasons=reasons,
        policy="alarm" if active == "learner" else "",
    )


def row(node, name, level="ok", message="on time", heard_s=NOW, **values):
    """A row of /diagnostics."""
    return (node, name), Row(
        node=node, name=name, level=level, message=message, values=values, heard_s=heard_s
    )


def text(report, now_s=NOW):
    """The page as plain text."""
    console = Console(width=110, record=True, file=StringIO())
    console.print(page(report, now_s))
    return console.export_text()


@pytest.mark.parametrize("mode", list(Mode))
def test_the_headline_says_mode_driver_and_reason(mode):
    """The headline names mode and reasons, and the active policy while walking."""
    shown = text(
        StackReport(verdict=verdict(mode, reasons=("estop", "fallen")), verdict_s=NOW)
    ).splitlines()[0]
    assert shown.split()[0] == mode.name and "because of estop, fallen" in shown
    assert ("alarm drives" in shown) is (mode is Mode.WALK)


def test_recovery_and_silence_stand_out():
    """The headline names recovery, and says when the last verdict is old."""
    shown = text(StackReport(verdict=verdict(active="recovery"), verdict_s=NOW - 7.0))
    assert "RECOVERY drives" in shown and "SILENT for 7 s" in shown


def test_a_bar_is_the_share_of_room_that_is_left():
    """A bar is full in the middle of the set and empty at its edge, outside and for NaN."""
    shares = (1.0, 0.5, 0.0, -0.4, -inf, -0.1)
    shown = text(
        StackReport(
            verdict=verdict(margins=tuple(zip(MARGINS, shares, strict=True))), verdict_s=NOW
        )
    )
    lines = [next(line for line in shown.splitlines() if f"│ {name} " in line) for name in MARGINS]
    assert [line.count("█") for line in lines] == [BAR, BAR // 2, 0, 0, 0, 0]
    assert ["in the trigger set" in line for line in lines] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    assert (
        text(StackReport(verdict=verdict(margins=(("roll", nan),)), verdict_s=NOW)).count(
            "only while walking"
        )
        == 4
    )


def test_rows_become_streams_times_counts_and_worries():
    """Each row is in its block; rows that are old or not ok are repeated below."""
    rows = dict(
        [
            row("bridge_node", "lowstate", "warn", "3 stamp(s) missing", **STREAM),
            row(
                "mpc_node",
                "mpc tick",
                "ok",
                "1 ms",
                p50_ms="1.234",
                p99_ms="2.345",
                max_ms="3.456",
                count="77",
            ),
            row("bridge_node", "gate", "error", "plan_stale", plan_stale="2"),
            row("bridge_node", "hazards", "ok", "none", motor_hot="1"),
            row("supervisor_node", "hazards", "ok", "none", motor_hot="1", fallen="5"),
            row("supervisor_node", "supervisor", "ok", "WALK", **STATISTICS),
            row(
                "bridge_node",
                "robot link",
                "ok",
                "active",
                heard_s=NOW - 60.0,
                voltage="24.46",
                hottest_motor="41",
            ),
            row("policy_node", "policy", "ok", "", policy="alarm", fault="", news="took over"),
        ]
    )
    shown = text(StackReport(verdict=verdict(), verdict_s=NOW, rows=rows))
    for words in (
        "lowstate bridge 499.9 2 3 4 3 stamp(s) missing",
        "mpc tick 1.234 2.345 3.456 77",
        "gate trips plan_stale 2",
        "hazards fallen 5, motor_hot 2",
        "recovery 4 uses, 3.50 % of 200 steps, longest 0.5 s; triggers: roll 4",
        "policy alarm, took over",
        "battery 24.5 V",
        "hottest motor 41 C",
        "bridge robot link active (said 60 s ago)",
        "bridge gate plan_stale",
    ):
        assert any(words in " ".join(line.split()) for line in shown.splitlines()), (words, shown)


def test_nothing_heard_is_a_page_too():
    """Without a verdict and without rows there is still a page."""
    assert "no verdict yet" in text(StackReport())


@pytest.mark.parametrize("value", ["-1", "233", "x", "1.0"])
def test_a_domain_that_is_none_is_refused(monkeypatch, value):
    """Other values are refused with the valid range; an empty one is 0, as in ROS."""
    monkeypatch.setenv("ROS_DOMAIN_ID", value)
    with pytest.raises(ConfigurationError, match="whole number from 0 to 232"):
        ros_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    assert ros_domain() == 0 and "ROS_DOMAIN_ID=0" in unheard()
