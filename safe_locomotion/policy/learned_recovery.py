"""A learned recovery policy: drives the robot while the learner may not."""

from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.stage import Learner
from safe_locomotion.types import Estimate, GaitParameters, VelocityCommand


class LearnedRecovery:
    """A learned gait policy as recovery policy.

    While it has no answer, the gait of the tuned controller takes its place.
    """

    def __init__(self, learner: Learner, fallback: NominalGait) -> None:
        """Start with the fallback.

        Args:
            learner: a gait policy.
            fallback: gait for the ticks on which the learner proposes none.

        Raises:
            ConfigurationError: the learner proposes joint targets, which would bypass the MPC, or
                it lifts legs, which would keep the robot from standing on four feet.
        """
        contract = learner.contract
        if contract.kind != "gait":
            raise ConfigurationError(
                f"recovery_policy: {contract.name} proposes {contract.kind} targets; "
                "recovery needs a gait policy"
            )
        if contract.gait is not None and contract.gait.lifted:
            raise ConfigurationError(
                f"recovery_policy: {contract.name} holds {', '.join(contract.gait.lifted)} in the "
                "air; recovery needs a gait policy that steps with all legs"
            )
        self._learner = learner
        self._fallback = fallback
        self._bucket: int | None = None
        self._gait: GaitParameters | None = None

    def reset(self) -> None:
        """Start a new walk."""
        self._learner.reset()
        self._bucket = None

    def gait(self, command: VelocityCommand, estimate: Estimate) -> GaitParameters:
        """The gait of the learner, which is asked once in each of its periods."""
        bucket = estimate.stamp_ns // self._learner.contract.period_ns
        if bucket != self._bucket:
            self._bucket = bucket
            proposal = self._learner.act(estimate, command)
            self._gait = None if proposal is None else proposal.gait
        return self._fallback.gait(command, estimate) if self._gait is None else self._gait
