"""Cells of an evaluation: each says which learner walks under which supervisor, where and how."""

from dataclasses import dataclass, replace
from typing import Any

from safe_locomotion.envs.gait_env import GaitEnvOptions
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.envs.random_gait import NAME as RANDOM
from safe_locomotion.envs.random_gait import SIGMAS, SPEED
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.evaluation.baselines import BASELINES
from safe_locomotion.rotations import clamp
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.types import VelocityCommand

SUPERVISORS = (*CRITERIA, *BASELINES)
DURATION = 12.0  #: of an episode [s]
MEASURES: dict[str, dict[str, Any]] = {
    "configured": {},
    "paper": {"roll_rate": "raw", "attitude": "vertical", "height": "odom", "lookahead": 0.0},
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row of the table: what is simulated.

    Attributes:
        robot, task: model and task; the task gives reward and first gait.
        policy: `random`, `nominal` or the name of a policy.
        supervisor: a criterion of the configuration, or one of `baselines`.
        horizon: of a criterion that predicts; 0 for the others.
        trigger_set: box, c1 to c3.
        measures: how the components of the trigger set are measured: as configured, or as in the
            paper.
        terrain, friction: ground.
        push: impulse of pushes from random directions, one every 1.5 to 3 s [N s].
        push_offset: how far before the centre of mass the pushes attack [m].
        duration: [s].
        sigma: step size of `random`.
        overrides: of the configuration, dotted keys and their values.
    """

    robot: str = "a1"
    task: str = "trot"
    policy: str = RANDOM
    supervisor: str = "reachability"
    horizon: int = 10
    trigger_set: str = "c1"
    measures: str = "configured"
    terrain: str = "flat"
    friction: float = 0.8
    push: float = 0.0
    push_offset: float = 0.0
    duration: float = DURATION
    sigma: float = SIGMAS["trot"]
    overrides: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Refuse unknown names; set the horizon to 0 for a supervisor that does not predict."""
        if self.supervisor not in SUPERVISORS:
            raise UnknownNameError("supervisor", self.supervisor, SUPERVISORS)
        if self.measures not in MEASURES:
            raise UnknownNameError("measures", self.measures, MEASURES)
        gait_task(self.task)
        if self.supervisor not in PREDICTING:
            object.__setattr__(self, "horizon", 0)

    @property
    def unsupervised(self) -> "Cell":
        """The random learner alone on the same task and ground, under the same pushes.

        A safety critic learns from these episodes.
        """
        return replace(self, supervisor="off", policy=RANDOM, trigger_set="c1", overrides=())

    def options(self, seed: int) -> GaitEnvOptions:
        """The environment."""
        task = gait_task(self.task)
        set_key = "supervisor.trigger_set"
        measures = {f"{set_key}.{key}": value for key, value in MEASURES[self.measures].items()}
        return GaitEnvOptions(
            task=self.task,
            duration=self.duration,
            command=VelocityCommand(vx=clamp(SPEED, *task.vx)),
            push_share=1.0 if self.push > 0.0 else 0.0,
            push_impulse=(self.push, self.push),
            push_offset=self.push_offset,
            starts=1,
            supervisor="naive" if self.supervisor in BASELINES else self.supervisor,
            horizon=self.horizon,
            simulation=SimulationOptions(
                robot=self.robot, terrain=self.terrain, friction=self.friction, seed=seed
            ),
            overrides={f"{set_key}.use": self.trigger_set, **measures, **dict(self.overrides)},
        )
