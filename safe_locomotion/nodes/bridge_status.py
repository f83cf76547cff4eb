"""Rows of `/diagnostics` about the robot's link, the gate and the scheduling of the bridge."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from safe_locomotion.backends.robot_link import RobotLink
from safe_locomotion.nodes.health import ERROR, OK, STALE, WARN, status
from safe_locomotion.runtime.realtime import Setting
from safe_locomotion.safety.fault_latch import FaultLatch
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.types import LowState


def link_status(link: RobotLink, newest: LowState | None) -> DiagnosticStatus:
    """State of the link, battery and hottest motor, and the backend's counters."""
    values: dict[str, Any] = {"active": link.active, "silences": link.silences, "late": link.late}
    if newest is not None:
        values["voltage"] = newest.voltage
        values["hottest_motor"] = f"{np.max(newest.temperature):.0f}"
    if link.backend is None:
        return status("robot link", STALE, "closed", values)
    counters = asdict(link.backend.counters)
    foreign = counters.get("foreign_publishers", 0)
    if foreign:
        text = f"{foreign} other publisher(s) of low commands"
    else:
        text = "active" if link.active else "read-only"
    return status("robot link", ERROR if foreign else OK, text, values | counters)


def latch_status(latch: FaultLatch) -> DiagnosticStatus:
    """Whether the bridge keeps a FAULT, and what led to it."""
    if not latch.latched:
        return status("fault latch", OK, "open", {})
    text = f"FAULT until reset: {', '.join(sorted(latch.causes)) or 'by a verdict'}"
    return status("fault latch", ERROR, text, {})


def clamp_status(gate: CommandGate) -> DiagnosticStatus:
    """How many commands the gate has clamped because they changed too suddenly."""
    counts = dict(gate.rate.clamped)
    text = f"{sum(counts.values())} command(s) changed too suddenly"
    return status("gate clamps", OK, text, counts)


def realtime_status(settings: Sequence[Setting], *, freeze_garbage: bool) -> DiagnosticStatus:
    """What the operating system has granted and refused."""
    refused = [f"{setting.name} {setting.text}" for setting in settings if not setting.granted]
    values = {setting.name: setting.text for setting in settings}
    values["garbage"] = "frozen" if freeze_garbage else "as the interpreter likes"
    text = "granted" if settings else "not asked for"
    return status("realtime", WARN if refused else OK, ", ".join(refused) or text, values)
