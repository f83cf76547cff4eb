"""What a policy observes: one definition of every observation term, for training and robot.

Each term is a pure function of a `Sight`, in plain numbers. Joints arrive in SDK order and leave in
the policy's own order. `Observer` applies scales and bounds last, in float32 as training does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sin
from typing import Any

import numpy as np

from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.history import FrameHistory
from safe_locomotion.policy.network import Float32
from safe_locomotion.policy.term import Clock
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    rotate_back,
    rows_from_quaternion,
    rpy_from_rows,
)
from safe_locomotion.types import Estimate, GaitParameters, VelocityCommand


@dataclass(slots=True)
class Sight:
    """The quantities that the terms are computed from; a new one for every observation.

    Attributes:
        rotation_base_to_odom: rows of the rotation matrix.
        velocity_base_in_odom: [m/s].
        angular_velocity_in_base: [rad/s].
        height: of the base above the ground plane under it [m].
        q, dq: (12,) joints in the policy's order [rad, rad/s].
        default_pose: (12,) in the policy's order [rad].
        command: wanted velocity.
        previous_action: (A,) output of the network on its last step, clipped but not scaled; zeros
            after a reset.
        earlier_action: (A,) output of the step before that one; zeros after a reset.
        gait: parameters in force after that step; None for a joint policy.
        clock: (n,) phases of the contract's clock [periods]; empty without one.
    """

    rotation_base_to_odom: RotationRows
    velocity_base_in_odom: Vector
    angular_velocity_in_base: Sequence[float]
    height: float
    q: Sequence[float]
    dq: Sequence[float]
    default_pose: Sequence[float]
    command: VelocityCommand
    previous_action: Sequence[float]
    earlier_action: Sequence[float]
    gait: GaitParameters | None
    clock: Sequence[float]


def base_angular_velocity(s: Sight) -> Sequence[float]:
    """(3,) in base [rad/s], gyro bias removed."""
    return s.angular_velocity_in_base


def projected_gravity(s: Sight) -> Sequence[float]:
    """(3,) direction of gravity in base: R' (0, 0, -1), which is (0, 0, -1) on a level robot."""
    x, y, z = s.rotation_base_to_odom[2]
    return -x, -y, -z


def velocity_command(s: Sight) -> Sequence[float]:
    """(3,) vx, vy [m/s], wz [rad/s] wanted, in the heading frame."""
    return s.command.vx, s.command.vy, s.command.wz


def joint_position(s: Sight) -> Sequence[float]:
    """(12,) relative to the default pose [rad]."""
    return [q - default for q, default in zip(s.q, s.default_pose, strict=True)]


def joint_velocity(s: Sight) -> Sequence[float]:
    """(12,) [rad/s]."""
    return s.dq


def previous_action(s: Sight) -> Sequence[float]:
    """(A,) the network's last output, before its scale."""
    return s.previous_action


def earlier_action(s: Sight) -> Sequence[float]:
    """(A,) the network's output before its last one, before its scale."""
    return s.earlier_action


def clock(s: Sight) -> Sequence[float]:
    """(n,) sine of the phases of the contract's clock."""
    return [sin(2.0 * pi * phase) for phase in s.clock]


def base_velocity(s: Sight) -> Sequence[float]:
    """(3,) of the base's origin, expressed in base [m/s]."""
    return rotate_back(s.rotation_base_to_odom, s.velocity_base_in_odom)


def heading_velocity(s: Sight) -> Sequence[float]:
    """(3,) of the base's origin, expressed in the heading frame [m/s].

    The heading frame has z up, and x along the base's x axis seen from above.
    """
    rows = s.rotation_base_to_odom
    xx = rows[0][0]
    yx = rows[1][0]
    length = (xx * xx + yx * yx) ** 0.5
    c = xx / length if length > 0.0 else 1.0
    d = yx / length if length > 0.0 else 0.0
    vx, vy, vz = s.velocity_base_in_odom
    return c * vx + d * vy, c * vy - d * vx, vz


def base_height(s: Sight) -> Sequence[float]:
    """(1,) of the base's origin above the plane through the latest footholds [m]."""
    return (s.height,)


def base_rpy(s: Sight) -> Sequence[float]:
    """(3,) roll, pitch, yaw [rad]; yaw is against odom, which drifts."""
    return rpy_from_rows(s.rotation_base_to_odom)


def base_roll_pitch(s: Sight) -> Sequence[float]:
    """(2,) roll, pitch [rad]."""
    return rpy_from_rows(s.rotation_base_to_odom)[:2]


def previous_gait(s: Sight) -> Sequence[float]:
    """(9,) parameters of the gait in force (paper 1).

    Frequency [Hz], swing ratio, phase offsets of FL, RR, RL [strides], y of the feet FR, FL, RR, RL
    in base [m].
    """
    assert s.gait is not None
    return s.gait.frequency, s.gait.swing_ratio, *s.gait.phase_offsets, *s.gait.foot_y


