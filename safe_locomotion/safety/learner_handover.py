"""Hand-over: when a learner may begin to drive, and whether what it wants can be executed at all.

The MPC drives under a gait policy and under the recovery policy, so a change between those needs nothing. Where a joint policy begins
or ends, the recovery policy drives in between: body and torques settle before the next one finds them.
"""

from math import isfinite

import numpy as np

from safe_locomotion.control.gait import executable
from safe_locomotion.types import NANOSECONDS, JointTargets, Proposal

NOBODY = ""
GAIT = "gait"


def followable(proposal: Proposal) -> bool:
    """Whether the proposal describes something that can be executed: numbers throughout, a gait that is one, gains that do not push."""
    if proposal.fault:
        return False
    if proposal.gait is not None:
        return executable(proposal.gait)
    return proposal.joints is not None and _followable_targets(proposal.joints)


def _followable_targets(targets: JointTargets) -> bool:
    gains = np.concatenate((targets.kp, targets.kd))
    return isfinite(float(targets.q.dot(targets.q) + gains.dot(gains))) and bool(
        (gains >= 0.0).all()
    )


class Handover:
    """Remembers which learner drives and lets the next one wait until recovery has driven for `bridge_time` [s]."""

    def __init__(self, bridge_time: float) -> None:
        self._bridge_ns = round(bridge_time * NANOSECONDS)
        self._driver = NOBODY
        self._bridging = False
        self._since_ns = 0

    def offer(self, stamp_ns: int, wanted: Proposal | None, *, walking: bool) -> Proposal | None:
        """The proposal that may be followed on this tick, None: only recovery may drive.

        Args:
            stamp_ns: of this tick.
            wanted: what the learner proposes; None: nothing.
            walking: only then does anybody drive; each walk begins under recovery where a joint policy is wanted.
        """
        key = _key(wanted)
        if not walking or key == self._driver:
            return wanted
        if self._driver != NOBODY:
            return None
        waits = (self._bridging or key != GAIT) and stamp_ns - self._since_ns < self._bridge_ns
        return None if waits else wanted

    def note(self, stamp_ns: int, learner: Proposal | None, *, walking: bool) -> None:
        """Take note of who drives on this tick: the learner of a proposal, or recovery."""
        key = _key(learner) if walking else NOBODY
        if key == NOBODY and (self._driver != NOBODY or not walking):
            self._bridging = self._driver not in (NOBODY, GAIT)
            self._since_ns = stamp_ns
        self._driver = key


def _key(proposal: Proposal | None) -> str:
    return (
        NOBODY
        if proposal is None
        else GAIT
        if proposal.kind == "gait"
        else f"joint {proposal.policy}"
    )
