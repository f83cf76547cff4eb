"""Shares of robots that cross each tile, with the latents of the teacher or of the student."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from safe_locomotion.sim.tiles import KINDS, LEVELS
from safe_locomotion.training.checkpoints import reading
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.joint.alarm.learning.agent import Agent
from safe_locomotion.training.joint.alarm.learning.files import CHECKPOINT
from safe_locomotion.training.joint.alarm.learning.settings import Settings
from safe_locomotion.training.joint.alarm.learning.variants import variant_named
from safe_locomotion.training.joint.alarm.learning.world import COSTS
from safe_locomotion.training.joint.alarm.world.options import AlarmOptions, Commands, Drive
from safe_locomotion.training.joint.alarm.world.world import AlarmWorld
from safe_locomotion.types import Array

SPEED = 0.6  #: commanded along the held heading [m/s]
TEACHER = 0.0  #: beta with which the actor sees the truth and the teacher's latent
STUDENT = 1.0  #: beta with which it sees the student's estimates alone, as on a robot


@dataclass(frozen=True, kw_only=True)
class Crossings:
    """What became of the first episode of each robot.

    Attributes:
        crossed, fallen: (5, L) shares of the robots of a tile; rows are `tiles.KINDS`, columns the
            levels. The others were still on their tile when the time was up.
        violations: steps with each cost per 1,000, by its name; a joint counts 1/12.
    """

    crossed: Array
    fallen: Array
    violations: dict[str, float]


def tiles_world(
    robot: str,
    *,
    robots: int,
    levels: tuple[int, ...] = tuple(range(LEVELS)),
    speed: float = SPEED,
    seconds: float = 10.0,
    randomised: bool = False,
    device: str = "cpu",
    seed: int = 0,
) -> AlarmWorld:
    """A world in which robots stand on every tile and hold the heading with which they start.

    Args:
        robot: folder under `models/robots`.
        robots: on each tile.
        levels: of the tiles.
        speed: commanded [m/s].
        seconds: longest time of a walk.
        randomised: whether robots differ, are pushed and have delays, as in the training.
        device: of torch.
        seed: of all that is drawn.
    """
    share_stream(device)
    commands = Commands(
        forward=(speed, speed), forward_lateral=(0.0, 0.0), standing=0.0, turning=0.0, anywhere=0.0
    )
    options = AlarmOptions(
        commands=commands,
        rows=KINDS,
        start_levels=levels,
        episode=round(seconds / Drive().period),
        staggered=False,
        randomised=randomised,
    )
    return AlarmWorld(len(KINDS) * len(levels) * robots, robot, options, device, seed)


def trained_agent(folder: Path, world: AlarmWorld, *, capture: bool = True) -> Agent:
    """Learner of a training in another world; it acts without exploration.

    Args:
        folder: of the training.
        world: in which it walks.
        capture: replay graphs on a GPU.

    Raises:
        ConfigurationError: there is no checkpoint, or it cannot be read.
    """
    state, values = _read(folder, world.device)
    settings = replace(Settings(**values["settings"]), minibatches=1)
    agent = Agent(world, variant_named(values["variant"]), settings, seed=0, capture=capture)
    agent.networks.load_state_dict(state["agent"]["networks"])
    agent.normaliser.load_state_dict(state["agent"]["normaliser"])
    agent.collector.explores = False
    return agent


def robot_of(folder: Path) -> str:
    """Robot of a training.

    Raises:
        ConfigurationError: there is no checkpoint, or it cannot be read.
    """
    return str(_read(folder, "cpu")[1]["robot"])


def _read(folder: Path, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """State of a training and the values of its options."""
    path = folder / CHECKPOINT
    with reading(path):
        state = torch.load(path, map_location=device, weights_only=True)
        return state, json.loads(state["identity"])


def measure_crossings(agent: Agent, world: AlarmWorld, beta: float) -> Crossings:
    """Walk one episode with every robot.

    Args:
        agent: of `trained_agent`.
        world: of `tiles_world`, in which no robot has walked yet.
        beta: `TEACHER` or `STUDENT`, or anything between.
    """
    rows = agent.collector.rows
    rows.beta.fill_(beta)
    kind = world.terrain_kind.clone()
    level = world.level.clone()
    fate = torch.zeros_like(level)
    costs = torch.zeros(len(COSTS), dtype=torch.float64, device=level.device)
    walked = torch.zeros((), dtype=torch.float64, device=level.device)
    longest = world.options.episode
    for window in range(math.ceil(longest / agent.settings.horizon)):
        agent.collect()
        for t in range(agent.settings.horizon):
            going = fate == 0
            walked += going.sum()
            costs += (rows.rewards[t, :, 1:] * going[:, None]).sum(dim=0)
            late = window * agent.settings.horizon + t + 1 >= longest
            crossed = rows.timed_out[t] & (not late)
            found = torch.where(crossed, 1, torch.where(rows.timed_out[t], 3, 2))
            fate = torch.where(going & rows.ended[t], found, fate)
    scale = 1000.0 / (float(walked) * (1.0 - agent.settings.gamma))
    return Crossings(
        crossed=_shares(fate == 1, kind, level, world.options.start_levels),
        fallen=_shares(fate == 2, kind, level, world.options.start_levels),
        violations=dict(zip(COSTS, (scale * costs).tolist(), strict=True)),
    )


def _shares(flags: Tensor, kind: Tensor, level: Tensor, levels: tuple[int, ...]) -> Array:
    """(5, L) mean of the flags (N,) on each tile."""
    table: Array = torch.stack(
        [
            torch.stack([flags[(kind == k) & (level == at)].double().mean() for at in levels])
            for k in range(len(KINDS))
        ]
    ).numpy(force=True)
    return table
