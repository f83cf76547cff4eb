"""The contract of joint policies trained by `joint.ppo`: their observation and their action."""

from safe_locomotion.policy.action import JointAction
from safe_locomotion.policy.contract import Origin, PolicyContract, RecurrentTensor
from safe_locomotion.policy.term import observation_term
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.training.joint.observation import OBSERVATION
from safe_locomotion.training.joint.task import Drive
from safe_locomotion.types import N_JOINTS

OBSERVED = "obs"
ACTION = "actions"
MEMORIES = (("h_in", "h_out"), ("c_in", "c_out"))


def joint_contract(
    robot: RobotModel, drive: Drive, hidden: int, *, name: str, origin: Origin
) -> PolicyContract:
    """Contract of a policy with an LSTM of `hidden` cells."""
    shape = (1, 1, hidden)
    return PolicyContract(
        name=name,
        kind="joint",
        robot=robot.name,
        rate_hz=drive.rate_hz,
        observation=tuple(observation_term(term, width=N_JOINTS) for term in OBSERVATION),
        default_pose=tuple(robot.q_stand.tolist()),
        action_limit=drive.bound,
        origin=origin,
        joint=JointAction(
            scale=(drive.scale,) * N_JOINTS,
            kp=(drive.kp,) * N_JOINTS,
            kd=(drive.kd,) * N_JOINTS,
            clip=drive.bound,
        ),
        recurrent=tuple(
            RecurrentTensor(input=before, output=after, shape=shape) for before, after in MEMORIES
        ),
        observation_input=OBSERVED,
        action_output=ACTION,
    )
