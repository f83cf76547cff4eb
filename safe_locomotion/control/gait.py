"""Gait schedule: which foot carries the robot when (paper 1, section V).

It follows from frequency, swing ratio and phase offsets. The phase of a leg runs from 0 to 1 once a
stride: stance on [0, 1 - swing_ratio), swing on [1 - swing_ratio, 1). Legs that the gait wants
lifted leave it at their next lift-off (`control.lift`).
"""

from collections.abc import Sequence
from math import inf, isfinite
from typing import NamedTuple

import numpy as np

from safe_locomotion.control.lift import (
    NONE_LIFTED,
    Lift,
    after_landing,
    some_leg_left,
    until_lifted,
)
from safe_locomotion.errors import UnknownNameError
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array, Flags, GaitParameters

#: Phase of FL, RR, RL relative to FR [strides]; standard quadruped gaits.
PHASE_OFFSETS: dict[str, tuple[float, float, float]] = {
    "trot": (0.5, 0.5, 0.0),
    "pace": (0.5, 0.0, 0.5),
    "bound": (0.0, 0.5, 0.5),
    "pronk": (0.0, 0.0, 0.0),
    "walk": (0.5, 0.25, 0.75),
}

#: Share of a swing within which a foot may still lift off. Later it stays down, because its target
#: would jump ahead of it.
LATEST_LIFT_OFF = 0.1

#: Largest share of its swing that is assumed of a foot found in the air. What is left must be
#: enough to bring it to its foothold.
LATEST_CATCH = 0.75


#: Speed to the right from which on the right front foot steps first [m/s]. A body that must step
#: because it was pushed is faster, one that begins to walk is slower.
PUSHED_SPEED = 0.35


def phase_offsets(gait: str) -> tuple[float, float, float]:
    """Phase offsets of a gait by name.

    Raises:
        UnknownNameError: the gait is not in `PHASE_OFFSETS`.
    """
    try:
        return PHASE_OFFSETS[gait]
    except KeyError:
        raise UnknownNameError("gait", gait, sorted(PHASE_OFFSETS)) from None


def executable(gait: GaitParameters) -> bool:
    """Whether the parameters describe a gait.

    They must be finite, with a positive frequency and a swing ratio in (0, 1). At least two legs
    must be left to stand on.
    """
    finite = isfinite(sum(gait.phase_offsets) + sum(gait.foot_y))
    steps = 0.0 < gait.frequency < inf and 0.0 < gait.swing_ratio < 1.0
    return finite and steps and some_leg_left(gait.lifted)


def first_stride(speed_to_left: float) -> float:
    """Where in the stride a body begins to step that moves sideways at this speed [m/s].

    The front foot of the pair that swings first is on the side to which the body moves. In a trot
    from the start of the stride that is FL, half a stride later FR.
    """
    return 0.5 if speed_to_left < -PUSHED_SPEED else 0.0


NO_LIFTS: list[Lift | None] = [None] * N_LEGS


class GaitPhase(NamedTuple):
    """Where the legs are in their stride on one tick.

    Attributes:
        stance: (4,) feet scheduled to push.
        swing_progress: (4,) 0 at lift-off, 1 at touchdown; 0 in stance.
        time_to_touchdown: (4,) seconds left of the swing; 0 in stance.
        stance_duration, swing_duration: of a whole stance and swing [s].
        lifts: (4,) of the legs that have left the gait; None for the others. The time to touchdown
            of such a leg is the time that it needs to come down.
    """

    stance: tuple[bool, ...]
    swing_progress: tuple[float, ...]
    time_to_touchdown: tuple[float, ...]
    stance_duration: float
    swing_duration: float
    lifts: tuple[Lift | None, ...] = (None,) * N_LEGS


