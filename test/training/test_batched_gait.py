"""Batched gait clocks, footholds, swings and references are those of the onboard controller."""

import numpy as np
import pytest

pytest.importorskip("warp")

import warp as wp

from safe_locomotion.control.gait import GaitClock
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array3
from safe_locomotion.training.gait.world.gait import (
    GaitClocks,
    advance_clock,
    gait_clocks,
    schedule_stance,
)
from safe_locomotion.types import NANOSECONDS, Array, Flags, GaitParameters

ROBOTS = 32
TICK_NS = 4_000_000
DT = 0.04
MIDDLES: list[float] = (DT * np.arange(0.5, 10.0)).tolist()
TROT = np.array([2.5, 0.45, 0.5, 0.5, 0.0, -0.13, 0.13, -0.13, 0.13])
NONE = np.zeros((ROBOTS, 4), dtype=np.bool_)  # lifted legs
ROUNDING = 1e-6  # [strides, s]; results are in single precision


@wp.kernel
def advance(
    clocks: GaitClocks,
    gait: Array2,
    lifted: Array2,
    step: Array1,
    elapsed: wp.float64,
    stance: Array3,
) -> None:
    robot = wp.tid()
    advance_clock(clocks, robot, elapsed, gait, lifted, step[robot] > 0.5)
    schedule_stance(clocks, robot, gait, wp.float64(0.04), stance)


def floats(values: object) -> wp.array:
    """An array of float32 on Warp's CPU device."""
    return wp.array(np.asarray(values, dtype=np.float32), dtype=float)


def rounded(values: Array) -> Array:
    """What float32 makes of these numbers."""
    return values.astype(np.float32).astype(np.float64)


def wander(gait: Array, rng: np.random.Generator) -> Array:
    """One step of a random walk of the gait parameters."""
    steps = 0.03 * rng.standard_normal((ROBOTS, 5))
    moved = gait.copy()
    moved[:, 0] = np.clip(gait[:, 0] + 5.0 * steps[:, 0], 1.5, 4.0)
    moved[:, 1] = np.clip(gait[:, 1] + steps[:, 1], 0.3, 0.7)
    moved[:, 2:5] = (gait[:, 2:5] + steps[:, 2:]) % 1.0
    return rounded(moved)


def parameters(row: Array, lifted: Flags) -> GaitParameters:
    """One row of gait parameters, as onboard."""
    frequency, ratio, fl, rr, rl, *foot_y = row.tolist()
    return GaitParameters(
        frequency=frequency,
        swing_ratio=ratio,
        phase_offsets=(fl, rr, rl),
        foot_y=(foot_y[0], foot_y[1], foot_y[2], foot_y[3]),
        lifted=(bool(lifted[0]), bool(lifted[1]), bool(lifted[2]), bool(lifted[3])),
    )


class Clocks:
    """Batched clocks and onboard ones that are updated together and must agree."""

    def __init__(self) -> None:
        self._clocks = gait_clocks(ROBOTS, "cpu")
        self._onboard = [GaitClock() for _ in range(ROBOTS)]
        self._tick = 0
        self.steps = 0
        self.lifts = 0
        self.falls = 0

    def update(self, gait: Array, step: Array, lifted: Flags = NONE) -> None:
        """Advance all clocks by a tick and compare them."""
        elapsed = TICK_NS / NANOSECONDS if self._tick > 0 else 0.0
        self._tick += 1
        stance = wp.zeros((ROBOTS, 10, 4), dtype=float)
        inputs = [self._clocks, floats(gait), floats(lifted), floats(step), elapsed, stance]
        wp.launch(advance, dim=ROBOTS, inputs=inputs)
        found = {
            "stance": self._clocks.held.numpy() > 0.5,
            "schedule": stance.numpy() > 0.5,
            "progress": self._clocks.progress.numpy(),
            "left": self._clocks.left.numpy(),
        }
        phases = []
        schedules = []
        for clock, row, flags, steps in zip(self._onboard, gait, lifted, step, strict=True):
            wanted = parameters(row, flags)
            phases.append(clock.update(self._tick * TICK_NS, wanted, step=bool(steps)))
            schedules.append(clock.schedule(wanted, MIDDLES))
        np.testing.assert_array_equal(found["stance"], [phase.stance for phase in phases])
        np.testing.assert_array_equal(found["schedule"], schedules)
        progress = [phase.swing_progress for phase in phases]
        np.testing.assert_allclose(found["progress"], progress, atol=ROUNDING)
        left = [phase.time_to_touchdown for phase in phases]
        np.testing.assert_allclose(found["left"], left, atol=ROUNDING)
        self.steps += int((~found["stance"]).sum())
        lifts = [lift for phase in phases for lift in phase.lifts]
        share = np.reshape([0.0 if lift is None else lift.share for lift in lifts], (ROBOTS, 4))
        np.testing.assert_array_equal(self._clocks.share.numpy(), share)
        raised = np.reshape([lift is not None for lift in lifts], (ROBOTS, 4))
        np.testing.assert_array_equal(self._clocks.raised.numpy() > 0.5, raised)
        self.lifts += int((share == 1.0).sum())
        self.falls += int((raised & ~lifted).sum())


def test_clocks_of_wandering_gaits_agree() -> None:
    """Over 600 ticks of random walks that stop and go, flags, progress and schedule are equal."""
    rng = np.random.default_rng(2)
    gait = rounded(np.tile(TROT, (ROBOTS, 1)))
    clocks = Clocks()
    for tick in range(600):
        gait = wander(gait, rng)
        clocks.update(gait, (tick // 40 + np.arange(ROBOTS)) % 5 > 0)
    assert clocks.steps > 0.2 * 600 * 4 * ROBOTS


def test_clocks_with_lifted_legs_agree() -> None:
    """Flags, schedule and the way up of legs that are lifted and put down at random are equal.

    Gaits wander, stop and go. Some robots keep their legs up for long.
    """
    rng = np.random.default_rng(3)
    gait = rounded(np.tile(TROT, (ROBOTS, 1)))
    lifted = np.zeros((ROBOTS, 4), dtype=np.bool_)
    clocks = Clocks()
    for tick in range(600):
        gait = wander(gait, rng)
        drawn = rng.permuted(np.tile(np.arange(4), (ROBOTS, 1)), axis=1) < 2
        changes = rng.uniform(size=ROBOTS) < np.linspace(0.005, 0.1, ROBOTS)
        nothing = rng.uniform(size=ROBOTS) < 0.4
        lifted = np.where(changes[:, None], drawn & ~nothing[:, None], lifted)
        clocks.update(gait, (tick // 40 + np.arange(ROBOTS)) % 5 > 0, lifted)
    assert clocks.lifts > 0.1 * 600 * ROBOTS and clocks.falls > 0.02 * 600 * ROBOTS


def test_clocks_of_a_steady_trot_agree() -> None:
    """Phases of a trot of 2.5 Hz meet the ends of its stances over and over; flags are equal."""
    gait = rounded(np.tile(TROT, (ROBOTS, 1)))
    gait[:, 1] = rounded(np.linspace(0.3, 0.7, ROBOTS))
    gait[0, 1] = rounded(TROT)[1]
    clocks = Clocks()
    for _ in range(300):
        clocks.update(gait, np.ones(ROBOTS))
    assert clocks.steps > 0.2 * 300 * 4 * ROBOTS
