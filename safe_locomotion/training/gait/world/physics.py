"""Physics of many robots on flat ground: MuJoCo-Warp, motors, pushes, power, contacts and falls.

`Physics` does for B robots what `sim.robot.SimulatedRobot` does for one. Every method after the
construction only launches kernels on arrays of fixed shape, so a CUDA graph can capture it.
"""

from typing import Any

import mujoco_warp as mjw
import numpy as np
import warp as wp

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.robot import PUSH_DURATION
from safe_locomotion.training.gait.world.bodies import (
    TOUCHES,
    Bodies,
    Pose,
    Variations,
    drive,
    feel,
    forget,
    meter,
    put,
    start_push,
    watch,
)
from safe_locomotion.training.gait.world.estimates import estimates
from safe_locomotion.training.gait.world.motors import drives_of
from safe_locomotion.training.gait.world.plant import (
    CONSTRAINTS,
    CONTACTS,
    ITERATIONS,
    Plant,
    contact_thresholds,
    friction_field,
    load_plant,
    payload_fields,
)
from safe_locomotion.types import GRAVITY, N_JOINTS, N_LEGS, Array

FRICTION = 0.8
"""Rubber on dry concrete, as in `SimulationOptions`."""


class Physics:
    """B robots of one model, each alone on its own flat floor.

    Attributes:
        robots: B.
        device: of Warp.
        plant: the model of one robot.
        model, data: of MuJoCo-Warp.
        truth: `Estimates` without error. A foot is in contact while its force is above the
            threshold of the onboard contact detector, with the same hysteresis.
        touch: (B, 5) normal forces on the feet and the trunk [N].
        power: (B,) mean over the last `step` of the sum of |tau dq| of all joints [W].
        energy: (B,) positive work of all joints since the restart [J].
        fallen: (B,) 1 from a fall until the restart. A robot has fallen when its base is below
            the failure height, its trunk touches the floor or is tilted by more than 60 degrees,
            or its state is not finite. In the last case `truth` keeps the last finite state.
    """

    def __init__(
        self,
        robot: str,
        robots: int,
        device: str,
        *,
        timestep: float = 0.001,
        iterations: int = ITERATIONS,
        friction: Array | float = FRICTION,
        payload: Array | float = 0.0,
        strength: Array | float = 1.0,
        delay_ms: Array | float = 0.0,
    ) -> None:
        """Robots that stand at rest.

        Args:
            robot: folder under `models/robots`.
            robots: how many.
            device: of Warp.
            timestep: of the physics [s].
            iterations: of the solver, at most; the robot that needs most keeps all others waiting.
            friction: (B,) or one sliding friction between all shapes and the floor.
            payload: (B,) or one mass on the middle of the back [kg].
            strength: (B,) or one share of the model's torque that the motors give.
            delay_ms: (B,) or one time from a command to its effect on the torque [ms], rounded to
                whole time steps. More than the time of one `step` acts as that time.

        Raises:
            UnknownNameError: no such robot.
            ConfigurationError: a number is out of its range.
        """
        if robots < 1:
            raise ConfigurationError(f"{robots} robots: at least one is needed")
        self.robots = robots
        self.device = device
        self.plant = load_plant(robot, timestep, iterations)
        everyone = np.ones(robots)
        with wp.ScopedDevice(device):
            self.model = _model(self.plant, friction * everyone, payload * everyone)
            self.data = mjw.make_data(
                self.plant.model, nworld=robots, nconmax=CONTACTS, njmax=CONSTRAINTS
            )
        self._make_outputs()
        self._drives = drives_of(self.plant.robot, device)
        self._varied = _variations(strength * everyone, delay_ms * everyone, timestep, device)
        self._delayed = bool(np.any(delay_ms))
        self._bodies = self._views(timestep)
        self._pose = _pose(self.plant, device)
        self._touching = wp.array(self.plant.touching, dtype=int, device=device)
        self.restart(wp.ones(robots, dtype=float, device=device))

    def _make_outputs(self) -> None:
        self.truth = estimates(self.robots, self.device)
        self.touch = wp.zeros((self.robots, TOUCHES), dtype=float, device=self.device)
        self.power = wp.zeros(self.robots, dtype=float, device=self.device)
        self.energy = wp.zeros(self.robots, dtype=float, device=self.device)
        self.fallen = wp.zeros(self.robots, dtype=float, device=self.device)

    def step(self, bias: Any, kp: Any, kd: Any, substeps: int) -> None:
        """Advance by so many time steps under one command, then read truth, contacts and falls.

        The torques tau = bias - kp q - kd dq are limited as in `sim.motors` on each time step.

        Args:
            bias: (B, 12) tau_ff + kp q* + kd dq* [Nm].
            kp, kd: (B, 12) gains [Nm/rad, Nm s/rad].
            substeps: at least one.
        """
        bodies = self._bodies
        joints = (self.robots, N_JOINTS)
        share = 1.0 / substeps
        self.power.zero_()
        with wp.ScopedDevice(self.device):
            for step in range(substeps):
                command = [bias, kp, kd, self._varied, step]
                wp.launch(drive, joints, inputs=[self._drives, *command, bodies])
                mjw.step(self.model, self.data)
                wp.launch(meter, self.robots, inputs=[bodies, share, self.power, self.energy])
        if self._delayed:
            wp.copy(self._varied.bias, bias)
            wp.copy(self._varied.kp, kp)
            wp.copy(self._varied.kd, kd)
        self._watch()

    def restart(self, mask: Any) -> None:
        """Put robots back to the origin, on their feet, at rest, and forget their falls.

        Args:
            mask: (B,) above 0.5 for these robots.
        """
        self._launch(
            put,
            [mask, self._pose, self._bodies, self.data.time, self.touch],
            [self.energy, self.fallen, self.truth],
        )
        if self._delayed:
            wp.launch(
                forget, (self.robots, N_JOINTS), inputs=[mask, self._varied], device=self.device
            )

    def push(self, impulse: Any, mask: Any) -> None:
        """Push trunks from now on at their centre of mass, with a constant force over 0.1 s.

        What is left of an earlier push is added to the new one.

        Args:
            impulse: (B,) vectors in odom [N s].
            mask: (B,) above 0.5 for robots that are pushed.
        """
        self._launch(start_push, [impulse, mask, self._bodies])

    def _watch(self) -> None:
        """Contact forces, truth and falls after the last time step."""
        data = self.data
        self.touch.zero_()
        contact = data.contact
        wp.launch(
            feel,
            contact.dist.shape[0],
            inputs=[data.nacon, contact.worldid, contact.geom, contact.efc_address],
            outputs=[data.efc.force, self._touching, self.touch],
            device=self.device,
        )
        self._launch(watch, [self._bodies, self._pose, self.touch], [self.fallen, self.truth])

    def _launch(self, kernel: Any, inputs: list[Any], outputs: list[Any] | None = None) -> None:
        wp.launch(kernel, self.robots, inputs=inputs, outputs=outputs or [], device=self.device)

    def _views(self, timestep: float) -> Any:
        """The arrays of MuJoCo-Warp that the kernels read and write, and the pushes."""
        bodies = Bodies()
        data = self.data
        for name in ("qpos", "qvel", "ctrl", "qfrc_applied", "xfrc_applied", "qacc_warmstart"):
            setattr(bodies, name, getattr(data, name))
        bodies.push = wp.zeros(self.robots, dtype=wp.vec3, device=self.device)
        bodies.push_steps = wp.zeros(self.robots, dtype=int, device=self.device)
        bodies.trunk = self.plant.trunk
        bodies.dt = timestep
        bodies.push_length = max(1, round(PUSH_DURATION / timestep))
        return bodies


