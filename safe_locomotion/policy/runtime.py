"""A policy that is loaded: observation in, proposal out.

A proposal never holds a number out of range. An output that is not finite or exceeds the contract
gives no proposal. Then the runtime holds the name of a hazard instead.
"""

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.policy.action import GaitAction, JointAction
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.exploration import Noise, check_may_explore
from safe_locomotion.policy.network import Network, check_parity
from safe_locomotion.policy.observation import Observer
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import (
    Array,
    Estimate,
    GaitParameters,
    JointTargets,
    Proposal,
    VelocityCommand,
)

#: Hazards: the observation or the output is not finite; ONNX Runtime stopped with an error; the
#: output exceeds the contract's limit, or a target is one that the joint cannot be asked for.
NOT_FINITE = "policy_not_finite"
FAILED = "policy_failed"
OUT_OF_RANGE = "policy_out_of_range"


class JointInterpreter:
    """Joint targets from the output of a joint policy: q = default_pose + scale a, in SDK order.

    A target may lie outside the joint's range by at most tau_max / kp. Further out it asks for more
    than the peak torque even with the joint at its end stop, which no controller means. Within that
    margin the target is set to the end of the range, because the bridge's gate refuses targets
    outside.

    Attributes:
        gait: None; a joint policy has no gait.
    """

    def __init__(self, contract: PolicyContract, action: JointAction, robot: RobotModel) -> None:
        back = np.argsort(contract.to_policy)
        self._back = back
        self._default = np.array(contract.default_pose)[back]
        self._scale = np.array(action.scale)[back]
        self._kp = np.array(action.kp)[back]
        self._kd = np.array(action.kd)[back]
        self._kp.setflags(write=False)
        self._kd.setflags(write=False)
        self._q_min = robot.q_min
        self._q_max = robot.q_max
        margin = robot.tau_max / self._kp
        self._lower = robot.q_min - margin
        self._upper = robot.q_max + margin
        self._least = _in_sdk_order(action.lower, back)
        self._most = _in_sdk_order(action.upper, back)
        self.gait: GaitParameters | None = None

    def reset(self) -> None:
        """Do nothing: joint targets have no memory."""

    def remember(self) -> None:
        """Do nothing: joint targets have no memory."""

    def recall(self, kept: Any) -> None:
        """Do nothing: joint targets have no memory."""

    def read(self, action: Array) -> JointTargets | None:
        """Targets of an action (12,) in the policy's order; None when one is out of range."""
        q = action[self._back]
        q *= self._scale
        q += self._default
        # Bounds of the training come first. What is not finite stays so, and is refused next.
        if self._least is not None and self._most is not None and np.isfinite(q).all():
            q = np.clip(q, self._least, self._most)
        if not ((self._lower <= q) & (q <= self._upper)).all():
            return None
        np.maximum(q, self._q_min, out=q)
        np.minimum(q, self._q_max, out=q)
        return JointTargets(q=q, kp=self._kp, kd=self._kd)


def _in_sdk_order(numbers: Numbers | None, back: NDArray[np.intp]) -> Array | None:
    return None if numbers is None else np.array(numbers)[back]


class GaitInterpreter:
    """Gait parameters from the output of a gait policy, summed within the contract's bounds.

    Attributes:
        gait: parameters in force.
    """

    def __init__(self, action: GaitAction) -> None:
        self._terms = action.terms
        self._lifted = action.lifted_flags
        self.reset()

    def reset(self) -> None:
        """Go back to the nominal gait."""
        self._values = {term.name: term.nominal for term in self._terms}
        self.gait: GaitParameters | None = self._parameters()

    def remember(self) -> dict[str, tuple[float, ...]]:
        """What `recall` needs to go on from here."""
        return dict(self._values)

    def recall(self, kept: dict[str, tuple[float, ...]]) -> None:
        """Go on from where `remember` was called."""
        self._values = dict(kept)
        self.gait = self._parameters()

    def read(self, action: Array) -> GaitParameters | None:
        """Parameters after one more action (9,) within +-clip."""
        u = action.tolist()
        at = 0
        for t in self._terms:
            part = u[at : at + t.width]
            at += t.width
            start = t.nominal if t.name == "foot_y" else self._values[t.name]
            moved = [x + k * v for x, k, v in zip(start, t.scale, part, strict=True)]
            if t.name == "phase_offsets":
                # Twice, because a tiny negative number gives exactly 1 at first.
                self._values[t.name] = tuple(x % 1.0 % 1.0 for x in moved)
            else:
                bounds = zip(t.lower, moved, t.upper, strict=True)
                self._values[t.name] = tuple(min(hi, max(lo, x)) for lo, x, hi in bounds)
        self.gait = self._parameters()
        return self.gait

    def _parameters(self) -> GaitParameters:
        v = self._values
        offsets = v["phase_offsets"]
        feet = v["foot_y"]
        return GaitParameters(
            frequency=v["frequency"][0],
            swing_ratio=v["swing_ratio"][0],
            phase_offsets=(offsets[0], offsets[1], offsets[2]),
            foot_y=(feet[0], feet[1], feet[2], feet[3]),
            lifted=self._lifted,
        )


