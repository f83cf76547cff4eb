"""A walk up stairs in our simulator, with the joints beside their limits: the paper's figure 4."""

from dataclasses import dataclass

import numpy as np

from safe_locomotion.commands import commanded_torque
from safe_locomotion.config import load_config
from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.operator.velocity import CommandLimits, VelocityInput
from safe_locomotion.pipeline import Cycle, Pipeline
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import N_JOINTS, Array, LowState, VelocityCommand

STEP = 0.16  #: height of a stair [m] (section IV.B)
SPEED = 1.5  #: commanded [m/s] (section IV.B)
STAND_UP_LIMIT = 10.0  #: [s]
Row = tuple[float, Array, Array, Array]  #: time, q, dq, torque
_OFF = {"supervisor.intervention.criterion": "off"}


@dataclass(frozen=True, kw_only=True)
class LimitsWalk:
    """Joints at 500 Hz since the walk began.

    Attributes:
        time: (T,) [s].
        q, dq, torque: (T, 12) positions [rad], speeds [rad/s], and torques that the commands
            demand [Nm].
        falls: so far.
        distance: walked forwards [m].
    """

    time: Array
    q: Array
    dq: Array
    torque: Array
    falls: int
    distance: float

    def violations(self, robot: RobotModel) -> dict[str, float]:
        """Joint violations per 1,000 rows, each joint counted 1/12: c1, c2 and c3 of the paper."""
        outside = {
            "joint_position": ~((robot.q_min <= self.q) & (self.q <= robot.q_max)),
            "joint_velocity": ~(np.abs(self.dq) <= robot.dq_max),
            "joint_torque": ~(np.abs(self.torque) <= robot.tau_max),
        }
        return {name: 1000.0 * float(flags.mean()) for name, flags in outside.items()}


def walk_up_stairs(
    contract: PolicyContract,
    model: bytes,
    *,
    seconds: float,
    step: float = STEP,
    speed: float = SPEED,
    seed: int = 0,
) -> LimitsWalk:
    """Walk straight up stairs without a supervisor.

    Args:
        contract: of a joint policy, with recorded pairs.
        model: ONNX, to which it belongs.
        seconds: of the walk.
        step: height of a stair [m].
        speed: commanded [m/s].
        seed: of the sensor noise.

    Raises:
        PolicyRefusedError: the policy must not fly.
    """
    options = SimulationOptions(robot=contract.robot, seed=seed, terrain="stairs", step=step)
    robot = SimulatedRobot(options)
    learner = PolicyRuntime(contract, model, robot.robot)
    pipeline = Pipeline(robot.robot, load_config(contract.robot, _OFF), learner)
    velocity = VelocityInput(CommandLimits(vx=speed, vy=0.0, wz=0.0, timeout=1.0))
    script = Script((Step(time=0.0, request="walk", command=VelocityCommand(vx=speed)),))
    rows: list[Row] = []
    while rows[-1][0] - rows[0][0] < seconds if rows else robot.time_s < STAND_UP_LIMIT:
        cycle = _answer(robot.low_state(), pipeline, velocity, script)
        if script.stood_ns is not None:
            truth = robot.truth()
            torque = commanded_torque(cycle.state, cycle.command)
            rows.append((robot.time_s, truth.q.copy(), truth.dq.copy(), torque))
        if robot.step(cycle.command):
            robot.put_on_feet()
    time = np.array([row[0] for row in rows])
    return LimitsWalk(
        time=time - time[:1],
        q=np.array([row[1] for row in rows]).reshape(-1, N_JOINTS),
        dq=np.array([row[2] for row in rows]).reshape(-1, N_JOINTS),
        torque=np.array([row[3] for row in rows]).reshape(-1, N_JOINTS),
        falls=robot.falls,
        distance=float(robot.truth().position[0]),
    )


def _answer(state: LowState, pipeline: Pipeline, velocity: VelocityInput, script: Script) -> Cycle:
    """Tick of the pipeline when the operator follows the script."""
    request, wanted = script.update(state.stamp_ns, pipeline.supervisor.mode)
    if request is not None:
        pipeline.supervisor.request(request)
    velocity.set(state.stamp_ns, wanted.vx, wanted.vy, wanted.wz)
    return pipeline.step(state, velocity.get(state.stamp_ns))
