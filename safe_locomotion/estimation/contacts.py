"""Which feet carry load, from foot sensors with unknown zero and scale.

A foot sensor reads raw = zero + gain * load + noise. Zero and gain differ per foot and drift, and
the reading saturates. The joint torques give the load too. They need no calibration, but the
inertia of the moving leg disturbs them.

Where there are sensors, the torques calibrate them: a Kalman filter learns a line load = offset +
slope * raw for each foot. The load is regressed on the raw reading, because the regressor must have
little noise. Both loads are fused by their variances. A sensor that does not move with the load
loses its weight, so a dead sensor drops out without any switch.

A robot may have no foot sensors. Then the load by torque alone decides, with what the foot does:
one that moves over the ground, or hangs above it, carries nothing (`TorqueContact`).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from safe_locomotion.types import N_LEGS, Array, Flags


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactParameters:
    """How the load of a foot is read, and when it counts as contact.

    Attributes:
        threshold: load above which contact begins, as a share of a quarter of the robot's weight
            (15 N on an A1).
        hysteresis: contact ends below this share of the threshold.
        offset_deviation: standard deviation of a sensor's offset at the start [N]. The first guess
            is load = raw.
        slope_deviation: standard deviation of a sensor's slope at the start.
        offset_drift, slope_drift: random walks of both [N/sqrt(s)], [1/sqrt(s)].
        liveliness_time_constant: over which the variances of sensor and load are compared [s].
        live_share: a sensor that shows less than this share of the load's variance loses weight. A
            stuck sensor loses all of it.
        live_load: smallest standard deviation of the load for this comparison [N].
        correlation: successive errors of the load by torque are correlated, because they share the
            gait's inertia. Of the loads used (every fourth), one in so many counts as new.
        sensor_noise: of a raw reading [N].
        torque_noise: of the load by torque. First for a leg at rest [N], then the increase per
            speed of the foot, from the leg's inertia [N s/m].
        clip: loads beyond +-clip quarter weights are clipped before they calibrate, because real
            sensors saturate there.
    """

    threshold: float = 0.48
    hysteresis: float = 0.7
    offset_deviation: float = 40.0
    slope_deviation: float = 0.5
    offset_drift: float = 1.0
    slope_drift: float = 0.01
    liveliness_time_constant: float = 2.0
    live_share: float = 0.2
    live_load: float = 15.0
    correlation: float = 2.5
    sensor_noise: float = 4.0
    torque_noise: tuple[float, float] = (8.0, 20.0)
    clip: float = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TorqueContactParameters:
    """When a foot without a sensor counts as on the ground.

    Attributes:
        threshold: as in `ContactParameters`.
        speed: a foot that moves faster over the ground swings [m/s].
        height, slow: a foot whose sole is higher above the ground plane swings already at the lower
            speed `slow` [m], [m/s]. At rest it may stand on a step.
        lost_after: without any foot on the ground for so long, speed and height do not count [s].
    """

    threshold: float = 0.48
    speed: float = 0.6
    height: float = 0.03
    slow: float = 0.2
    lost_after: float = 0.15


class ContactDetector:
    """Contact of each foot, from its fused load with hysteresis.

    Attributes:
        load: of each foot [N].
        contact: (4,) feet that carry load.
    """

    def __init__(self, parameters: ContactParameters, *, weight: float) -> None:
        """Start without a calibration.

        Args:
            parameters: see there.
            weight: of the whole robot [N].
        """
        self.parameters = parameters
        self._on = parameters.threshold * weight / N_LEGS
        self._off = parameters.hysteresis * self._on
        self._clip = parameters.clip * weight / N_LEGS
        self.reset()

    def reset(self) -> None:
        """Forget the calibration and every contact."""
        p = self.parameters
        self._feet = [
            _Line(0.0, 1.0, p.offset_deviation**2, 0.0, p.slope_deviation**2) for _ in range(N_LEGS)
        ]
        self._turn = 0  # one foot learns on each tick, because successive readings are alike
        self.load: list[float] = [0.0] * N_LEGS
        self.contact: Flags = np.zeros(N_LEGS, dtype=np.bool_)

    @property
    def zero(self) -> Array:
        """(4,) raw reading of each foot without load [N]."""
        return np.array([-line.offset / max(line.slope, 1e-6) for line in self._feet])

    @property
    def gain(self) -> Array:
        """(4,) change of the raw reading per load."""
        return np.array([1.0 / max(line.slope, 1e-6) for line in self._feet])

    def update(
        self, foot_force: Array, torque_load: list[float], foot_speed: list[float], dt: float
    ) -> Flags:
        """Contact (4,) after one more reading.

        Args:
            foot_force: (4,) raw sensors [N].
            torque_load: (4,) load from the joint torques [N].
            foot_speed: (4,) of the feet relative to the base [m/s].
            dt: time since the last reading [s].
        """
        rest, per_speed = self.parameters.torque_noise
        load: list[float] = self.load
        contact: list[bool] = self.contact.tolist()
        for i, raw in enumerate(foot_force.tolist()):
            variance = (rest + per_speed * foot_speed[i]) ** 2
            if i == self._turn:
                self._calibrate(self._feet[i], raw, torque_load[i], variance, N_LEGS * dt)
            load[i] = self._read(self._feet[i], raw, torque_load[i], variance)
            contact[i] = load[i] > (self._off if contact[i] else self._on)
        self._turn = (self._turn + 1) % N_LEGS
        self.contact = np.array(contact)
        return self.contact

    def _calibrate(
        self, line: "_Line", raw: float, torque_load: float, torque_variance: float, dt: float
    ) -> None:
        """Learn one sensor's line from the load that the torques give."""
        p = self.parameters
        load = min(self._clip, max(-self._clip, torque_load))
        line.oo += p.offset_drift**2 * dt
        line.ss += p.slope_drift**2 * dt
        line.watch(raw, load, min(1.0, dt / p.liveliness_time_constant))
        line.learn(raw, load, p.correlation * torque_variance)
        line.excess = line.deadness(p.live_share, p.live_load)

    def _read(self, line: "_Line", raw: float, torque_load: float, torque_variance: float) -> float:
        """Mean of both loads, weighted by their variances [N]."""
        noise = self.parameters.sensor_noise * line.slope
        variance = line.oo + raw * (2.0 * line.os + raw * line.ss) + noise * noise + line.excess
        sensed = line.offset + line.slope * raw
        return torque_load + torque_variance / (torque_variance + variance) * (sensed - torque_load)