def ones(width: int) -> Callable[[Sight], Sequence[float]]:
    """The term `constant`: (width,) ones, whose scales are the constants."""
    row = [1.0] * width
    return lambda s: row


#: Every term by its name in a contract, besides `constant`; `policy.term.TERM_WIDTHS` has the
#: widths.
TERMS: dict[str, Callable[[Sight], Sequence[float]]] = {
    term.__name__: term
    for term in (
        base_angular_velocity,
        projected_gravity,
        velocity_command,
        joint_position,
        joint_velocity,
        previous_action,
        earlier_action,
        base_velocity,
        heading_velocity,
        base_height,
        base_rpy,
        base_roll_pitch,
        previous_gait,
        clock,
    )
}


class Observer:
    """Writes the observation of one contract, always into the same array.

    It remembers what the contract's terms need of the past: frames, the action before the last one,
    and the time. All of this begins anew with `reset`.

    Attributes:
        vector: (1, O) float32, the last observation.
    """

    def __init__(self, contract: PolicyContract) -> None:
        self.vector: Float32 = np.zeros((1, contract.observation_width), dtype=np.float32)
        self._history = None if contract.history is None else FrameHistory(contract, self.vector[0])
        self._frame: Float32 = self.vector[0] if self._history is None else self._history.frame
        self._terms = [
            ones(term.width) if term.name == "constant" else TERMS[term.name]
            for term in contract.observation
        ]
        self._scale: Float32 = np.array(
            [factor for term in contract.observation for factor in term.scale], dtype=np.float32
        )
        self._scaled = bool((self._scale != 1.0).any())
        self._lower = _bounds(contract, "lower", -np.inf)
        self._upper = _bounds(contract, "upper", np.inf)
        self._bounded = bool(np.isfinite((self._lower, self._upper)).any())
        self._order: list[int] = contract.to_policy.tolist()
        self._default_pose = list(contract.default_pose)
        self._clock = contract.clock
        self._rate_hz = contract.rate_hz
        self._no_action = [0.0] * contract.action_width
        self.reset()

    def reset(self) -> None:
        """Forget the past, as at the start of an episode."""
        self._steps = 0
        self._last: Sequence[float] = self._no_action
        if self._history is not None:
            self._history.reset()

    def remember(self) -> tuple[Any, ...]:
        """What `recall` needs to go on from here."""
        frames = None if self._history is None else self._history.remember()
        return self._steps, self._last, frames

    def recall(self, kept: tuple[Any, ...]) -> None:
        """Go on from where `remember` was called."""
        self._steps, self._last, frames = kept
        if self._history is not None:
            self._history.recall(frames)

    def write(
        self,
        estimate: Estimate,
        command: VelocityCommand,
        previous_action: Sequence[float],
        gait: GaitParameters | None = None,
    ) -> Float32:
        """The observation (1, O), in the array `vector`.

        Args:
            estimate: of this tick.
            command: velocity in force.
            previous_action: see `Sight`.
            gait: see `Sight`.
        """
        sight = self._look(estimate, command, previous_action, gait)
        numbers: list[float] = []
        for term in self._terms:
            numbers += term(sight)
        # A number beyond the largest float32 becomes infinite, and counts as not finite.
        with np.errstate(over="ignore"):
            self._frame[:] = numbers
            if self._scaled:
                self._frame *= self._scale
        # A bound must not make a number finite that is not.
        if self._bounded and np.isfinite(self._frame).all():
            np.clip(self._frame, self._lower, self._upper, out=self._frame)
        if self._history is not None:
            self._history.push()
        self._last = previous_action
        self._steps += 1
        return self.vector

    def _look(
        self,
        estimate: Estimate,
        command: VelocityCommand,
        previous_action: Sequence[float],
        gait: GaitParameters | None,
    ) -> Sight:
        """What the terms are computed from."""
        e = estimate
        q = e.q.tolist()
        dq = e.dq.tolist()
        vx, vy, vz = e.velocity.tolist()
        return Sight(
            rotation_base_to_odom=rows_from_quaternion(e.quaternion_wxyz),
            velocity_base_in_odom=(vx, vy, vz),
            angular_velocity_in_base=e.angular_velocity.tolist(),
            height=float(e.position[2]) - e.ground_height,
            q=[q[i] for i in self._order],
            dq=[dq[i] for i in self._order],
            default_pose=self._default_pose,
            command=command,
            previous_action=previous_action,
            earlier_action=self._last,
            gait=gait,
            clock=() if self._clock is None else _phases(self._clock, self._steps / self._rate_hz),
        )


def _phases(clock: Clock, time: float) -> list[float]:
    """Phases of a clock [periods] at a time since the reset [s]."""
    return [(clock.frequency * time + offset) % 1.0 for offset in clock.offsets]


def _bounds(contract: PolicyContract, side: str, without: float) -> Float32:
    """(F,) bounds of the numbers of a frame; `without` where a term has none."""
    rows = [getattr(term, side) or (without,) * term.width for term in contract.observation]
    return np.array([bound for row in rows for bound in row], dtype=np.float32)
