"""Thousands of simulated robots on flat ground: MuJoCo-Warp physics with our motor model.

Feet touch the ground as in `sim.robot`. Other shapes are left out of the contact search; whether
the trunk touches is computed from its pose. Friction, payload and centre of mass differ between
robots and are drawn once. Strength and delay are drawn per episode.
"""

import mujoco
import torch
import warp as wp
from mjlab.managers.event_manager import RecomputeLevel
from mjlab.sim import MujocoCfg, Simulation, SimulationCfg
from torch import Tensor

from safe_locomotion.robot.models import load_robot, robot_file
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.training.joint.task import Drive, Randomisation
from safe_locomotion.types import LEGS, N_JOINTS

_CONTACTS_PER_ROBOT = 8
_CONSTRAINTS_PER_ROBOT = 40
_RANDOMISED = ("geom_friction", "body_mass", "body_inertia", "body_ipos")
_DERIVED = (
    "body_subtreemass",
    "dof_invweight0",
    "body_invweight0",
    "tendon_length0",
    "tendon_invweight0",
    "actuator_acc0",
)


def build_spec(robot: str) -> mujoco.MjSpec:
    """The robot's MJCF on a plane.

    Only its feet collide, and only their forces are sensed.
    """
    spec = mujoco.MjSpec.from_file(str(robot_file(robot, ".xml")))
    feet = {f"{leg}_foot" for leg in LEGS}
    for geom in list(spec.geoms):
        if geom.name not in feet:
            spec.delete(geom)
        else:
            geom.contype = 1
            geom.conaffinity = 0
            geom.priority = 1
    for sensor in list(spec.sensors):
        if sensor.name not in feet:
            spec.delete(sensor)
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    spec.option.disableflags = 0  # MuJoCo-Warp knows none of the flags of the file
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=0, conaffinity=1
    )
    return spec


def uniform(low: float, high: float, *shape: int, device: str) -> Tensor:
    """Numbers drawn uniformly from [low, high)."""
    return low + (high - low) * torch.rand(*shape, device=device)


