"""Confidence intervals against numbers worked out by hand."""

import numpy as np
import pytest

from safe_locomotion.evaluation.statistics import bootstrap, wilson


@pytest.mark.parametrize(
    ("events", "trials", "interval"),
    [
        (0, 10, (0.0, 0.27754)),  # z^2 / (n + z^2) with z = 1.959964
        (10, 10, (0.72246, 1.0)),
        (5, 10, (0.23659, 0.76341)),  # 0.5 -+ z sqrt(0.025 + z^2 / 400) / (1 + z^2 / 10)
        (0, 0, (0.0, 1.0)),
    ],
)
def test_wilson(events, trials, interval) -> None:
    """Wilson's interval has known values when no or all episodes fell, and is symmetric for half.

    Without a trial it covers everything.
    """
    assert wilson(events, trials) == pytest.approx(interval, abs=1e-5)


def test_the_bootstrap_of_a_mean_is_close_to_the_normal_interval() -> None:
    """For 400 standard normal numbers it is about mean -+ 1.96 s / 20."""
    numbers = np.random.default_rng(1).normal(size=400)
    half = 1.959964 * numbers.std() / 20.0
    assert bootstrap(numbers) == pytest.approx(
        (numbers.mean() - half, numbers.mean() + half), abs=0.01
    )


def test_the_bootstrap_of_a_ratio_weighs_episodes_by_their_length() -> None:
    """Equal shares give that share without spread, whatever the lengths of the episodes.

    Equal numbers give that number.
    """
    assert bootstrap([1.0, 10.0, 3.0], [4.0, 40.0, 12.0]) == pytest.approx((0.25, 0.25))
    assert bootstrap([2.0, 2.0]) == (2.0, 2.0)
