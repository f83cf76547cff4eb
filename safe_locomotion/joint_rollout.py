"""Rollout of a joint policy: where joint targets take the robot in the next w steps, on the linear centroidal model.

The forces are those of the motors' PD through the foot Jacobians, f = -J^-T (kp (q_target - q) - kd dq), at each predicted
state. Legs have no mass: a foot on the ground stays where it is, and its joints follow from the body's pose; a leg in the air
follows its targets with the time constant kd / kp and stands where its foot meets the ground. A foot never pulls, and its
force stays in the friction cone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from safe_locomotion.centroidal import RATES, RPY, VELOCITY
from safe_locomotion.kinematics import Kinematics, clamp
from safe_locomotion.reachability import STEP
from safe_locomotion.robots import RobotModel
from safe_locomotion.rollout import GaitRollout, Scene
from safe_locomotion.rotations import Rows, Vector, cross, quaternion_from_rpy, rotate, rotate_back, rows_from_quaternion
from safe_locomotion.types import N_LEGS, Array, Estimate, JointTargets

AskForJoints = Callable[[Estimate], JointTargets | None]


@dataclass(slots=True)
class _Legs:
    """Joints q, dq (12) and, of feet on the ground, where they stand; None in the air."""

    q: list[float]
    dq: list[float]
    spots: list[Vector | None]


@dataclass(slots=True)
class _Body:
    """Pose and motion of the base in the ground frame."""

    rows: Rows
    position: Vector
    spin: Vector
    velocity: Vector


class JointRollout:
    """Predicts joint policies; stepping and later estimates are the gait rollout's."""

    def __init__(self, robot: RobotModel, rollout: GaitRollout, mu: float) -> None:
        self._legs = Kinematics(robot).legs
        self._radius, self._com = float(robot.foot_radius), tuple(robot.com.tolist())
        self._rollout, self._mu = rollout, mu

    def states(
        self, scene: Scene, x0: Array, steps: int, targets: JointTargets, ask: AskForJoints | None, estimate: Estimate
    ) -> Array:
        """Predicted states (steps + 1, 12) from x0 on; `ask` gives later targets, None keeps the present ones."""
        x, legs = x0, self._start(scene, estimate)
        states = [x]
        for k in range(steps):
            if k and ask is not None:
                later = self._rollout.estimate_at(scene, x, estimate, k)
                targets = ask(replace(later, q=np.array(legs.q), dq=np.array(legs.dq))) or targets
            forces, feet = self._forces(self._body(x), legs, targets)
            x = self._rollout.stepped(x, forces, (feet - x[3:6]).tolist(), scene.gravity.tolist())
            states.append(x)
        return np.array(states)

    def _start(self, scene: Scene, estimate: Estimate) -> _Legs:
        stands = [down and not up for down, up in zip(estimate.contact.tolist(), scene.aloft, strict=True)]
        spots = [(x, y, self._radius) if on else None for (x, y), on in zip(scene.spots, stands, strict=True)]
        return _Legs(q=estimate.q.tolist(), dq=estimate.dq.tolist(), spots=spots)

    def _body(self, x: Array) -> _Body:
        rows = rows_from_quaternion(quaternion_from_rpy(*x[RPY].tolist()))
        spin, arm = tuple(x[RATES].tolist()), rotate(rows, self._com)
        (px, py, pz), (vx, vy, vz), (ax, ay, az), (lx, ly, lz) = x[3:6].tolist(), x[VELOCITY].tolist(), arm, cross(spin, arm)
        return _Body(rows=rows, position=(px - ax, py - ay, pz - az), spin=spin, velocity=(vx - lx, vy - ly, vz - lz))

    def _forces(self, body: _Body, legs: _Legs, targets: JointTargets) -> tuple[Array, Array]:
        """Forces of the ground (4, 3) and where they push (4, 3), in the ground frame; moves `legs` on by a step."""
        goal, kp, kd = targets.q.tolist(), targets.kp.tolist(), targets.kd.tolist()
        forces, feet = np.zeros((N_LEGS, 3)), np.zeros((N_LEGS, 3))
        for leg in range(N_LEGS):
            part = slice(3 * leg, 3 * leg + 3)
            if legs.spots[leg] is None:
                self._swing(body, legs, leg, goal[part], kp[part], kd[part])
            spot = legs.spots[leg]
            if spot is None:
                continue
            force = self._push(body, legs, leg, spot, goal[part], kp[part], kd[part])
            if force[2] <= 0.0:
                legs.spots[leg] = None
                continue
            limit = self._mu * force[2]
            forces[leg] = clamp(force[0], -limit, limit), clamp(force[1], -limit, limit), force[2]
            feet[leg] = spot[0], spot[1], 0.0
        return forces, feet

    def _push(
        self, body: _Body, legs: _Legs, leg: int, spot: Vector, goal: list[float], kp: list[float], kd: list[float]
    ) -> Vector:
        """Force of the ground on a foot that stands at `spot`."""
        kinematics = self._legs[leg]
        away = _difference(spot, body.position)
        lever, moving = rotate_back(body.rows, away), _sum(body.velocity, cross(body.spin, away))
        q = kinematics.inverse(*lever)
        pose = kinematics.pose(*q)
        dq = kinematics.joint_velocity(pose, *(-v for v in rotate_back(body.rows, moving)))
        legs.q[3 * leg : 3 * leg + 3], legs.dq[3 * leg : 3 * leg + 3] = q, dq
        tau = tuple(p * (g - a) - d * w for p, g, a, d, w in zip(kp, goal, q, kd, dq, strict=True))
        x, y, z = _transposed_solve(kinematics.jacobian(pose), tau)
        return rotate(body.rows, (-x, -y, -z))

    def _swing(self, body: _Body, legs: _Legs, leg: int, goal: list[float], kp: list[float], kd: list[float]) -> None:
        """Move a leg in the air; it stands from the moment its foot is in the ground."""
        for joint in range(3):
            at, stiff = 3 * leg + joint, kp[joint] / kd[joint] if kd[joint] > 0.0 else np.inf
            moved = (goal[joint] - legs.q[at]) * (1.0 - exp(-STEP * stiff))
            legs.q[at] += moved
            legs.dq[at] = moved / STEP
        kinematics = self._legs[leg]
        foot = _sum(body.position, rotate(body.rows, kinematics.foot(kinematics.pose(*legs.q[3 * leg : 3 * leg + 3]))))
        if foot[2] <= self._radius:
            legs.spots[leg] = foot[0], foot[1], self._radius


def _transposed_solve(jacobian: tuple[Vector, Vector, Vector], tau: tuple[float, ...]) -> Vector:
    """f with J' f = tau, by Cramer's rule; zero where the leg is singular and no force is defined."""
    a, b, c = jacobian
    bc, ca, ab = cross(b, c), cross(c, a), cross(a, b)
    det = a[0] * bc[0] + a[1] * bc[1] + a[2] * bc[2]
    if not abs(det) > 1e-9:
        return 0.0, 0.0, 0.0
    x, y, z = ((tau[0] * n[0] + tau[1] * n[1] + tau[2] * n[2]) / det for n in (bc, ca, ab))
    return x, y, z


def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _difference(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]
