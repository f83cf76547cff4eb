"""A short walk of the simulated A1 in lock-step, written as an episode by the real writer.

The learner proposes a random walk of the gait that makes the supervisor intervene.
"""

from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from core_values import TROT
from policy_models import gait_contract

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.envs.random_gait import RandomGait, RandomWalk
from safe_locomotion.nodes.tick_feed import CycleMessages
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.writer import EpisodeWriter
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import VelocityCommand

WALK = VelocityCommand(vx=0.3)
LATENCY = 0.001  # s; there is no wire here
RANDOM = "random_gait"
WILD = 12  #: seed of a gait under which recovery takes over five times in 1.5 s


class WildGait(RandomGait):
    """A random gait with the interface of a loaded policy."""

    def __init__(self, seed: int) -> None:
        super().__init__(TROT, seed, RandomWalk(sigma=0.06))
        self.contract = gait_contract(name=RANDOM)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Cycles of a run, one per LowState, with its configuration and policy."""

    config: StackConfig
    policy: str
    cycles: list[Cycle]

    @cached_property
    def messages(self) -> list[tuple[str, int, bytes]]:
        """Topic, stamp and bytes of all messages, as the recorder receives them."""
        messages = CycleMessages()
        return [entry for cycle in self.cycles for entry in messages.of(cycle, LATENCY)]


def walk(ticks: int, learner: Learner | None = None, changes: dict[str, Any] | None = None) -> Walk:
    """Stand up and walk, for `ticks` LowStates together."""
    config = load_config("a1", changes)
    robot = SimulatedRobot(SimulationOptions(seed=3))
    pipeline = Pipeline(load_robot("a1"), config, learner)
    cycles = []
    for k in range(ticks):
        if k == 20:
            assert pipeline.supervisor.request("walk") is None
        cycle = pipeline.step(robot.low_state(), WALK)
        cycles.append(cycle)
        robot.step(cycle.command)
    return Walk(
        config=config, policy=NOMINAL if learner is None else learner.contract.name, cycles=cycles
    )


@cache
def wild_walk() -> Walk:
    """The walk of a wild learner, the same for all tests; standing up takes half of its time."""
    return walk(1500, WildGait(WILD))


def write_walk(
    walked: Walk, folder: Path, *, first: int = 0, end: str = "walk over", digest: str = ""
) -> None:
    """Write the cycles from `first` on as an episode.

    With an empty `end` it stays as a killed recorder leaves it.
    """
    start_ns = walked.cycles[first].state.stamp_ns
    nodes = ("bridge", "estimator", "policy", "supervisor", "mpc")
    info = EpisodeInfo(
        robot="a1",
        policy=walked.policy,
        policies={walked.policy: digest},
        parameters={f"{name}_node": flat(asdict(getattr(walked.config, name))) for name in nodes},
        software="0.0.test",
        start_ns=start_ns,
        started="2026-01-02T03:04:05+00:00",
        why="walk",
    )
    writer = EpisodeWriter(folder, info)
    for topic, stamp_ns, data in walked.messages:
        if stamp_ns >= start_ns:
            writer.write(topic, stamp_ns, data)
    if end:
        writer.close(end)
    else:
        writer.sync()
        writer.abort()


def flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names, as node parameters have."""
    values: dict[str, Any] = {}
    for key, value in section.items():
        values |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return values
