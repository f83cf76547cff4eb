"""Leg controller: turns the verdict and the stance plan into motor commands on every LowState.

Stance feet push with tau = -J(q)' f plus the leg's own weight; swing feet follow their target through joint PD; ramps, joint policies
and damping are joint PD. A change of who drives is cross-faded, so that the commanded torque has no step.
"""

from dataclasses import dataclass

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.kinematics import Kinematics
from safe_locomotion.limits import CommandGate, GateLimits, commanded_torque, damping_command
from safe_locomotion.modes import DAMPED
from safe_locomotion.robots import RobotModel
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import N_JOINTS, N_LEGS, NANOSECONDS, Array, LowCommand, LowState, Mode, StancePlan, Verdict

GRAVITY = 9.81  #: [m/s2]


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
        crossfade_time: over which the torque difference at a hand-over decays [s].
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

    def __post_init__(self) -> None:
        """Refuse ramps without a duration."""
        for name in ("fold_time", "stand_time", "sit_time", "crossfade_time"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"gains: {name}: must be positive (found {getattr(self, name)})")


class LegWeight:
    """Joint torques that hold up the legs' own links."""

    def __init__(self, robot: RobotModel) -> None:
        self._mass = robot.leg_link_mass
        self._com = robot.leg_link_com
        self._d = robot.hip_offset
        self._l = robot.thigh_length

    def torque(self, q: Array, rotation_base_to_odom: Array) -> Array:
        """(12,) torque that balances gravity on the links [Nm]: tau_j = -a_j . (sum m (c - o_j) x g), a_j and o_j the joint's axis and origin."""
        angles = q.reshape(N_LEGS, 3)
        a, b = angles[:, 0], angles[:, 1]
        ca, sa, cb, sb = np.cos(a), np.sin(a), np.cos(b), np.sin(b)
        bc = b + angles[:, 2]
        cbc, sbc = np.cos(bc), np.sin(bc)
        m_hip, m_thigh, m_calf = self._mass
        hip, thigh, calf = self._com[:, 0], self._com[:, 1], self._com[:, 2]
        # Everything below is in the leg's frame: base turned by the hip angle, origin in the hip joint.
        gx, gy, gz = -GRAVITY * rotation_base_to_odom[2]
        gy_leg, gz_leg = ca * gy + sa * gz, ca * gz - sa * gy
        calf_x, calf_z = m_calf * (cbc * calf[:, 0] + sbc * calf[:, 2]), m_calf * (cbc * calf[:, 2] - sbc * calf[:, 0])
        below_x = calf_x - m_calf * self._l * sb + m_thigh * (cb * thigh[:, 0] + sb * thigh[:, 2])
        below_z = calf_z - m_calf * self._l * cb + m_thigh * (cb * thigh[:, 2] - sb * thigh[:, 0])
        all_y = m_hip * hip[:, 1] + m_thigh * (self._d + thigh[:, 1]) + m_calf * (self._d + calf[:, 1])
        all_z = m_hip * hip[:, 2] + below_z
        tau = np.empty((N_LEGS, 3))
        tau[:, 0] = all_z * gy_leg - all_y * gz_leg
        tau[:, 1] = below_x * gz_leg - below_z * gx
        tau[:, 2] = calf_x * gz_leg - calf_z * gx
        return tau.reshape(-1)


