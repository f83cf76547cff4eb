"""The adversary of the last hop: one class of tests, which every robot's configuration inherits.

A robot with other limits must not need other tests. A subclass names its robot and nothing else.
"""

from functools import cache

import numpy as np
import pytest
from table_tools import tool_named

from safe_locomotion.commands import commanded_torque
from safe_locomotion.config import load_config
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import load_robot
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.types import DAMPED, RAMPED, STATE_PERIOD_NS, LowCommand, Mode

HOSTILE = 300  # commands in each mode
EXTREMES = (np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, -0.0, 5e-324)
PAIRS = 6  # of events in each mode
ONCE_MORE = 60  # ticks after the second event


@cache
def tool():
    """The program that knows the rows of the table."""
    with pytest.MonkeyPatch.context() as patch:
        return tool_named(patch, "gate_table")


@cache
def robot_of(name):
    """Model and limits of a robot; reading them for each command would take most of the time."""
    return load_robot(name), load_config(name).bridge.limits


ROWS = tuple(tool().events())
MODES = tool().MODES
SLOW = ("a drive is off", "the IMU is frozen", "the attitude jumps")
SILENT = ("no verdict comes any more", "no plan comes any more")


class LastHopSafety:
    """Every row of the table, in every mode, and commands that nobody should send."""

    ROBOT = ""

    @property
    def limits(self):
        """Bounds of this robot."""
        return robot_of(self.ROBOT)[1]

    @property
    def robot(self):
        """Model of this robot."""
        return robot_of(self.ROBOT)[0]

    def bound_ms(self, row):
        """Longest time from an event to damping, from the configuration [ms]."""
        limits = self.limits
        if row in SLOW:
            return 1e3 * max(limits.motor_off_time, limits.frozen_time, 0.1)
        return 1e3 * limits.max_age if row in SILENT else 0.0

    @pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
    @pytest.mark.parametrize("row", ROWS)
    def test_each_event_damps_in_each_mode_within_its_bound(self, row, mode):
        """Only a missing plan does not concern modes that ramp the joints."""
        found_ms = tool().damped_after_ms(tool().events(self.ROBOT)[row], mode, self.ROBOT)
        if row == "no plan comes any more" and mode in RAMPED:
            assert found_ms is None
        else:
            assert found_ms is not None and found_ms <= self.bound_ms(row)

    @pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
    def test_a_second_event_never_undoes_the_first(self, mode):
        """Random pairs: while one holds beyond its bound, whatever comes next, damping stays."""
        rng = np.random.default_rng(0)
        events = tool().events(self.ROBOT)
        for _ in range(PAIRS):
            one, two = (str(name) for name in rng.choice(ROWS, size=2, replace=False))
            if one == "no plan comes any more":
                continue
            hop = tool().ready(mode, self.ROBOT)
            ticks = round(self.bound_ms(one) * 1e6 / STATE_PERIOD_NS) + 1

            def both(k, tick, one=one, two=two, ticks=ticks):
                events[one](k, tick)
                if k >= ticks:
                    events[two](k - ticks, tick)

            commands = [hop.tick(both, k) for k in range(ticks + ONCE_MORE)]
            assert all(tool().damps(command) for command in commands[ticks:]), (one, two)

    def hostile_command(self, rng, stamp_ns):
        """Around and far past the limits, with extremes in places."""
        limits = self.limits
        robot = self.robot
        spread = float(rng.choice((0.01, 0.5, 1.0, 1.1, 3.0)))
        middle = 0.5 * (robot.q_min + robot.q_max)
        values = {
            "q": middle + spread * (robot.q_max - middle) * rng.uniform(-1.0, 1.0, 12),
            "dq": spread * limits.dq_max * rng.uniform(-1.0, 1.0, 12),
            "tau": spread * robot.tau_max * rng.uniform(-1.0, 1.0, 12),
            "kp": spread * limits.kp_max * rng.uniform(-0.1, 1.0, 12),
            "kd": spread * limits.kd_max * rng.uniform(-0.1, 1.0, 12),
        }
        if rng.random() < 0.3:
            field = str(rng.choice(list(values)))
            values[field][rng.integers(0, 12)] = float(rng.choice(EXTREMES))
        return LowCommand(stamp_ns=stamp_ns, **values)

    def allowed(self, state, command):
        """Whether a command keeps every bound, by the numbers of the configuration."""
        limits = self.limits
        robot = self.robot
        low = robot.q_min - limits.position_margin
        high = robot.q_max + limits.position_margin
        torque = commanded_torque(state, command)
        return bool(
            ((low <= command.q) & (command.q <= high)).all()
            and (np.abs(command.dq) <= limits.dq_max).all()
            and ((command.kp >= 0.0) & (command.kp <= limits.kp_max)).all()
            and ((command.kd >= 0.0) & (command.kd <= limits.kd_max)).all()
            and (np.abs(command.tau) <= limits.feedforward_margin * robot.tau_max).all()
            and (np.abs(torque) <= limits.torque_margin * robot.tau_max * (1.0 + 1e-12)).all()
        )

    @pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name)
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy: infinities
    def test_no_hostile_command_leaves_the_bounds(self, mode):
        """What is sent damps, or keeps each bound of the configuration and steps within reach.

        In a mode without power only damping is sent. Commands come one after the other, so also
        what the gate remembers is attacked.
        """
        robot = self.robot
        gate = CommandGate(robot, self.limits)
        rng = np.random.default_rng(list(Mode).index(mode))
        steps = np.tile(self.limits.torque_step, 4)
        before = None
        moved = 0
        for k in range(1, HOSTILE):
            state = standing_state(robot, k * STATE_PERIOD_NS)
            said = tool().verdict(mode, state.stamp_ns)
            planned = tool().plan(robot, state.stamp_ns)
            sent = gate.filter(state, said, planned, self.hostile_command(rng, state.stamp_ns))
            torque = commanded_torque(state, sent)
            if not tool().damps(sent):
                moved += 1
                assert mode not in DAMPED and self.allowed(state, sent)
                assert before is None or (np.abs(torque - before) <= steps + 1e-9).all()
            before = torque
        assert (moved == 0) == (mode in DAMPED)
