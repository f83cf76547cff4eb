"""The watch on sensors: frozen readings, readings that contradict each other, a second source."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_values import LIMITS, START_NS, TICK_NS, low_state, replaced

from safe_locomotion.rotations import quaternion_from_rotation_vector
from safe_locomotion.safety.sensor_watch import (
    HELD,
    LONGEST_STEP_NS,
    WINDOW_NS,
    SensorWatch,
    turn_between,
)

WINDOW_S = 1e-9 * WINDOW_NS
TICKS = WINDOW_NS // TICK_NS
NONE: frozenset[str] = frozenset()


class Watched:
    """A watch fed with states one tick apart; the IMU has noise."""

    def __init__(self) -> None:
        self.watch = SensorWatch(LIMITS)
        self.stamp_ns = START_NS
        self.noise = np.random.default_rng(0)

    def tick(self, step_ns: int = TICK_NS, sources: int = 1, **changes: Any) -> frozenset[str]:
        self.stamp_ns += step_ns
        noise = 1e-6 * self.noise.normal(size=3)
        values = {"accelerometer": np.array((0.0, 0.0, 9.81)) + noise, **changes}
        return self.watch.update(low_state(stamp_ns=self.stamp_ns, **values), sources)

    def turn(self, rate: float, claimed: float, ticks: int = 3 * TICKS) -> set[frozenset[str]]:
        """Turn about x at `rate` while the gyroscope says `claimed` [rad/s]; what was found."""
        found = set()
        for k in range(ticks):
            q = quaternion_from_rotation_vector(np.array((rate * 1e-9 * TICK_NS * k, 0.0, 0.0)))
            sign = -1.0 if k % 7 == 0 else 1.0  # both signs are the same attitude
            gyro = np.array((claimed, 0.0, 0.0))
            found.add(self.tick(quaternion_wxyz=sign * q, gyro=gyro))
        return found

    def move(self, joint: int, rate: float, claimed: float) -> set[frozenset[str]]:
        """The same with a joint."""
        found = set()
        for k in range(3 * TICKS):
            moved = low_state().q[joint] + rate * 1e-9 * TICK_NS * k
            q = replaced(low_state().q, joint, moved)
            found.add(self.tick(q=q, dq=replaced(np.zeros(12), joint, claimed)))
        return found


def test_a_robot_whose_sensors_agree_is_no_hazard() -> None:
    """At rest, turning either way, and moving joints."""
    assert {Watched().tick() for _ in range(600)} == {NONE}
    for rate in (0.0, 5.0, -5.0, 20.0):
        assert Watched().turn(rate, rate) == {NONE}
        assert Watched().move(3, rate, rate) == {NONE}


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_an_attitude_that_the_gyroscope_does_not_explain(side: float) -> None:
    """Just within the bound nothing is found, just beyond it is; either one may be the liar."""
    bound = LIMITS.attitude_error / WINDOW_S
    for rate, claimed in ((1.0, 0.0), (0.0, 1.0)):
        assert Watched().turn(side * 0.99 * bound * rate, side * 0.99 * bound * claimed) == {NONE}
        found = Watched().turn(side * 1.01 * bound * rate, side * 1.01 * bound * claimed)
        assert frozenset({"sensors_disagree"}) in found


@pytest.mark.parametrize("joint", range(12))
def test_a_joint_whose_speed_does_not_explain_its_move(joint: int) -> None:
    """Each joint is looked at, in both directions."""
    bound = LIMITS.joint_error / WINDOW_S
    for side in (-1.0, 1.0):
        assert Watched().move(joint, side * 0.99 * bound, 0.0) == {NONE}
        assert frozenset({"sensors_disagree"}) in Watched().move(joint, side * 1.01 * bound, 0.0)
        assert frozenset({"sensors_disagree"}) in Watched().move(joint, 0.0, side * 1.01 * bound)


def test_a_move_of_exactly_the_bound_is_none() -> None:
    """The bound itself is allowed."""
    watched = Watched()
    start = replaced(low_state().q, 0, 0.0)
    watched.tick(q=start)
    moved = replaced(start, 0, LIMITS.joint_error)
    assert {watched.tick(q=moved) for _ in range(3 * TICKS)} == {NONE}


def test_a_contradiction_is_reported_for_a_while() -> None:
    """So every listener hears of it; then the sensors may agree again."""
    watched = Watched()
    tilted = quaternion_from_rotation_vector(np.array((1.0, 0.0, 0.0)))
    watched.tick()
    seen = [watched.tick(quaternion_wxyz=tilted) for _ in range(TICKS + HELD + 5)]
    assert seen[: TICKS - 1] == [NONE] * (TICKS - 1)
    assert seen[TICKS - 1 : TICKS - 1 + HELD] == [frozenset({"sensors_disagree"})] * HELD
    assert seen[TICKS - 1 + HELD :] == [NONE] * 6


@pytest.mark.parametrize("changing", ["gyro", "accelerometer", None])
def test_an_imu_that_repeats_itself_to_the_last_bit_is_frozen(changing: str | None) -> None:
    """After frozen_time; one sensor that still has noise is a sign of life."""
    ticks = round(LIMITS.frozen_time * 1e9) // TICK_NS
    watched = Watched()
    rng = np.random.default_rng(1)
    still = {"gyro": np.zeros(3), "accelerometer": np.array((0.0, 0.0, 9.81))}
    watched.tick(**still)
    for k in range(1, ticks + 2):
        noise = {} if changing is None else {changing: still[changing] + 1e-9 * rng.normal(size=3)}
        found = watched.tick(**{**still, **noise})
        frozen = changing is None and k >= ticks
        assert found == (frozenset({"sensors_frozen"}) if frozen else NONE), k
    assert changing is not None or "sensors_frozen" in watched.tick()


def test_an_imu_that_freezes_later_is_frozen_from_its_last_change_on() -> None:
    """The time counts from there, not from the first state."""
    ticks = round(LIMITS.frozen_time * 1e9) // TICK_NS
    watched = Watched()
    for _ in range(2 * ticks):
        assert watched.tick() == NONE
    still = {"gyro": np.zeros(3), "accelerometer": np.array((0.0, 0.0, 9.81))}
    seen = [watched.tick(**still) for _ in range(ticks + 1)]
    assert seen == [NONE] * ticks + [frozenset({"sensors_frozen"})]


@pytest.mark.parametrize(("sources", "hazard"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_second_source_of_states_is_a_hazard(sources: int, hazard: bool) -> None:
    """Whatever it sends; it is reported for a while after it has left."""
    watched = Watched()
    expected = frozenset({"second_state_source"}) if hazard else NONE
    assert watched.tick(sources=sources) == expected
    assert [watched.tick() for _ in range(HELD)] == [expected] * (HELD - 1) + [NONE]


@pytest.mark.parametrize("step_ns", [LONGEST_STEP_NS + TICK_NS, -TICK_NS, 0])
def test_after_a_gap_the_comparison_starts_anew(step_ns: int) -> None:
    """What happened meanwhile is not known, so it contradicts nothing."""
    watched = Watched()
    tilted = quaternion_from_rotation_vector(np.array((1.0, 0.0, 0.0)))
    for _ in range(TICKS // 2):
        watched.tick()
    watched.tick(step_ns, quaternion_wxyz=tilted)
    assert {watched.tick(quaternion_wxyz=tilted) for _ in range(3 * TICKS)} == {NONE}


@pytest.mark.parametrize("step_ns", [1, LONGEST_STEP_NS])
def test_the_shortest_and_the_longest_step_still_count(step_ns: int) -> None:
    """A few lost states do not hide a contradiction."""
    watched = Watched()
    tilted = quaternion_from_rotation_vector(np.array((1.0, 0.0, 0.0)))
    watched.tick()
    seen = {watched.tick(step_ns, quaternion_wxyz=tilted)}
    seen |= {watched.tick(quaternion_wxyz=tilted) for _ in range(2 * TICKS)}
    assert frozenset({"sensors_disagree"}) in seen


def test_who_does_not_count_sources_has_one() -> None:
    """As on a link that does not tell."""
    assert SensorWatch(LIMITS).update(low_state(stamp_ns=START_NS)) == NONE


def test_states_that_are_lost_contradict_nothing() -> None:
    """Joints and body swing while four of five states are lost: the mean of two speeds counts.

    The last speed alone would be 0.7 rad wrong here, which is beyond the bounds.
    """
    watched = Watched()
    swing = 2.0
    pulse = 6.0 * 2.0 * math.pi
    found = set()
    for k in range(300):
        phase = pulse * 1e-9 * LONGEST_STEP_NS * k
        angle = swing * math.sin(phase)
        speed = swing * pulse * math.cos(phase)
        found |= {
            watched.tick(
                LONGEST_STEP_NS,
                q=replaced(low_state().q, 4, angle),
                dq=replaced(np.zeros(12), 4, speed),
                quaternion_wxyz=quaternion_from_rotation_vector(np.array((0.3 * angle, 0.0, 0.0))),
                gyro=np.array((0.3 * speed, 0.0, 0.0)),
            )
        }
    assert found == {NONE}


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["gyro", "dq", "q", "quaternion_wxyz"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_are_not_finite_raise_nothing(name: str, value: float) -> None:
    """The gate refuses them on the same tick; the next window is judged as ever."""
    watched = Watched()
    bad = replaced(getattr(low_state(), name), 0, value)
    watched.tick()
    for _ in range(2 * TICKS):
        watched.tick(**{name: bad})
    for _ in range(TICKS + HELD):
        watched.tick()
    assert watched.tick() == NONE


def test_a_turn_is_the_rotation_vector_between_two_attitudes() -> None:
    """In the body's own axes, by either sign of the quaternions."""
    vector = np.array((0.3, -0.2, 0.9))
    before = quaternion_from_rotation_vector(np.array((0.5, 0.1, -0.4)))
    after = multiply_of(before, quaternion_from_rotation_vector(vector))
    np.testing.assert_allclose(turn_between(before, after), vector, atol=1e-12)
    np.testing.assert_allclose(turn_between(before, -after), vector, atol=1e-12)
    np.testing.assert_allclose(turn_between(before, before), np.zeros(3), atol=1e-12)
    least = np.array((0.0, 1e-10, 0.0))  # too small to divide by its sine
    turned = np.array((1.0, *(0.5 * least)))
    found = turn_between(np.array((1.0, 0.0, 0.0, 0.0)), turned)
    np.testing.assert_allclose(found, least, rtol=1e-9, atol=0.0)


def multiply_of(a: Any, b: Any) -> Any:
    """Product of two quaternions, by the definition."""
    w = a[0] * b[0] - a[1:] @ b[1:]
    return np.array((w, *(a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:]))))


@pytest.mark.parametrize("name", ["frozen_time", "attitude_error", "joint_error"])
@pytest.mark.parametrize("value", [0.0, -0.1, math.nan])
def test_bounds_that_are_not_positive_are_refused(name: str, value: float) -> None:
    """Nothing or everything would be a contradiction."""
    with pytest.raises(Exception, match=f"limits: {name}: must be positive"):
        replace(LIMITS, **{name: value})