class LegController:
    """State of the ramps and of the cross-fade; one `update` per LowState."""

    def __init__(self, robot: RobotModel, gains: LegGains) -> None:
        self._robot, self._gains = robot, gains
        self._kinematics = Kinematics(robot)
        self._weight = LegWeight(robot)
        self._zeros = np.zeros(N_JOINTS)
        self._swing_min = robot.q_min + gains.swing_margin
        self._swing_max = robot.q_max - gains.swing_margin
        self._stance_kd = np.full(N_JOINTS, gains.stance_kd)
        self._ramp_kp = np.full(N_JOINTS, gains.ramp_kp)
        self._ramp_kd = np.full(N_JOINTS, gains.ramp_kd)
        self._driver: tuple[Mode, str, bool] | None = None
        self._driver_since_ns = 0
        self._q_entry = robot.q_sit
        self._torque_offset = self._zeros
        self._last: LowCommand | None = None

    def update(self, state: LowState, verdict: Verdict | None, plan: StancePlan | None) -> LowCommand:
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
            return damping_command(state.stamp_ns, state, self._gains.damping)
        driver = (verdict.mode, verdict.active, joints)
        changed = driver != self._driver
        if changed:
            self._q_entry, self._driver_since_ns = state.q, state.stamp_ns
        command = self._wanted(state, verdict, plan)
        if changed:
            self._begin_crossfade(state, command)
            self._driver = driver
        self._last = self._limited(state, self._faded(state.stamp_ns, command))
        return self._last

    def interrupt(self) -> None:
        """The last command was not sent: ramps start over from where the joints are, and no torque is left to fade from."""
        self._driver, self._last = None, None

    def _wanted(self, state: LowState, verdict: Verdict, plan: StancePlan | None) -> LowCommand:
        elapsed = (state.stamp_ns - self._driver_since_ns) / NANOSECONDS
        if verdict.mode is Mode.STAND_UP:
            return self._pd(state, self._stand_up_pose(elapsed))
        if verdict.mode is Mode.SIT:
            return self._pd(state, _ramp(self._q_entry, self._robot.q_sit, elapsed / self._gains.sit_time))
        if verdict.joints is not None:
            targets = verdict.joints
            q = np.clip(targets.q, self._robot.q_min, self._robot.q_max)
            return _command(state, q, self._zeros, self._zeros, targets.kp, targets.kd)
        assert plan is not None  # `update` damps without one
        return self._legs(state, plan)

    def _stand_up_pose(self, elapsed: float) -> Array:
        """Straight to the standing pose from anywhere between sitting and standing; other poses fold the legs first."""
        gains, robot = self._gains, self._robot
        folded = min(np.abs(self._q_entry - robot.q_sit).max(), np.abs(self._q_entry - robot.q_stand).max()) < 0.6
        if folded:
            return _ramp(self._q_entry, robot.q_stand, elapsed / gains.stand_time)
        if elapsed < gains.fold_time:
            return _ramp(self._q_entry, robot.q_sit, elapsed / gains.fold_time)
        return _ramp(robot.q_sit, robot.q_stand, (elapsed - gains.fold_time) / gains.stand_time)

    def _pd(self, state: LowState, q: Array) -> LowCommand:
        return _command(state, q, self._zeros, self._zeros, self._ramp_kp, self._ramp_kd)

    def _legs(self, state: LowState, plan: StancePlan) -> LowCommand:
        gains = self._gains
        _, jacobians = self._kinematics.feet_and_jacobians(state.q)
        rotation = matrix_from_quaternion(state.quaternion_wxyz)
        tau = self._weight.torque(state.q, rotation) + self._stance_torque(state.q, rotation[2], jacobians, plan.force)
        dq_target = _joint_velocity(jacobians, plan.foot_velocity, self._robot.dq_max)
        q_held = np.minimum(np.maximum(state.q, self._robot.q_min), self._robot.q_max)
        if plan.stance.all():
            return _command(state, q_held, dq_target, tau, self._zeros, self._stance_kd)
        swing = np.repeat(~plan.stance, 3)
        age = (state.stamp_ns - plan.stamp_ns) / NANOSECONDS
        wanted = self._kinematics.inverse(plan.foot_position + age * plan.foot_velocity)
        q_target = np.minimum(np.maximum(wanted, self._swing_min), self._swing_max)
        dq_target = np.where(swing & (q_target != wanted), 0.0, dq_target)
        return _command(
            state,
            np.where(swing, q_target, q_held),
            dq_target,
            tau,
            np.where(swing, gains.swing_kp, 0.0),
            np.where(swing, gains.swing_kd, gains.stance_kd),
        )

    def _stance_torque(self, q: Array, up: Array, jacobians: Array, force: Array) -> Array:
        """tau = -J_c' f (12,), J_c the Jacobian of the contact, one foot radius below the foot centre along the vertical `up` (in base)."""
        tau = -np.matmul(force[:, None, :], jacobians)[:, 0]
        ux, uy, uz = self._robot.foot_radius * up
        fx, fy, fz = force.T
        hip = q[::3]
        about_y = np.cos(hip) * (uz * fx - ux * fz) + np.sin(hip) * (ux * fy - uy * fx)
        tau[:, 0] += uy * fz - uz * fy
        tau[:, 1] += about_y
        tau[:, 2] += about_y
        return tau.reshape(-1)

    def _begin_crossfade(self, state: LowState, command: LowCommand) -> None:
        if self._last is None:
            self._torque_offset = self._zeros
        else:
            self._torque_offset = commanded_torque(state, self._last) - commanded_torque(state, command)

    def _faded(self, stamp_ns: int, command: LowCommand) -> LowCommand:
        left = 1.0 - (stamp_ns - self._driver_since_ns) / (self._gains.crossfade_time * NANOSECONDS)
        left = min(1.0, left)  # a stamp that jumps back must not amplify
        if left <= 0.0 or not self._torque_offset.any():
            return command
        return _with_torque(command, command.tau + left * self._torque_offset)

    def _limited(self, state: LowState, command: LowCommand) -> LowCommand:
        """Feed-forward reduced so that the motors are never asked for more than their peak torque."""
        total = commanded_torque(state, command)
        tau_max = self._robot.tau_max
        clipped = np.minimum(np.maximum(total, -tau_max), tau_max)
        excess = total - clipped
        return _with_torque(command, command.tau - excess) if excess.any() else command


