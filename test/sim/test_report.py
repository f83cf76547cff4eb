"""Numbers of the report, worked out by hand on made-up logs."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safe_locomotion.sim.report import (
    RunLog,
    cycle_mean,
    distance,
    drift,
    energy,
    motion_figures,
    percentiles,
    rms,
    velocity_rmse,
)

DT = 0.002


def run_log(n: int = 2501, **changes: Any) -> RunLog:
    """Five seconds straight ahead at exactly 0.5 m/s, with a perfect estimate."""
    time = DT * np.arange(n)
    velocity = np.tile((0.5, 0.0, 0.0), (n, 1))
    position = np.stack((0.5 * time, np.zeros(n)), axis=1)
    values: dict[str, Any] = {
        "time": time,
        "command": velocity.copy(),
        "velocity": velocity,
        "position": position,
        "yaw": np.zeros(n),
        "roll_pitch": np.zeros((n, 2)),
        "estimated_velocity": velocity.copy(),
        "estimated_position": position.copy(),
        "estimated_yaw": np.zeros(n),
        "power": np.full(n, 40.0),
        "recovery": np.zeros(n, dtype=np.bool_),
    }
    return RunLog(**{**values, **changes})


def test_a_perfect_run() -> None:
    """2.5 m in 5 s without any error; 40 W for 5 s are 200 J.

    The cost of transport is 200 / (12 * 9.81 * 2.5).
    """
    figures = motion_figures(run_log(), cycle=0.4, mass=12.0)
    assert figures == {
        "distance_m": pytest.approx(2.5),
        "velocity_rmse_mps": pytest.approx(0.0, abs=1e-12),
        "mean_velocity": {"vx_mps": pytest.approx(0.5), "vy_mps": 0.0, "wz_radps": 0.0},
        "roll_rms_deg": 0.0,
        "pitch_rms_deg": 0.0,
        "estimator_velocity_rmse_mps": 0.0,
        "estimator_drift_m": 0.0,
        "recovery_share": 0.0,
        "recovery_uses": 0,
        "energy_j": pytest.approx(200.0),
        "cost_of_transport": pytest.approx(200.0 / (12.0 * 9.81 * 2.5)),
    }


def test_velocity_error_is_planar_and_against_the_command() -> None:
    """0.03 too fast and 0.04 sideways are 0.05 m/s; a wrong yaw rate does not count."""
    log = run_log()
    velocity = log.velocity + np.array((0.03, -0.04, 1.0))
    assert velocity_rmse(replace(log, velocity=velocity), 0.4) == pytest.approx(0.05)


def test_velocity_error_leaves_out_the_start_and_where_nobody_asked_to_walk() -> None:
    """The first two seconds and rows without a command do not count.

    An error of 0.1 m/s in half of the rest gives 0.1 / sqrt 2.
    """
    log = run_log()
    velocity = log.velocity.copy()
    command = log.command.copy()
    velocity[log.time < 1.5, 0] = 9.0
    command[log.time > 4.0] = np.nan
    velocity[log.time > 4.4, 0] = 9.0
    assert velocity_rmse(replace(log, velocity=velocity, command=command), 0.4) == pytest.approx(
        0.0, abs=1e-12
    )
    command[(log.time >= 3.0) & (log.time <= 4.0), 0] = 0.6
    assert velocity_rmse(replace(log, velocity=velocity, command=command), 0.4) == pytest.approx(
        0.1 / math.sqrt(2.0), rel=1e-3
    )


def test_cycle_mean_removes_the_rhythm_of_the_gait_and_keeps_the_rest() -> None:
    """A sine with the period of the gait vanishes away from the ends; a constant stays."""
    log = run_log()
    for cycle in (0.4, 0.2, 0.1):
        wave = np.stack((np.sin(2 * np.pi * log.time / cycle), np.full(len(log.time), 0.7)), axis=1)
        smooth = cycle_mean(wave, log.time, cycle)
        margin = round(cycle / DT / 2)
        np.testing.assert_allclose(smooth[margin:-margin, 0], 0.0, atol=1e-9)
        np.testing.assert_allclose(smooth[:, 1], 0.7, rtol=1e-9)


def test_cycle_mean_by_hand() -> None:
    """Four samples a cycle: two before, itself and one after; fewer at the ends."""
    values = np.array((0.0, 4.0, 8.0, 4.0, 0.0, 8.0))[:, None]
    smooth = cycle_mean(values, np.arange(6.0), 4.0)
    np.testing.assert_allclose(smooth[:, 0], (2.0, 4.0, 4.0, 4.0, 5.0, 4.0))
    np.testing.assert_array_equal(cycle_mean(values[:1], np.zeros(1), 4.0), values[:1])


@pytest.mark.parametrize("turn", [0.0, 0.5, -2.0, math.pi])
def test_drift_does_not_depend_on_where_odom_points(turn: float) -> None:
    """An odometry that is turned and moved as a whole has no drift.

    3 cm forward and 4 cm sideways in its own axes are 5 cm.
    """
    log = run_log()
    c = math.cos(turn)
    s = math.sin(turn)
    into_odom = np.array(((c, -s), (s, c)))
    ended = log.position.copy()
    ended[-1] += (0.03, -0.04)
    for position, expected in ((log.position, 0.0), (ended, 0.05)):
        turned = position @ into_odom.T + (7.0, -3.0)
        moved = replace(log, estimated_position=turned, estimated_yaw=log.yaw + turn)
        assert drift(moved) == pytest.approx(expected, abs=1e-12)


def test_drift_counts_displacement_from_the_first_row_and_true_heading() -> None:
    """For a robot that starts turned by 90 degrees in the world, odom's x is the world's y."""
    log = run_log()
    sideways = np.stack((np.full(len(log.time), 5.0), 0.5 * log.time), axis=1)
    turned = replace(log, position=sideways, yaw=np.full(len(log.time), math.pi / 2))
    assert drift(turned) == pytest.approx(0.0, abs=1e-12)


def test_distance_is_the_length_of_the_path() -> None:
    """Three sides of a unit square are 3, although it ends 1 from its start."""
    corners = np.array(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    assert distance(run_log(4, position=corners)) == pytest.approx(3.0)


def test_energy_by_the_trapezoidal_rule() -> None:
    """Power 0, 10, 20 W at 0, 1, 3 s: 5 + 30 J."""
    log = run_log(3, time=np.array((0.0, 1.0, 3.0)), power=np.array((0.0, 10.0, 20.0)))
    assert energy(log) == pytest.approx(35.0)


def test_attitude_and_estimator_errors_by_hand() -> None:
    """Roll +-2 degrees has RMS 2, pitch stays 3; an estimate off by (0.06, 0.08) has RMSE 0.1."""
    log = run_log()
    roll = np.deg2rad(2.0) * np.where(np.arange(len(log.time)) % 2, 1.0, -1.0)
    roll_pitch = np.stack((roll, np.full(len(log.time), np.deg2rad(3.0))), axis=1)
    roll_pitch[log.time < 2.0] = 1.0
    estimated = log.velocity + np.array((0.06, 0.08, 5.0))
    figures = motion_figures(
        replace(log, roll_pitch=roll_pitch, estimated_velocity=estimated), cycle=0.4, mass=12.0
    )
    assert figures["roll_rms_deg"] == pytest.approx(2.0)
    assert figures["pitch_rms_deg"] == pytest.approx(3.0)
    assert figures["estimator_velocity_rmse_mps"] == pytest.approx(0.1)


def test_uses_of_recovery_are_its_beginnings() -> None:
    """Three uses, one of them from the first row on, cover 6 of 10 rows."""
    recovery = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 0], dtype=np.bool_)
    figures = motion_figures(run_log(10, recovery=recovery), cycle=0.4, mass=12.0)
    assert (figures["recovery_uses"], figures["recovery_share"]) == (3, pytest.approx(0.6))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_run_that_hardly_began_has_a_report(n: int) -> None:
    """Its figures are NaN and zero distance; there is no exception and no warning."""
    figures = motion_figures(run_log(n), cycle=0.4, mass=12.0)
    assert math.isnan(figures["velocity_rmse_mps"])
    assert figures["distance_m"] == pytest.approx(0.0, abs=2e-3)
    assert math.isnan(figures["cost_of_transport"]) == (n < 2)


def test_rms_and_percentiles() -> None:
    """The RMS of 3, 4 is sqrt(12.5), that of nothing NaN.

    Percentiles of 1..101 are 51, 100, 101.
    """
    assert rms(np.array((3.0, -4.0))) == pytest.approx(math.sqrt(12.5))
    assert math.isnan(rms(np.empty(0)))
    assert percentiles(np.arange(1.0, 102.0)) == {"p50": 51.0, "p99": 100.0, "max": 101.0}
    assert all(math.isnan(value) for value in percentiles(np.empty(0)).values())
