"""The rule that tells a fall from lying down on purpose, condition by condition."""

from math import cos, inf, nan, radians

import pytest

from safe_locomotion.sim.falls import Damping, FallDetector

STANDING = {
    "height": 0.27,
    "cos_tilt": 1.0,
    "velocity_z": 0.0,
    "touching": False,
    "joint_error": lambda: 0.0,
}
LYING = {
    "height": 0.06,
    "cos_tilt": 1.0,
    "velocity_z": -0.2,
    "touching": True,
    "joint_error": lambda: 0.1,
}


def armed() -> FallDetector:
    detector = FallDetector(0.27, 0.002)
    for _ in range(125):
        detector.update(**STANDING)
    return detector


def test_needs_a_quarter_second_of_standing() -> None:
    """The detector is armed on the 125th standing tick in a row, not earlier."""
    detector = FallDetector(0.27, 0.002)
    for _ in range(124):
        detector.update(**STANDING)
    assert not detector.armed
    detector.update(**{**STANDING, "height": 0.1})
    for _ in range(124):
        detector.update(**STANDING)
    assert not detector.armed
    detector.update(**STANDING)
    assert detector.armed and detector.has_stood


def test_lying_before_standing_is_no_fall() -> None:
    """A robot that has never stood does not fall."""
    assert not FallDetector(0.27, 0.002).update(**{**LYING, "joint_error": lambda: inf})


def test_lying_down_on_purpose_is_no_fall() -> None:
    """Slow, level and held: no fall, and disarmed after."""
    detector = armed()
    assert not detector.update(**LYING)
    assert not detector.armed and detector.falls == 0


@pytest.mark.parametrize(
    "change",
    [
        {"velocity_z": -0.6},
        {"velocity_z": nan},
        {"cos_tilt": cos(radians(40))},
        {"joint_error": lambda: inf},
        {"joint_error": lambda: nan},
        {"joint_error": lambda: 0.5},
        {"touching": False, "joint_error": lambda: inf},
        {"cos_tilt": cos(radians(61)), "height": 0.27, "touching": False},
        {"cos_tilt": nan, "height": 0.27, "touching": False},
        {"height": nan, "touching": False},
        {"height": 0.27, "joint_error": lambda: inf},
    ],
)
def test_each_violated_condition_makes_it_a_fall(change) -> None:
    """Fast, tilted, not held, toppled, or not a number: one fall, counted once."""
    detector = armed()
    event = {**LYING, **change}
    assert detector.update(**event)
    assert not detector.update(**event)
    assert detector.falls == 1


def test_can_fall_again_after_standing_again() -> None:
    """Standing up arms the detector again."""
    detector = armed()
    fall = {**LYING, "joint_error": lambda: inf}
    detector.update(**fall)
    for _ in range(125):
        detector.update(**STANDING)
    assert detector.update(**fall) and detector.falls == 2


def test_toppling_while_rising_counts_once() -> None:
    """A robot that is put on its feet and topples before it stands has fallen again.

    However long it lies there, this counts once.
    """
    detector = armed()
    assert detector.update(**{**STANDING, "cos_tilt": 0.0})
    assert not detector.update(**{**STANDING, "cos_tilt": 0.0})
    detector.disarm()
    assert not detector.update(**{**STANDING, "height": 0.15})
    assert detector.update(**{**LYING, "cos_tilt": -1.0})
    assert not detector.update(**{**LYING, "cos_tilt": -1.0})
    assert detector.falls == 2


def test_damping_from_rest_is_remembered_until_it_ends() -> None:
    """What counts is the tick on which damping begins; NaN is no rest."""
    damping = Damping()
    for damps, speed, joint_speed, expected in (
        (False, 0.0, 0.0, False),
        (True, 0.05, 0.2, True),
        (True, 0.4, 9.0, True),
        (False, 0.0, 0.0, False),
        (True, 0.2, 0.0, False),
        (True, 0.0, 0.0, False),
        (False, 0.0, 0.0, False),
        (True, 0.0, 0.6, False),
        (False, 0.0, 0.0, False),
        (True, nan, 0.0, False),
    ):
        damping.update(damps, speed, joint_speed)
        assert damping.from_rest is expected
