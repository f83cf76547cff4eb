"""Curves of the falls' picture: settings of one rule, in which order, and with what limits."""

from types import ModuleType
from typing import Any

import pytest
from table_tools import tool_named

from safe_locomotion.config import load_config

LOOKAHEAD = "trigger_set.lookahead"
PAPER = (
    "intervention.capture=false,trigger_set.lookahead=0.0,trigger_set.roll_rate=raw,"
    "trigger_set.attitude=vertical,trigger_set.height=odom"
)
NAMES = (
    "alone",
    "trigger_set.lookahead=0.15",
    "shipped",
    "intervention.horizon=0",
    "intervention.horizon=0,trigger_set.lookahead=0.1",
    "trigger_set.lookahead=0.1",
    "trigger_set.lookahead=0.1,intervention.capture_margin=0.15",
    "trigger_set.use=c2",
    f"{PAPER},intervention.horizon=0",
    PAPER,
)
ROWS: list[dict[str, Any]] = [
    {"name": name, "falls": 0, "hours": 4.0, "recovery": 0.1} for name in NAMES
]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool."""
    return tool_named(monkeypatch, "falls_picture")


def curves(tool: ModuleType) -> dict[str, list[tuple[object, str]]]:
    """Value of the knob and name of each setting, by the title of the curve."""
    found = {rule.title: tool.points_of(rule, ROWS) for rule in tool.CURVES}
    return {title: [(value, row["name"]) for value, row in at] for title, at in found.items()}


def test_a_setting_belongs_to_the_rules_from_which_one_knob_differs(tool: ModuleType) -> None:
    """The shipped setting is a point of many curves; what differs in two keys is of none of them.

    The value of a knob that a setting does not name is the shipped one, or the rule's own.
    """
    found = curves(tool)
    assert found["look-ahead [s]"] == [
        (0.05, "shipped"),
        (0.1, "trigger_set.lookahead=0.1"),
        (0.15, "trigger_set.lookahead=0.15"),
    ]
    assert found["horizon w"] == [(0, "intervention.horizon=0"), (10, "shipped")]
    assert found["naive (w = 0), look-ahead [s]"] == [
        (0.05, "intervention.horizon=0"),
        (0.1, "intervention.horizon=0,trigger_set.lookahead=0.1"),
    ]
    assert found["look-ahead 0.1 s, capture margin"] == [
        (0.0, "trigger_set.lookahead=0.1"),
        (0.15, "trigger_set.lookahead=0.1,intervention.capture_margin=0.15"),
    ]
    assert found["paper's settings, w"] == [(0, NAMES[-2]), (10, PAPER)]
    assert found["box"] == [("c1", "shipped"), ("c2", "trigger_set.use=c2")]
    assert found["dwell [s]"] == []


def test_the_shipped_values_of_the_curves_are_those_of_the_robot(tool: ModuleType) -> None:
    """A new default in the configuration would otherwise move a point along its curve."""
    supervisor = load_config("a1").supervisor
    for rule in tool.CURVES:
        if not rule.fixed:
            section, key = rule.knob.split(".")
            assert getattr(getattr(supervisor, section), key) == rule.shipped


def test_no_fall_is_drawn_at_the_end_of_its_interval(tool: ModuleType) -> None:
    """0 of 4 hours leaves up to 3.69 / 4 falls an hour; 10 leave 4.80 to 18.39 (Garwood 1936)."""
    share, rate, low, high = tool.place(ROWS[0])
    assert share == pytest.approx(10.0)
    assert rate == low == high == pytest.approx(3.689 / 4.0, rel=1e-3)
    share, rate, low, high = tool.place(ROWS[0] | {"falls": 10})
    assert (rate, low, high) == pytest.approx((2.5, 4.795 / 4.0, 18.39 / 4.0), rel=1e-3)
