"""Hand-over: when a learner may begin to drive, and whether its proposal can be executed at all.

The MPC drives under a gait policy and under the recovery policy. A change between those two needs
no hand-over. Before and after a joint policy the recovery policy drives for a while, so that body
and torques settle before the next driver begins.
"""

from math import isfinite

import numpy as np

from safe_locomotion.control.gait import executable
from safe_locomotion.types import NANOSECONDS, JointTargets, Proposal

NOBODY = ""  #: no learner drives
GAIT = "gait"  #: a gait policy drives


def followable(proposal: Proposal) -> bool:
    """Whether the proposal can be executed.

    All its numbers must be finite, its gait must be possible, its gains must not be negative.
    """
    if proposal.fault:
        return False
    if proposal.gait is not None:
        return executable(proposal.gait)
    return proposal.joints is not None and _followable_targets(proposal.joints)


def _followable_targets(targets: JointTargets) -> bool:
    gains = np.concatenate((targets.kp, targets.kd))
    finite = isfinite(float(targets.q.dot(targets.q) + gains.dot(gains)))
    return finite and bool((gains >= 0.0).all())


class Handover:
    """Remembers which learner drives and makes the next one wait.

    Args:
        bridge_time: time for which recovery drives before and after a joint policy [s].
    """

    def __init__(self, bridge_time: float) -> None:
        self._bridge_ns = round(bridge_time * NANOSECONDS)
        self._driver = NOBODY
        self._bridging = False
        self._since_ns = 0

    def offer(self, stamp_ns: int, wanted: Proposal | None, *, walking: bool) -> Proposal | None:
        """The proposal that may be followed on this tick; None if only recovery may drive.

        Args:
            stamp_ns: stamp of this tick.
            wanted: proposal of the learner, or None.
            walking: whether the mode is WALK; in other modes nobody drives. A walk under a joint
                policy begins under recovery.
        """
        key = _key(wanted)
        if not walking or key == self._driver:
            return wanted
        if self._driver != NOBODY:
            return None
        waits = (self._bridging or key != GAIT) and stamp_ns - self._since_ns < self._bridge_ns
        return None if waits else wanted

    def note(self, stamp_ns: int, learner: Proposal | None, *, walking: bool) -> None:
        """Remember who drives on this tick.

        Args:
            stamp_ns: stamp of this tick.
            learner: proposal of the learner that drives; None if recovery drives.
            walking: whether the mode is WALK.
        """
        key = _key(learner) if walking else NOBODY
        if key == NOBODY and (self._driver != NOBODY or not walking):
            self._bridging = self._driver not in (NOBODY, GAIT)
            self._since_ns = stamp_ns
        self._driver = key


def _key(proposal: Proposal | None) -> str:
    """Name under which the learner of a proposal is remembered."""
    if proposal is None:
        return NOBODY
    return GAIT if proposal.kind == "gait" else f"joint {proposal.policy}"
