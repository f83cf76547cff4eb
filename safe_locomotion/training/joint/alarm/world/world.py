"""ALARM's world: robots on terrain that follow commands, with rewards, costs and a curriculum.

On CUDA, `AlarmWorld.step` only launches kernels on arrays of fixed places, so it can be captured.
Call `gait.devices.share_stream` before the construction, so that Torch and Warp share a stream.
"""

from typing import Any

import torch
from torch import Tensor

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.tiles import KINDS, SIDE, tile_field
from safe_locomotion.training.joint.alarm.world import commands, differences, starts
from safe_locomotion.training.joint.alarm.world.commands import CommandState
from safe_locomotion.training.joint.alarm.world.costs import COSTS, Dangers, costs, joint_limits
from safe_locomotion.training.joint.alarm.world.curriculum import Episode, moves, next_level
from safe_locomotion.training.joint.alarm.world.differences import Differences
from safe_locomotion.training.joint.alarm.world.ground import ground_of, tile_centres
from safe_locomotion.training.joint.alarm.world.observation import NOISY, Views
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions
from safe_locomotion.training.joint.alarm.world.physics import Physics
from safe_locomotion.training.joint.alarm.world.random_numbers import RandomNumbers
from safe_locomotion.training.joint.alarm.world.rewards import TERMS, Motion, Rewards, tracking
from safe_locomotion.training.joint.alarm.world.senses import Senses
from safe_locomotion.training.joint.alarm.world.slip import Stride, slip_feet
from safe_locomotion.training.joint.alarm.world.starts import Starts
from safe_locomotion.types import N_JOINTS, N_LEGS

CONTACT_FORCE = 1.0
"""Mean force of a period above which a foot is in contact [N]."""
COUNTED = (
    *(f"reward_{name}" for name in TERMS),
    *(f"cost_{name}" for name in COSTS),
    "robot_steps",
    "reward",
    "tracking",
    "episodes",
    "falls",
    "crossings",
    "time_outs",
    "moved_up",
    "moved_down",
    "steps_with_lost_contacts",
    "level",
    "reached_highest",
)
"""Names in `progress`."""


