"""Walks of the simulated A1 under random gaits, changing commands and pushes, tick by tick."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
from core_values import A1
from recorded_walk import WildGait

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot, Snapshot
from safe_locomotion.types import Array, Estimate, GaitParameters, Mode, VelocityCommand

CONFIG = load_config("a1")
STAND_UP_TICKS = 1000  # LowStates
COMMAND_TICKS = 250  # LowStates
PUSH_TICKS = 400  # LowStates


@cache
def standing() -> tuple[SimulatedRobot, Snapshot, Pipeline]:
    """A robot that stands, and the pipeline that is about to let it walk."""
    robot = SimulatedRobot(SimulationOptions(seed=0))
    robot.put_on_feet()
    pipeline = Pipeline(A1, CONFIG)
    assert pipeline.supervisor.request("walk") is None
    for _ in range(STAND_UP_TICKS):
        robot.step(pipeline.step(robot.low_state(), VelocityCommand()).command)
        if pipeline.supervisor.mode is Mode.WALK:
            return robot, robot.snapshot(), pipeline
    raise AssertionError("the robot does not stand")


@cache
def gait_walk(seed: int, ticks: int, push: float = 20.0) -> list[Cycle]:
    """Cycles of a walk that begins, as far as it goes; one per LowState.

    Args:
        seed: of gaits, commands, pushes and sensor noise.
        ticks: LowStates, as long as the robot does not fall.
        push: impulse every 0.8 s, to either side [N s].
    """
    rng = np.random.default_rng(seed)
    robot, start, pipeline = standing()
    robot.restore(start, seed=seed)
    pipeline = deepcopy(pipeline)
    pipeline.policy.take(WildGait(seed))
    cycles: list[Cycle] = []
    for tick in range(ticks):
        if tick % COMMAND_TICKS == 0:
            vx, vy, wz = rng.uniform((-0.3, -0.3, -1.0), (0.8, 0.3, 1.0)).tolist()
        if tick % PUSH_TICKS == PUSH_TICKS // 2:
            robot.push(np.array((0.0, push * rng.choice((-1.0, 1.0)), 0.0)))
        cycle = pipeline.step(robot.low_state(), VelocityCommand(vx=vx, vy=vy, wz=wz))
        if cycle.verdict.mode is not Mode.WALK:
            break
        cycles.append(cycle)
        robot.step(cycle.command)
    return cycles


def on_flat_ground(estimate: Estimate) -> Estimate:
    """The estimate of a robot that takes the ground for the plane z = 0."""
    return replace(estimate, ground_normal=np.array((0.0, 0.0, 1.0)), ground_height=0.0)


def rounded_gait(gait: GaitParameters) -> GaitParameters:
    """What float32 makes of the gait, so that clocks on both sides run alike."""
    row = gait_row(gait)
    return GaitParameters(
        frequency=float(row[0]),
        swing_ratio=float(row[1]),
        phase_offsets=(float(row[2]), float(row[3]), float(row[4])),
        foot_y=(float(row[5]), float(row[6]), float(row[7]), float(row[8])),
    )


def gait_row(gait: GaitParameters) -> Array:
    """Nine numbers of a gait in the order of the batched controller, as float32 keeps them."""
    numbers = (gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y)
    return np.array(numbers, dtype=np.float32).astype(np.float64)
