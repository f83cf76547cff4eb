"""Physics of many robots on the terrain: MuJoCo-Warp, PD with delays at 500 Hz, and contacts."""

from typing import Any

import mujoco_warp as mjw
import torch
import warp as wp
from torch import Tensor

from safe_locomotion.training.gait.world.arrays import Array1, Array2, Integers1
from safe_locomotion.training.gait.world.bodies import feel
from safe_locomotion.training.gait.world.motors import (
    Drives,
    drives_of,
    gear_friction,
    motor_torque,
)
from safe_locomotion.training.joint.alarm.world.contacts import (
    Surface,
    damping_of,
    install,
    shapes_of,
)
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions
from safe_locomotion.training.joint.alarm.world.plant import (
    TOUCHES,
    Payloads,
    build_plant,
    put_plant,
)
from safe_locomotion.types import N_JOINTS

HISTORY = 3
"""Actions that may still be on their way: of this period and of the two before."""

wp.set_module_options({"enable_backward": False})


@wp.struct
class Command:
    """What the drives of each robot know.

    Attributes:
        targets: (n, 3 * 12) joint positions: newest, and of one and two periods ago [rad].
        delay: (n,) from an action to its effect [s].
        strength: (n, 12) factor on torques.
        kp, kd: (n,) gains [Nm/rad, Nm s/rad].
        period: of the policy [s].
    """

    targets: Array2
    delay: Array1
    strength: Array2
    kp: Array1
    kd: Array1
    period: float


@wp.func
def target_age(delay: float, time: float, period: float) -> int:
    """Which target acts `time` after the newest action: 0 the newest, 2 the oldest."""
    if time + 1.0e-6 >= delay:
        return 0
    if time + period + 1.0e-6 >= delay:
        return 1
    return 2


@wp.kernel
def drive(
    drives: Drives,
    command: Command,
    time: float,
    qpos: Array2,
    qvel: Array2,
    ctrl: Array2,
    friction: Array2,
    demand: Array2,
) -> None:
    """Torque of one motor, `time` [s] after the newest action, and the largest demand so far."""
    robot, joint = wp.tid()
    q = qpos[robot, 7 + joint]
    dq = qvel[robot, 6 + joint]
    age = target_age(command.delay[robot], time, command.period)
    target = command.targets[robot, age * 12 + joint]
    wanted = command.kp[robot] * (target - q) - command.kd[robot] * dq
    demand[robot, joint] = wp.max(demand[robot, joint], wp.abs(wanted))
    strong = command.strength[robot, joint] * wanted
    ctrl[robot, joint] = motor_torque(drives, joint, strong, dq)
    friction[robot, 6 + joint] = gear_friction(drives, dq)


@wp.kernel
def count_overflows(
    count: Integers1, contacts: int, rows: Integers1, constraints: int, lost: Array1
) -> None:
    """Add one for a robot whose contacts had no memory, of its own or of all robots together."""
    robot = wp.tid()
    if rows[robot] > constraints or count[0] > contacts:
        lost[robot] += 1.0


@wp.kernel
def soften(friction: Array1, restitution: Array1, surface: Surface) -> None:
    """Contact parameters of one robot: means of the ground and of a foot of 1 and of 0."""
    robot = wp.tid()
    surface.friction[robot] = 0.5 * (friction[robot] + 1.0)
    surface.damping[robot] = damping_of(0.5 * restitution[robot])


