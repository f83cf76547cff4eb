"""Hand-over: recovery drives before and after a joint policy, and refuses bad proposals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, START_NS, TICK_NS, TROT

from safe_locomotion.safety.learner_handover import Handover, followable
from safe_locomotion.types import JointTargets, Proposal

BRIDGE = 0.4
TICKS = 200
TARGETS = JointTargets(q=A1.q_stand, kp=np.full(12, 20.0), kd=np.full(12, 0.5))
GAIT = Proposal(stamp_ns=START_NS, policy="paces", kind="gait", gait=TROT)
OTHER_GAIT = replace(GAIT, policy="bounds")
JOINT = Proposal(stamp_ns=START_NS, policy="alarm", kind="joint", joints=TARGETS)
OTHER_JOINT = replace(JOINT, policy="siren")


class Walk:
    """A robot that walks, 2 ms a tick. It follows every offered proposal unless it intervenes."""

    def __init__(self) -> None:
        self.handover = Handover(BRIDGE)
        self.stamp_ns = START_NS

    def tick(
        self, wanted: Proposal | None, *, walking: bool = True, intervenes: bool = False
    ) -> Proposal | None:
        self.stamp_ns += TICK_NS
        offered = self.handover.offer(self.stamp_ns, wanted, walking=walking)
        learner = None if intervenes else offered
        self.handover.note(self.stamp_ns, learner, walking=walking)
        return learner

    def waits(self, wanted: Proposal) -> int:
        """Ticks until the proposal is followed."""
        return next(k for k in range(10 * TICKS) if self.tick(wanted) is wanted)


@pytest.mark.parametrize(
    ("before", "after", "ticks"),
    [
        (GAIT, OTHER_GAIT, 0),
        (GAIT, JOINT, TICKS),
        (JOINT, GAIT, TICKS),
        (JOINT, OTHER_JOINT, TICKS),
        (JOINT, JOINT, 0),
    ],
)
def test_recovery_bridges_where_a_joint_policy_begins_or_ends(
    before: Proposal, after: Proposal, ticks: int
) -> None:
    """It drives for the whole bridge time. A change between gait policies does not wait."""
    walk = Walk()
    walk.waits(before)
    assert walk.waits(after) == ticks


def test_each_walk_begins_under_recovery_where_a_joint_policy_is_wanted() -> None:
    """The time before the walk does not count. A gait policy drives at once."""
    for wanted, ticks in ((JOINT, TICKS - 1), (GAIT, 0)):
        walk = Walk()
        for _ in range(3 * TICKS):
            assert walk.tick(wanted, walking=False) is wanted
        assert walk.waits(wanted) == ticks


def test_recovery_that_took_over_counts_as_bridge() -> None:
    """A joint policy drives again once recovery has driven for the bridge time."""
    for driven, ticks in ((1, TICKS - 1), (TICKS // 2, TICKS // 2), (2 * TICKS, 0)):
        walk = Walk()
        walk.waits(JOINT)
        for _ in range(driven):
            assert walk.tick(JOINT, intervenes=True) is None
        assert walk.waits(JOINT) == ticks


def test_what_cannot_be_executed_is_not_followed() -> None:
    """Numbers must be finite, gains not negative; a fault or no content at all is refused."""
    assert followable(GAIT) and followable(JOINT)
    assert not followable(replace(JOINT, fault="policy_not_finite"))
    assert not followable(replace(JOINT, joints=None))
    assert not followable(replace(GAIT, gait=replace(TROT, frequency=math.nan)))
    for name in ("q", "kp", "kd"):
        for value in (math.nan, math.inf, -math.inf):
            broken = getattr(TARGETS, name).copy()
            broken[7] = value
            assert not followable(replace(JOINT, joints=replace(TARGETS, **{name: broken})))
    for name in ("kp", "kd"):
        broken = getattr(TARGETS, name).copy()
        broken[3] = -1e-9
        assert not followable(replace(JOINT, joints=replace(TARGETS, **{name: broken})))