class AlarmWorld:
    """n robots; `step` updates every tensor in its place.

    Attributes:
        observation: (n, 45) of the student, with noise; see `observation`.
        explicit: (n, 11) true state that the student estimates.
        privileged: (n, 264) true state for teacher and critic.
        reward: (n,) of the last step, at least 0.
        costs: (n, 5) c1 to c5 of the last step.
        ended: (n,) robots whose episode ended with the last step, for whatever reason.
        timed_out: (n,) those that ended without a fall, by time or by leaving their tile: the value
            of the state at the end counts.
        terminal_observation, terminal_privileged: states at the end of the last step before any
            reset, valid for all robots.
        level: (n,) of each robot's terrain.
        reached_highest: (n,) whether it was ever assigned to the highest level.
        terrain_kind: (n,) index in `tiles.KINDS`.
        command: (n, 3) vx, vy [m/s], wz [rad/s].
        steps: (n,) of the present episode.
        tracked: (n,) sum of the velocity tracking reward over them, each from 0 to 1.
        truth, senses, commands, differences, random, physics: parts of the world.
        progress: tensors () by the names of `COUNTED`, sums over robots and steps since the
            construction. Nothing waits for the device.
    """

    def __init__(
        self, n: int, robot: str, options: AlarmOptions, device: str, seed: int = 0
    ) -> None:
        """Robots at the start of their episodes.

        Args:
            n: robots.
            robot: folder under `models/robots`.
            options: numbers of the world.
            device: cpu or cuda:0.
            seed: of everything that is drawn, except the terrain.

        Raises:
            UnknownNameError: no such robot or terrain.
            ConfigurationError: a number is out of its range.
        """
        if n < 1:
            raise ConfigurationError(f"{n} robots: at least one is needed")
        self.n = n
        self.options = options
        self.device = device
        grid = tile_field(options.rows, options.levels, options.terrain_seed)
        ground = ground_of(grid, device)
        self.physics = Physics(robot, n, ground, options, device)
        plant = self.physics.plant
        self.robot = plant.robot
        self.senses = Senses(plant.robot, plant.trunk_half, ground, n, device)
        self.truth = self.senses.truth
        self.random = RandomNumbers(
            n,
            {**commands.DRAWN, **differences.DRAWN, **starts.DRAWN, "level": 1, "length": 1},
            {f"noise_{name}": width for name, width in NOISY.items()},
            seed,
            device,
        )
        r = options.randomisation
        self.differences = Differences(n, r, options.drive, options.randomised, device)
        factors = r.start_joints if options.randomised else (1.0, 1.0)
        self._starts = Starts(plant.robot, ground, n, factors, device)
        self.commands = CommandState(n, options.commands, device)
        self.command = self.commands.command
        self._views = Views(n, r, options.noisy, device)
        self._rewards = Rewards(options.weights, options.drive.period, device)
        self._limits = joint_limits(plant.robot, device)
        self._stand = torch.tensor(plant.robot.q_stand).float().to(device)
        self._make_tensors()
        self._begin()

    def _make_tensors(self) -> None:
        n = self.n
        device = self.device
        options = self.options

        def zeros(*width: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(n, *width, dtype=dtype, device=device)

        self.observation = self._views.noisy
        self.explicit = self._views.explicit
        self.privileged = self._views.privileged
        self.terminal_observation = torch.zeros_like(self.observation)
        self.terminal_privileged = torch.zeros_like(self.privileged)
        self.reward = zeros()
        self.costs = zeros(len(COSTS))
        self.ended = zeros(dtype=torch.bool)
        self.timed_out = zeros(dtype=torch.bool)
        self.reached_highest = zeros(dtype=torch.bool)
        place = torch.arange(n, device=device)
        self._row = place % len(options.rows)
        levels = torch.tensor(options.start_levels, device=device)
        self.level = levels[place // len(options.rows) % len(levels)]
        kinds = [KINDS.index(kind) for kind in options.rows]
        self.terrain_kind = torch.tensor(kinds, device=device)[self._row]
        self._actions = zeros(3, N_JOINTS)
        self._dq = zeros(N_JOINTS)
        self._air = zeros(N_LEGS)
        self._ground_time = zeros(N_LEGS)
        self._contact = zeros(N_LEGS)
        self.steps = zeros(dtype=torch.int64)
        self.tracked = zeros()
        self._start = zeros(2)
        self._rest = zeros(self.physics.qvel.shape[1])
        sums = torch.zeros(len(COUNTED), dtype=torch.float64, device=device)
        self._sums = sums
        self.progress = dict(zip(COUNTED, sums, strict=True))

    def _begin(self) -> None:
        self.random.draw()
        self.differences.begin(self.physics, self.random)
        self._restart(torch.ones_like(self.ended))
        if self.options.staggered:
            self.steps.copy_((self.options.episode * self.random.uniform["length"][:, 0]).long())
        self.reached_highest.copy_(self.level >= self.options.levels - 1)
        self._observe()
        self._views.add_noise(self.random)

    def step(self, action: Tensor) -> None:
        """Move on by one policy period of 10 ms.

        Args:
            action: (n, 12), clipped to plus and minus `Drive.bound`. The joint targets are clipped
                to the joint ranges, as the last hop on the robot does.
        """
        self.physics.step(self.act(action))
        self.conclude()

    def act(self, action: Tensor) -> Tensor:
        """The part of `step` before the physics; returns the joint targets (n, 12) [rad]."""
        self.random.draw()
        bound = self.options.drive.bound
        self._actions[:, 2] = self._actions[:, 1]
        self._actions[:, 1] = self._actions[:, 0]
        self._actions[:, 0] = torch.nan_to_num(action).clamp(-bound, bound)
        self.differences.step(self.physics, self.random)
        wanted = self._stand + self.options.drive.scale * self._actions[:, 0]
        return torch.minimum(torch.maximum(wanted, self._limits.lowest), self._limits.highest)

    def conclude(self) -> None:
        """The part of `step` after the physics: reward, costs, ends and new observations."""
        self._look()
        self._judge()
        self.commands.steer(self.truth.yaw)
        self._observe()
        self.terminal_privileged.copy_(self.privileged)
        self._views.add_noise(self.random)
        self.terminal_observation.copy_(self.observation)
        self._restart(self.ended)
        self._observe()
        self._views.add_noise(self.random)

    def _look(self) -> None:
        """Truth after the physics, and how long each foot has been in the air or on the ground."""
        physics = self.physics
        self.senses(physics.data.qpos, physics.data.qvel)
        force = physics.touch[:, :N_LEGS] / self.options.drive.ticks
        contact = force > CONTACT_FORCE
        self._contact.copy_(contact)
        period = self.options.drive.period
        self._air.copy_(torch.where(contact, 0.0, self._air + period))
        self._ground_time.copy_(torch.where(contact, self._ground_time + period, 0.0))

    def _judge(self) -> None:
        """Reward, costs and ends of this step, and the levels of the next episodes."""
        physics = self.physics
        motion = self._motion()
        reward, terms = self._rewards(motion)
        self.reward.copy_(reward)
        self.costs.copy_(self._costs())
        self._dq.copy_(physics.qvel[:, 6:])
        tracked = torch.nan_to_num(tracking(motion))
        self.tracked.add_(tracked)
        self.steps.add_(1)
        truth = self.truth
        fallen = ~((truth.trunk > 0.0) & (truth.up[:, 2] >= self.options.toppled))
        fallen |= truth.sane < 0.5
        centre = tile_centres(self._row, self.level)
        crossed = ((physics.qpos[:, :2] - centre).abs().amax(dim=1) > SIDE / 2.0) & ~fallen
        late = (self.steps >= self.options.episode) & ~fallen
        self.ended.copy_(fallen | crossed | late)
        self.timed_out.copy_(self.ended & ~fallen)
        up, down = self._change_levels(crossed)
        counted = torch.stack(
            (
                torch.ones_like(tracked),
                self.reward,
                tracked,
                self.ended,
                fallen,
                crossed,
                self.timed_out & ~crossed,
                up,
                down,
                physics.lost > 0.0,
                self.level,
                self.reached_highest,
            )
        ).sum(dim=1)
        self._sums.add_(torch.cat((terms.sum(dim=0), self.costs.sum(dim=0), counted)))

    def _motion(self) -> Motion:
        physics = self.physics
        truth = self.truth
        rates = physics.qvel[:, 3:6]
        velocity = physics.qvel[:, :2]
        c, s = truth.yaw.unbind(dim=1)
        x, y = velocity.unbind(dim=1)
        stride = Stride(
            hips=truth.hips,
            velocity=torch.stack((c * x + s * y, c * y - s * x), dim=1),
            yaw_rate=rates[:, 2],
            command=self.command,
            air=self._air,
            ground=self._ground_time,
            deviation=truth.ground.std(dim=1),
            rest=self.robot.nominal_height - self.robot.foot_radius,
        )
        return Motion(
            velocity=truth.velocity,
            rates=rates,
            command=self.command,
            feet=truth.feet,
            slip_feet=slip_feet(stride, self.options.slip),
            raised=(truth.height - self.robot.nominal_height).clamp(min=0.0),
            lean=truth.up[:, 1],
            level=self.level,
            dq=physics.qvel[:, 6:],
            acceleration=(physics.qvel[:, 6:] - self._dq) / self.options.drive.period,
            torque=physics.torque,
            action=self._actions[:, 0],
            action_before=self._actions[:, 1],
            action_long_before=self._actions[:, 2],
        )

    def _costs(self) -> Tensor:
        physics = self.physics
        truth = self.truth
        dangers = Dangers(
            q=physics.qpos[:, 7:],
            dq=physics.qvel[:, 6:],
            demand=physics.demand,
            pressed=physics.touch[:, N_LEGS] / self.options.drive.ticks,
            trunk=truth.trunk,
            height=truth.height,
            upright=truth.up[:, 2],
        )
        return costs(dangers, self._limits, self.options.lowest, self.options.steepest)

    def _change_levels(self, crossed: Tensor) -> tuple[Tensor, Tensor]:
        """Move the robots whose episode ended; those that went up, and those that went down."""
        options = self.options
        episode = Episode(
            crossed=crossed,
            tracking=self.tracked / self.steps,
            way=torch.linalg.vector_norm(self.physics.qpos[:, :2] - self._start, dim=1),
            commanded=torch.linalg.vector_norm(self.command[:, :2], dim=1)
            * (options.episode * options.drive.period),
            judged=self.commands.holds & self.ended,
        )
        up, down = moves(episode)
        highest = options.levels - 1
        random = self.random.uniform["level"][:, 0]
        self.level.copy_(next_level(self.level, up, down, highest, random))
        self.reached_highest.logical_or_(self.level >= highest)
        return up, down

    def _restart(self, chosen: Tensor) -> None:
        """Begin episodes of the chosen (n,) robots."""
        self.commands.draw(chosen, self.random)
        self._starts.draw(self._row, self.level, self.commands.heading, self.random)
        self.physics.put(chosen, self._starts.qpos, self._rest)
        one = chosen[:, None]
        self._start.copy_(torch.where(one, self._starts.qpos[:, :2], self._start))
        self._actions.masked_fill_(one[:, None], 0.0)
        for tensor in (self._dq, self._air, self._ground_time, self._contact):
            tensor.masked_fill_(one, 0.0)
        self.steps.masked_fill_(chosen, 0)
        self.tracked.masked_fill_(chosen, 0.0)
        self.senses(self.physics.data.qpos, self.physics.data.qvel)

    def _observe(self) -> None:
        physics = self.physics
        self._views.look(
            physics.qpos,
            physics.qvel,
            self._stand,
            self.command,
            self._actions[:, 0],
            self.truth,
            self._contact,
            self.robot.nominal_height,
            self.differences.values,
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the next steps depend on, and the tensors that learners read."""
        own = {name: getattr(self, name) for name in _STATE}
        return {
            "own": own,
            "truth": self.truth._asdict(),
            "physics": self.physics.state_dict(),
            "random": self.random.state_dict(),
            "commands": self.commands.state_dict(),
            "differences": self.differences.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, bit for bit."""
        for name in _STATE:
            getattr(self, name).copy_(state["own"][name])
        for name, tensor in self.truth._asdict().items():
            tensor.copy_(state["truth"][name])
        self.physics.load_state_dict(state["physics"])
        self.random.load_state_dict(state["random"])
        self.commands.load_state_dict(state["commands"])
        self.differences.load_state_dict(state["differences"], self.physics)


_STATE = (
    "observation",
    "explicit",
    "privileged",
    "terminal_observation",
    "terminal_privileged",
    "reward",
    "costs",
    "ended",
    "timed_out",
    "reached_highest",
    "level",
    "_actions",
    "_dq",
    "_air",
    "_ground_time",
    "_contact",
    "steps",
    "tracked",
    "_start",
    "_sums",
)
