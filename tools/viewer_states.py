"""Walks of a simulated A1 as ROS messages, for pictures of the viewer: one walk for each state.

The simulator and the stages are the real ones. The messages are those that the composed graph
publishes, 50 times per second of robot time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.evaluation.walkers import RandomLearner
from safe_locomotion.messages import encode
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import PERIOD
from safe_locomotion.types import Mode, VelocityCommand, Verdict

EACH = 10  #: LowStates from message to message
FRAME_S = EACH * PERIOD  #: robot time between two messages of a topic [s]
ROBOT = "a1"
COMMAND = VelocityCommand(vx=0.4)
TASK = "efficient"  #: of the untrained policy
SIGMA = 0.05  #: size of its random steps
SEED = 2
Message = tuple[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One walk, from the belly on.

    Attributes:
        seconds: length [s].
        walks: the robot walks as soon as it stands.
        untrained: an untrained policy proposes, from which recovery must take over.
        push: impulse to the left [N s] at `push_at` [s].
        stop_at: time of an emergency stop [s].
    """

    seconds: float
    walks: bool = True
    untrained: bool = False
    push: float = 0.0
    push_at: float = inf
    stop_at: float = inf


WALKS = {
    "standing": Walk(seconds=5.0, walks=False),
    "walking": Walk(seconds=8.0),
    "recovery": Walk(seconds=12.0, untrained=True),
    "stopped": Walk(seconds=8.0, stop_at=7.5),
    "fallen": Walk(seconds=8.0, push=70.0, push_at=6.0),
}
"""The walks whose last states are shown."""


def frames(walk: Walk) -> Iterator[list[Message]]:
    """The messages of each `FRAME_S` of a walk: topic and bytes.

    A walk that ends under recovery is one whose untrained policy was taken over from just then: the
    frames of an `untrained` walk end at the last tick that recovery drove.
    """
    found = list(_walked(walk))
    last = len(found)
    if walk.untrained:
        last = 1 + max(k for k, (_, recovers) in enumerate(found) if recovers)
    for messages, _ in found[:last]:
        yield messages


def _walked(walk: Walk) -> Iterator[tuple[list[Message], bool]]:
    """Messages of a walk, and whether recovery drives."""
    robot = SimulatedRobot(SimulationOptions(robot=ROBOT))
    model = load_robot(ROBOT)
    learner = RandomLearner(model, TASK, seed=SEED, sigma=SIGMA) if walk.untrained else None
    pipeline = Pipeline(model, load_config(ROBOT), learner)
    pipeline.supervisor.request("walk" if walk.walks else "stand")
    foreseen: Verdict | None = None
    plan_bytes = encode.PlanBytes()
    for tick in range(round(walk.seconds / PERIOD)):
        if reached(tick, walk.push_at):
            robot.push(np.array((0.0, walk.push, 0.0)))
        if reached(tick, walk.stop_at):
            pipeline.supervisor.request("estop")
        cycle = pipeline.step(robot.low_state(), COMMAND)
        robot.step(cycle.command)
        if cycle.verdict.predicted is not None:
            foreseen = cycle.verdict
        if tick % EACH == 0:
            verdict = cycle.verdict
            recovers = verdict.mode is Mode.WALK and verdict.active == "recovery"
            yield list(_messages(cycle, foreseen, plan_bytes)), recovers
            foreseen = None


def reached(tick: int, time: float) -> bool:
    """Whether this LowState is the one at a time [s]."""
    return time < inf and tick == round(time / PERIOD)


def _messages(cycle: Cycle, foreseen: Verdict | None, plan: encode.PlanBytes) -> Iterator[Message]:
    yield "state_estimate", encode.state_estimate(cycle.estimate)
    if cycle.proposal is not None:
        yield "policy/proposal", encode.proposal(cycle.proposal)
    if foreseen is not None and foreseen is not cycle.verdict:
        yield "safety/verdict", encode.verdict(foreseen)
    yield "safety/verdict", encode.verdict(cycle.verdict)
    if cycle.plan is not None:
        yield "mpc/plan", plan(cycle.plan)
