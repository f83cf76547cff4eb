"""Hand-over between gaits without a jump of phase."""

from dataclasses import replace

import pytest
from core_values import START_NS, TICK_NS, TROT
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.control.gait_handover import (
    OFFSET_RATE,
    PLANTED_FROM,
    RATIO_MARGIN,
    RATIO_RATE,
    GaitBlend,
)
from safe_locomotion.types import GaitParameters


def wrapped(a: float, b: float) -> float:
    """Distance of two phases in strides."""
    return abs((a - b + 0.5) % 1.0 - 0.5)


GAITS = st.builds(
    GaitParameters,
    frequency=st.floats(1.0, 4.0),
    swing_ratio=st.floats(0.2, 0.8),
    phase_offsets=st.tuples(*[st.floats(0.0, 0.999)] * 3),
    foot_y=st.just(TROT.foot_y),
)


def far_apart(a: GaitParameters, b: GaitParameters) -> bool:
    """Whether recovery plants the feet between these gaits."""
    return max(map(wrapped, a.phase_offsets, b.phase_offsets)) > PLANTED_FROM


@settings(max_examples=40)
@given(GAITS, GAITS, st.booleans())
def test_no_phase_jumps_at_a_hand_over(
    before: GaitParameters, after: GaitParameters, to_recovery: bool
) -> None:
    """Offsets and swing ratio reach the new gait at bounded rates; only planting is sudden."""
    blend = GaitBlend()
    last = before
    driver = "recovery" if to_recovery else "learner"
    blend.update(START_NS, "learner" if to_recovery else "recovery", before)
    for k in range(1, 400):
        gait = blend.update(START_NS + k * TICK_NS, driver, after)
        planted = k == 1 and to_recovery and far_apart(before, after)
        for a, b in zip(gait.phase_offsets, last.phase_offsets, strict=True):
            assert planted or wrapped(a, b) <= OFFSET_RATE * 0.002 + 1e-9
        assert planted or abs(gait.swing_ratio - last.swing_ratio) <= RATIO_RATE * 0.002 + 1e-9
        assert 0.0 < gait.swing_ratio < 1.0 and gait.frequency == after.frequency
        last = gait
    assert last == after


def test_recovery_plants_the_feet_of_a_gait_far_from_its_own() -> None:
    """A gait near its own is blended instead, and a learner never plants the feet."""
    far = replace(TROT, phase_offsets=(0.5, 0.5, 0.3))
    near = replace(TROT, phase_offsets=(0.5, 0.5, 0.05))
    for before, driver, ratio in (
        (far, "recovery", RATIO_MARGIN),
        (near, "recovery", TROT.swing_ratio),
        (far, "learner", TROT.swing_ratio),
    ):
        blend = GaitBlend()
        blend.update(START_NS, "learner" if driver == "recovery" else "recovery", before)
        assert blend.update(START_NS + TICK_NS, driver, TROT).swing_ratio == pytest.approx(ratio)


def test_planted_feet_lift_in_the_order_of_recovery() -> None:
    """Legs that the learner brought into one phase do not leave the ground together."""
    blend = GaitBlend()
    blend.update(START_NS, "learner", replace(TROT, phase_offsets=(0.05, 0.95, 0.0)))
    gaits = [blend.update(START_NS + k * TICK_NS, "recovery", TROT) for k in range(1, 200)]
    assert {gait.phase_offsets for gait in gaits} == {TROT.phase_offsets}
    assert gaits[0].swing_ratio == pytest.approx(RATIO_MARGIN)
    assert gaits[-1] == TROT


def test_what_a_policy_changes_by_itself_passes_through() -> None:
    """Only the hand-over is smoothed, not the learner. A new walk starts without memory."""
    blend = GaitBlend()
    for k, ratio in enumerate((0.3, 0.6, 0.4)):
        gait = replace(TROT, swing_ratio=ratio)
        assert blend.update(START_NS + k * TICK_NS, "learner", gait) is gait
    blend.reset()
    assert blend.update(START_NS + 9 * TICK_NS, "recovery", TROT) is TROT
