"""The layouts for Foxglove, PlotJuggler and rqt name topics, rows and values that exist.

Foxglove, PlotJuggler and rqt themselves were not run here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from places import ROOT
from random_values import random_verdict

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from safe_locomotion.messages.layouts import FOOT_FORCE_FIELDS, VERDICT
from safe_locomotion.messages.topics import BY_NAME
from safe_locomotion.runtime.stack import NODE_NAMES, RECORDER, WATCHERS
from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.types import LEGS, Mode
from safe_locomotion.ui.monitor_node import MARKERS
from safe_locomotion.ui.safety_view import VIEW, safety_view
from safe_locomotion.ui.viewer.panels import TIMED

FOXGLOVE = json.loads((ROOT / "config/foxglove/safety.json").read_text())
JUGGLER = ElementTree.parse(ROOT / "config/plotjuggler/safety.xml").getroot()
AGGREGATOR = yaml.safe_load((ROOT / "config/rqt/aggregator.yaml").read_text())
VERDICT_NOW = replace(
    random_verdict(0, False), margins=tuple((name, 0.1) for name in MARGINS), mode=Mode.WALK
)
TOPICS = {*BY_NAME, VIEW, MARKERS, "robot_description"}


def values(message: DiagnosticArray) -> dict[str, str]:
    """Values of the one row of a view."""
    (row,) = message.status
    return {pair.key: pair.value for pair in row.values}


def foxglove_paths() -> Iterator[str]:
    """Message paths of all panels."""
    for panel in FOXGLOVE["configById"].values():
        yield from (path["value"] for path in panel.get("paths", ()))


def panels(layout: Any) -> Iterator[str]:
    """Panels that are placed."""
    if isinstance(layout, str):
        yield layout
    else:
        yield from panels(layout["first"])
        yield from panels(layout["second"])


def test_foxglove_shows_topics_and_values_that_exist() -> None:
    """A path begins with a topic, and what it looks for by name is there."""
    known = values(safety_view(VERDICT_NOW))
    assert set(panels(FOXGLOVE["layout"])) == set(FOXGLOVE["configById"])
    paths = list(foxglove_paths())
    assert len(paths) > 15
    for path in paths:
        topic = path.removeprefix("/").partition(".")[0]
        assert topic in TOPICS, path
        for key in re.findall(r'key=="([^"]+)"', path):
            assert key in known or topic == "diagnostics", path
        for name in re.findall(r'name=="([^"]+)"', path):
            assert name == TIMED
    shown = FOXGLOVE["configById"]["3D!robot"]["topics"]
    assert {topic.removeprefix("/") for topic in shown} <= TOPICS


def test_juggler_shows_rows_that_exist() -> None:
    """A curve of the verdict is one of its rows, one of the feet an entry behind the stamp."""
    curves = [curve.get("name", "") for curve in JUGGLER.iter("curve")]
    assert len(curves) > 12
    for curve in curves:
        if curve.startswith("/safety/verdict/"):
            row = curve.removeprefix("/safety/verdict/").removesuffix("/position")
            assert row in VERDICT or row.removeprefix("margin/") in MARGINS, curve
        elif curve.startswith("/foot_forces/"):
            (place,) = re.findall(r"\[(\d+)\]", curve)
            assert FOOT_FORCE_FIELDS[int(place)] in LEGS
        else:
            assert curve.startswith("/odom/twist/twist/linear/")


def test_the_aggregator_groups_every_node() -> None:
    """rqt_robot_monitor shows one group for each node that has rows."""
    analyzers = AGGREGATOR["/**"]["ros__parameters"]
    prefixes = {word for a in analyzers.values() if isinstance(a, dict) for word in a["startswith"]}
    assert prefixes == {f"{name}_node: " for name in (*NODE_NAMES, *WATCHERS, RECORDER)}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"active": "learner", "reasons": ()}, DiagnosticStatus.OK),
        ({"active": "recovery", "reasons": ()}, DiagnosticStatus.WARN),
        ({"active": "learner", "reasons": ("estop",)}, DiagnosticStatus.WARN),
        ({"active": "learner", "reasons": (), "mode": Mode.FAULT}, DiagnosticStatus.ERROR),
        ({"active": "learner", "reasons": (), "mode": Mode.FALLEN}, DiagnosticStatus.ERROR),
    ],
)
def test_the_view_says_how_the_robot_is(changes: dict[str, Any], level: bytes) -> None:
    """Its level is that of the worst, its message is the mode, its values are the verdict's."""
    verdict = replace(VERDICT_NOW, **changes)
    message = safety_view(verdict)
    found = values(message)
    assert message.status[0].level == level
    assert message.status[0].message == verdict.mode.name
    assert found["recovery"] == str(int(verdict.active == "recovery"))
    assert float(found["margin/roll"]) == 0.1 and float(found["vx"]) == verdict.command.vx
    assert found["reasons"] == ", ".join(verdict.reasons)
