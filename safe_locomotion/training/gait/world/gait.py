"""Gait clocks of many robots: `control.gait.GaitClock` as Warp functions.

Each robot has one clock. Phases are in double precision and are computed in the order of the
onboard clock. So both judge a phase alike that meets the end of its stance, as it often does in a
gait whose parameters stay. Legs may be lifted, see `control.lift`.
"""

from typing import Any

import warp as wp

from safe_locomotion.control.gait import LATEST_LIFT_OFF
from safe_locomotion.control.lift import LIFT_TIME
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array3, Doubles1, Doubles2
from safe_locomotion.types import N_LEGS

LATEST = wp.constant(wp.float64(LATEST_LIFT_OFF))
NEVER = wp.constant(wp.float64(-1.0e9))
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
HALF = wp.constant(wp.float64(0.5))
NO_TOUCHDOWN = wp.constant(wp.float64(1.0e9))
LIFTS_FOR = wp.constant(wp.float64(LIFT_TIME))


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
        passes: (B, 4) 1 for a foot that has come down and misses the swing that is going on.
        wanted: (B, 4) 1 for a leg that the gait wants lifted.
        raised: (B, 4) 1 for a leg that has left the gait, because it is lifted or comes down.
        share: (B, 4) of the way up of such a leg.
    """

    stride: Doubles1
    stepping: Array1
    phases: Doubles2
    held: Array2
    progress: Doubles2
    left: Array2
    passes: Array2
    wanted: Array2
    raised: Array2
    share: Doubles2


def gait_clocks(robots: int, device: str) -> Any:
    """Clocks of so many robots that have not started, on a device of Warp."""
    clocks = GaitClocks()
    clocks.stride = wp.zeros(robots, dtype=wp.float64, device=device)
    clocks.stepping = wp.zeros(robots, dtype=float, device=device)
    clocks.phases = wp.zeros((robots, N_LEGS), dtype=wp.float64, device=device)
    clocks.held = wp.full((robots, N_LEGS), 1.0, dtype=float, device=device)
    clocks.progress = wp.zeros((robots, N_LEGS), dtype=wp.float64, device=device)
    for name in ("left", "passes", "wanted", "raised"):
        setattr(clocks, name, wp.zeros((robots, N_LEGS), dtype=float, device=device))
    clocks.share = wp.zeros((robots, N_LEGS), dtype=wp.float64, device=device)
    return clocks


@wp.func
def restart_clock(clocks: GaitClocks, robot: int) -> None:
    """Make one clock a new one."""
    clocks.stride[robot] = ZERO
    clocks.stepping[robot] = 0.0
    for leg in range(4):
        clocks.phases[robot, leg] = ZERO
        clocks.held[robot, leg] = 1.0
        clocks.passes[robot, leg] = 0.0
        clocks.wanted[robot, leg] = 0.0
        clocks.raised[robot, leg] = 0.0
        clocks.share[robot, leg] = ZERO


@wp.func
def fraction(value: wp.float64) -> wp.float64:
    """Part of a number past its floor, in [0, 1)."""
    return value - wp.floor(value)


@wp.func
def any_swings(clocks: GaitClocks, robot: int) -> bool:
    """Whether any foot swings or is going to; `GaitClock.stepping`."""
    held = float(1.0)
    for leg in range(4):
        held = wp.min(held, clocks.held[robot, leg])
    return clocks.stepping[robot] > 0.5 or held < 0.5


@wp.func
def move_raised(
    clocks: GaitClocks, robot: int, leg: int, elapsed: wp.float64, gone: wp.float64
) -> None:
    """Move a leg that has left the gait up or down; `control.lift.Lift.moved`.

    A leg that has come down is in the gait again. It misses the swing that is `gone` so far.
    """
    wanted = clocks.wanted[robot, leg] > 0.5
    way = elapsed / LIFTS_FOR
    share = clocks.share[robot, leg] - way
    if wanted:
        share = wp.min(ONE, clocks.share[robot, leg] + way)
    up = wanted or share > ZERO
    clocks.raised[robot, leg] = wp.where(up, 1.0, 0.0)
    clocks.held[robot, leg] = wp.where(up, 0.0, 1.0)
    clocks.passes[robot, leg] = wp.where(gone >= ZERO, 1.0, 0.0)
    clocks.share[robot, leg] = ZERO
    if up:
        clocks.share[robot, leg] = share
        clocks.progress[robot, leg] = wp.where(wanted, HALF * share, ONE - HALF * share)
        clocks.left[robot, leg] = float(share * LIFTS_FOR)


@wp.func
def swing_leg(
    clocks: GaitClocks,
    robot: int,
    leg: int,
    gone: wp.float64,
    latest: wp.float64,
    ratio: wp.float64,
    frequency: wp.float64,
) -> None:
    """Let a leg follow the gait; one that the gait wants lifted leaves it at its lift-off."""
    held = clocks.held[robot, leg] > 0.5
    misses = gone > latest or clocks.passes[robot, leg] > 0.5
    if gone < ZERO:
        clocks.held[robot, leg] = 1.0
        clocks.passes[robot, leg] = 0.0
    elif not (held and misses):
        clocks.held[robot, leg] = 0.0
        if held and clocks.wanted[robot, leg] > 0.5:
            clocks.raised[robot, leg] = 1.0
        else:
            clocks.progress[robot, leg] = gone
            clocks.left[robot, leg] = float((ONE - gone) * ratio / frequency)


@wp.func
def advance_clock(
    clocks: GaitClocks, robot: int, elapsed: wp.float64, gait: Array2, lifted: Array2, step: bool
) -> None:
    """Advance one clock; the twin of `GaitClock.update`.

    Args:
        clocks: all clocks.
        robot: which one.
        elapsed: since the last update [s].
        gait: (B, 9) frequency [Hz], swing ratio, offsets of FL, RR, RL, foot y of all legs.
        lifted: (B, 4) 1 for a leg that the gait holds in the air.
        step: False lets feet in the air finish their swing and starts none.
    """
    frequency = wp.float64(gait[robot, 0])
    ratio = wp.float64(gait[robot, 1])
    advance = frequency * elapsed
    if step and not any_swings(clocks, robot):
        clocks.stride[robot] = ZERO
        advance = ZERO
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
            phase = fraction(stride + wp.float64(gait[robot, 1 + leg]))
        gone = (phase - (ONE - ratio)) / ratio
        wanted = step and lifted[robot, leg] > 0.5
        clocks.phases[robot, leg] = phase
        clocks.wanted[robot, leg] = wp.where(wanted, 1.0, 0.0)
        clocks.progress[robot, leg] = ZERO
        clocks.left[robot, leg] = 0.0
        if clocks.raised[robot, leg] > 0.5:
            move_raised(clocks, robot, leg, elapsed, gone)
        else:
            swing_leg(clocks, robot, leg, gone, latest, ratio, frequency)


@wp.func
def lands_to_push(
    clocks: GaitClocks,
    robot: int,
    leg: int,
    frequency: wp.float64,
    lift_off: wp.float64,
    ahead: wp.float64,
) -> bool:
    """Whether a leg that has left the gait pushes `ahead` strides from now.

    The twin of `control.lift.after_landing`; a leg that stays lifted does not push.
    """
    phase = clocks.phases[robot, leg]
    landing = frequency * (clocks.share[robot, leg] * LIFTS_FOR)
    lands = phase + landing
    ending = wp.where(clocks.stepping[robot] > 0.5, lift_off, ONE)
    until = lands
    if fraction(lands) >= ending:
        until = lands - fraction(lands) + ONE
    down = ahead >= landing and (fraction(phase + ahead) < ending or phase + ahead < until)
    return down and clocks.wanted[robot, leg] < 0.5


@wp.func
def later_touchdown(clocks: GaitClocks, robot: int, leg: int, gait: Array2) -> wp.float64:
    """Time from which a foot stands in the contact after its next swing [s].

    The twin of `GaitClock.later_touchdowns`; `NO_TOUCHDOWN` stands for inf.
    """
    phase = clocks.phases[robot, leg]
    lift_off = ONE - wp.float64(gait[robot, 1])
    ends = ONE + ONE
    if clocks.held[robot, leg] > 0.5 and phase < lift_off:
        ends = ONE
    touchdown = (ends - phase) / wp.float64(gait[robot, 0])
    left = clocks.raised[robot, leg] > 0.5 or clocks.wanted[robot, leg] > 0.5
    if left or clocks.stepping[robot] < 0.5:
        touchdown = NO_TOUCHDOWN
    return touchdown


@wp.func
def schedule_stance(
    clocks: GaitClocks, robot: int, gait: Array2, dt: wp.float64, stance: Array3
) -> None:
    """Write who pushes during each step of the horizon; the twin of `GaitClock.schedule`.

    Args:
        clocks: all clocks.
        robot: which one.
        gait: (B, 9) as for `advance_clock`.
        dt: length of a step [s]; each is judged in its middle.
        stance: (B, N, 4) flags, written. Those of the first step are the scheduled ones.
    """
    frequency = wp.float64(gait[robot, 0])
    lift_off = ONE - wp.float64(gait[robot, 1])
    for step in range(stance.shape[1]):
        ahead = frequency * (dt * (wp.float64(step) + HALF))
        for leg in range(4):
            phase = clocks.phases[robot, leg]
            held = clocks.held[robot, leg] > 0.5
            pushes = fraction(phase + ahead) < lift_off
            if clocks.stepping[robot] < 0.5:
                pushes = held or phase + ahead >= ONE
            elif held and phase >= lift_off and phase + ahead < ONE:
                pushes = True  # it misses this swing
            if clocks.raised[robot, leg] > 0.5:
                pushes = lands_to_push(clocks, robot, leg, frequency, lift_off, ahead)
            elif clocks.wanted[robot, leg] > 0.5:
                stays = lift_off + wp.where(phase < lift_off, ZERO, ONE)
                pushes = pushes and phase + ahead < stays
            stance[robot, step, leg] = wp.where(pushes, 1.0, 0.0)
