"""Two rules from the literature that decide between learner and recovery policy.

They are baselines for evaluations only:

- `ellipsoid`: recovery when s'Ps > 1, kept for a fixed time. Schemes with a learner and a verified
  teacher do this (Simplex architectures with a Lyapunov ellipsoid). s are the components of the
  trigger set about the middle of its box. P makes s'Ps <= 1 the largest ellipsoid inside the box
  that has the box's axes.
- `critic`: recovery while a learned risk of falling soon exceeds a threshold, decided anew on every
  step (Thananjeyan et al., Recovery RL, 2021). The risk is a network's probability of a fall within
  `HORIZON`, fitted to unsupervised episodes (Monte-Carlo labels).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.envs.gait_contract import RATE_HZ
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.policy.network import Float32
from safe_locomotion.safety.switching_rule import Outlook
from safe_locomotion.safety.trigger_set import TriggerSet, Values
from safe_locomotion.types import NANOSECONDS, Array

ELLIPSOID = "ellipsoid"
CRITIC = "critic"
BASELINES = (ELLIPSOID, CRITIC)
HORIZON = 0.8  #: time before a fall in which a state counts as unsafe [s]: two strides
LEAD = 0.15  #: a warning less than this before a fall comes too late [s]
CAUGHT = 0.95  #: share of the falls in training of which the threshold must warn in time
EVEN = 0.5  #: largest threshold: above it a fall is more likely than not
HIDDEN = 32
PASSES = 30
BATCH = 512
RATE = 3e-3
MOMENTS = (0.9, 0.999)  # of Adam


class EllipsoidRule:
    """Recovery outside an ellipsoid, and for `dwell_time` [s] after the state was last outside."""

    def __init__(
        self, trigger_set: TriggerSet, measured: Callable[[], Values], dwell_time: float
    ) -> None:
        self._middle = 0.5 * (trigger_set.low + trigger_set.high)
        self._p = (2.0 / (trigger_set.high - trigger_set.low)) ** 2
        self._measured = measured
        self._dwell_ns = round(dwell_time * NANOSECONDS)
        self.reset()

    def reset(self) -> None:
        """Forget when the state was last outside."""
        self._outside_ns: int | None = None

    def recovers(self, stamp_ns: int, triggered: bool, outlook: Outlook) -> bool:
        """Whether the recovery policy acts; NaN lies outside."""
        e = np.array(self._measured()) - self._middle
        if not float(self._p @ (e * e)) <= 1.0:
            self._outside_ns = stamp_ns
        return self._outside_ns is not None and stamp_ns - self._outside_ns < self._dwell_ns

    def alone(self) -> bool:
        """Recovery acts because there is no learner."""
        return True


@dataclass(frozen=True, kw_only=True)
class SafetyCritic:
    """Probability of a fall within `HORIZON` from an observation.

    The network has one hidden layer of tanh and a logistic output.

    Attributes:
        mean, deviation: (O,) of the observations.
        w1, b1, w2, b2: (O, H), (H,), (H,), () weights.
        threshold: probability at which recovery begins to act.
    """

    mean: Array
    deviation: Array
    w1: Array
    b1: Array
    w2: Array
    b2: Array
    threshold: float

    def risk(self, observations: NDArray[np.floating]) -> Array:
        """Risk (...) of observations (..., O)."""
        hidden = np.tanh((observations - self.mean) / self.deviation @ self.w1 + self.b1)
        risk: Array = _logistic(hidden @ self.w2 + self.b2)
        return risk

    def save(self, path: Path) -> None:
        """Write to an npz file."""
        arrays: dict[str, Any] = vars(self)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, **arrays)


def load_critic(path: Path) -> SafetyCritic:
    """Read what `SafetyCritic.save` wrote.

    Raises:
        ConfigurationError: the file holds no critic.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        return SafetyCritic(**{**values, "threshold": float(values["threshold"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: no safety critic: {error}") from error


class CriticRule:
    """Recovery while the critic's risk is not below its threshold."""

    def __init__(self, critic: SafetyCritic, observe: Callable[[], Float32]) -> None:
        self._critic = critic
        self._observe = observe

    def reset(self) -> None:
        """Do nothing: the rule has no memory."""

    def recovers(self, stamp_ns: int, triggered: bool, outlook: Outlook) -> bool:
        """Whether the recovery policy acts; it does when the risk is NaN."""
        return not float(self._critic.risk(self._observe())) < self._critic.threshold

    def alone(self) -> bool:
        """Recovery acts because there is no learner."""
        return True


@dataclass(frozen=True, slots=True)
class Trace:
    """Observations (n, O) of an episode, one per policy step, and whether it ended in a fall."""

    observations: Float32
    fell: bool


def train_critic(traces: Sequence[Trace], seed: int) -> SafetyCritic:
    """Fit the risk to unsupervised episodes, and set the threshold.

    The threshold warns in time of the share `CAUGHT` of their falls.

    Raises:
        ConfigurationError: all labels are equal, for example because no episode ended in a fall.
    """
    labels = [_falls_soon(trace) for trace in traces]
    x = np.concatenate([trace.observations for trace in traces]).astype(np.float64)
    y = np.concatenate(labels).astype(np.float64)
    if not 0.0 < y.mean() < 1.0:
        raise ConfigurationError(
            "the safety critic needs episodes with and without falls to learn from"
        )
    deviation = x.std(axis=0)
    mean = x.mean(axis=0)
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    w1, b1, w2, b2 = _fit((x - mean) / deviation, y, np.random.default_rng(seed))
    critic = SafetyCritic(
        mean=mean, deviation=deviation, w1=w1, b1=b1, w2=w2, b2=b2, threshold=EVEN
    )
    return SafetyCritic(**{**vars(critic), "threshold": _threshold(critic, traces)})


def _falls_soon(trace: Trace) -> NDArray[np.bool_]:
    """(n,) whether a fall follows within `HORIZON`."""
    n = len(trace.observations)
    soon: NDArray[np.bool_] = (
        np.arange(n) >= n - round(HORIZON * RATE_HZ) if trace.fell else np.zeros(n, dtype=bool)
    )
    return soon


def _threshold(critic: SafetyCritic, traces: Sequence[Trace]) -> float:
    """Largest threshold, at most `EVEN`, that the risk reaches in time before `CAUGHT` of falls."""
    first = round(HORIZON * RATE_HZ)
    last = round(LEAD * RATE_HZ)
    highest = [
        float(critic.risk(trace.observations[-first:-last]).max())
        for trace in traces
        if trace.fell and len(trace.observations) > last
    ]
    return min(EVEN, float(np.quantile(highest, 1.0 - CAUGHT))) if highest else EVEN


def _fit(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Weights that minimise the cross entropy, by Adam on shuffled batches."""
    n, width = x.shape
    weights = [
        rng.normal(size=(width, HIDDEN)) / np.sqrt(width),
        np.zeros(HIDDEN),
        np.zeros(HIDDEN),
        np.zeros(()),
    ]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    step = 0
    for _ in range(PASSES):
        order = rng.permutation(n)
        for begin in range(0, n, BATCH):
            rows = order[begin : begin + BATCH]
            step = step + 1
            for k, gradient in enumerate(_gradient(weights, x[rows], y[rows])):
                first[k] = MOMENTS[0] * first[k] + (1.0 - MOMENTS[0]) * gradient
                second[k] = MOMENTS[1] * second[k] + (1.0 - MOMENTS[1]) * gradient**2
                m = first[k] / (1.0 - MOMENTS[0] ** step)
                v = second[k] / (1.0 - MOMENTS[1] ** step)
                weights[k] = weights[k] - RATE * m / (np.sqrt(v) + 1e-8)
    w1, b1, w2, b2 = weights
    return w1, b1, w2, b2


def _gradient(weights: Sequence[Array], x: Array, y: Array) -> tuple[Array, ...]:
    """Gradient of the mean cross entropy, in the order of the weights."""
    w1, b1, w2, b2 = weights
    hidden = np.tanh(x @ w1 + b1)
    error = (_logistic(hidden @ w2 + b2) - y) / len(y)
    back = np.outer(error, w2) * (1.0 - hidden**2)
    return x.T @ back, back.sum(axis=0), hidden.T @ error, np.asarray(error.sum())


def _logistic(z: Array) -> Array:
    value: Array = 1.0 / (1.0 + np.exp(-np.clip(z, -60.0, 60.0)))
    return value
