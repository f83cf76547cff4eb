"""Rollout of a joint policy: where joint targets take the robot in the next w steps.

The model is the linear centroidal one. The forces are those of the motors' PD through the foot
Jacobians, f = -J^-T (kp (q_target - q) - kd dq), at each predicted state. Legs have no mass. A foot
on the ground stays where it is, and its joints follow from the body's pose. A leg in the air
follows its targets with the time constant kd / kp and stands where its foot meets the ground. A
foot never pulls, and its force stays in the friction cone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp
from typing import NamedTuple

import numpy as np

from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import (
    RotationRows,
    Vector,
    clamp,
    cross,
    rotate,
    rotate_back,
    rows_from_rpy,
    subtract,
    vector,
)
from safe_locomotion.safety.gait_rollout import GaitRollout, Scene
from safe_locomotion.safety.switching_rule import STEP
from safe_locomotion.types import N_LEGS, Array, Estimate, JointTargets

AskForJoints = Callable[[Estimate], JointTargets | None]


class _Motor(NamedTuple):
    """PD of one joint: target [rad], kp [Nm/rad], kd [Nm s/rad]."""

    goal: float
    kp: float
    kd: float

    def torque(self, q: float, dq: float) -> float:
        """Torque [Nm] at a position and a velocity of the joint."""
        return self.kp * (self.goal - q) - self.kd * dq


_Motors = list[_Motor]


@dataclass(slots=True)
class _Legs:
    """Joints q, dq (12), and where feet stand; a foot in the air has None."""

    q: list[float]
    dq: list[float]
    spots: list[Vector | None]


@dataclass(slots=True)
class _Body:
    """Pose and motion of the base in the ground frame."""

    rows: RotationRows
    position: Vector
    spin: Vector
    velocity: Vector


class JointRollout:
    """Predicts joint policies; the gait rollout has the model and makes later estimates."""

    def __init__(self, robot: RobotModel, rollout: GaitRollout, mu: float) -> None:
        self._legs = Kinematics(robot).legs
        self._radius = float(robot.foot_radius)
        self._com = vector(robot.com)
        self._rollout = rollout
        self._mu = mu

    def states(
        self,
        scene: Scene,
        x0: Array,
        steps: int,
        targets: JointTargets,
        ask: AskForJoints | None,
        estimate: Estimate,
    ) -> Array:
        """Predicted states (steps + 1, 12) from x0 on.

        `ask` gives later targets; None keeps the present ones.
        """
        x = x0.tolist()
        legs = self._start(scene, estimate)
        gravity = scene.gravity.tolist()
        motors = _motors(targets)
        states = [x]
        for k in range(steps):
            if k and ask is not None:
                later = self._rollout.estimate_at(scene, np.array(x), estimate, k)
                targets = ask(replace(later, q=np.array(legs.q), dq=np.array(legs.dq))) or targets
                motors = _motors(targets)
            pushes = self._pushes(self._body(x), legs, motors)
            px, py, pz = x[3:6]
            levers = [(a - px, b - py, -pz) for a, b, _ in (spot for spot, _ in pushes)]
            forces = [force for _, force in pushes]
            x = self._rollout.model.step(x, forces, levers, STEP, gravity)
            states.append(x)
        return np.array(states)

    def _start(self, scene: Scene, estimate: Estimate) -> _Legs:
        stands = [
            down and not up for down, up in zip(estimate.contact.tolist(), scene.aloft, strict=True)
        ]
        spots = [
            (x, y, self._radius) if on else None
            for (x, y), on in zip(scene.spots, stands, strict=True)
        ]
        return _Legs(q=estimate.q.tolist(), dq=estimate.dq.tolist(), spots=spots)

    def _body(self, x: list[float]) -> _Body:
        roll, pitch, yaw, px, py, pz, wx, wy, wz, vx, vy, vz = x
        rows = rows_from_rpy(roll, pitch, yaw)
        spin = (wx, wy, wz)
        arm = rotate(rows, self._com)
        ax, ay, az = arm
        lx, ly, lz = cross(spin, arm)
        return _Body(
            rows=rows,
            position=(px - ax, py - ay, pz - az),
            spin=spin,
            velocity=(vx - lx, vy - ly, vz - lz),
        )

    def _pushes(self, body: _Body, legs: _Legs, motors: _Motors) -> list[tuple[Vector, Vector]]:
        """Where feet push and with which force of the ground, in the ground frame.

        Moves `legs` on by a step.
        """
        pushes = []
        for leg in range(N_LEGS):
            if legs.spots[leg] is None:
                self._swing(body, legs, leg, motors)
            spot = legs.spots[leg]
            if spot is None:
                continue
            fx, fy, fz = self._push(body, legs, leg, spot, motors)
            if fz <= 0.0:
                legs.spots[leg] = None
                continue
            limit = self._mu * fz
            pushes.append((spot, (clamp(fx, -limit, limit), clamp(fy, -limit, limit), fz)))
        return pushes

    def _push(self, body: _Body, legs: _Legs, leg: int, spot: Vector, motors: _Motors) -> Vector:
        """Force of the ground on a foot that stands at `spot`."""
        kinematics = self._legs[leg]
        rows = body.rows
        i = 3 * leg
        lever = subtract(spot, body.position)
        a, b, c = kinematics.inverse(*rotate_back(rows, lever))
        pose = kinematics.pose(a, b, c)
        leaving = subtract(cross(lever, body.spin), body.velocity)  # the foot, seen from the body
        da, db, dc = kinematics.joint_velocity(pose, *rotate_back(rows, leaving))
        legs.q[i : i + 3] = (a, b, c)
        legs.dq[i : i + 3] = (da, db, dc)
        hip, thigh, calf = motors[i : i + 3]
        fx, fy, fz = kinematics.force(
            pose, hip.torque(a, da), thigh.torque(b, db), calf.torque(c, dc)
        )
        return rotate(rows, (-fx, -fy, -fz))

    def _swing(self, body: _Body, legs: _Legs, leg: int, motors: _Motors) -> None:
        """Move a leg in the air; it stands as soon as its foot reaches the ground."""
        first = 3 * leg
        for joint in range(first, first + 3):
            goal, kp, kd = motors[joint]
            share = 1.0 - exp(-STEP * kp / kd) if kd > 0.0 else 1.0
            moved = share * (goal - legs.q[joint])
            legs.q[joint] += moved
            legs.dq[joint] = moved / STEP
        kinematics = self._legs[leg]
        x, y, z = rotate(body.rows, kinematics.foot_at(*legs.q[first : first + 3]))
        px, py, pz = body.position
        if pz + z <= self._radius:
            legs.spots[leg] = px + x, py + y, self._radius


def _motors(targets: JointTargets) -> _Motors:
    columns = (targets.q.tolist(), targets.kp.tolist(), targets.kd.tolist())
    return [_Motor(*row) for row in zip(*columns, strict=True)]
