"""The velocity task as a vectorised environment of rsl_rl: many robots, rewards by `joint.rewards`.

The actor sees what it sees on board: the 45 numbers of `joint.observation`. The base's velocity is
not among them; a recurrent policy infers it. The critic sees the same without noise, and values
that only a simulator knows.
"""

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from safe_locomotion.sim.model import trunk_half
from safe_locomotion.training.joint.observation import OBSERVATION, observation_terms, up_in_base
from safe_locomotion.training.joint.rewards import Motion, Rewards
from safe_locomotion.training.joint.task import JointTask
from safe_locomotion.training.joint.world import JointWorld, uniform
from safe_locomotion.types import N_JOINTS, N_LEGS

_SPEED_LIMIT = 100.0  #: [rad/s or m/s]; a faster simulation has diverged


class JointEnv(VecEnv):
    """Robots that follow velocity commands; a robot that falls starts a new episode.

    Attributes:
        progress: share of the training that is over, 0 to 1; pushes grow with it.
        log: mean of each reward term and of some measures since `take_log`.
    """

    def __init__(self, n: int, task: JointTask, device: str, robot: str = "a1") -> None:
        self.num_envs = n
        self.num_actions = N_JOINTS
        self.device = device
        self.cfg = task
        self.progress = 0.0
        self.world = JointWorld(n, robot, task.drive, task.randomisation, device)
        self._dt = 1.0 / task.drive.rate_hz
        self.max_episode_length = round(task.episode * task.drive.rate_hz)
        self.episode_length_buf = torch.zeros(n, dtype=torch.long, device=device)
        self._rewards = Rewards(task, self._dt, self.world.q_stand, self.world.model, device)
        self.command = torch.zeros(n, 3, device=device)
        self._action = torch.zeros(n, N_JOINTS, device=device)
        self._before = torch.zeros(n, N_JOINTS, device=device)
        self._dq = torch.zeros(n, N_JOINTS, device=device)
        self._encoder = torch.zeros(n, N_JOINTS, device=device)
        self._gyro_bias = torch.zeros(n, 3, device=device)
        self._air_time = torch.zeros(n, N_LEGS, device=device)
        self._feet = torch.zeros(n, N_LEGS, 3, device=device)
        self._contact = torch.zeros(n, N_LEGS, dtype=torch.bool, device=device)
        self._half = torch.tensor(trunk_half(robot), dtype=torch.float32, device=device)
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        everyone = torch.ones(n, dtype=torch.bool, device=device)
        self._start(everyone)
        self._command_anew(everyone)
        self.episode_length_buf = torch.randint_like(
            self.episode_length_buf, self.max_episode_length
        )  # not all end at once

    def get_observations(self) -> TensorDict:
        """Observations of actor (n, 45) and critic."""
        world = self.world
        r = self.cfg.randomisation
        terms = observation_terms(
            world.qpos, world.qvel, world.q_stand, self.command, self._action, torch.stack
        )
        yawed = attitude(world.qpos[:, 3:7])[1]
        clean = torch.cat([terms[name] for name in OBSERVATION], dim=1)
        errors = {
            "base_angular_velocity": (self._gyro_bias, r.gyro),
            "projected_gravity": (0.0, r.gravity),
            "joint_position": (self._encoder, r.q),
            "joint_velocity": (0.0, r.dq),
        }
        for name, (offset, deviation) in errors.items():
            terms[name] = terms[name] + offset + deviation * torch.randn_like(terms[name])
        noisy = torch.cat([terms[name] for name in OBSERVATION], dim=1)
        privileged = torch.cat(
            (
                clean,
                planar(yawed, world.qvel[:, :2]),
                world.qvel[:, 2:3],
                world.qpos[:, 2:3],
                self._contact.float(),
                self._feet[:, :, 2],
                self._air_time,
                world.foot_force * 0.01,
                world.tau * 0.1,
                world.traits,
            ),
            dim=1,
        )
        groups = {
            "actor": noisy,
            "critic": torch.nan_to_num(privileged).clamp(-_SPEED_LIMIT, _SPEED_LIMIT),
        }
        groups["actor"] = torch.nan_to_num(groups["actor"]).clamp(-_SPEED_LIMIT, _SPEED_LIMIT)
        return TensorDict(groups, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Tensor]]:
        """Move on by one policy period."""
        drive = self.cfg.drive
        world = self.world
        action = actions.clamp(-drive.bound, drive.bound)
        world.step(world.q_stand + drive.scale * action)
        self.episode_length_buf += 1
        motion = self._observe_motion(action)
        fallen = self._fallen(motion.up)
        reward, terms = self._rewards(motion, fallen)
        self._remember(motion, terms, fallen)
        time_out = (self.episode_length_buf >= self.max_episode_length) & ~fallen
        done = fallen | time_out
        self._start(done)
        self._command_anew(done | self._event(self.cfg.commands.interval))
        self._push()
        return self.get_observations(), reward, done.long(), {"time_outs": time_out}

    def take_log(self) -> dict[str, float]:
        """Means since the last call."""
        log = {name: float(total) / max(1, self._count) for name, total in self._sums.items()}
        self._sums = {}
        self._count = 0
        return log

    def _observe_motion(self, action: Tensor) -> Motion:
        """Everything the reward depends on; updates the contact times of the feet."""
        world = self.world
        up, yawed = attitude(world.qpos[:, 3:7])
        feet = world.feet().clone()
        contact = world.foot_force > 1.0
        landed = contact & ~self._contact & (self._air_time > 0.0)
        air_time = self._air_time + self._dt
        dq = world.qvel[:, 6:].clone()
        motion = Motion(
            command=self.command,
            velocity=planar(yawed, world.qvel[:, :2]),
            vertical=world.qvel[:, 2],
            rates=world.qvel[:, 3:6],
            up=up,
            height=world.qpos[:, 2],
            q=world.qpos[:, 7:],
            dq=dq,
            acceleration=(dq - self._dq) / self._dt,
            tau=world.tau,
            power=world.power,
            action=action,
            action_before=self._action,
            action_long_before=self._before,
            contact=contact,
            landed=landed,
            air_time=air_time,
            foot_height=feet[:, :, 2],
            foot_speed=torch.linalg.norm(feet[:, :, :2] - self._feet[:, :, :2], dim=2) / self._dt,
            foot_force=world.foot_force,
            knees=world.knees(),
            fresh=self.episode_length_buf <= 1,
        )
        self._air_time = torch.where(contact, 0.0, air_time)
        self._feet = feet
        self._contact = contact
        self._dq = dq
        self._before = self._action
        self._action = action
        return motion

    def _fallen(self, up: Tensor) -> Tensor:
        """Robots (n,) that tilt too far, whose trunk is near the ground, or that have diverged."""
        world = self.world
        lowest = world.qpos[:, 2] - up.abs() @ self._half
        speed = world.qvel.abs().amax(dim=1)
        task = self.cfg
        upright = (
            (up[:, 2] > task.fall_tilt) & (lowest > task.fall_clearance) & (speed < _SPEED_LIMIT)
        )
        return ~upright

    def _remember(self, motion: Motion, terms: dict[str, Tensor], fallen: Tensor) -> None:
        error = torch.linalg.norm(motion.velocity - motion.command[:, :2], dim=1)
        measures = {
            "velocity_error": error,
            "yaw_rate_error": (motion.rates[:, 2] - motion.command[:, 2]).abs(),
            "falls": fallen.float(),
            "power_w": motion.power,
            "height_m": motion.height,
            "air_time_s": (motion.air_time * motion.landed).sum(1)
            / motion.landed.sum(1).clamp(min=1),
            "landings": motion.landed.float().sum(1),
        }
        for name, value in (terms | measures).items():
            mean = torch.nan_to_num(value).mean()
            self._sums[name] = self._sums[name] + mean if name in self._sums else mean
        self._count += 1

    def _event(self, interval: float) -> Tensor:
        """Robots (n,) to which an event happens now whose mean interval is `interval` [s]."""
        return torch.rand(self.num_envs, device=self.device) < self._dt / interval

    def _push(self) -> None:
        r = self.cfg.randomisation
        largest = r.push_start + (r.push - r.push_start) * min(1.0, 2.0 * self.progress)
        self.world.push(self._event(r.push_interval), largest)

    def _start(self, chosen: Tensor) -> None:
        """Begin an episode for the chosen (n,) robots."""
        n = self.num_envs
        r = self.cfg.randomisation
        device = self.device
        one = chosen[:, None]
        self.world.reset(chosen)
        self.episode_length_buf = torch.where(chosen, 0, self.episode_length_buf)
        self._action = torch.where(one, 0.0, self._action)
        self._before = torch.where(one, 0.0, self._before)
        self._air_time = torch.where(one, 0.0, self._air_time)
        self._encoder = torch.where(
            one, uniform(-r.encoder, r.encoder, n, N_JOINTS, device=device), self._encoder
        )
        self._gyro_bias = torch.where(
            one, uniform(-r.gyro_bias, r.gyro_bias, n, 3, device=device), self._gyro_bias
        )

    def _command_anew(self, chosen: Tensor) -> None:
        """Draw another velocity command for the chosen (n,) robots."""
        n = self.num_envs
        c = self.cfg.commands
        device = self.device
        drawn = torch.stack(
            [uniform(*span, n, device=device) for span in (c.vx, c.vy, c.wz)], dim=1
        )
        kind = torch.rand(n, device=device)
        straight = (kind < c.standing + c.straight)[:, None] & torch.tensor(
            [False, True, True], device=device
        )
        drawn = torch.where(straight, 0.0, drawn)
        small = torch.linalg.norm(drawn[:, :2], dim=1) + drawn[:, 2].abs() < c.deadband
        drawn = torch.where(((kind < c.standing) | small)[:, None], 0.0, drawn)
        self.command = torch.where(chosen[:, None], drawn, self.command)


def attitude(quaternion: Tensor) -> tuple[Tensor, Tensor]:
    """Up in base (n, 3), and cosine and sine of the yaw angle (n, 2).

    The quaternions (n, 4) are w x y z and have norm 1.
    """
    w, x, y, z = quaternion.unbind(dim=1)
    forward = torch.stack((1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)), dim=1)
    return up_in_base(quaternion, torch.stack), forward / torch.linalg.norm(
        forward, dim=1, keepdim=True
    ).clamp(min=1e-6)


def planar(yawed: Tensor, velocity: Tensor) -> Tensor:
    """World velocity (n, 2) in the robot's yaw frame."""
    c, s = yawed.unbind(dim=1)
    x, y = velocity.unbind(dim=1)
    return torch.stack((c * x + s * y, c * y - s * x), dim=1)
