"""The watch on robot and link: every hazard at its threshold and to its time."""

import math
from typing import Any

import numpy as np
import pytest
from core_values import A1, LIMITS, START_NS, TICK_NS, low_state, replaced

from safe_locomotion.safety.robot_watch import RobotWatch


class Watched:
    """A watch fed with states one tick apart."""

    def __init__(self) -> None:
        self.watch = RobotWatch(A1, LIMITS)
        self.stamp_ns = START_NS
        self.foreign = 0
        self.commanded = True

    def tick(self, step_ns: int = TICK_NS, **changes: Any) -> frozenset[str]:
        self.stamp_ns += step_ns
        return self.watch.update(
            low_state(stamp_ns=self.stamp_ns, **changes), self.foreign, self.commanded
        )

    def ticks_until(self, hazard: str, **changes: Any) -> int:
        """Number of ticks until the hazard; fails after 5 s of robot time."""
        return next(k for k in range(2500) if self.tick(**changes) == {hazard})


def test_an_ordinary_robot_is_no_hazard() -> None:
    """A robot that does not report its voltage has no hazard either."""
    watched = Watched()
    assert {watched.tick(voltage=voltage) for voltage in (24.0, None) for _ in range(600)} == {
        frozenset()
    }


@pytest.mark.parametrize("joint", range(12))
def test_joints_outside_their_range_for_some_ticks_are_another_robot(joint: int) -> None:
    """This holds at both ends, for mismatch_time. The hazard ends with the excursion."""
    ticks = round(LIMITS.mismatch_time * 1e9) // TICK_NS
    for bound, side in (
        (A1.q_min[joint] - LIMITS.position_margin, -1),
        (A1.q_max[joint] + LIMITS.position_margin, 1),
    ):
        watched = Watched()
        inside = {"q": replaced(A1.q_stand, joint, bound)}
        outside = {"q": replaced(A1.q_stand, joint, math.nextafter(bound, side * math.inf))}
        assert not any(watched.tick(**inside) for _ in range(100))
        assert not any(watched.tick(**outside) for _ in range(ticks))
        assert not watched.tick()
        assert watched.ticks_until("robot_mismatch", **outside) == ticks
        assert watched.tick(**outside) == {"robot_mismatch"}
        assert not watched.tick()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_joints_that_are_not_finite_are_no_mismatch(value: float) -> None:
    """They say nothing about the robot; the gate refuses such a state itself."""
    watched = Watched()
    broken = replaced(A1.q_stand, 4, value)
    assert not any(watched.tick(q=broken) for _ in range(100))


@pytest.mark.parametrize(
    ("hazard", "field", "good", "bad"),
    [
        (
            "motor_hot",
            "temperature",
            LIMITS.temperature_warning,
            math.nextafter(LIMITS.temperature_warning, math.inf),
        ),
        ("motor_hot", "temperature", LIMITS.temperature_warning, math.nan),
        (
            "battery_low",
            "voltage",
            LIMITS.voltage_warning,
            math.nextafter(LIMITS.voltage_warning, 0.0),
        ),
        ("battery_low", "voltage", LIMITS.voltage_warning, math.nan),
    ],
)
def test_warnings_need_their_time(hazard: str, field: str, good: float, bad: float) -> None:
    """A value beyond its threshold is a hazard after warning_time without interruption."""
    step_ns = 50_000_000
    steps = round(LIMITS.warning_time * 1e9) // step_ns
    for motor in range(12 if field == "temperature" else 1):

        def value(x: float, motor: int = motor) -> Any:
            return replaced(np.full(12, 35.0), motor, x) if field == "temperature" else x

        watched = Watched()
        assert not any(watched.tick(step_ns, **{field: value(good)}) for _ in range(3 * steps))
        for _ in range(2):
            assert not any(watched.tick(step_ns, **{field: value(bad)}) for _ in range(steps))
            assert not watched.tick()
        assert not any(watched.tick(step_ns, **{field: value(bad)}) for _ in range(steps))
        assert not watched.tick(step_ns - 1, **{field: value(bad)})
        assert watched.tick(1, **{field: value(bad)}) == {hazard}


def test_several_hazards_hold_at_once() -> None:
    """No hazard hides another, and each has its own time."""
    watched = Watched()
    for _ in range(100):
        watched.tick(temperature=np.full(12, 85.0))
    found = [
        watched.tick(temperature=np.full(12, 85.0), voltage=20.5, q=A1.q_max + 1.0)
        for _ in range(600)
    ]
    assert found[5] == {"robot_mismatch"}
    assert found[400] == {"robot_mismatch", "motor_hot"}
    assert found[500] == {"robot_mismatch", "motor_hot", "battery_low"}


def test_a_lasting_hazard_does_not_change_others() -> None:
    """Under a low battery a motor at its bound is not hot, and excursions do not add up."""
    watched = Watched()
    edge = np.full(12, LIMITS.temperature_warning)
    outside = replaced(A1.q_stand, 0, A1.q_max[0] + 1.0)
    for _ in range(600):
        watched.tick(voltage=20.5)
    found = [
        watched.tick(voltage=20.5, temperature=edge, q=outside if k % 4 else A1.q_stand)
        for k in range(600)
    ]
    assert set(found) == {frozenset({"battery_low"})}


