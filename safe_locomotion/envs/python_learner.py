"""Base class of gait learners that are written in Python and not loaded from a policy file."""

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Any

from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import TASKS, start_gait
from safe_locomotion.policy.contract import Origin
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import Estimate, GaitParameters, Proposal, VelocityCommand


class GaitLearner(ABC):
    """A learner that proposes a gait on every policy step, at 125 Hz.

    A subclass sets its state in `reset` and returns a gait from `gait`. The supervisor also asks it
    in predicted states, so everything that changes must lie in its own attributes.

    Attributes:
        contract: the name, and that it proposes gaits.
        hazard: always empty: there is always a proposal.
        trot: the nominal trot, to start from.
    """

    hazard = ""

    def __init__(self, name: str, robot: RobotModel) -> None:
        """Take a name and the robot that walks."""
        task = TASKS["trot"]
        origin = Origin(command="a learner in Python", seed=0, commit="0" * 40)
        self.contract = gait_contract(robot, task, name=name, origin=origin)
        self.trot = start_gait(task, robot)
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Forget the past, at the start of a walk."""

    @abstractmethod
    def gait(self, estimate: Estimate, command: VelocityCommand) -> GaitParameters:
        """Choose the gait of this policy step."""

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal:
        """Propose the gait of this policy step."""
        gait = self.gait(estimate, command)
        name = self.contract.name
        return Proposal(stamp_ns=estimate.stamp_ns, policy=name, kind="gait", gait=gait)

    def remember(self) -> dict[str, Any]:
        """Copy all attributes, for `recall`."""
        fixed = ("contract", "trot")
        return {name: deepcopy(value) for name, value in vars(self).items() if name not in fixed}

    def recall(self, kept: dict[str, Any]) -> None:
        """Go on from where `remember` was called."""
        vars(self).update(deepcopy(kept))
