"""Trigger sets of many robots: `safety.trigger_set` as Warp functions, on flat ground.

The ground is level there. So attitudes against the vertical and against the ground are the same,
and so are heights in odom and above the feet. Boxes, lookahead and measure of the roll rate may
differ from robot to robot. A component that is NaN is never safe.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.safety.trigger_set import (
    N_COMPONENTS,
    SHARE_OF_CYCLE,
    TriggerSet,
    TriggerSetParameters,
)
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array4, Doubles1
from safe_locomotion.training.gait.world.estimates import Estimates
from safe_locomotion.training.gait.world.mean_roll_rate import (
    RollHistories,
    add_roll_rate,
    averaging_window,
    mean_roll_rate,
    predicted_mean,
)

HEIGHT = wp.constant(0)
ROLL = wp.constant(1)
PITCH = wp.constant(2)
LATERAL_VELOCITY = wp.constant(3)
ROLL_RATE = wp.constant(4)
COMPONENTS = wp.constant(N_COMPONENTS)
PAPERS_SHARE = wp.constant(wp.float64(0.0))


@wp.struct
class TriggerSets:
    """Boxes of safe states, and how their components are measured.

    Attributes:
        low, high: (B, 5) corners of the boxes.
        share: (B,) window of the mean roll rate, as a share of the gait cycle; 0 for the rate of
            the gyroscope.
        lookahead: (B,) time for which height, roll and pitch are extrapolated [s].
    """

    low: Array2
    high: Array2
    share: Doubles1
    lookahead: Array1


def trigger_sets(
    measures: Sequence[TriggerSetParameters], failure_height: float, device: str
) -> Any:
    """The boxes in use and their measures, one of each per robot.

    Raises:
        ConfigurationError: a box does not contain falls.
    """
    boxes = [TriggerSet(chosen.bounds, failure_height) for chosen in measures]
    shares = [SHARE_OF_CYCLE[chosen.roll_rate] for chosen in measures]
    out = TriggerSets()
    low = np.array([box.low for box in boxes], dtype=np.float32)
    high = np.array([box.high for box in boxes], dtype=np.float32)
    out.low = wp.array(low, dtype=float, device=device)
    out.high = wp.array(high, dtype=float, device=device)
    out.share = wp.array(shares, dtype=wp.float64, device=device)
    out.lookahead = wp.array([chosen.lookahead for chosen in measures], dtype=float, device=device)
    return out


@wp.func
def tilt(rotation: wp.mat33) -> wp.vec2:
    """Roll and pitch [rad]; NaN where the rotation is not a number."""
    x = rotation[2, 0]
    pitch = wp.asin(wp.clamp(-x, -1.0, 1.0))
    return wp.vec2(
        wp.atan2(rotation[2, 1], rotation[2, 2]), wp.where(wp.isfinite(x), pitch, wp.NAN)
    )


@wp.func
def tilt_ahead(angles: wp.vec2, rates: wp.vec3, ahead: float) -> wp.vec2:
    """Roll and pitch [rad] that go on for `ahead` [s] at rates in base [rad/s]."""
    s = wp.sin(angles[0])
    c = wp.cos(angles[0])
    rolled = rates[0] + wp.tan(angles[1]) * (s * rates[1] + c * rates[2])
    pitched = c * rates[1] - s * rates[2]
    return angles + ahead * wp.vec2(rolled, pitched)


@wp.func
def lateral_velocity(rotation: wp.mat33, velocity: wp.vec3) -> float:
    """Velocity along y of the body's heading [m/s]; NaN if the body's x axis is vertical."""
    x = rotation[0, 0]
    y = rotation[1, 0]
    length = wp.sqrt(x * x + y * y)
    return wp.where(length > 0.0, (x * velocity[1] - y * velocity[0]) / length, wp.NAN)


@wp.func
def measure_components(
    sets: TriggerSets,
    histories: RollHistories,
    judged: int,
    estimates: Estimates,
    robot: int,
    frequency: float,
    values: Array2,
) -> None:
    """Write the components now; `TriggerState.update`.

    Args:
        sets, histories: of the robots that are judged.
        judged: number of the robot among these.
        estimates: of all robots of the world.
        robot: its number in the world.
        frequency: of the gait that drives [Hz].
        values: (B, 5), row `robot` is written.
    """
    rotation = estimates.rotation[robot]
    velocity = estimates.velocity[robot]
    rates = estimates.rates[robot]
    ahead = sets.lookahead[judged]
    share = sets.share[judged]
    angles = tilt(rotation)
    if ahead > 0.0:
        angles = tilt_ahead(angles, rates, ahead)
    rate = rates[0]
    add_roll_rate(histories, judged, rate)
    if share > PAPERS_SHARE and wp.isfinite(rate):
        rate = mean_roll_rate(histories, judged, averaging_window(share, frequency))
    values[robot, HEIGHT] = estimates.position[robot][2] + ahead * velocity[2]
    values[robot, ROLL] = angles[0]
    values[robot, PITCH] = angles[1]
    values[robot, LATERAL_VELOCITY] = lateral_velocity(rotation, velocity)
    values[robot, ROLL_RATE] = rate


@wp.func
def within_box(sets: TriggerSets, judged: int, component: int, value: float) -> bool:
    """Whether a component lies between its bounds; never for NaN."""
    return value >= sets.low[judged, component] and value <= sets.high[judged, component]


@wp.func
def measured_safe(sets: TriggerSets, judged: int, values: Array2, robot: int) -> bool:
    """Whether no measured component lies outside; `TriggerSet.triggers` is empty."""
    safe = bool(True)
    for component in range(COMPONENTS):
        safe = safe and within_box(sets, judged, component, values[robot, component])
    return safe


@wp.func
def change_since(states: Array4, judged: int, row: int, step: int, column: int) -> float:
    """Change of one number of a predicted state since now."""
    return states[judged, row, step, column] - states[judged, row, 0, column]


@wp.func
def predicted_component(
    sets: TriggerSets,
    histories: RollHistories,
    judged: int,
    measured: float,
    component: int,
    states: Array4,
    row: int,
    step: int,
    dt: wp.float64,
    frequency: float,
) -> float:
    """Component of a predicted state; `TriggerState.predicted`.

    The predicted change is added to what is measured now.

    Args:
        sets, histories: of the robots that are judged.
        judged: number of the robot among these.
        measured: the component now.
        component: which one.
        states: (B, H, W + 1, 12) predicted centroidal states, the first of a row now.
        row: which prediction.
        step: number of the state in its row.
        dt: time between two states [s].
        frequency: of the gait that will be in force then [Hz].
    """
    ahead = sets.lookahead[judged]
    share = sets.share[judged]
    if component == HEIGHT:
        climb = change_since(states, judged, row, step, 11)
        return measured + change_since(states, judged, row, step, 5) + ahead * climb
    if component == LATERAL_VELOCITY:
        return measured + change_since(states, judged, row, step, 10)
    if component == ROLL_RATE:
        if share > PAPERS_SHARE:
            window = averaging_window(share, frequency)
            return predicted_mean(histories, judged, states, row, step, dt, window)
        return measured + change_since(states, judged, row, step, 6)
    axis = component - ROLL
    turn = change_since(states, judged, row, step, 6 + axis)
    return measured + change_since(states, judged, row, step, axis) + ahead * turn