def _model(plant: Plant, friction: Array, payload: Array) -> Any:
    """The model on the current device, with a row per robot where robots differ."""
    fields = {
        "geom_friction": friction_field(plant, friction),
        **payload_fields(plant, payload),
    }
    model = mjw.put_model(plant.model, batch_sizes={name: len(friction) for name in fields})
    model.opt.warn_overflow = 0  # a robot that tumbles may; it has fallen by then
    for name, values in fields.items():
        getattr(model, name).assign(values.astype(np.float32))
    return model


def _variations(strength: Array, delay_ms: Array, timestep: float, device: str) -> Any:
    """Motors that differ from the model's; limp before their first command."""
    if not (np.isfinite(strength).all() and (strength > 0.0).all()):
        raise ConfigurationError("the strength of motors must be a positive number")
    if not (np.isfinite(delay_ms).all() and (delay_ms >= 0.0).all()):
        raise ConfigurationError("the delay of motors must be at least 0 ms")
    varied = Variations()
    varied.strength = wp.array(strength.astype(np.float32), dtype=float, device=device)
    steps = np.rint(1e-3 * delay_ms / timestep).astype(np.int32)
    varied.delay = wp.array(steps, dtype=int, device=device)
    for name in ("bias", "kp", "kd"):
        setattr(varied, name, wp.zeros((len(steps), N_JOINTS), dtype=float, device=device))
    return varied


def _pose(plant: Plant, device: str) -> Any:
    """The standing pose, and the loads at which contacts begin and end."""
    pose = Pose()
    pose.qpos = wp.array(plant.standing.astype(np.float32), dtype=float, device=device)
    pose.load = plant.robot.mass * GRAVITY / N_LEGS
    pose.contact_on, pose.contact_off = contact_thresholds(plant.robot)
    return pose