class GaitClock:
    """Integrates the phase of the stride.

    The gait parameters may change on every tick without a jump of that phase. A leg's own phase may
    start or land in the middle of a swing, because a stride begins or offsets change. Such a leg
    keeps its foot on the ground until its next lift-off.
    """

    def __init__(self) -> None:
        self._stride = 0.0
        self._stamp_ns: int | None = None
        self._stepping = False
        self._phases = [0.0] * N_LEGS
        self._held = [True] * N_LEGS
        self._passes = [False] * N_LEGS
        self._lifts: list[Lift | None] = [None] * N_LEGS

    def __copy__(self) -> "GaitClock":
        """A clock that goes on from here by itself."""
        twin = GaitClock.__new__(GaitClock)
        twin._stride = self._stride
        twin._stamp_ns = self._stamp_ns
        twin._stepping = self._stepping
        twin._phases = self._phases.copy()
        twin._held = self._held.copy()
        twin._passes = self._passes.copy()
        twin._lifts = self._lifts.copy()
        return twin

    @property
    def stepping(self) -> bool:
        """Whether any foot swings or will swing."""
        return self._stepping or not all(self._held)

    def update(
        self, stamp_ns: int, gait: GaitParameters, *, step: bool, begin: float = 0.0
    ) -> GaitPhase:
        """Advance to `stamp_ns`.

        Args:
            stamp_ns: robot time of this tick; one that jumps back stops the phase for a tick.
            gait: parameters in force now.
            step: False lets feet in the air finish their swing and starts none, and lets lifted
                feet come down. True after False starts a new stride.
            begin: where in the stride it starts, see `first_stride`.
        """
        elapsed = 0.0 if self._stamp_ns is None else max(0, stamp_ns - self._stamp_ns) / NANOSECONDS
        self._stamp_ns = stamp_ns
        advance = gait.frequency * elapsed
        if step and not self.stepping:
            self._stride = begin
            advance = 0.0
        self._stride = (self._stride + advance) % 1.0
        self._stepping = step
        # Not stepping: a foot once down stays down.
        latest = max(LATEST_LIFT_OFF, advance / gait.swing_ratio) if step else -inf
        return self._phase(gait, latest, elapsed, gait.lifted if step else NONE_LIFTED)

    def _phase(
        self, gait: GaitParameters, latest: float, elapsed: float, lifted: Sequence[bool]
    ) -> GaitPhase:
        """Phase of the legs at the present stride, `elapsed` [s] after the one before.

        A foot that is down stays down past the share `latest` of its swing.
        """
        swing_ratio = gait.swing_ratio
        lift_off = 1.0 - gait.swing_ratio
        swing_duration = swing_ratio / gait.frequency
        stride = self._stride
        held = self._held
        passes = self._passes
        lifts = self._lifts
        self._phases = [stride % 1.0, *[(stride + offset) % 1.0 for offset in gait.phase_offsets]]
        progress = [0.0] * N_LEGS
        left = [0.0] * N_LEGS
        for leg, phase in enumerate(self._phases):
            gone = (phase - lift_off) / swing_ratio
            lift = lifts[leg]
            if lift is not None:
                lifts[leg] = lift = lift.moved(lifted[leg], elapsed)
                held[leg] = lift is None
                passes[leg] = gone >= 0.0
                if lift is not None:
                    progress[leg] = lift.progress
                    left[leg] = lift.time_to_ground
            elif gone < 0.0:
                held[leg] = True
                passes[leg] = False
            elif not (held[leg] and (gone > latest or passes[leg])):
                if lifted[leg] and held[leg]:
                    lifts[leg] = Lift(0.0, True)
                else:
                    progress[leg] = gone
                    left[leg] = (1.0 - gone) * swing_duration
                held[leg] = False
        return GaitPhase(
            stance=tuple(held),
            swing_progress=tuple(progress),
            time_to_touchdown=tuple(left),
            stance_duration=lift_off / gait.frequency,
            swing_duration=swing_duration,
            lifts=tuple(lifts),
        )

    def follow(
        self,
        stamp_ns: int,
        gait: GaitParameters,
        air_time: Sequence[float],
        ground_time: Sequence[float],
    ) -> GaitPhase:
        """Set the phase to what the feet do while a joint policy moves the legs.

        So `update` can take over at any tick. A foot in the air is as far in its swing as it has
        been off the ground. With all feet down, the one that landed last is at its touchdown. Where
        the feet do not fit the gait, the phase that fits most of them counts. A foot that is down
        is in no swing, and it does not begin one that is going on now.

        Args:
            stamp_ns: robot time of this tick.
            gait: parameters in force now.
            air_time: (4,) for which each foot has been in the air, 0 on the ground [s].
            ground_time: (4,) for which it has been on the ground, 0 in the air [s].
        """
        ratio = gait.swing_ratio
        offsets = (0.0, *gait.phase_offsets)
        duration = ratio / gait.frequency
        lift_off = 1.0 - ratio
        flying = [leg for leg in range(N_LEGS) if air_time[leg] > 0.0]
        landed = min(range(N_LEGS), key=lambda leg: ground_time[leg])
        strides = [
            lift_off + ratio * min(air_time[leg] / duration, LATEST_CATCH) - offsets[leg]
            for leg in flying
        ]
        strides = strides or [-offsets[landed]]

        def fits(stride: float) -> int:
            return sum(
                ((stride + offsets[leg]) % 1.0 >= lift_off) == (air_time[leg] > 0.0)
                for leg in range(N_LEGS)
            )

        self._stamp_ns = stamp_ns
        self._stepping = True
        self._stride = max(strides, key=fits) % 1.0
        self._held = [time == 0.0 for time in air_time]
        self._lifts = [None] * N_LEGS
        phase = self._phase(gait, -inf, 0.0, NONE_LIFTED)
        self._passes = [
            held and at >= lift_off for held, at in zip(self._held, self._phases, strict=True)
        ]
        return phase

    def schedule(self, gait: GaitParameters, times: Sequence[float] | Array) -> Flags:
        """Stance flags (len(times), 4) at `times` [s] after the last update.

        The gait parameters are assumed to stay as they are.
        """
        held = self._held
        phases = self._phases
        lift_off = 1.0 - gait.swing_ratio
        ahead = gait.frequency * np.asarray(times)
        strides = np.add.outer(ahead, phases)
        # Not stepping, no new lift-off: a foot is down from its touchdown on.
        stance: Flags = strides % 1.0 < lift_off if self._stepping else (strides >= 1.0) | held
        for leg, phase in enumerate(phases if self._stepping else ()):
            if held[leg] and phase >= lift_off:  # it misses this swing
                stance[:, leg] |= strides[:, leg] < 1.0
        if any(gait.lifted) or self._lifts != NO_LIFTS:
            self._schedule_lifted(gait, ahead.tolist(), stance)
        return stance

    def later_touchdowns(self, gait: GaitParameters) -> list[float]:
        """Time from which each foot stands in the contact after its next swing [s].

        It is inf for a foot that will not lift off, and for a leg that has left the gait or shall
        leave it.
        """
        lift_off = 1.0 - gait.swing_ratio
        legs = zip(self._phases, self._held, self._lifts, gait.lifted, strict=True)
        return [
            ((1.0 if held and phase < lift_off else 2.0) - phase) / gait.frequency
            if self._stepping and lift is None and not lifted
            else inf
            for phase, held, lift, lifted in legs
        ]

    def _schedule_lifted(self, gait: GaitParameters, ahead: Sequence[float], stance: Flags) -> None:
        """Write the stance flags of legs that are lifted, shall be lifted, or come down."""
        lift_off = 1.0 - gait.swing_ratio
        for leg, (phase, lift) in enumerate(zip(self._phases, self._lifts, strict=True)):
            wanted = self._stepping and gait.lifted[leg]
            if lift is None:
                if wanted:
                    stance[:, leg] &= until_lifted(phase, lift_off, ahead)
            elif wanted:
                stance[:, leg] = False
            else:
                landing = gait.frequency * lift.time_to_ground
                ending = lift_off if self._stepping else 1.0
                stance[:, leg] = after_landing(phase, ending, landing, ahead)