class JointWorld:
    """Robots, their motors, and their state.

    Attributes:
        qpos: (n, 19) of MuJoCo: position, quaternion w x y z, joints.
        qvel: (n, 18) of MuJoCo: velocity in the world, rates in base, joints.
        foot_force: (n, 4) normal force on each foot [N].
        tau: (n, 12) motor torques of the last physics step [Nm].
        power: (n,) mean over the last `step` of the sum over joints of |torque * speed| [W].
    """

    def __init__(
        self, n: int, robot: str, drive: Drive, randomisation: Randomisation, device: str
    ) -> None:
        self.n = n
        self.device = device
        self.model = load_robot(robot)
        self._drive = drive
        self._random = randomisation
        self.substeps = round(1.0 / (drive.rate_hz * drive.physics_step))
        spec = build_spec(robot)
        options = MujocoCfg(
            timestep=drive.physics_step,
            integrator="euler",
            cone="elliptic",
            iterations=10,
            ls_iterations=20,
        )
        self._sim = Simulation(
            n,
            SimulationCfg(
                nconmax=_CONTACTS_PER_ROBOT, njmax=_CONSTRAINTS_PER_ROBOT, mujoco=options
            ),
            spec=spec,
            device=device,
        )
        self._draw_robots(self._sim.mj_model)
        data = self._sim.wp_data
        self.qpos = wp.to_torch(data.qpos)
        self.qvel = wp.to_torch(data.qvel)
        self._warmstart = wp.to_torch(data.qacc_warmstart)
        self._applied = wp.to_torch(data.qfrc_applied)
        self.foot_force = wp.to_torch(data.sensordata)[:, : len(LEGS)]
        self._site_position = wp.to_torch(data.site_xpos)
        self._body_position = wp.to_torch(data.xpos)
        compiled = self._sim.mj_model
        self._feet = torch.tensor([compiled.site(f"{leg}_foot").id for leg in LEGS], device=device)
        self._knees = torch.tensor([compiled.body(f"{leg}_calf").id for leg in LEGS], device=device)
        self._make_motors()

    def _draw_robots(self, compiled: mujoco.MjModel) -> None:
        """Friction, payload and centre of mass of each robot."""
        r = self._random
        n = self.n
        device = self.device
        self._sim.expand_model_fields(_RANDOMISED + _DERIVED)
        friction = uniform(*r.friction, n, device=device)
        payload = uniform(*r.payload, n, device=device)
        feet = [compiled.geom(f"{leg}_foot").id for leg in LEGS]
        trunk = compiled.body("trunk").id
        mass = float(compiled.body_mass[trunk])
        fields = {name: wp.to_torch(getattr(self._sim.wp_model, name)) for name in _RANDOMISED}
        if n > 1:  # a single robot keeps the shared model
            for foot in feet:
                fields["geom_friction"][:, foot, 0] = friction
            fields["body_mass"][:, trunk] = mass + payload
            fields["body_inertia"][:, trunk] *= (1.0 + payload / mass)[:, None]
            fields["body_ipos"][:, trunk] += uniform(*r.com, n, 3, device=device)
            self._sim.recompute_constants(RecomputeLevel.set_const)
        self.traits = torch.stack((friction, payload), dim=1)

    def _make_motors(self) -> None:
        n = self.n
        device = self.device
        model = self.model
        motor = load_motors(model.name)
        knee = torch.tensor(motor.knee(), dtype=torch.float32, device=device)
        self._q_min = torch.tensor(model.q_min, dtype=torch.float32, device=device)
        self._q_max = torch.tensor(model.q_max, dtype=torch.float32, device=device)
        self.q_stand = torch.tensor(model.q_stand, dtype=torch.float32, device=device)
        self._peak = torch.tensor(model.tau_max, dtype=torch.float32, device=device)
        dq_max = torch.tensor(model.dq_max, dtype=torch.float32, device=device)
        self._slope = self._peak / (dq_max - knee)
        self._knee_torque = self._slope * dq_max
        self._coulomb = motor.coulomb
        self._per_speed = 1.0 / motor.coulomb_speed
        self.tau = torch.zeros(n, N_JOINTS, device=device)
        self.power = torch.zeros(n, device=device)
        self.target = self.q_stand.repeat(n, 1)
        self._strength = torch.ones(n, N_JOINTS, device=device)
        self._delay = torch.zeros(n, 1, device=device)

    def step(self, target: Tensor) -> None:
        """Advance by one policy step with joint targets (n, 12) [rad].

        They take effect after each robot's delay.
        """
        target = torch.minimum(torch.maximum(target, self._q_min), self._q_max)
        self.power.zero_()
        for k in range(self.substeps):
            self._drive_motors(torch.where(self._delay > k, self.target, target))
            self._sim.step()
        self.target = target

    def _drive_motors(self, target: Tensor) -> None:
        """Torques as in `sim.motors.Motors`: PD, torque-speed limit, gearbox friction."""
        q = self.qpos[:, 7:]
        dq = self.qvel[:, 6:]
        tau = self._strength * (self._drive.kp * (target - q) - self._drive.kd * dq)
        line = self._slope * dq
        upper = torch.clamp(torch.minimum(self._knee_torque - line, self._peak), min=0.0)
        lower = torch.clamp(torch.maximum(-self._knee_torque - line, -self._peak), max=0.0)
        self.tau = torch.minimum(torch.maximum(tau, lower), upper)
        self._applied[:, 6:] = self.tau - self._coulomb * torch.tanh(dq * self._per_speed)
        self.power += (self.tau * dq).abs().sum(1) / self.substeps

    def reset(self, chosen: Tensor) -> None:
        """Put the chosen (n,) robots near their standing pose, already moving a little."""
        r = self._random
        n = self.n
        device = self.device
        one = chosen[:, None]
        self.qpos[:] = torch.where(one, self._start_positions(), self.qpos)
        speed = r.start_velocity
        rates = r.start_rates
        qvel = torch.cat(
            (
                uniform(-speed, speed, n, 2, device=device),
                torch.zeros(n, 1, device=device),
                uniform(-rates, rates, n, 3, device=device),
                uniform(-0.5, 0.5, n, N_JOINTS, device=device),
            ),
            dim=1,
        )
        self.qvel[:] = torch.where(one, qvel, self.qvel)
        self._warmstart[:] = torch.where(one, 0.0, self._warmstart)
        self._applied[:] = torch.where(one, 0.0, self._applied)
        self.target = torch.where(one, self.qpos[:, 7:], self.target)
        self._strength = torch.where(
            one, uniform(*r.strength, n, N_JOINTS, device=device), self._strength
        )
        steps = torch.round(
            uniform(*r.delay_ms, n, 1, device=device) * 1e-3 / self._drive.physics_step
        )
        self._delay = torch.where(one, steps, self._delay)

    def _start_positions(self) -> Tensor:
        """Upright with a random heading at the origin, feet about on the ground (n, 19)."""
        n = self.n
        device = self.device
        half_yaw = uniform(-torch.pi / 2, torch.pi / 2, n, device=device)
        deviation = self._random.start_q
        qpos = torch.zeros(n, 7 + N_JOINTS, device=device)
        qpos[:, 2] = self.model.nominal_height + uniform(0.0, 0.03, n, device=device)
        qpos[:, 3] = torch.cos(half_yaw)
        qpos[:, 6] = torch.sin(half_yaw)
        qpos[:, 7:] = self.q_stand + uniform(-deviation, deviation, n, N_JOINTS, device=device)
        return qpos

    def push(self, chosen: Tensor, largest: float) -> None:
        """Change the velocity of the chosen (n,) robots at once.

        The change is up to `largest` [m/s] in a random planar direction.
        """
        n = self.n
        device = self.device
        rates = self._random.push_rates
        angle = uniform(0.0, 2.0 * torch.pi, n, device=device)
        size = uniform(0.0, largest, n, device=device)
        kick = torch.zeros(n, 6, device=device)
        kick[:, 0] = size * torch.cos(angle)
        kick[:, 1] = size * torch.sin(angle)
        kick[:, 3:] = uniform(-rates, rates, n, 3, device=device)
        self.qvel[:, :6] += torch.where(chosen[:, None], kick, 0.0)

    def feet(self) -> Tensor:
        """Foot centres in the world (n, 4, 3) [m]."""
        return self._site_position[:, self._feet]

    def knees(self) -> Tensor:
        """Heights of the knees (n, 4) [m]."""
        return self._body_position[:, self._knees, 2]