MAX_GAP_NS = round(LIMITS.max_gap * 1e9)


@pytest.mark.parametrize(
    ("step_ns", "jump"),
    [
        (1, False),
        (MAX_GAP_NS, False),
        (MAX_GAP_NS + 1, True),
        (0, True),
        (-1, True),
        (-(10**12), True),
        (10**12, True),
    ],
)
def test_a_stamp_that_jumps_is_reported_for_a_while(step_ns: int, jump: bool) -> None:
    """Jumps are back, zero or beyond max_gap, and are reported for exactly `HELD` states."""
    watched = Watched()
    assert not watched.tick()
    expected = frozenset({"state_jump"} if jump else ())
    assert watched.tick(step_ns) == expected
    assert [watched.tick() for _ in range(RobotWatch.HELD + 3)] == [expected] * (
        RobotWatch.HELD - 1
    ) + [frozenset()] * 4


def test_a_jump_starts_the_times_over() -> None:
    """Measurements before a jump say nothing about the time after it."""
    watched = Watched()
    hot = {"temperature": np.full(12, 85.0)}
    for _ in range(400):
        watched.tick(**hot)
    assert watched.tick(10**12, **hot) == {"state_jump"}
    assert watched.ticks_until("motor_hot", **hot) == 499


def test_after_a_pause_the_next_state_is_the_first() -> None:
    """Nobody has read any for a while, so its stamp is no jump; the one after it can be one."""
    watched = Watched()
    watched.tick()
    watched.watch.begin()
    assert not watched.tick(10**12)
    assert watched.tick(10**12) == {"state_jump"}


def test_a_beginning_forgets_jumps_and_nothing_else() -> None:
    """A jump while nobody was commanded is over; commands by others still count."""
    watched = Watched()
    watched.tick()
    watched.foreign = 1
    assert watched.tick(10**12) == {"state_jump", "foreign_publisher"}
    watched.watch.begin()
    assert watched.tick() == {"foreign_publisher"}


def test_a_jump_of_a_damped_robot_is_reported_once() -> None:
    """It must not stop a robot that rises right afterwards; commands by others still count."""
    watched = Watched()
    watched.tick()
    watched.watch.damped(watched.stamp_ns)
    watched.foreign = 1
    assert watched.tick(10**12) == {"state_jump", "foreign_publisher"}
    watched.watch.damped(watched.stamp_ns - 1)
    assert watched.tick() == {"state_jump", "foreign_publisher"}
    watched.watch.damped(watched.stamp_ns - TICK_NS)
    assert watched.tick() == {"foreign_publisher"}
    watched.watch.damped(watched.stamp_ns)
    assert watched.tick() == {"foreign_publisher"}


def test_commands_by_others_are_reported_while_they_come_and_a_while_after() -> None:
    """A count above zero at the start is reported too. An equal count is not."""
    watched = Watched()
    assert not watched.watch.commanded_by_others
    watched.foreign = 1
    assert watched.tick() == {"foreign_publisher"} and watched.watch.commanded_by_others
    assert sum(watched.tick() == {"foreign_publisher"} for _ in range(100)) == RobotWatch.HELD - 1
    assert not watched.watch.commanded_by_others
    watched.foreign = 2
    assert watched.tick() == {"foreign_publisher"} and watched.watch.commanded_by_others


def test_a_mismatch_in_words_names_joint_value_and_range() -> None:
    """The text is empty for the right robot."""
    watch = RobotWatch(A1, LIMITS)
    assert watch.mismatch(low_state()) == ""
    for end in (A1.q_min - LIMITS.position_margin, A1.q_max + LIMITS.position_margin):
        assert watch.mismatch(low_state(q=end)) == ""
    q = replaced(replaced(A1.q_stand, 2, -3.0), 9, math.nan)
    assert watch.mismatch(low_state(q=q)) == (
        "FR_calf at -3.00 rad, outside -2.70..-0.92, RL_hip at nan rad, outside -0.80..0.80"
    )


def test_a_drive_that_is_off_while_it_is_commanded() -> None:
    """It is a hazard after motor_off_time, if it is commanded and the link reports drives."""
    watched = Watched()
    ticks = round(LIMITS.motor_off_time * 1e9) // TICK_NS
    assert not any(watched.tick(motors_on=on) for on in (True, None) for _ in range(2 * ticks))
    watched.commanded = False
    assert not any(watched.tick(motors_on=False) for _ in range(2 * ticks))
    watched.commanded = True
    assert not any(watched.tick(motors_on=False) for _ in range(ticks))
    assert not watched.tick(motors_on=True)
    assert watched.ticks_until("motor_off", motors_on=False) == ticks
    assert watched.tick(motors_on=False) == {"motor_off"}
    assert not watched.tick()