class TorqueContact:
    """Contact of each foot of a robot without foot sensors.

    Around the apex of a swing the inertia of the leg looks like a load. There the foot moves fast,
    or is high above the ground, so it does not count. Where no foot stands by this rule for
    `lost_after`, the motion is believed no longer, because the velocity that it is judged by may be
    wrong.

    Attributes:
        load: of each foot [N]; 0 without contact.
        contact: (4,) feet that carry load.
    """

    def __init__(
        self, parameters: ContactParameters, rules: TorqueContactParameters, *, weight: float
    ) -> None:
        """Start without contact; `weight` is that of the whole robot [N]."""
        self._on = rules.threshold * weight / N_LEGS
        self._off = parameters.hysteresis * self._on
        self._rules = rules
        self.reset()

    def reset(self) -> None:
        """Forget every contact."""
        self.load: list[float] = [0.0] * N_LEGS
        self.contact: Flags = np.zeros(N_LEGS, dtype=np.bool_)
        self._lost = 0.0

    def update(
        self, torque_load: list[float], speed: list[float], height: list[float], dt: float
    ) -> Flags:
        """Contact (4,) after one more reading.

        Args:
            torque_load: (4,) load from the joint torques [N].
            speed: (4,) of the feet over the ground [m/s].
            height: (4,) of the soles above the ground plane [m].
            dt: time since the last reading [s].
        """
        r = self._rules
        known = self._lost < r.lost_after
        contact: list[bool] = self.contact.tolist()
        for i, load in enumerate(torque_load):
            fastest = r.speed if height[i] <= r.height else r.slow
            still = not known or speed[i] <= fastest
            contact[i] = still and load > (self._off if contact[i] else self._on)
            self.load[i] = load if contact[i] else 0.0
        self._lost = 0.0 if any(contact) and known else self._lost + dt
        if self._lost > 2.0 * r.lost_after:
            self._lost = 0.0
        self.contact = np.array(contact)
        return self.contact


@dataclass(slots=True)
class _Line:
    """Calibration of one foot: load = offset + slope * raw.

    Attributes:
        offset, slope: of the line.
        oo, os, ss: covariance of offset and slope.
        raw_mean, raw_variance, load_mean, load_variance: running moments of both readings.
        excess: extra variance of a sensor that moves too little [N2].
    """

    offset: float
    slope: float
    oo: float
    os: float
    ss: float
    raw_mean: float | None = None
    raw_variance: float = 0.0
    load_mean: float = 0.0
    load_variance: float = 0.0
    excess: float = 0.0

    def watch(self, raw: float, load: float, gain: float) -> None:
        """Follow mean and variance of both readings."""
        if self.raw_mean is None:
            self.raw_mean = raw
            self.load_mean = load
        d_raw = raw - self.raw_mean
        d_load = load - self.load_mean
        self.raw_mean += gain * d_raw
        self.load_mean += gain * d_load
        self.raw_variance += gain * (d_raw * d_raw - self.raw_variance)
        self.load_variance += gain * (d_load * d_load - self.load_variance)

    def deadness(self, live_share: float, live_load: float) -> float:
        """Extra variance [N2] of a sensor that moves less than its load.

        It is 0 for a live sensor, and grows without bound for a stuck one.
        """
        wanted = live_share * self.load_variance
        shown = self.slope * self.slope * self.raw_variance
        if shown >= wanted or self.load_variance <= live_load * live_load:
            return 0.0
        return self.load_variance * (wanted / max(shown, 1e-9) - 1.0)

    def learn(self, raw: float, load: float, variance: float) -> None:
        """Kalman correction with load = offset + slope * raw + noise.

        An innovation beyond 3 sigma counts as 3 sigma.
        """
        h_o = self.oo + self.os * raw
        h_s = self.os + self.ss * raw
        s = h_o + h_s * raw + variance
        bound = 3.0 * sqrt(s)
        error = min(bound, max(-bound, load - self.offset - self.slope * raw))
        k_o = h_o / s
        k_s = h_s / s
        self.offset += k_o * error
        self.slope = max(0.0, self.slope + k_s * error)
        self.oo -= k_o * h_o
        self.os -= k_o * h_s
        self.ss -= k_s * h_s
