"""Numbers of the algorithm: what the paper says, and what it leaves open.

`docs/experiments_alarm.md` lists where the paper is silent, and what we chose.
"""

from dataclasses import dataclass

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.training.joint.alarm.learning.world import N_COSTS

N_IMPLICIT = 16  #: width of i_t, as in the authors' published networks


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Numbers of the learner. Where no source is named, they are those of legged_gym.

    Attributes:
        horizon: policy steps T of one iteration.
        epochs, minibatches: of one update.
        gamma, lam: discount and lambda of the generalised advantage estimation.
        clip: of the probability ratio and of the change of a value.
        rate: of Adam at first; it then follows the KL divergence.
        rates: smallest and largest one.
        kl: divergence between the policies of two iterations that the rate aims at.
        regression_rate: of Adam for student and decoder.
        entropy: weight of the entropy of the actions.
        value: weight of the loss of the values.
        gradient: largest norm of the gradient of actor, critic and regression, each apart.
        kappa: weight of each constraint (section II.C of the paper).
        limits: epsilon of each constraint (section II.C).
        sigma_floor: smallest sigma of a cost advantage. It keeps the noise of the critic small
            where a cost never happens.
        delta: increment of beta; the paper names no number.
        most_flagged: share of flagged robots above which the teacher is frozen.
        hidden: cells of each LSTM (table III).
        layers: hidden layers of each MLP (table III).
        deviation: of the actions at first.
        first_stage: share of the steps in which `two_stage` trains its teacher; the paper's
            figure 3 has 3,000 of 10,000 iterations.
        highest: level of the most difficult terrain (section III.A).
        spare: rows for further episodes within a window, as shares of the robots. The update takes
            the first that is enough. Episodes beyond the last are left out and counted.
    """

    horizon: int = 24
    epochs: int = 5
    minibatches: int = 4
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    rate: float = 1e-3
    rates: tuple[float, float] = (1e-5, 1e-2)
    kl: float = 0.01
    regression_rate: float = 1e-3
    entropy: float = 0.01
    value: float = 1.0
    gradient: float = 1.0
    kappa: float = 1.0
    limits: tuple[float, ...] = (0.0,) * N_COSTS
    sigma_floor: float = 0.1
    delta: float = 0.004
    most_flagged: float = 0.5
    hidden: int = 256
    layers: tuple[int, ...] = (256, 128, 64)
    deviation: float = 1.0
    first_stage: float = 0.3
    highest: int = 9
    spare: tuple[float, ...] = (0.125, 0.5, 2.0)

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be learned, NaN included."""
        counts = ("horizon", "epochs", "minibatches", "hidden")
        for name in counts:
            if not getattr(self, name) >= 1:
                raise ConfigurationError(f"{name}: must be at least 1")
        positive = ("clip", "rate", "kl", "regression_rate", "gradient", "sigma_floor", "deviation")
        for name in positive:
            value = getattr(self, name)
            if not 0.0 < value < float("inf"):
                raise ConfigurationError(f"{name}: must be positive (found {value})")
        for name in ("gamma", "lam", "delta", "most_flagged", "first_stage"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ConfigurationError(f"{name}: must lie within 0..1 (found {value})")
        if not self.gamma < 1.0:
            raise ConfigurationError("gamma: must be below 1: costs are scaled by 1 - gamma")
