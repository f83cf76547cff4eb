"""The batched recovery gait is the onboard one at every speed and command."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from core_values import A1, estimate
from gait_walks import CONFIG, gait_row

pytest.importorskip("warp")

import warp as wp
from batched_states import batched_commands, numbers, write_estimates

from safe_locomotion.control.nominal_gait import GaitSettings, NominalGait
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.training.gait.world.estimates import estimates
from safe_locomotion.training.gait.world.nominal_gait import BatchedNominalGait
from safe_locomotion.types import Array, Estimate, VelocityCommand

RECOVERY = CONFIG.supervisor.recovery
COMMANDS = [
    VelocityCommand(vx=vx, vy=vy, wz=0.3)
    for vx, vy in product((-1.5, -0.4, 0.0, 0.5, 1.2, 1.3, 1.4), (-0.8, 0.0, 0.3))
]


def pushed(rng: np.random.Generator) -> Estimate:
    """A tilted and turned robot that moves at up to some metres a second."""
    return estimate(
        quaternion_wxyz=np.array(quaternion_from_rpy(*(rng.normal(size=3) * [0.2, 0.2, 2.0]))),
        velocity=rng.normal(size=3) * rng.choice((0.1, 0.5, 1.5)),
    )


def both(settings: GaitSettings) -> tuple[Array, Array]:
    """(B, 9) gaits from the kernel and from the onboard class."""
    rng = np.random.default_rng(8)
    cases = [(command, pushed(rng)) for command in COMMANDS for _ in range(20)]
    states = estimates(len(cases), "cpu")
    write_estimates(states, [state for _, state in cases])
    gaits = wp.zeros((len(cases), 9), dtype=float)
    commands = batched_commands([command for command, _ in cases])
    BatchedNominalGait(A1, settings).write(states, commands, gaits)
    onboard = NominalGait(A1, settings)
    return numbers(gaits), np.array([gait_row(onboard.gait(*case)) for case in cases])


def test_recovery_gaits_agree() -> None:
    """Gaits agree to 1e-5: at low speed, at the fast gait's, in a hurry and at its limit."""
    found, expected = both(RECOVERY)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    hurry = expected[:, 0] / np.where(expected[:, 1] > 0.47, RECOVERY.fast_frequency, 2.5)
    assert (hurry == 1.0).any() and (hurry == RECOVERY.hurry_limit).any()
    assert ((hurry > 1.0) & (hurry < RECOVERY.hurry_limit)).any()
    assert len(np.unique(expected[:, 1])) == 2


def test_every_named_gait_keeps_its_offsets() -> None:
    """The phase offsets are those of the gait's name."""
    for name in ("pace", "walk"):
        found, expected = both(replace(RECOVERY, name=name))
        np.testing.assert_array_equal(found[:, 2:], expected[:, 2:])
