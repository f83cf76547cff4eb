"""Confidence intervals of figures over episodes.

Wilson's interval is for shares of falls; the bootstrap over episodes is for means and ratios.
"""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

CONFIDENCE = 0.95
RESAMPLES = 2000


def wilson(events: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a probability from `events` in `trials` (Wilson 1927); (0, 1) without trials.

    (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)

    with p = events / trials and z the normal quantile.
    """
    if trials == 0:
        return 0.0, 1.0
    z = float(ndtri(0.5 + 0.5 * confidence))
    p = events / trials
    n = trials
    middle = p + z * z / (2 * n)
    half = z * sqrt(p * (1.0 - p) / n + z * z / (4 * n * n))
    scale = 1.0 + z * z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def bootstrap(
    numerators: ArrayLike, denominators: ArrayLike | None = None, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile interval of sum(numerators) / sum(denominators) over resampled episodes.

    Without denominators it is that of the mean. The resamples come from a fixed seed: equal results
    have equal intervals.
    """
    top = np.asarray(numerators, dtype=np.float64)
    bottom = (
        np.ones_like(top) if denominators is None else np.asarray(denominators, dtype=np.float64)
    )
    rows = np.random.default_rng(0).integers(len(top), size=(RESAMPLES, len(top)))
    ratios = top[rows].sum(axis=1) / bottom[rows].sum(axis=1)
    low, high = np.quantile(ratios, (0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence))
    return float(low), float(high)
