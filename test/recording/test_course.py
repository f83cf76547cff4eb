"""Courses: figures counted by hand, and the agreement of two courses."""

import math

import numpy as np
import pytest

from safe_locomotion.recording.course import Course, agreement, course_figures, stretches
from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.types import Mode

START = 1_000_000_000
STEP = 100_000_000  #: [ns]; a tenth of a second makes sums readable


def course(drivers: str, outside: dict[int, str] | None = None) -> Course:
    """A course with a tick per letter: l learner, r recovery, s standing.

    `outside` names the component that lies in the trigger set on a tick.
    """
    margins = np.full((len(drivers), len(MARGINS)), 0.5)
    margins[np.array([letter == "s" for letter in drivers], dtype=bool)] = np.nan
    for tick, name in (outside or {}).items():
        margins[tick, MARGINS.index(name)] = -0.1
    return Course(
        stamp_ns=START + STEP * np.arange(len(drivers)),
        mode=np.array([Mode.STAND if letter == "s" else Mode.WALK for letter in drivers]),
        recovery=np.array([letter == "r" for letter in drivers], dtype=bool),
        margins=margins,
    )


def test_figures_are_counted_by_hand():
    """Two take-overs, three hand-backs, and one entry that lasts two ticks.

    Recovery at the beginning of the walk is no take-over.
    """
    f = course_figures(course("ssrllrrllrls", {5: "roll", 6: "roll", 9: "height"}), START)
    assert (f.uses, f.take_overs_s, f.hand_backs_s) == (2, (0.5, 0.9), (0.3, 0.7, 1.0))
    assert f.triggers == {
        "height": 1,
        "roll": 1,
        "pitch": 0,
        "lateral_velocity": 0,
        "roll_rate": 0,
        "capture": 0,
    }
    assert (f.first_trigger_s, f.longest_use_s, f.walked_s) == (0.5, 0.2, 0.9)
    assert f.share == pytest.approx(4 / 9)


def test_a_robot_that_never_walked_has_no_share():
    """The share is NaN in Python and null in JSON, also without any verdict."""
    for drivers in ("sss", ""):
        f = course_figures(course(drivers), START)
        assert math.isnan(f.share) and f.as_json()["share"] is None
        assert (f.uses, f.first_trigger_s, f.walked_s) == (0, None, 0.0)


def test_two_walks_are_not_joined():
    """Between a walk that ends under recovery and one that begins so, nothing is counted."""
    f = course_figures(course("lrssrl"), START)
    assert (f.take_overs_s, f.hand_backs_s) == ((0.1,), (0.5,))


def test_agreement_counts_only_ticks_that_both_walked():
    """Two of four ticks agree, and the first other one is named; both courses must have a stamp."""
    a = course("slrlr")
    b = course("slrrl")
    found = agreement(a, b)
    assert (found.ticks, found.equal, found.first_difference_ns) == (4, 0.5, START + 3 * STEP)
    assert agreement(a, a).first_difference_ns is None
    late = Course(**{name: values[2:] for name, values in vars(a).items()})
    assert agreement(a, late).ticks == 3
    assert agreement(course("ss"), course("ss")).ticks == 0


def test_stretches_are_unbroken_runs():
    """Each has its first row and the row after its last, also at both ends."""
    assert stretches(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert stretches(np.zeros(0, dtype=bool)) == []
