"""Figures of flown policies, worked out by hand from reports."""

import math
from collections.abc import Sequence

import pytest

from safe_locomotion.cli.policy import flights
from safe_locomotion.cli.policy.flights import FlightFailedError, Report, Row, fly
from safe_locomotion.cli.policy.measure import table

REPORT: Report = {
    "cost_of_transport": 1.5,
    "feet_distance_m": 0.26,
    "falls": 0,
    "fall_times_s": [],
    "duration_s": 20.0,
    "hops": 0,
    "pushes": 20,
    "mean_velocity": {"vx_mps": 0.4},
}


def flying(**changes: object):
    """Reports of the policies 'mine' and 'before' differ from that of the nominal gait."""

    def fly(words: Sequence[str]) -> Report:
        named = [name for name in ("mine", "before") if any(name in word for word in words)]
        return {**REPORT, **(changes.get(named[0], {}) if named else {})}  # type: ignore[dict-item]

    return fly


def only(rows: list[Row]) -> Row:
    (row,) = rows
    return row


def test_energy_is_compared_at_equal_speed() -> None:
    """0.9 instead of 1.5 saves 40 %; a fall spoils it."""
    saved = only(flights.efficient("mine", 1.0, flying(mine={"cost_of_transport": 0.9})))
    assert saved.value == pytest.approx(40.0) and saved.met
    fell = flying(mine={"cost_of_transport": 0.9, "falls": 1})
    assert not only(flights.efficient("mine", 1.0, fell)).met
    nothing = only(flights.efficient("mine", 1.0, flying(mine={"cost_of_transport": None})))
    assert math.isnan(nothing.value) and not nothing.met


def test_feet_stand_apart_as_measured() -> None:
    """9 cm is asked for; the nominal distance stands beside."""
    row = only(flights.catwalk("mine", 1.0, flying(mine={"feet_distance_m": 0.09})))
    assert (row.value, row.reference, row.met) == (0.09, 0.26, True)
    assert not only(flights.catwalk("mine", 1.0, flying(mine={"feet_distance_m": 0.1}))).met


def test_balance_ends_with_the_first_fall() -> None:
    """20 s without a fall against 4 s, and five hops against one."""
    fly = flying(mine={"hops": 5}, before={"fall_times_s": [4.0, 9.0], "falls": 2, "hops": 1})
    time, hops = flights.two_leg("mine", "before", 1.0, fly)
    assert (time.value, time.reference, time.met) == (20.0, 4.0, True)
    assert (hops.value, hops.reference, hops.met) == (5.0, 1.0, True)


def test_pacing_is_judged_at_each_speed() -> None:
    """0.4 m/s is right at one of three speeds."""
    rows = flights.pacing("mine", 1.0, flying())
    assert [row.value for row in rows] == pytest.approx([100.0, 0.0, 100.0 / 3.0])
    assert [row.met for row in rows] == [False, True, False]


def test_pushes_that_are_survived_count() -> None:
    """Two falls of 20 pushes are 90 %; the tuned controller fell never."""
    row = only(flights.recovery("mine", 1.0, flying(mine={"falls": 2})))
    assert row.value == pytest.approx(90.0) and row.reference == 100.0 and not row.met
    none = only(flights.recovery("mine", 1.0, flying(mine={"pushes": 0})))
    assert math.isnan(none.value) and not none.met


def test_a_reward_is_within_a_tenth_of_the_trainings() -> None:
    """360 of 400 is, 359 is not, and NaN never is."""
    assert flights.reward("catwalk", 360.0, 400.0).met
    assert not flights.reward("catwalk", 359.0, 400.0).met
    assert not flights.reward("catwalk", math.nan, 400.0).met


def test_the_table_has_the_papers_numbers() -> None:
    """A row for each figure."""
    rows = flights.catwalk("mine", 1.0, flying()) + flights.pacing("mine", 1.0, flying())
    shown = table(rows)
    assert shown.row_count == 4
    assert "40.9 % narrower" in str(next(iter(shown.columns[3].cells)))


def test_a_flight_that_fails_says_why() -> None:
    """The last line of the command that it runs."""
    with pytest.raises(FlightFailedError, match="no_such_policy"):
        fly(["--policy", "no_such_policy", "--duration", "1"])
