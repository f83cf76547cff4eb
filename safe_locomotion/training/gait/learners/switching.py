"""Switching rules of other schemes: learned or geometric tests of who acts, for many robots.

The paper's own rules (trigger set and equation 2) belong to the world, as they need its rollout;
see `safety.switching_rule` for their onboard form. The rules here need the state alone:

- `RiskRule`: Recovery RL. A critic of state and proposed action exceeds a threshold.
- `ValueFilter`: Agile But Safe. A reach-avoid value of the state exceeds a threshold.
- `EllipsoidDwell`: the learner-teacher scheme. The state leaves an ellipsoid, and the teacher acts
  for some time at least.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from safe_locomotion.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What a rule may look at before a step.

    Attributes:
        observations: (R, N, O) of the policy.
        proposals: (R, N, A) actions that the learner proposes.
        states: (R, N, X) physical states, in the order and units of the rule's constants.
    """

    observations: Tensor
    proposals: Tensor
    states: Tensor


class SwitchingRule(Protocol):
    """Decides for each robot who acts. Its memory changes in place, so a graph can capture it."""

    def reset(self, begins: Tensor) -> None:
        """Forget what was, for the robots that begin a walk: begins (R, N)."""

    def recovers(self, situation: Situation) -> Tensor:
        """(R, N) whether the recovery policy acts on this step."""

    def state_dict(self) -> dict[str, Any]:
        """Memory and learned weights."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; tensors change in place."""


def inscribed(limits: Tensor) -> Tensor:
    """P (X, X) of the largest ellipsoid x' P x <= 1 inside the box |x_i| <= limits (X,)."""
    return torch.diag(limits.pow(-2))


class EllipsoidDwell:
    """The learner-teacher scheme: outside x' P x <= 1 the teacher acts, for a dwell time at least.

    x is the state less the nominal state. The scheme is that of Cai et al., "Runtime Learning of
    Quadruped Robots in Wild Environments", arXiv 2503.04794 (2025): the teacher takes over when the
    student leaves the ellipsoid, acts for a fixed time, and hands back inside. There P comes from
    linear matrix inequalities about the teacher's model; here it is an argument, such as
    `inscribed`. Their student also learns from the teacher's actions; here it does not.
    """

    def __init__(
        self, matrix: Tensor, nominal: Tensor, *, dwell_steps: int, runs: int, robots: int
    ) -> None:
        """Take P (X, X), the nominal state (X,) and the least number of steps of a use.

        Raises:
            ConfigurationError: P is not symmetric and positive definite.
        """
        symmetric = torch.equal(matrix, matrix.T)
        if not symmetric or not bool(torch.linalg.eigvalsh(matrix).min() > 0.0):
            raise ConfigurationError("ellipsoid: P must be symmetric and positive definite")
        self._matrix = matrix
        self._nominal = nominal
        self._dwell = dwell_steps
        self._left = torch.zeros(runs, robots, dtype=torch.int32, device=matrix.device)

    def value(self, states: Tensor) -> Tensor:
        """(R, N) x' P x."""
        x = states - self._nominal
        return ((x @ self._matrix) * x).sum(dim=-1)

    def reset(self, begins: Tensor) -> None:
        """No use is under way."""
        self._left.masked_fill_(begins, 0)

    def recovers(self, situation: Situation) -> Tensor:
        """Outside the ellipsoid, or less than the dwell time after it took over.

        A state of NaN counts as outside.
        """
        outside = ~(self.value(situation.states) <= 1.0)
        begins = outside & (self._left == 0)
        self._left.masked_fill_(begins, self._dwell)
        dwells = self._left > 0
        self._left.sub_(dwells.int())
        return outside | dwells

    def state_dict(self) -> dict[str, Any]:
        """Steps left of each use."""
        return {"left": self._left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._left.copy_(state["left"])
