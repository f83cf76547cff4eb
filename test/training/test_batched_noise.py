"""Batched estimator noise has the measured statistics, and none at scale 0."""

import importlib
import json
from typing import Any

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("mujoco")
pytest.importorskip("warp")

import warp as wp

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import quaternion_from_rpy, rows_from_quaternion
from safe_locomotion.training.gait.world.estimates import estimates
from safe_locomotion.training.gait.world.noise import MEASURED, EstimatorNoise
from safe_locomotion.types import GRAVITY, Array

A1 = load_robot("a1")
PERIOD = 0.004  # s
ROBOTS = 400
RPY = (0.1, -0.2, 2.0)
PLACE = (3.0, -2.0, 0.27)
VELOCITY = (0.4, -0.1, 0.05)
RATES = (0.3, -0.2, 0.1)


def truth(robots: int) -> Any:
    """Many robots in one tilted, moving state."""
    out = estimates(robots, "cpu")
    rotation = np.array(rows_from_quaternion(np.array(quaternion_from_rpy(*RPY))))
    out.rotation.assign(np.tile(rotation.astype(np.float32), (robots, 1, 1)))
    for name, value in (("position", PLACE), ("velocity", VELOCITY), ("rates", RATES)):
        getattr(out, name).assign(np.tile(np.float32(value), (robots, 1)))
    out.joints.assign(np.tile(A1.q_stand.astype(np.float32), (robots, 1)))
    out.joint_rates.assign(np.ones((robots, 12), dtype=np.float32))
    return out


def forces(robots: int, force: float) -> wp.array:
    """The same true force on all feet [N]."""
    return wp.array(np.full((robots, 5), force, dtype=np.float32), dtype=float)


def errors(seen: Any) -> dict[str, Array]:
    """Errors of all robots by channel, one column per number; of everything but the load."""
    rotation = seen.rotation.numpy().astype(float)
    c = np.cos(RPY[2])
    s = np.sin(RPY[2])
    heading = np.array(((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)))
    velocity = (seen.velocity.numpy() - VELOCITY) @ heading
    rates = seen.rates.numpy() - RATES
    singles = {
        "height": seen.position.numpy()[:, 2] - PLACE[2],
        "roll": np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2]) - RPY[0],
        "pitch": -np.arcsin(rotation[:, 2, 0]) - RPY[1],
        **{f"v{axis}": velocity[:, k] for k, axis in enumerate("xyz")},
        **{f"w{axis}": rates[:, k] for k, axis in enumerate("xyz")},
    }
    return {
        **{name: values[:, None] for name, values in singles.items()},
        "joint": seen.joints.numpy() - A1.q_stand,
        "joint_rate": seen.joint_rates.numpy() - 1.0,
    }


def episodes(ticks: int, robots: int = ROBOTS) -> dict[str, Array]:
    """Errors (ticks, robots, numbers) of one episode of all robots."""
    noise = EstimatorNoise(A1, robots, "cpu", period=PERIOD, seed=1)
    true = truth(robots)
    touch = forces(robots, 30.0)
    rows = [errors(noise.sense(true, touch)) for _ in range(ticks)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_numbers_are_the_measured_ones() -> None:
    """The table in the code is what tools/estimator_noise.py wrote."""
    measured = json.loads((ROOT / "docs/data/estimator_noise.json").read_text())["channels"]
    assert list(MEASURED) == list(measured)
    for name, channel in MEASURED.items():
        for key in ("mean", "bias", "walk", "time", "white"):
            assert getattr(channel, key) == measured[name][key], (name, key)


def test_the_fit_finds_known_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From errors drawn with known numbers, the tool's fit finds these numbers again."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    tool = importlib.import_module("estimator_noise")
    rng = np.random.default_rng(0)
    known = {"mean": 0.5, "bias": 0.6, "walk": 1.0, "time": 0.2, "white": 0.4}
    keep = np.exp(-0.002 / known["time"])
    walk = rng.normal(size=(40, 1, 10))
    drawn = []
    for _ in range(4000):
        walk = keep * walk + np.sqrt(1.0 - keep**2) * rng.normal(size=walk.shape)
        drawn.append(walk + known["white"] * rng.normal(size=walk.shape))
    errors = known["mean"] + known["bias"] * rng.normal(size=(40, 1, 10))
    errors = errors + np.concatenate(drawn, axis=1)
    found = tool.fit(list(errors))
    for name, value in known.items():
        assert found[name] == pytest.approx(value, rel=0.12), name


def test_statistics_are_the_measured_ones() -> None:
    """Mean, deviation within and between episodes and the increments over four lags agree.

    Half the mean squared increment over s is white^2 + walk^2 (1 - exp(-s / time)).
    """
    found = episodes(400)
    for name, values in found.items():
        channel = MEASURED[name]
        deviation = np.sqrt(channel.bias**2 + channel.walk**2 + channel.white**2)
        np.testing.assert_allclose(values.mean(), channel.mean, atol=0.15 * deviation, err_msg=name)
        np.testing.assert_allclose(values.std(), deviation, rtol=0.15, err_msg=name)
        for lag in (1, 10, 50, 200):
            half = 0.5 * np.mean((values[lag:] - values[:-lag]) ** 2)
            fading = 1.0 - np.exp(-lag * PERIOD / channel.time)
            want = channel.white**2 + channel.walk**2 * fading
            np.testing.assert_allclose(half, want, rtol=0.15, atol=1e-12, err_msg=f"{name} {lag}")


def test_errors_of_channels_and_robots_are_independent() -> None:
    """No two channels and no two neighbouring robots have errors that go together."""
    found = episodes(60)
    table = np.concatenate([values[-1] for values in found.values()], axis=1)
    across = np.corrcoef(table.T) - np.eye(table.shape[1])
    assert np.abs(across).max() < 0.25  # 5 standard deviations of a correlation of 400 pairs
    one = table / table.std(axis=0)
    beside = np.mean(one[1:] * one[:-1], axis=0) - one.mean(axis=0) ** 2
    assert np.abs(beside).max() < 0.25


def test_no_errors_at_scale_zero() -> None:
    """The truth comes through, and the scale can be changed on the device between two calls."""
    noise = EstimatorNoise(A1, 3, "cpu", period=PERIOD, scale=0.0)
    found = errors(noise.sense(truth(3), forces(3, 30.0)))
    for name, values in found.items():
        np.testing.assert_allclose(values, 0.0, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(noise.estimates.position.numpy(), np.tile(PLACE, (3, 1)), atol=1e-6)
    noise.scale.fill_(1.0)
    found = errors(noise.sense(truth(3), forces(3, 30.0)))
    assert np.abs(found["joint_rate"]).max() > 0.01


def test_yaw_and_place_have_no_error() -> None:
    """Heading and horizontal position are the true ones."""
    noise = EstimatorNoise(A1, 50, "cpu", period=PERIOD)
    seen = noise.sense(truth(50), forces(50, 30.0))
    rotation = seen.rotation.numpy()
    yaw = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    np.testing.assert_allclose(yaw, RPY[2], atol=1e-6)
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (50, 1, 1)), atol=1e-6
    )
    np.testing.assert_array_equal(
        seen.position.numpy()[:, :2], np.tile(np.float32(PLACE[:2]), (50, 1))
    )


