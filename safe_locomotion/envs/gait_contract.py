"""The contract of gait policies trained here: their observation and the reach of their action."""

import numpy as np

from safe_locomotion.envs.gait_tasks import GaitTask, start_gait
from safe_locomotion.policy.action import GaitAction, GaitTerm
from safe_locomotion.policy.contract import Origin, PolicyContract
from safe_locomotion.policy.term import observation_term
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import LEGS

RATE_HZ = 125  #: paper 1, section VI

#: As in paper 1, section VI: previous gait parameters, height, orientation, linear and angular
#: velocity; and the velocity command.
OBSERVATION = (
    "previous_gait",
    "base_height",
    "base_roll_pitch",
    "heading_velocity",
    "base_angular_velocity",
    "velocity_command",
)

# Change per step of 8 ms at an output of 1, and bounds. A pushed robot must be able to double its
# frequency within 0.2 s.
FREQUENCY_STEP = 0.1  # Hz
FREQUENCY_BOUNDS = (1.2, 5.0)  # Hz
SWING_STEP = 0.02
SWING_BOUNDS = (0.25, 0.6)
OFFSET_STEP = 0.01  # strides
FOOT_STEP = 0.09  # m about the nominal place
FOOT_BOUNDS = (0.03, 0.22)  # m from the middle
OUTPUT_LIMIT = 1.0  #: the network ends in tanh


def gait_contract(
    robot: RobotModel, task: GaitTask, *, name: str, origin: Origin
) -> PolicyContract:
    """Contract of a policy for a task; parameters that the task fixes have scale 0."""
    frequency, swing, *offsets = task.free[:5]
    side = np.sign(robot.hip_position[:, 1])
    start = start_gait(task, robot)
    bounds = np.sort(np.outer(side, FOOT_BOUNDS), axis=1)
    terms = (
        _term("frequency", [FREQUENCY_STEP * frequency], [task.frequency], [FREQUENCY_BOUNDS]),
        _term("swing_ratio", [SWING_STEP * swing], [task.swing_ratio], [SWING_BOUNDS]),
        _term(
            "phase_offsets",
            [OFFSET_STEP * free for free in offsets],
            task.offsets,
            [(0.0, 1.0)] * 3,
        ),
        _term("foot_y", [FOOT_STEP * free for free in task.free[5:]], start.foot_y, bounds),
    )
    return PolicyContract(
        name=name,
        kind="gait",
        robot=robot.name,
        rate_hz=RATE_HZ,
        observation=tuple(observation_term(term) for term in OBSERVATION),
        default_pose=tuple(robot.q_stand.tolist()),
        action_limit=OUTPUT_LIMIT,
        origin=origin,
        gait=GaitAction(terms=terms, clip=OUTPUT_LIMIT, lifted=lifted_legs(task)),
    )


def lifted_legs(task: GaitTask) -> tuple[str, ...]:
    """Names of the legs that a task holds in the air."""
    return tuple(leg for leg, lifted in zip(LEGS, task.lifted, strict=True) if lifted)


def _term(name: str, scale: object, nominal: object, bounds: object) -> GaitTerm:
    lower, upper = np.asarray(bounds, dtype=np.float64).T
    return GaitTerm(
        name=name,
        width=len(lower),
        scale=_plain(scale),
        nominal=_plain(nominal),
        lower=_plain(lower),
        upper=_plain(upper),
    )


def _plain(values: object) -> tuple[float, ...]:
    return tuple(np.asarray(values, dtype=np.float64).tolist())
