"""Gait hand-over of many robots: `control.gait_handover.GaitBlend` as a kernel.

The onboard blend moves on with every LowState. Here it does so on the ticks of a plan alone, by
the time that has passed: what decays at a constant rate does not depend on the number of steps.
"""

from typing import Any

import warp as wp

from safe_locomotion.control.gait_handover import (
    OFFSET_RATE,
    PLANTED_FROM,
    RATIO_MARGIN,
    RATIO_RATE,
)
from safe_locomotion.training.gait.world.arrays import BLOCK, Array1, Array2, Integers1
from safe_locomotion.types import N_LEGS

wp.set_module_options({"block_dim": BLOCK})

NOBODY = wp.constant(-1)
DRIVEN_BY_RECOVERY = wp.constant(1)
OFFSETS_DECAY = wp.constant(OFFSET_RATE)
RATIO_DECAYS = wp.constant(RATIO_RATE)
MARGIN = wp.constant(RATIO_MARGIN)
FAR = wp.constant(PLANTED_FROM)
RATIO = wp.constant(1)  # column of a gait
FIRST_OFFSET = wp.constant(2)  # column of a gait
GAIT = wp.constant(9)  # columns of a gait


@wp.struct
class GaitBlends:
    """What the blends remember, and the gaits to execute.

    Attributes:
        driver: (B,) of the last update: 1 recovery, 0 learner, -1 nobody yet.
        offsets: (B, 3) phase offsets beyond those that the driver wants [strides].
        ratio: (B,) swing ratio beyond it.
        asked: (B, 9) gaits that the drivers wanted on the last update.
        gaits: (B, 9) to execute: frequency [Hz], swing ratio, offsets of FL, RR and RL, foot y.
        lifted: (B, 4) 1 for legs that these gaits hold in the air.
    """

    driver: Integers1
    offsets: Array2
    ratio: Array1
    asked: Array2
    gaits: Array2
    lifted: Array2


def gait_blends(robots: int, device: str) -> Any:
    """Blends of so many robots whose walks begin with the first update."""
    out = GaitBlends()
    out.driver = wp.full(robots, -1, dtype=int, device=device)
    out.offsets = wp.zeros((robots, 3), dtype=float, device=device)
    out.ratio = wp.zeros(robots, dtype=float, device=device)
    out.asked = wp.zeros((robots, 9), dtype=float, device=device)
    out.gaits = wp.zeros((robots, 9), dtype=float, device=device)
    out.lifted = wp.zeros((robots, N_LEGS), dtype=float, device=device)
    return out


@wp.func
def towards_zero(value: float, step: float) -> float:
    """A number that decays by a step, never past 0."""
    return wp.sign(value) * wp.max(0.0, wp.abs(value) - step)


@wp.func
def decay(blends: GaitBlends, robot: int, elapsed: float) -> None:
    """Let the differences decay for some time [s]."""
    for k in range(3):
        blends.offsets[robot, k] = towards_zero(blends.offsets[robot, k], OFFSETS_DECAY * elapsed)
    blends.ratio[robot] = towards_zero(blends.ratio[robot], RATIO_DECAYS * elapsed)


@wp.func
def shifted_offset(blends: GaitBlends, robot: int, k: int, wanted: float) -> float:
    """A phase offset in [0, 1) with its present difference."""
    value = wanted + blends.offsets[robot, k]
    return value - wp.floor(value)


@wp.func
def shifted_ratio(blends: GaitBlends, robot: int, wanted: float) -> float:
    """The swing ratio with its present difference, which may not stop all feet or none."""
    if blends.ratio[robot] == 0.0:
        return wanted
    return wp.clamp(wanted + blends.ratio[robot], MARGIN, 1.0 - MARGIN)


@wp.func
def hand_over(blends: GaitBlends, robot: int, to_recovery: bool, wanted: Array2) -> None:
    """Begin a blend from the executed offsets and swing ratio; plant the feet where it is far."""
    ratio = shifted_ratio(blends, robot, blends.asked[robot, RATIO])
    far = bool(False)
    for k in range(3):
        column = FIRST_OFFSET + k
        executed = shifted_offset(blends, robot, k, blends.asked[robot, column])
        way = executed - wanted[robot, column]
        way = way - wp.floor(way + 0.5)
        blends.offsets[robot, k] = way
        far = far or wp.abs(way) > FAR
    for leg in range(4):
        far = far or blends.lifted[robot, leg] > 0.5
    blends.ratio[robot] = ratio - wanted[robot, RATIO]
    if to_recovery and far:
        blends.ratio[robot] = MARGIN - wanted[robot, RATIO]
        for k in range(3):
            blends.offsets[robot, k] = 0.0


@wp.kernel(enable_backward=False)
def restart_blends(mask: Array1, blends: GaitBlends) -> None:
    """Begin walks where the mask says so; `GaitBlend.reset`."""
    robot = wp.tid()
    if mask[robot] > 0.5:
        blends.driver[robot] = NOBODY
        blends.ratio[robot] = 0.0
        for k in range(3):
            blends.offsets[robot, k] = 0.0


@wp.kernel(enable_backward=False)
def blend_gaits(
    recovers: Integers1,
    wanted: Array2,
    wanted_lifted: Array2,
    before: float,
    tick: float,
    blends: GaitBlends,
) -> None:
    """Write the gait to execute of one robot per thread; `GaitBlend.update`.

    Args:
        recovers: (B,) 1 where recovery drives.
        wanted: (B, 9) gaits of the policies that drive.
        wanted_lifted: (B, 4) their lifted legs.
        before: time from the last update to the tick before this one [s], under the last driver.
        tick: time since that tick [s]; nothing decays in it where the driver changes.
        blends: of all robots.
    """
    robot = wp.tid()
    driver = recovers[robot]
    begins = blends.driver[robot] == NOBODY
    if begins or blends.driver[robot] == driver:
        decay(blends, robot, before + tick)
    else:
        decay(blends, robot, before)
        hand_over(blends, robot, driver == DRIVEN_BY_RECOVERY, wanted)
    blends.driver[robot] = driver
    for column in range(GAIT):
        blends.asked[robot, column] = wanted[robot, column]
        blends.gaits[robot, column] = wanted[robot, column]
    for k in range(3):
        column = FIRST_OFFSET + k
        blends.gaits[robot, column] = shifted_offset(blends, robot, k, wanted[robot, column])
    blends.gaits[robot, RATIO] = shifted_ratio(blends, robot, wanted[robot, RATIO])
    for leg in range(4):
        blends.lifted[robot, leg] = wanted_lifted[robot, leg]