def test_a_restart_draws_a_new_bias_for_masked_robots() -> None:
    """Joint biases last for an episode; the errors of robots that did not restart go on."""
    noise = EstimatorNoise(A1, 200, "cpu", period=PERIOD, seed=2)

    def biases() -> Array:
        rows = [errors(noise.sense(truth(200), forces(200, 30.0)))["joint"] for _ in range(20)]
        return np.mean(rows, axis=0)

    before = biases()
    mask = np.arange(200) % 2 == 0
    noise.restart(wp.array(mask.astype(np.float32), dtype=float))
    after = biases()
    kept = np.corrcoef(before[~mask].ravel(), after[~mask].ravel())[0, 1]
    drawn = np.corrcoef(before[mask].ravel(), after[mask].ravel())[0, 1]
    assert kept > 0.95
    assert abs(drawn) < 0.15


def test_equal_seeds_give_equal_errors() -> None:
    """Errors repeat with the seed, differ from tick to tick and from seed to seed."""
    first, again, other = (
        EstimatorNoise(A1, 4, "cpu", period=PERIOD, seed=seed) for seed in (5, 5, 6)
    )
    one = errors(first.sense(truth(4), forces(4, 30.0)))["joint_rate"]
    np.testing.assert_array_equal(one, errors(again.sense(truth(4), forces(4, 30.0)))["joint_rate"])
    assert not np.any(one == errors(other.sense(truth(4), forces(4, 30.0)))["joint_rate"])
    assert not np.any(one == errors(first.sense(truth(4), forces(4, 30.0)))["joint_rate"])


def test_contact_flags_follow_the_load() -> None:
    """Feet in the air and loaded feet are seen; in between, the flag depends on the past."""
    noise = EstimatorNoise(A1, 500, "cpu", period=PERIOD, scale=0.0)
    threshold = 0.48 * 0.25 * A1.mass * GRAVITY
    seen = []
    for share in (0.0, 0.85, 1.05, 0.85, 0.65, 0.85):
        contact = noise.sense(truth(500), forces(500, share * threshold)).contact.numpy()
        seen.append(contact.mean())
    assert seen == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    noise.scale.fill_(1.0)
    for share, low, high in ((0.0, 0.0, 0.01), (1.0, 0.5, 0.95), (2.5, 0.999, 1.0)):
        contact = noise.sense(truth(500), forces(500, share * threshold)).contact.numpy()
        assert low <= contact.mean() <= high, share


def test_impossible_noise_is_refused() -> None:
    """Periods and scales without a meaning are refused, NaN included."""
    for numbers in ({"period": 0.0}, {"period": np.nan}, {"period": 0.004, "scale": -1.0}):
        with pytest.raises(ConfigurationError):
            EstimatorNoise(A1, 1, "cpu", **numbers)
