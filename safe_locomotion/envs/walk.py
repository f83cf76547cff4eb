"""One run of the control cycle on the simulated robot in one process, without a wire.

For tuning, training and tests.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np

from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
from safe_locomotion.sim.pushes import Push, impulse_in_world
from safe_locomotion.sim.report import RunLog
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.truth import Truth
from safe_locomotion.types import LowState, Mode


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """What happened in a run.

    Attributes:
        log: rows since the robot first stood.
        falls: how often the robot fell.
        fall_times: of each fall, since the robot first stood [s].
        gate_trips: by reason, on how many ticks the gate was closed.
    """

    log: RunLog
    falls: int
    fall_times: list[float]
    gate_trips: Counter[str]


def run_episode(
    robot: SimulatedRobot,
    pipeline: Pipeline,
    velocity: VelocityInput,
    steps: Sequence[Step],
    *,
    duration: float,
    pushes: Sequence[Push] = (),
    stand_up_limit: float = 10.0,
) -> Episode:
    """Run for `duration` seconds after the robot first stands; put a fallen robot on its feet.

    Args:
        robot: lying on the ground.
        pipeline: fresh.
        velocity: limits of the operator's velocity.
        steps: what the operator requests.
        duration: after standing up [s].
        pushes: in the order of their times.
        stand_up_limit: time after which a robot that does not stand ends the run [s].
    """
    script = Script(steps)
    rows = []
    waiting = list(pushes)
    stood = None
    fall_times = []
    gate_trips: Counter[str] = Counter()
    while stood is None or robot.time_s - stood < duration:
        cycle = _answer(robot.low_state(), pipeline, velocity, script)
        if cycle.command.reason:
            gate_trips[cycle.command.reason] += 1
        if stood is not None:
            truth = robot.truth()
            elapsed = robot.time_s - stood
            rows.append(_row(elapsed, truth, cycle))
            while waiting and waiting[0].time <= elapsed:
                robot.push(impulse_in_world(waiting.pop(0), truth.quaternion_wxyz))
        if robot.step(cycle.command):
            fall_times.append(robot.time_s - (stood or 0.0))
            robot.put_on_feet()
        if stood is None and script.stood_ns is not None:
            stood = robot.time_s
        elif stood is None and robot.time_s > stand_up_limit:
            break
    return Episode(log=_log(rows), falls=robot.falls, fall_times=fall_times, gate_trips=gate_trips)


def _answer(state: LowState, pipeline: Pipeline, velocity: VelocityInput, script: Script) -> Cycle:
    """Tick of the pipeline when the operator follows the script."""
    request, wanted = script.update(state.stamp_ns, pipeline.supervisor.mode)
    if request is not None:
        pipeline.supervisor.request(request)
    velocity.set(state.stamp_ns, wanted.vx, wanted.vy, wanted.wz)
    return pipeline.step(state, velocity.get(state.stamp_ns))


def _row(elapsed: float, truth: Truth, cycle: Cycle) -> tuple[float, ...]:
    """One row of the log, in the order of the columns in `_log`."""
    estimate = cycle.estimate
    verdict = cycle.verdict
    roll, pitch, yaw = rpy_from_quaternion(truth.quaternion_wxyz)
    estimated_yaw = rpy_from_quaternion(estimate.quaternion_wxyz)[2]
    walking = verdict.mode is Mode.WALK
    command = verdict.command
    return (
        elapsed,
        *((command.vx, command.vy, command.wz) if walking else (np.nan,) * 3),
        *rotate_plane(-yaw, *truth.velocity[:2].tolist()),
        float(truth.angular_velocity[2]),
        *truth.position[:2],
        yaw,
        roll,
        pitch,
        *rotate_plane(-estimated_yaw, *estimate.velocity[:2].tolist()),
        float(estimate.angular_velocity[2]),
        *estimate.position[:2],
        estimated_yaw,
        float(np.abs(truth.joint_power).sum()),
        float(walking and verdict.active == "recovery"),
    )


def _log(rows: list[tuple[float, ...]]) -> RunLog:
    r = np.array(rows, dtype=np.float64).reshape(-1, 20)
    return RunLog(
        time=r[:, 0],
        command=r[:, 1:4],
        velocity=r[:, 4:7],
        position=r[:, 7:9],
        yaw=np.unwrap(r[:, 9], period=2 * pi),
        roll_pitch=r[:, 10:12],
        estimated_velocity=r[:, 12:15],
        estimated_position=r[:, 15:17],
        estimated_yaw=np.unwrap(r[:, 17], period=2 * pi),
        power=r[:, 18],
        recovery=r[:, 19] > 0.5,
    )
