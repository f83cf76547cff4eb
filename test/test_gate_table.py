"""The specification of the last hop: events, modes and times, measured on the code."""

import importlib.util

import pytest
from core_values import LIMITS
from places import ROOT

from safe_locomotion.types import RAMPED


@pytest.fixture(scope="module")
def tool():
    """The program that writes the table."""
    spec = importlib.util.spec_from_file_location("gate_table", ROOT / "tools/gate_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_on_safety_shows_this_table(tool):
    """`python tools/gate_table.py` brings it up to date."""
    page = (ROOT / "docs/safety.md").read_text()
    assert tool.with_table(page) == page
    with pytest.raises(ValueError, match=r"^safety\.md needs the markers <!-- gate --> and "):
        tool.with_table("# Safety")


def test_each_event_damps_in_each_mode_within_its_bound(tool):
    """The slowest bound is that of drives that are off and of frozen or contradicting sensors.

    Only the plan does not concern modes that ramp the joints.
    """
    slow_ms = 1e3 * max(LIMITS.motor_off_time, LIMITS.frozen_time, 0.1)
    slow = {"a drive is off", "the IMU is frozen", "the attitude jumps"}
    silent = {"no verdict comes any more", "no plan comes any more"}
    for name, event in tool.EVENTS.items():
        bound_ms = slow_ms if name in slow else 1e3 * LIMITS.max_age if name in silent else 0.0
        for mode in tool.MODES:
            found_ms = tool.damped_after_ms(event, mode)
            if name == "no plan comes any more" and mode in RAMPED:
                assert found_ms is None
            else:
                assert found_ms is not None and found_ms <= bound_ms, (name, mode.name)
