"""The nominal gait by command and by velocity error, and settings that are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, RECOVERY, estimate

from safe_locomotion.control.gait import phase_offsets
from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import VelocityCommand

SETTINGS = replace(RECOVERY, hurry_gain=0.5, hurry_error=0.4, hurry_limit=1.6)


def moving(vx: float, vy: float = 0.0, yaw: float = 0.0):
    """An estimate that moves at vx, vy in its own heading."""
    c = math.cos(yaw)
    s = math.sin(yaw)
    return estimate(
        velocity=np.array((c * vx - s * vy, s * vx + c * vy, 0.0)),
        quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, yaw),
    )


def test_the_fast_variant_starts_at_its_planar_speed() -> None:
    """The gait changes at the fast speed in any direction; turning does not count."""
    nominal = NominalGait(A1, RECOVERY)
    speed = RECOVERY.fast_speed
    for direction in np.linspace(0.0, 2 * np.pi, 9):
        for factor, fast in ((1.0 - 1e-9, False), (1.0 + 1e-9, True), (2.0, True)):
            vx = factor * speed * math.cos(direction)
            vy = factor * speed * math.sin(direction)
            gait = nominal.gait(VelocityCommand(vx=vx, vy=vy), moving(vx, vy))
            expected = (
                (RECOVERY.fast_frequency, RECOVERY.fast_swing_ratio)
                if fast
                else (RECOVERY.frequency, RECOVERY.swing_ratio)
            )
            assert (gait.frequency, gait.swing_ratio) == expected
    assert nominal.gait(VelocityCommand(wz=9.0), moving(0.0)).frequency == RECOVERY.frequency


def test_feet_are_placed_under_their_hips() -> None:
    """Each foot_y is hip plus signed offset; the phase offsets are those of the named gait."""
    gait = NominalGait(A1, RECOVERY).gait(VelocityCommand(), estimate())
    np.testing.assert_allclose(gait.foot_y, A1.hip_position[:, 1] + A1.hip_offset)
    assert [math.copysign(1.0, y) for y in gait.foot_y] == [-1.0, 1.0, -1.0, 1.0]
    assert gait.phase_offsets == phase_offsets(RECOVERY.name)


@pytest.mark.parametrize(
    ("error", "factor"), [(0.0, 1.0), (0.4, 1.0), (0.6, 1.1), (1.4, 1.5), (1.6, 1.6), (9.0, 1.6)]
)
@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_a_robot_that_is_pushed_steps_faster(error: float, factor: float, yaw: float) -> None:
    """The factor is 1 + 0.5 (error - 0.4) within 1..1.6, with the planar velocity error."""
    command = VelocityCommand(vx=0.5)
    gait = NominalGait(A1, SETTINGS).gait(command, moving(0.5 + 0.6 * error, 0.8 * error, yaw))
    assert gait.frequency == pytest.approx(SETTINGS.frequency * factor, rel=1e-9)
    assert gait.swing_ratio == SETTINGS.swing_ratio


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_estimate_not_to_be_trusted_does_not_change_the_rhythm(value: float) -> None:
    """Diverged gives the configured frequency; a velocity not finite stays within the bounds."""
    wild = replace(moving(9.0), diverged=True)
    assert NominalGait(A1, SETTINGS).gait(VelocityCommand(), wild).frequency == SETTINGS.frequency
    frequency = (
        NominalGait(A1, SETTINGS)
        .gait(VelocityCommand(), estimate(velocity=np.array((value, 0.0, 0.0))))
        .frequency
    )
    assert SETTINGS.frequency <= frequency <= SETTINGS.hurry_limit * SETTINGS.frequency


def test_settings_that_describe_no_gait_are_errors() -> None:
    """Unknown names and impossible numbers are errors that say what is valid."""
    with pytest.raises(
        UnknownNameError,
        match="unknown gait 'gallop'; choose one of: bound, pace, pronk, trot, walk",
    ):
        replace(RECOVERY, name="gallop")
    for value in (0.0, -1.0, math.nan):
        for name in ("frequency", "fast_frequency", "hurry_limit"):
            with pytest.raises(ConfigurationError, match=f"gait: {name}: must be positive"):
                replace(RECOVERY, **{name: value})
    for value in (0.0, 1.0, -0.1, 1.1, math.nan):
        for name in ("swing_ratio", "fast_swing_ratio"):
            with pytest.raises(ConfigurationError, match=f"gait: {name}: must lie between 0 and 1"):
                replace(RECOVERY, **{name: value})
