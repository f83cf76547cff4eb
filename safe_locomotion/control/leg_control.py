"""Leg controller: turns the verdict and the stance plan into motor commands on every LowState.

Stance feet push with tau = -J(q)' f plus the leg's own weight. Swing feet follow their target
through joint PD. Ramps, joint policies and damping are joint PD. A change of driver is cross-faded,
so that the commanded torque has no step.
"""

from dataclasses import dataclass, replace

import numpy as np

from safe_locomotion.commands import commanded_torque, damping_command
from safe_locomotion.control.leg_weight import LegWeight
from safe_locomotion.control.self_right import SelfRighting
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.kinematics import Kinematics, LegPose
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.rotations import Vector, clamp, rows_from_quaternion
from safe_locomotion.types import (
    DAMPED,
    N_JOINTS,
    N_LEGS,
    NANOSECONDS,
    Array,
    LowCommand,
    LowState,
    Mode,
    StancePlan,
    Verdict,
)

#: Feed-forward that may stand against stiffness and damping, in peak torques; the gate allows a
#: little more.
STORED = 1.8


@dataclass(frozen=True, kw_only=True, slots=True)
class LegGains:
    """Gains and ramps of the leg controller.

    Attributes:
        swing_margin: distance that swing targets keep from the ends of the joint ranges [rad].
        swing_kp, swing_kd: joint PD of swing legs [Nm/rad, Nm s/rad].
        stance_kd: joint damping of stance legs [Nm s/rad].
        ramp_kp, ramp_kd: joint PD while standing up and sitting down.
        fold_time, stand_time, sit_time: durations of the ramps [s].
        damping: kd in the damped modes [Nm s/rad].
        crossfade_time: over which the torque difference at a change of mode decays [s].
        handover_time: the same in WALK [s]. It is shorter than a swing, because what is left must
            not push a foot that has changed its role.
    """

    swing_margin: float
    swing_kp: float
    swing_kd: float
    stance_kd: float
    ramp_kp: float
    ramp_kd: float
    fold_time: float
    stand_time: float
    sit_time: float
    damping: float
    crossfade_time: float
    handover_time: float

    def __post_init__(self) -> None:
        """Refuse ramps without a duration."""
        for name in ("fold_time", "stand_time", "sit_time", "crossfade_time", "handover_time"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(
                    f"gains: {name}: must be positive (found {getattr(self, name)})"
                )


class LegController:
    """State of the ramps and of the cross-fade; one `update` per LowState."""

    def __init__(self, robot: RobotModel, gains: LegGains) -> None:
        self._robot = robot
        self._gains = gains
        self._kinematics = Kinematics(robot)
        self._self_right = SelfRighting(robot)
        self._weights = [LegWeight(robot, leg) for leg in range(N_LEGS)]
        self._radius = float(robot.foot_radius)
        self._zeros = np.zeros(N_JOINTS)
        self._swing_min = _by_leg(robot.q_min + gains.swing_margin)
        self._swing_max = _by_leg(robot.q_max - gains.swing_margin)
        # Ranges of the joint positions, then of the speeds.
        self._lowest = np.concatenate((robot.q_min, -robot.dq_max))
        self._highest = np.concatenate((robot.q_max, robot.dq_max))
        self._stored = STORED * robot.tau_max
        self._gains_of: dict[tuple[bool, ...], tuple[Array, Array]] = {}
        self._ramp_kp = np.full(N_JOINTS, gains.ramp_kp)
        self._ramp_kd = np.full(N_JOINTS, gains.ramp_kd)
        self._driver: tuple[Mode, bool] | None = None
        self._driver_since_ns = 0
        self._q_entry = robot.q_sit
        self._torque_offset = self._zeros
        self._last: LowCommand | None = None

    def update(
        self, state: LowState, verdict: Verdict | None, plan: StancePlan | None
    ) -> LowCommand:
        """Motor command for this LowState, not yet gated.

        Args:
            state: newest reading.
            verdict: newest decision of the supervisor, None before the first.
            plan: newest stance plan; needed in STAND and WALK, without it the command is damping.
        """
        joints = verdict is not None and verdict.joints is not None
        needs_plan = verdict is not None and not joints and verdict.mode in (Mode.STAND, Mode.WALK)
        if verdict is None or verdict.mode in DAMPED or (needs_plan and plan is None):
            self.interrupt()
            return damping_command(state.stamp_ns, self._gains.damping, q=state.q)
        # Between a gait policy and the recovery policy nothing is cross-faded: the MPC drives under
        # both. A torque that fades out over feet that change their role would push the robot.
        driver = (verdict.mode, joints)
        changed = driver != self._driver
        if changed:
            self._q_entry = state.q
            self._driver_since_ns = state.stamp_ns
            self._self_right.begin(state)
        command = self._wanted(state, verdict, plan)
        if changed:
            self._begin_crossfade(state, command)
            self._driver = driver
        self._last = self._limited(state, self._faded(state.stamp_ns, command))
        return self._last

    def interrupt(self) -> None:
        """The last command was not sent.

        Ramps start over from where the joints are, and no torque is left to fade from.
        """
        self._driver = None
        self._last = None

    def _wanted(self, state: LowState, verdict: Verdict, plan: StancePlan | None) -> LowCommand:
        elapsed = (state.stamp_ns - self._driver_since_ns) / NANOSECONDS
        if verdict.mode is Mode.STAND_UP:
            return self._pd(state, self._stand_up_pose(elapsed))
        if verdict.mode is Mode.SIT:
            return self._pd(
                state, _ramp(self._q_entry, self._robot.q_sit, elapsed / self._gains.sit_time)
            )
        if verdict.mode is Mode.SELF_RIGHT:
            return self._pd(state, self._self_right.target(state))
        if verdict.joints is not None:
            targets = verdict.joints
            q = np.clip(targets.q, self._robot.q_min, self._robot.q_max)
            return _command(state, q, self._zeros, self._zeros, targets.kp, targets.kd)
        assert plan is not None  # `update` damps without one
        return self._legs(state, plan)

    def _stand_up_pose(self, elapsed: float) -> Array:
        """Pose on the way to standing.

        It leads straight there from anywhere between sitting and standing. Other poses fold the
        legs first.
        """
        gains = self._gains
        robot = self._robot
        folded = (
            min(
                np.abs(self._q_entry - robot.q_sit).max(),
                np.abs(self._q_entry - robot.q_stand).max(),
            )
            < 0.6
        )
        if folded:
            return _ramp(self._q_entry, robot.q_stand, elapsed / gains.stand_time)
        if elapsed < gains.fold_time:
            return _ramp(self._q_entry, robot.q_sit, elapsed / gains.fold_time)
        return _ramp(robot.q_sit, robot.q_stand, (elapsed - gains.fold_time) / gains.stand_time)

    def _pd(self, state: LowState, q: Array) -> LowCommand:
        return _command(state, q, self._zeros, self._zeros, self._ramp_kp, self._ramp_kd)

    def _legs(self, state: LowState, plan: StancePlan) -> LowCommand:
        up = rows_from_quaternion(state.quaternion_wxyz)[2]
        age = (state.stamp_ns - plan.stamp_ns) / NANOSECONDS
        poses = self._kinematics.poses(state.q)
        angles = state.q.tolist()
        stance = plan.stance.tolist()
        force = plan.force.tolist()
        feet = plan.foot_position.tolist()
        velocity = plan.foot_velocity.tolist()
        tau: list[float] = []
        q: list[float] = []
        dq: list[float] = []
        for leg in range(N_LEGS):
            tau += self._torque(leg, poses[leg], up, force[leg])
            dq += self._kinematics.legs[leg].joint_velocity(poses[leg], *velocity[leg])
            if stance[leg]:
                q += angles[3 * leg : 3 * leg + 3]
            else:
                q += self._swing(leg, feet[leg], velocity[leg], age, dq)
        kp, kd = self._foot_gains(tuple(stance))
        motion = np.minimum(np.maximum(np.array(q + dq), self._lowest), self._highest)
        return _command(state, motion[:N_JOINTS], motion[N_JOINTS:], np.array(tau), kp, kd)

    def _torque(self, leg: int, pose: LegPose, up: Vector, force: list[float]) -> Vector:
        """Weight of the leg less J_c' f [Nm].

        J_c is the Jacobian of the contact, one foot radius below the foot centre along the vertical
        `up`.
        """
        fx, fy, fz = force
        a, b, c = self._weights[leg].torque(pose, up)
        if fx == fy == fz == 0.0:
            return a, b, c
        r = self._radius
        ux, uy, uz = up
        ja, jb, jc = self._kinematics.legs[leg].torque(pose, fx, fy, fz)
        about_y = r * (pose.ca * (uz * fx - ux * fz) + pose.sa * (ux * fy - uy * fx))
        return a - ja + r * (uy * fz - uz * fy), b - jb + about_y, c - jc + about_y

    def _swing(
        self, leg: int, foot: list[float], velocity: list[float], age: float, dq: list[float]
    ) -> list[float]:
        """Joint positions of a swing foot.

        A joint held at the end of its range gets speed zero in the last three of `dq`.
        """
        x, y, z = foot
        vx, vy, vz = velocity
        wanted = self._kinematics.legs[leg].inverse(x + age * vx, y + age * vy, z + age * vz)
        held = list(map(clamp, wanted, self._swing_min[leg], self._swing_max[leg]))
        for joint in range(3):
            if held[joint] != wanted[joint]:
                dq[joint - 3] = 0.0
        return held

    def _foot_gains(self, stance: tuple[bool, ...]) -> tuple[Array, Array]:
        """kp, kd (12,) of stance and swing joints.

        Each set of stance feet is computed once and kept.
        """
        if stance not in self._gains_of:
            gains = self._gains
            swing = ~np.repeat(stance, 3)
            self._gains_of[stance] = (
                np.where(swing, gains.swing_kp, 0.0),
                np.where(swing, gains.swing_kd, gains.stance_kd),
            )
        return self._gains_of[stance]

    def _begin_crossfade(self, state: LowState, command: LowCommand) -> None:
        if self._last is None:
            self._torque_offset = self._zeros
        else:
            self._torque_offset = commanded_torque(state, self._last) - commanded_torque(
                state, command
            )

    def _faded(self, stamp_ns: int, command: LowCommand) -> LowCommand:
        walks = self._driver is not None and self._driver[0] is Mode.WALK
        fade = self._gains.handover_time if walks else self._gains.crossfade_time
        left = 1.0 - (stamp_ns - self._driver_since_ns) / (fade * NANOSECONDS)
        left = min(1.0, left)  # a stamp that jumps back must not amplify
        if left <= 0.0 or not self._torque_offset.any():
            return command
        return _with_torque(command, command.tau + left * self._torque_offset)

    def _limited(self, state: LowState, command: LowCommand) -> LowCommand:
        """Feed-forward reduced so that the motors are never asked for more than their peak torque.

        What would exceed `STORED` peak torques goes into the target, which comes nearer. Otherwise
        a leg that is held back would need feed-forward against ever more stiffness, and the gate
        refuses that.
        """
        total = commanded_torque(state, command)
        tau_max = self._robot.tau_max
        inside = (np.abs(total) <= tau_max) & (np.abs(command.tau) <= self._stored)
        if np.count_nonzero(inside) == N_JOINTS:
            return command
        tau = command.tau - (total - np.minimum(np.maximum(total, -tau_max), tau_max))
        excess = np.where(command.kp > 0.0, tau - np.clip(tau, -self._stored, self._stored), 0.0)
        if not excess.any():
            return _with_torque(command, tau)
        q = command.q + np.divide(
            excess, command.kp, out=np.zeros(N_JOINTS), where=command.kp > 0.0
        )
        return replace(command, q=q, tau=tau - excess)


def _ramp(start: Array, end: Array, progress: float) -> Array:
    s = min(1.0, max(0.0, progress))
    return start + (s * s * (3.0 - 2.0 * s)) * (end - start)


def _by_leg(joints: Array) -> list[list[float]]:
    """Numbers of joints (12,) leg by leg, in plain numbers."""
    legs: list[list[float]] = joints.reshape(N_LEGS, 3).tolist()
    return legs


def _command(state: LowState, q: Array, dq: Array, tau: Array, kp: Array, kd: Array) -> LowCommand:
    return LowCommand(stamp_ns=state.stamp_ns, q=q, dq=dq, tau=tau, kp=kp, kd=kd)


def _with_torque(command: LowCommand, tau: Array) -> LowCommand:
    return LowCommand(
        stamp_ns=command.stamp_ns, q=command.q, dq=command.dq, tau=tau, kp=command.kp, kd=command.kd
    )