class PolicyRuntime:
    """A policy that is ready to act: checked against its recorded pairs, and warm.

    Attributes:
        contract: of the policy.
        hazard: why the last `act` gave no proposal: `NOT_FINITE`, `OUT_OF_RANGE` or `FAILED`; ""
            when it gave one. A memory that is not finite stays so until `reset`.
        parity_error: largest difference from the recorded actions on this machine.
    """

    def __init__(
        self,
        contract: PolicyContract,
        model: bytes,
        robot: RobotModel,
        pause: float = 0.0,
        *,
        learning: bool = False,
    ) -> None:
        """Load the network and check its parity, which also warms it up.

        Args:
            contract: of the policy.
            model: ONNX, to which the contract belongs.
            robot: that the policy is to drive.
            pause: between two steps of the parity check [s]. A control loop beside it can tick in
                the pause; during a step it waits for the interpreter.
            learning: take a policy that explores, and add its noise to each action.

        Raises:
            PolicyRefusedError: the policy is for another robot, explores where nobody learns, its
                model does not run, or its answers are not the recorded ones.
        """
        if contract.robot != robot.name:
            raise refuse("robot", robot.name, contract.robot)
        check_may_explore(contract.exploration, learning=learning)
        self.contract = contract
        self._noise = None if contract.exploration is None else Noise(contract.exploration)
        self._observer = Observer(contract)
        self._network = Network(contract, model, self._observer.vector)
        self._interpreter: JointInterpreter | GaitInterpreter
        self._clip: float | None
        if contract.gait is not None:
            self._interpreter = GaitInterpreter(contract.gait)
            self._clip = contract.gait.clip
        else:
            assert contract.joint is not None
            self._interpreter = JointInterpreter(contract, contract.joint, robot)
            self._clip = contract.joint.clip
        self._limit = contract.action_limit
        self.parity_error = check_parity(contract, self._network, pause)
        self.reset()

    def reset(self) -> None:
        """Go back to zero memory, a zero previous action, no past and the nominal gait.

        Call it at the start of an episode, at a change of mode and at a swap.
        """
        self._network.reset()
        self._observer.reset()
        self._interpreter.reset()
        self._previous: list[float] = [0.0] * self.contract.action_width
        self.hazard = ""

    @property
    def estimate(self) -> dict[str, Array]:
        """What the network estimated in the last step, by term; empty without an estimate."""
        if self.contract.estimate is None:
            return {}
        out = {}
        at = 0
        for name, width in self.contract.estimate.terms:
            out[name] = self._network.estimate[0, at : at + width].astype(np.float64)
            at += width
        return out

    def remember(self) -> tuple[Any, ...]:
        """What `recall` needs to go on from here, whatever `act` is asked in between."""
        parts = (self._network, self._observer, self._interpreter)
        step = 0 if self._noise is None else self._noise.step
        return *(part.remember() for part in parts), step, self._previous, self.hazard

    def recall(self, kept: tuple[Any, ...]) -> None:
        """Go on from where `remember` was called."""
        memories, observed, interpreted, step, self._previous, self.hazard = kept
        if self._noise is not None:
            self._noise.step = step
        self._network.recall(memories)
        self._observer.recall(observed)
        self._interpreter.recall(interpreted)

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        """The proposal on this estimate; None and a reason in `hazard` when none may be used."""
        observation = self._observer.write(
            estimate, command, self._previous, self._interpreter.gait
        )[0]
        if not np.isfinite(observation).all():
            self.hazard = NOT_FINITE
            return None
        try:
            action = self._network.step()[0].astype(np.float64)
        except Exception:  # see `network.open_session`
            self.hazard = FAILED
            return None
        largest = float(np.abs(action).max())
        if not largest <= self._limit:
            self.hazard = OUT_OF_RANGE if isfinite(largest) else NOT_FINITE
            return None
        drawn = action if self._noise is None else action + self._noise.draw()
        action = drawn if self._clip is None else np.clip(drawn, -self._clip, self._clip)
        chosen = self._interpreter.read(action)
        if chosen is None:
            self.hazard = OUT_OF_RANGE
            return None
        self.hazard = ""
        self._previous = action.tolist()
        gait = chosen if isinstance(chosen, GaitParameters) else None
        return Proposal(
            stamp_ns=estimate.stamp_ns,
            policy=self.contract.name,
            kind="joint" if gait is None else "gait",
            gait=gait,
            joints=chosen if isinstance(chosen, JointTargets) else None,
            observation=observation.copy(),  # the next observation is written to the same array
            action=action if self._noise is None else drawn,
        )
