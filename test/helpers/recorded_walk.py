"""A short walk of the simulated A1, in lock-step within this process, written as an episode by the recorder's own writer.

The learner proposes a random walk of the gait, wild enough that the supervisor has to step in.
"""

from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from core_values import TROT
from policy_models import gait_contract
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.evaluation.random_gait import RandomGait, RandomWalk
from safe_locomotion.messages.layouts import LOW_COMMAND
from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.policy.stage import NOMINAL, Learner
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.recording.writer import EpisodeWriter
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import LowCommand, VelocityCommand

WALK = VelocityCommand(vx=0.3)
LATENCY = 0.001  # s; there is no wire here
RANDOM = "random_gait"


class WildGait(RandomGait):
    """A random gait as a policy that is loaded."""

    def __init__(self, seed: int) -> None:
        super().__init__(TROT, seed, RandomWalk(sigma=0.06))
        self.contract = gait_contract(name=RANDOM)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Cycles of a run, one per LowState, and what it was run with."""

    config: StackConfig
    policy: str
    cycles: list[Cycle]

    @cached_property
    def messages(self) -> list[tuple[str, int, bytes]]:
        """Topic, stamp and bytes of all that the stages said, as the recorder gets them."""
        pairs = zip([None, *self.cycles[:-1]], self.cycles, strict=True)
        return [
            (topic, c.state.stamp_ns, serialize_message(m))
            for before, c in pairs
            for topic, m in said(c, before).items()
        ]


def said(c: Cycle, before: Cycle | None) -> dict[str, Any]:
    """Messages of one tick by topic; proposals and plans only when they are new."""
    messages = {
        "joint_states": conversions.joint_state_from(c.state),
        "imu/data": conversions.imu_from(c.state),
        "state_estimate": conversions.estimate_message(c.estimate),
        "safety/verdict": decisions.verdict_message(c.verdict),
        "low_command": low_command_message(c.command),
    }
    if before is None or c.proposal is not before.proposal:
        messages["policy/proposal"] = decisions.proposal_message(c.proposal.stamp_ns, c.proposal)
    if c.plan is not None and (before is None or c.plan is not before.plan):
        messages["mpc/plan"] = decisions.plan_message(c.plan)
    return messages


def walk(ticks: int, learner: Learner | None = None, changes: dict[str, Any] | None = None) -> Walk:
    """Stand up and walk for `ticks` LowStates in all."""
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
    """The walk of a wild learner, the same for all tests: standing up takes the first half of it."""
    return walk(1500, WildGait(1))


def write_walk(
    walked: Walk, folder: Path, *, first: int = 0, end: str = "walk over", digest: str = ""
) -> None:
    """Write the cycles from `first` on as an episode; an empty `end` leaves it as a killed recorder would."""
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


def low_command_message(command: LowCommand) -> JointState:
    """A `low_command` as the recorder lays it out."""
    names = [*LOW_COMMAND, *([f"reason/{command.reason}"] if command.reason else [])]
    rest = [LATENCY, *([1.0] if command.reason else [])]
    none = np.zeros(len(rest))
    return JointState(
        header=conversions.header(command.stamp_ns),
        name=names,
        position=conversions.floats(command.q, command.kp, np.array(rest)),
        velocity=conversions.floats(command.dq, command.kd, none),
        effort=conversions.floats(command.tau, np.zeros(12), none),
    )


def flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names, as node parameters have."""
    values: dict[str, Any] = {}
    for key, value in section.items():
        values |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return values
