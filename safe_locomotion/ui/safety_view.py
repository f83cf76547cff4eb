"""The verdict in a message that every display of ROS can read: `safety/view`.

RViz, rqt, PlotJuggler and Foxglove know DiagnosticArray. Its values have names, so a display finds
a margin by its name, where the raw verdict has it in a row that moves.
"""

from diagnostic_msgs.msg import DiagnosticArray

from safe_locomotion.nodes.conversions import header
from safe_locomotion.nodes.health import ERROR, OK, WARN, status
from safe_locomotion.types import Mode, Verdict

VIEW = "safety/view"
STOPPED = (Mode.FAULT, Mode.FALLEN)


def safety_view(verdict: Verdict) -> DiagnosticArray:
    """The verdict by names: mode, who drives, why, the command in force, and all margins."""
    row = status("safety", _level(verdict), verdict.mode.name, _values(verdict))
    return DiagnosticArray(header=header(verdict.stamp_ns), status=[row])


def _level(verdict: Verdict) -> bytes:
    """ERROR when the robot was stopped, WARN while recovery drives or a hazard holds."""
    if verdict.mode in STOPPED:
        return ERROR
    return WARN if verdict.active == "recovery" or verdict.reasons else OK


def _values(verdict: Verdict) -> dict[str, object]:
    command = verdict.command
    return {
        "mode": int(verdict.mode),
        "recovery": int(verdict.active == "recovery"),
        "policy": verdict.policy,
        "reasons": ", ".join(verdict.reasons),
        "vx": command.vx,
        "vy": command.vy,
        "wz": command.wz,
        **{f"margin/{name}": margin for name, margin in verdict.margins},
    }
