"""Recovery policy: what drives when the learner may not, the tuned controller's gait or a learned one."""

from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.stage import Learner
from safe_locomotion.types import Estimate, GaitParameters, VelocityCommand


class LearnedRecovery:
    """A learned gait policy as recovery policy; where it has no answer, the tuned controller steps in until it has one again."""

    def __init__(self, learner: Learner, fallback: NominalGait) -> None:
        """Start with the fallback.

        Args:
            learner: that proposes gaits.
            fallback: for the ticks on which it proposes none.

        Raises:
            ConfigurationError: it proposes joint targets, which would pass by the MPC.
        """
        if learner.contract.kind != "gait":
            raise ConfigurationError(
                f"recovery_policy: {learner.contract.name} proposes {learner.contract.kind} targets; recovery needs a gait policy"
            )
        self._learner = learner
        self._fallback = fallback
        self._bucket: int | None = None
        self._gait: GaitParameters | None = None

    def reset(self) -> None:
        """A new walk begins."""
        self._learner.reset()
        self._bucket = None

    def gait(self, command: VelocityCommand, estimate: Estimate) -> GaitParameters:
        """The learner's gait, asked for once in each of its periods."""
        bucket = estimate.stamp_ns // self._learner.contract.period_ns
        if bucket != self._bucket:
            self._bucket = bucket
            proposal = self._learner.act(estimate, command)
            self._gait = None if proposal is None else proposal.gait
        return self._fallback.gait(command, estimate) if self._gait is None else self._gait
