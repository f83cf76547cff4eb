"""Untrained learners under several settings of the supervisor, on robots drawn for each of them.

All settings see the same robots, gaits and commands, so that their falls can be compared in pairs.
A robot that falls stands again, begins with the task's gait, and walks on.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor

from safe_locomotion.config import SupervisorConfig, load_config
from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.envs.random_gait import SIGMAS, SPEED, RandomWalk
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.training.devices import Captured
from safe_locomotion.training.gait.devices import share_stream
from safe_locomotion.training.gait.falls.last_seconds import (
    CHECKED,
    Falls,
    LastSeconds,
    Numbers,
    joined,
)
from safe_locomotion.training.gait.falls.random_walks import RandomGaits
from safe_locomotion.training.gait.world.drawn import DrawnRobots, draw_robots
from safe_locomotion.training.gait.world.world import GaitWorld, WorldOptions

STEPS = 1500  #: of a round: 12 s
HOUR = 3600.0  # s


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A way to supervise.

    Attributes:
        name: in tables.
        overrides: dotted keys of the configuration below `supervisor`, and their values.
    """

    name: str
    overrides: tuple[tuple[str, Any], ...] = ()

    def supervisor(self, robot: str) -> SupervisorConfig:
        """The robot's own supervisor with the overrides."""
        keys = {f"supervisor.{key}": value for key, value in self.overrides}
        return load_config(robot, keys).supervisor


ALONE = Setting(
    name="alone",
    overrides=(("intervention.criterion", "off"), ("intervention.horizon", 0)),
)
SHIPPED = Setting(name="shipped")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOptions:
    """What is walked.

    Attributes:
        task: key of `envs.gait_tasks.TASKS`.
        settings: S of them.
        robots: N for each setting.
        seed: of robots, gaits and errors.
        steps: of a round, of 8 ms each.
        drawn: robots differ from their model.
        world: the rest; its friction counts where robots are not drawn.
    """

    task: str
    settings: tuple[Setting, ...]
    robots: int = 2000
    seed: int = 0
    steps: int = STEPS
    drawn: bool = True
    world: WorldOptions = field(default_factory=WorldOptions)

    def __post_init__(self) -> None:
        """Refuse a study without settings, robots or steps, and names given twice."""
        gait_task(self.task)
        names = [setting.name for setting in self.settings]
        if not names or len(set(names)) != len(names):
            raise ConfigurationError("settings: at least one, each with a name of its own")
        if self.robots < 1 or self.steps < 1:
            raise ConfigurationError("a study needs at least one robot and one step")


class Row(NamedTuple):
    """What became of a setting.

    Attributes:
        name: of the setting.
        hours: of walking.
        falls: of all robots.
        recovery: share of the steps under recovery.
    """

    name: str
    hours: float
    falls: int
    recovery: float


class Study:
    """S x N robots; robot n of each setting has the same body, floor, gaits and commands.

    Attributes:
        drawn_once: the N robots of each setting.
        world: that they walk in.
    """

    def __init__(self, options: StudyOptions) -> None:
        self.options = options
        device = options.world.device
        share_stream(device)
        model = load_robot(options.world.robot)
        task = gait_task(options.task)
        count = len(options.settings)
        self.drawn_once = draw_robots(options.robots, model.mass, options.seed)
        each = [setting.supervisor(options.world.robot) for setting in options.settings]
        self.world = GaitWorld(
            options.world,
            [supervisor for supervisor in each for _ in range(options.robots)],
            [False] * (count * options.robots),
            seed=options.seed,
            drawn=_repeated(self.drawn_once, count) if options.drawn else None,
        )
        self._gaits = RandomGaits(
            task,
            model,
            RandomWalk(sigma=SIGMAS[options.task]),
            settings=count,
            robots=options.robots,
            steps=options.steps,
            device=device,
        )
        self._speed = min(max(SPEED, task.vx[0]), task.vx[1])
        self._last = LastSeconds(self.world)
        self._at = torch.zeros(1, dtype=torch.long, device=device)
        self._recovered = torch.zeros(self.world.robots, device=device)
        self._fell = torch.zeros(self.world.robots, device=device)
        self._before = Captured(device, self._propose)
        self._after = Captured(device, self._note)
        self._steps = 0
        self._counted = torch.zeros(2, count, dtype=torch.float64)

    def round(self, number: int, tell: Callable[[int], None] | None = None) -> Falls:
        """Walk one round with every robot.

        Args:
            number: of the round; together with the seed it fixes what is drawn.
            tell: is told of every 25th step.

        Returns:
            The falls of this round.
        """
        options = self.options
        self._gaits.begin((options.seed << 20) + number)
        self.world.velocity_commands[:, 0] = self._speed
        self.world.learner_lifted.copy_(self._gaits.lifted)
        self.world.restart(number)
        self._last.begin()
        for counter in (self._at, self._recovered, self._fell):
            counter.zero_()
        found = []
        for step in range(1, options.steps + 1):
            self._before()
            self.world.step()
            self._after()
            if step % CHECKED == 0 or step == options.steps:
                found.append(self._last.take(step, step % CHECKED or CHECKED))
                if tell is not None:
                    tell(step)
        self._steps += options.steps
        self._counted += torch.stack(
            (self._by_setting(self._fell), self._by_setting(self._recovered))
        )
        return joined(found)

    def rows(self) -> list[Row]:
        """What became of each setting in all rounds so far."""
        steps = self._steps * self.options.robots
        hours = steps / RATE_HZ / HOUR
        falls, recovered = self._counted.tolist()
        return [
            Row(setting.name, hours, round(falls[k]), recovered[k] / max(steps, 1))
            for k, setting in enumerate(self.options.settings)
        ]

    def setting_of(self, robots: Numbers) -> Numbers:
        """Numbers of the settings of some robots."""
        return robots // self.options.robots

    def _propose(self) -> None:
        self._gaits.move(self._at)
        self.world.learner_gaits.copy_(self._gaits.gaits)
        self._last.before()

    def _note(self) -> None:
        world = self.world
        self._last.after()
        self._recovered.add_(world.recovers > 0)
        self._fell.add_(world.fell)
        self._gaits.forget(world.fell > 0.5)
        self._at.add_(1)

    def _by_setting(self, counts: Tensor) -> Tensor:
        return counts.view(len(self.options.settings), -1).double().sum(dim=1).cpu()


def _repeated(drawn: DrawnRobots, times: int) -> DrawnRobots:
    """The same robots once for each setting."""
    return DrawnRobots(**{name: np.tile(each, times) for name, each in asdict(drawn).items()})


def settings_of(texts: Sequence[str]) -> tuple[Setting, ...]:
    """Settings from words: `alone`, `shipped`, or keys and values with commas between them.

    An example is `intervention.horizon=15,trigger_set.use=c2`.

    Raises:
        ConfigurationError: a word is none of these.
    """
    known = {setting.name: setting for setting in (ALONE, SHIPPED)}
    found = []
    for text in texts:
        if text in known:
            found.append(known[text])
            continue
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(key and sign for key, sign, _ in pairs):
            raise ConfigurationError(
                f"setting {text!r}: give KEY=VALUE, or one of {', '.join(known)}"
            )
        try:
            overrides = tuple((key, yaml.safe_load(value)) for key, _, value in pairs)
        except yaml.YAMLError:
            raise ConfigurationError(
                f"setting {text!r}: a value is not a number, word or list"
            ) from None
        found.append(Setting(name=text, overrides=overrides))
    return tuple(found)