class CommandStage:
    """Leg controller behind the gate: the last stage before the wire."""

    def __init__(self, robot: RobotModel, gains: LegGains, limits: GateLimits) -> None:
        self.gate = CommandGate(robot, limits)
        self._legs = LegController(robot, gains)

    def update(self, state: LowState, verdict: Verdict | None, plan: StancePlan | None) -> LowCommand:
        """Gated motor command for this LowState; see `LegController.update`."""
        fault = self.gate.state_fault(state)
        command = (
            self.gate.damping(state, fault)
            if fault
            else self.gate.filter(state, verdict, plan, self._legs.update(state, verdict, plan))
        )
        if command.reason:
            self._legs.interrupt()
        return command


def _ramp(start: Array, end: Array, progress: float) -> Array:
    s = min(1.0, max(0.0, progress))
    return start + (s * s * (3.0 - 2.0 * s)) * (end - start)


def _joint_velocity(jacobians: Array, foot_velocity: Array, limit: Array) -> Array:
    """dq (12,) with J dq = v, damped near a stretched knee and limited to the motors' speed."""
    transposed = np.swapaxes(jacobians, 1, 2)
    damped = jacobians @ transposed + 1e-6 * np.eye(3)
    dq = (transposed @ np.linalg.solve(damped, foot_velocity[:, :, None])).reshape(-1)
    return np.minimum(np.maximum(dq, -limit), limit)


def _command(state: LowState, q: Array, dq: Array, tau: Array, kp: Array, kd: Array) -> LowCommand:
    return LowCommand(stamp_ns=state.stamp_ns, q=q, dq=dq, tau=tau, kp=kp, kd=kd)


def _with_torque(command: LowCommand, tau: Array) -> LowCommand:
    return LowCommand(stamp_ns=command.stamp_ns, q=command.q, dq=command.dq, tau=tau, kp=command.kp, kd=command.kd)
