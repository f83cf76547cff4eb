"""Walks of a simulated A1 as messages, for pictures of the viewer: one walk per state of a robot.

The stages are the real ones. The messages are those that the composed graph publishes, 50 times
per second of robot time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.messages import encode
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import PERIOD
from safe_locomotion.types import VelocityCommand, Verdict

EACH = 10  #: ticks from message to message, 20 ms
ROBOT = "a1"
WALKS = VelocityCommand(vx=0.4)
TASK = "efficient"


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One walk, from the belly on.

    Attributes:
        seconds: length.
        walks: the robot walks as soon as it stands.
        random: the learner is an untrained one, which the supervisor must take over from.
        push: impulse to the left [N s] at `push_at` [s].
        stop_at: time of an emergency stop [s].
    """

    seconds: float
    walks: bool = True
    random: bool = False
    push: float = 0.0
    push_at: float = 0.0
    stop_at: float = float("inf")


STATES = {
    "standing": Walk(seconds=5.0, walks=False),
    "walking": Walk(seconds=9.0),
    "recovery": Walk(seconds=14.0, random=True),
    "fallen": Walk(seconds=9.0, push=70.0, push_at=7.0),
    "estop": Walk(seconds=9.0, stop_at=7.5),
}
"""The walks whose last states are shown."""

Message = tuple[str, bytes]


def frames(walk: Walk) -> Iterator[list[Message]]:
    """The messages of each 20 ms of a walk: topic and bytes."""
    robot = SimulatedRobot(SimulationOptions(robot=ROBOT))
    config = load_config(ROBOT)
    model = load_robot(ROBOT)
    learner = RandomLearner(model, TASK, seed=2, sigma=0.05) if walk.random else None
    pipeline = Pipeline(model, config, learner)
    pipeline.supervisor.request("walk" if walk.walks else "stand")
    foreseen: Verdict | None = None
    plan_bytes = encode.PlanBytes()
    for tick in range(round(walk.seconds / PERIOD)):
        if walk.push and tick == round(walk.push_at / PERIOD):
            robot.push(np.array((0.0, walk.push, 0.0)))
        if tick == round(min(walk.stop_at, 1e6) / PERIOD):
            pipeline.supervisor.request("estop")
        cycle = pipeline.step(robot.low_state(), WALKS)
        robot.step(cycle.command)
        if cycle.verdict.predicted is not None:
            foreseen = cycle.verdict
        if tick % EACH == 0:
            yield list(_messages(cycle, foreseen, plan_bytes))
            foreseen = None


def _messages(cycle: Cycle, foreseen: Verdict | None, plan: encode.PlanBytes) -> Iterator[Message]:
    yield "state_estimate", encode.state_estimate(cycle.estimate)
    if cycle.proposal is not None:
        yield "policy/proposal", encode.proposal(cycle.proposal)
    if foreseen is not None and foreseen is not cycle.verdict:
        yield "safety/verdict", encode.verdict(foreseen)
    yield "safety/verdict", encode.verdict(cycle.verdict)
    if cycle.plan is not None:
        yield "mpc/plan", plan(cycle.plan)