class Physics:
    """n robots on one terrain.

    Everything after the construction launches kernels on arrays of fixed shape.

    Attributes:
        plant: the model of one robot.
        model, data: of MuJoCo-Warp.
        qpos: (n, 19) position, quaternion w x y z, joints [m, rad].
        qvel: (n, 18) velocity in the world, rates in base, joints [m/s, rad/s].
        targets: (n, 3, 12) joint positions: newest, and of one and two periods ago [rad].
        touch: (n, 5) normal forces on the feet, and on calves and thighs together, added over the
            physics steps of the last period [N].
        demand: (n, 12) largest |PD torque| of the last period, before any limit [Nm].
        torque: (n, 12) motor torques of the last physics step [Nm].
        lost: (n,) physics steps of the last period in which contacts were lost for want of memory.
        delay, strength, kp, kd, friction, restitution: of `Command` and of the ground.
    """

    def __init__(self, robot: str, robots: int, ground: Any, options: AlarmOptions, device: str):
        drive = options.drive
        self.robots = robots
        self._drive = drive
        self._device = device
        self.plant = build_plant(robot, drive.tick)
        with wp.ScopedDevice(device):
            self.model = put_plant(self.plant, robots)
            self.data = mjw.make_data(
                self.plant.model,
                nworld=robots,
                nconmax=options.contacts,
                njmax=options.constraints,
            )
        self._payloads = Payloads(self.plant, self.model)
        self.qpos = wp.to_torch(self.data.qpos)
        self.qvel = wp.to_torch(self.data.qvel)
        self.torque = wp.to_torch(self.data.ctrl)
        self._warmstart = wp.to_torch(self.data.qacc_warmstart)
        self._make_tensors()
        self._surface = Surface()
        self._surface.friction = wp.ones(robots, dtype=float, device=device)
        self._surface.damping = wp.ones(robots, dtype=float, device=device)
        self._drives = drives_of(self.plant.robot, device)
        self._touching = wp.array(self.plant.touching, dtype=int, device=device)
        shapes = shapes_of(self.plant.model, self.plant.floor, device)
        install(self.model, self.data, shapes, ground, self._surface)

    def _make_tensors(self) -> None:
        n = self.robots
        device = self._device
        stand = torch.tensor(self.plant.robot.q_stand).float().to(device)
        self.targets = stand.repeat(n, HISTORY, 1)
        self.touch = torch.zeros(n, TOUCHES, device=device)
        self.demand = torch.zeros(n, N_JOINTS, device=device)
        self.lost = torch.zeros(n, device=device)
        self.delay = torch.zeros(n, device=device)
        self.strength = torch.ones(n, N_JOINTS, device=device)
        self.kp = torch.full((n,), self._drive.kp, device=device)
        self.kd = torch.full((n,), self._drive.kd, device=device)
        self.friction = torch.ones(n, device=device)
        self.restitution = torch.zeros(n, device=device)
        command = Command()
        command.targets = wp.from_torch(self.targets.view(n, HISTORY * N_JOINTS))
        for name in ("delay", "strength", "kp", "kd"):
            setattr(command, name, wp.from_torch(getattr(self, name)))
        command.period = self._drive.period
        self._command = command
        self._views = {
            name: wp.from_torch(getattr(self, name))
            for name in ("touch", "demand", "lost", "friction", "restitution")
        }

    def step(self, target: Tensor) -> None:
        """Advance by one policy period under new joint targets (n, 12) [rad]."""
        self.targets[:, 2] = self.targets[:, 1]
        self.targets[:, 1] = self.targets[:, 0]
        self.targets[:, 0] = target
        self.touch.zero_()
        self.demand.zero_()
        self.lost.zero_()
        with wp.ScopedDevice(self._device):
            for k in range(self._drive.ticks):
                self._tick(k * self._drive.tick)

    def _tick(self, time: float) -> None:
        data = self.data
        views = self._views
        inputs = [self._drives, self._command, time, data.qpos, data.qvel, data.ctrl]
        wp.launch(
            drive,
            (self.robots, N_JOINTS),
            inputs=[*inputs, data.qfrc_applied, views["demand"]],
        )
        mjw.step(self.model, data)
        contact = data.contact
        wp.launch(
            feel,
            contact.dist.shape[0],
            inputs=[data.nacon, contact.worldid, contact.geom, contact.efc_address],
            outputs=[data.efc.force, self._touching, views["touch"]],
        )
        wp.launch(
            count_overflows,
            self.robots,
            inputs=[data.nacon, data.naconmax, data.nefc, data.njmax, views["lost"]],
        )

    def settle(self, payload: Tensor, place: Tensor) -> None:
        """Take changed friction and restitution, and payloads (n,) [kg] at places (n, 3) [m]."""
        self._payloads.apply(payload, place)
        views = self._views
        wp.launch(
            soften,
            self.robots,
            inputs=[views["friction"], views["restitution"], self._surface],
            device=self._device,
        )

    def put(self, chosen: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Put the chosen (n,) robots into states (n, 19) and (n, 18), without any history."""
        one = chosen[:, None]
        self.qpos.copy_(torch.where(one, qpos, self.qpos))
        self.qvel.copy_(torch.where(one, qvel, self.qvel))
        self._warmstart.copy_(torch.where(one, 0.0, self._warmstart))
        self.torque.copy_(torch.where(one, 0.0, self.torque))
        self.touch.copy_(torch.where(one, 0.0, self.touch))
        self.targets.copy_(torch.where(one[:, None], qpos[:, None, 7:], self.targets))

    def state_dict(self) -> dict[str, Tensor]:
        """What the next step depends on, beside what others set."""
        return {name: getattr(self, name) for name in self._STATE} | {"warmstart": self._warmstart}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where `state_dict` was taken."""
        self._warmstart.copy_(state["warmstart"])
        for name in self._STATE:
            getattr(self, name).copy_(state[name])

    _STATE = (
        "qpos",
        "qvel",
        "targets",
        "torque",
        "touch",
        "demand",
        "lost",
        "delay",
        "strength",
        "kp",
        "kd",
        "friction",
        "restitution",
    )
