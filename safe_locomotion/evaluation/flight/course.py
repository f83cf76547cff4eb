"""The courses of commands over which a policy is flown."""

from collections.abc import Sequence
from dataclasses import dataclass

from safe_locomotion.operator.requests import Step
from safe_locomotion.types import VelocityCommand

SETTLE = 1.0  #: at the start of a segment, in which the robot changes its speed [s]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A part of a course with one command.

    Attributes:
        name: of the motion.
        duration: [s]; more than `SETTLE`.
        command: in force.
    """

    name: str
    duration: float
    command: VelocityCommand


COURSE = (
    Segment(name="stand", duration=2.0, command=VelocityCommand()),
    Segment(name="forward", duration=3.5, command=VelocityCommand(vx=0.4)),
    Segment(name="backward", duration=3.0, command=VelocityCommand(vx=-0.3)),
    Segment(name="left", duration=2.75, command=VelocityCommand(vy=0.3)),
    Segment(name="right", duration=2.75, command=VelocityCommand(vy=-0.3)),
    Segment(name="turn", duration=3.0, command=VelocityCommand(wz=0.8)),
    Segment(name="mixed", duration=3.0, command=VelocityCommand(vx=0.3, vy=0.1, wz=-0.4)),
)
"""Of the flight check: 20 s of moderate commands that every robot here can follow."""

TRIAL_COURSE = (
    Segment(name="stand", duration=1.5, command=VelocityCommand()),
    Segment(name="forward", duration=2.5, command=VelocityCommand(vx=0.4)),
    Segment(name="left", duration=2.25, command=VelocityCommand(vy=0.3)),
    Segment(name="turn", duration=2.25, command=VelocityCommand(wz=-0.8)),
)
"""Of a mended contract that is tried: one motion along each axis."""


def length(course: Sequence[Segment]) -> float:
    """Duration of a course [s]."""
    return sum(segment.duration for segment in course)


def script(course: Sequence[Segment]) -> tuple[Step, ...]:
    """What an operator requests on this course."""
    steps = []
    time = 0.0
    for segment in course:
        steps.append(Step(time=time, request="walk", command=segment.command))
        time += segment.duration
    return tuple(steps)
