"""Who drove when: figures of a course counted by hand, and how far two courses agree."""

import math

import numpy as np
import pytest

from safe_locomotion.recording.course import Course, agreement, course_figures, stretches
from safe_locomotion.safety.capture_point import MARGINS
from safe_locomotion.types import Mode

START = 1_000_000_000
STEP = 100_000_000  # ns; a tenth of a second makes sums readable


def course(drivers: str, outside: dict[int, str] | None = None) -> Course:
    """A tick per letter: l learner, r recovery, s standing; `outside` names the component that lies in the trigger set on a tick."""
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
    """A walk begins under recovery, which is no use of it; two take-overs, three hand-backs, one entry that lasts two ticks."""
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
    """NaN in Python, null in JSON; nothing else breaks, not even on no verdict at all."""
    for drivers in ("sss", ""):
        f = course_figures(course(drivers), START)
        assert math.isnan(f.share) and f.as_json()["share"] is None
        assert (f.uses, f.first_trigger_s, f.walked_s) == (0, None, 0.0)


def test_two_walks_are_not_joined():
    """Recovery at the end of one walk and at the beginning of the next is neither a take-over nor a hand-back between them."""
    f = course_figures(course("lrssrl"), START)
    assert (f.take_overs_s, f.hand_backs_s) == ((0.1,), (0.5,))


def test_agreement_counts_only_ticks_that_both_walked():
    """Half of four ticks agree; the first that does not is named; stamps that one of them lacks do not count."""
    a = course("slrlr")
    b = course("slrrl")
    found = agreement(a, b)
    assert (found.ticks, found.equal, found.first_difference_ns) == (4, 0.5, START + 3 * STEP)
    assert agreement(a, a).first_difference_ns is None
    late = Course(
        stamp_ns=a.stamp_ns[2:], mode=a.mode[2:], recovery=a.recovery[2:], margins=a.margins[2:]
    )
    assert agreement(a, late).ticks == 3
    assert agreement(course("ss"), course("ss")).ticks == 0


def test_stretches_are_unbroken_runs():
    """(first, behind the last) of each, at both ends too."""
    assert stretches(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert stretches(np.zeros(0, dtype=bool)) == []
