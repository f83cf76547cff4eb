"""Blended hand-overs of many robots are those of the onboard supervisor."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("warp")

import warp as wp

from safe_locomotion.control.gait_handover import GaitBlend
from safe_locomotion.training.gait.world.gait_handover import (
    blend_gaits,
    gait_blends,
    restart_blends,
)
from safe_locomotion.types import NANOSECONDS, GaitParameters

ROBOTS = 40
STEPS = 120
TICK = 0.002  # s
TICKS = 4  # of a policy step
PLAN_TICKS = 2
DRIVERS = ("learner", "recovery")


class Batch:
    """Robots whose gaits are blended by the kernel."""

    def __init__(self) -> None:
        self.blends = gait_blends(ROBOTS, "cpu")

    def restart(self, mask: np.ndarray) -> None:
        wp.launch(
            restart_blends,
            ROBOTS,
            inputs=[wp.array(mask.astype(np.float32), dtype=float, device="cpu"), self.blends],
            device="cpu",
        )

    def update(self, drivers: np.ndarray, wanted: np.ndarray, lifted: np.ndarray) -> np.ndarray:
        arrays = [
            wp.array(drivers.astype(np.int32), dtype=int, device="cpu"),
            wp.array(wanted.astype(np.float32), dtype=float, device="cpu"),
            wp.array(lifted.astype(np.float32), dtype=float, device="cpu"),
        ]
        times = [TICK * (PLAN_TICKS - 1), TICK]
        wp.launch(blend_gaits, ROBOTS, inputs=[*arrays, *times, self.blends], device="cpu")
        return self.blends.gaits.numpy()


def gait_of(numbers: np.ndarray, lifted: np.ndarray) -> GaitParameters:
    f, ratio, *rest = numbers.tolist()
    return GaitParameters(
        frequency=f,
        swing_ratio=ratio,
        phase_offsets=tuple(rest[:3]),
        foot_y=tuple(rest[3:]),
        lifted=tuple(bool(flag) for flag in lifted),
    )


def numbers_of(gait: GaitParameters) -> list[float]:
    return [gait.frequency, gait.swing_ratio, *gait.phase_offsets, *gait.foot_y]


def test_gaits_are_blended_as_onboard() -> None:
    """Random gaits and drivers; onboard each LowState counts, here each second one.

    Every gait that a plan gets is the onboard one within 1e-5. Some robots begin anew on the way,
    and some learners lift legs.
    """
    rng = np.random.default_rng(0)
    batch = Batch()
    onboard = [GaitBlend() for _ in range(ROBOTS)]
    lifting = np.zeros((ROBOTS, 4))
    lifting[: ROBOTS // 4, 1] = 1.0
    drivers = np.zeros(ROBOTS, dtype=int)
    stamp = 0
    changes = 0
    for step in range(STEPS):
        begins = rng.random(ROBOTS) < 0.02
        batch.restart(begins)
        for robot in np.flatnonzero(begins):
            onboard[robot].reset()
        switches = rng.random(ROBOTS) < 0.1
        changes += int(switches.sum())
        drivers = np.where(switches, 1 - drivers, drivers)
        base = np.where(drivers[:, None] == 1, 0.2, 0.6)
        offsets = (base + 0.05 * rng.standard_normal((ROBOTS, 3))) % 1.0
        ratio = np.where(drivers == 1, 0.45, 0.3) + 0.1 * (rng.random(ROBOTS) - 0.5)
        wanted = np.column_stack((np.full(ROBOTS, 2.5), ratio, offsets, np.ones((ROBOTS, 4))))
        lifted = lifting * (drivers[:, None] == 0)
        for tick in range(TICKS):
            expected = [
                numbers_of(blend.update(stamp, DRIVERS[drivers[k]], gait_of(wanted[k], lifted[k])))
                for k, blend in enumerate(onboard)
            ]
            stamp += round(TICK * NANOSECONDS)
            if tick % PLAN_TICKS == 0:
                away = batch.update(drivers, wanted, lifted) - np.array(expected)
                away[:, 2:5] -= np.round(away[:, 2:5])
                assert np.abs(away).max() < 1e-5, (step, tick)
    assert changes > 300


def test_a_walk_begins_without_a_blend() -> None:
    """The first gait after a restart is executed as it is wanted."""
    batch = Batch()
    trot = replace(
        gait_of(np.full(9, 0.3), np.zeros(4)), phase_offsets=(0.5, 0.5, 0.0), frequency=2.5
    )
    rows = np.tile(numbers_of(trot), (ROBOTS, 1))
    nothing = np.zeros((ROBOTS, 4))
    batch.update(np.zeros(ROBOTS, dtype=int), np.full((ROBOTS, 9), 0.2), nothing)
    batch.restart(np.ones(ROBOTS))
    gaits = batch.update(np.ones(ROBOTS, dtype=int), rows, nothing)
    np.testing.assert_allclose(gaits, rows, atol=1e-6)
