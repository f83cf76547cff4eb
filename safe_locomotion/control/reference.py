"""Reference of the locomotion controller.

It is the commanded velocity, limited in its rate and integrated around the body.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np

from safe_locomotion.control.friction import SlipParameters
from safe_locomotion.robot.centroidal import NX
from safe_locomotion.rotations import Vector, clamp, rotate_plane
from safe_locomotion.types import Array, VelocityCommand


@dataclass(frozen=True, kw_only=True, slots=True)
class LocomotionParameters:
    """Reference and timing of the locomotion controller.

    Attributes:
        body_height: of the base above the ground plane [m].
        acceleration: limit on the change of the velocity command [m/s2].
        yaw_acceleration: the same for the yaw rate [rad/s2].
        position_slack: how far the integrated position reference may run ahead of the body [m]. It
            acts as integral action.
        yaw_slack: the same for yaw [rad].
        velocity_slack: how far the velocity reference may lie from the body's velocity [m/s].
            Beyond it stepping catches the body. With a small slack the MPC hardly brakes a trotting
            robot that was pushed: it pushes along with the motion to keep the body level. With 3
            m/s it brakes so hard that it falls more often (docs/figures.md).
        height_rate: limit on the change of the height reference [m/s].
        slip: how sliding feet lower the friction that the MPC counts on.
        later_contacts: feet that step within the horizon of the MPC come down again ahead, as long
            as the body moves as wanted within the slack. Without it they stay behind.
    """

    body_height: float
    acceleration: float
    yaw_acceleration: float
    position_slack: float
    yaw_slack: float
    velocity_slack: float
    height_rate: float
    slip: SlipParameters
    later_contacts: bool = False


class Reference:
    """Integrated, rate-limited command: where body and heading should be now."""

    def __init__(self, parameters: LocomotionParameters) -> None:
        self._p = parameters
        self.velocity: Vector = (0.0, 0.0, 0.0)
        self.position: tuple[float, float] = (0.0, 0.0)
        self.yaw = 0.0
        self.height = 0.0

    def reset(self, position: Vector, yaw: float, height: float) -> None:
        """Start from where the body is, at rest."""
        self.velocity = (0.0, 0.0, 0.0)
        self.position = (position[0], position[1])
        self.yaw = yaw
        self.height = height

    def update(
        self, elapsed: float, command: VelocityCommand, body_position: Vector, body_yaw: float
    ) -> None:
        """Advance by `elapsed` seconds, staying within the slack around the body."""
        p = self._p
        limit = elapsed * p.acceleration
        yaw_limit = elapsed * p.yaw_acceleration
        vx, vy, wz = self.velocity
        vx = within(command.vx, vx, limit)
        vy = within(command.vy, vy, limit)
        wz = within(command.wz, wz, yaw_limit)
        self.velocity = (vx, vy, wz)
        lead = (self.yaw + wz * elapsed - body_yaw + pi) % (2 * pi) - pi
        self.yaw = body_yaw + clamp(lead, -p.yaw_slack, p.yaw_slack)
        c = cos(body_yaw)
        s = sin(body_yaw)
        x = body_position[0]
        y = body_position[1]
        slack = p.position_slack
        ahead_x = self.position[0] - x
        ahead_y = self.position[1] - y
        along = clamp(c * ahead_x + s * ahead_y + vx * elapsed, -slack, slack)
        across = clamp(c * ahead_y - s * ahead_x + vy * elapsed, -slack, slack)
        self.position = (x + c * along - s * across, y + s * along + c * across)
        step = p.height_rate * elapsed
        self.height += clamp(p.body_height - self.height, -step, step)

    def velocity_at(self, yaw: float) -> Vector:
        """Velocity along x and y of odom [m/s] and yaw rate [rad/s] at heading `yaw`."""
        vx, vy, wz = self.velocity
        return (*rotate_plane(yaw, vx, vy), wz)

    def follow(self, position: Vector, yaw: float, height: float, velocity: Vector) -> None:
        """Be where the body is.

        The wanted velocity is kept as far as it lies within the slack of the body's velocity (in
        odom).
        """
        c = cos(yaw)
        s = sin(yaw)
        slack = self._p.velocity_slack
        vx, vy, wz = self.velocity
        along = c * velocity[0] + s * velocity[1]
        across = c * velocity[1] - s * velocity[0]
        self.velocity = (within(vx, along, slack), within(vy, across, slack), wz)
        self.position = (position[0], position[1])
        self.yaw = yaw
        self.height = height


class ReferencePath(NamedTuple):
    """Reference of the MPC over its horizon, in the ground frame.

    Attributes:
        states: (N, 12) at the end of each step.
        travel: (N, 3) way from the start to the middle of each step [m].
        velocity: along x and y at the start [m/s].
        as_wanted: this is the wanted velocity; the body's differs less than the slack.
    """

    states: Array
    travel: Array
    velocity: tuple[float, float]
    as_wanted: bool = True


def reference_path(
    start: Vector, velocity: Vector, height: float, *, dt: float, steps: int
) -> ReferencePath:
    """Upright body at a height that moves steadily; its velocity turns with its heading.

    Args:
        start: x, y [m] and yaw [rad] now.
        velocity: along x and y [m/s], yaw rate [rad/s].
        height: of the centre of mass [m].
        dt: length of a step [s].
        steps: N.
    """
    x, y, yaw = start
    vx, vy, wz = velocity
    turn = wz * dt
    c = cos(turn)
    s = sin(turn)
    rows: list[float] = []
    gone_x = 0.0
    gone_y = 0.0
    for _ in range(steps):
        turned_x = c * vx - s * vy
        vy = s * vx + c * vy
        vx = turned_x
        yaw = yaw + turn
        step_x = dt * vx
        step_y = dt * vy
        rows += (gone_x + 0.5 * step_x, gone_y + 0.5 * step_y, 0.0)
        gone_x = gone_x + step_x
        gone_y = gone_y + step_y
        rows += (0.0, 0.0, yaw, x + gone_x, y + gone_y, height, 0.0, 0.0, wz, vx, vy, 0.0)
    # `np.array` would look for the type of every number first.
    both = np.fromiter(rows, np.float64).reshape(steps, 3 + NX)
    return ReferencePath(both[:, 3:], both[:, :3], velocity[:2])


def within(value: float, centre: float, slack: float) -> float:
    """`value`, no farther than `slack` from `centre`."""
    return clamp(value, centre - slack, centre + slack)
