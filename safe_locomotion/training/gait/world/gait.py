"""Gait clocks of many robots: `control.gait.GaitClock` as Warp functions.

Each robot has one clock. A clock integrates the phase of the stride in float32, so flags can differ
from the onboard clock where a leg's phase meets the end of its stance to within 1e-5 strides.
"""

import warp as wp

from safe_locomotion.control.gait import LATEST_LIFT_OFF
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array3

LATEST = wp.constant(LATEST_LIFT_OFF)
NEVER = wp.constant(-1.0e9)


@wp.struct
class GaitClocks:
    """Clocks and the phases of their last update.

    Attributes:
        stride: (B,) phase of the stride of FR.
        stepping: (B,) 1 while the gait wants steps.
        phases: (B, 4) of the legs.
        held: (B, 4) 1 for a foot that is scheduled to push.
        progress: (B, 4) of a swing, 0 at lift-off and in stance, 1 at touchdown.
        left: (B, 4) time to touchdown, 0 in stance [s].
    """

    stride: Array1
    stepping: Array1
    phases: Array2
    held: Array2
    progress: Array2
    left: Array2


@wp.func
def fraction(value: float) -> float:
    """Part of a number past its floor, in [0, 1)."""
    return value - wp.floor(value)


@wp.func
def any_swings(clocks: GaitClocks, robot: int) -> bool:
    """Whether any foot swings or is going to."""
    held = float(1.0)
    for leg in range(4):
        held = wp.min(held, clocks.held[robot, leg])
    return clocks.stepping[robot] > 0.5 or held < 0.5


@wp.func
def advance_clock(clocks: GaitClocks, robot: int, elapsed: float, gait: Array2, step: bool) -> None:
    """Advance one clock; the twin of `GaitClock.update`.

    Args:
        clocks: all clocks.
        robot: which one.
        elapsed: since the last update [s].
        gait: (B, 9) frequency [Hz], swing ratio, offsets of FL, RR, RL, foot y of all legs.
        step: False lets feet in the air finish their swing and starts none.
    """
    frequency = gait[robot, 0]
    ratio = gait[robot, 1]
    advance = frequency * elapsed
    if step and not any_swings(clocks, robot):
        clocks.stride[robot] = 0.0
        advance = 0.0
    stride = fraction(clocks.stride[robot] + advance)
    latest = NEVER
    clocks.stepping[robot] = 0.0
    if step:
        latest = wp.max(LATEST, advance / ratio)
        clocks.stepping[robot] = 1.0
    clocks.stride[robot] = stride
    for leg in range(4):
        phase = stride
        if leg > 0:
            phase = fraction(stride + gait[robot, 1 + leg])
        gone = (phase - (1.0 - ratio)) / ratio
        swings = gone >= 0.0 and not (clocks.held[robot, leg] > 0.5 and gone > latest)
        clocks.phases[robot, leg] = phase
        clocks.held[robot, leg] = wp.where(swings or gone >= 0.0, clocks.held[robot, leg], 1.0)
        clocks.progress[robot, leg] = 0.0
        clocks.left[robot, leg] = 0.0
        if swings:
            clocks.held[robot, leg] = 0.0
            clocks.progress[robot, leg] = gone
            clocks.left[robot, leg] = (1.0 - gone) * ratio / frequency


@wp.func
def schedule_stance(
    clocks: GaitClocks, robot: int, gait: Array2, dt: float, stance: Array3
) -> None:
    """Write who pushes during each step of the horizon; the twin of `GaitClock.schedule`.

    Args:
        clocks: all clocks.
        robot: which one.
        gait: (B, 9) as for `advance_clock`.
        dt: length of a step [s]; each is judged in its middle.
        stance: (B, N, 4) flags, written. Those of the first step are the scheduled ones.
    """
    frequency = gait[robot, 0]
    lift_off = 1.0 - gait[robot, 1]
    for step in range(stance.shape[1]):
        ahead = frequency * dt * (float(step) + 0.5)
        for leg in range(4):
            phase = clocks.phases[robot, leg]
            held = clocks.held[robot, leg] > 0.5
            pushes = fraction(phase + ahead) < lift_off
            if clocks.stepping[robot] < 0.5:
                pushes = held or phase + ahead >= 1.0
            elif held and phase >= lift_off and phase + ahead < 1.0:
                pushes = True  # it misses this swing
            stance[robot, step, leg] = wp.where(pushes, 1.0, 0.0)
