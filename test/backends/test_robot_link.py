"""The link never leaves a robot without damping, whatever ends it."""

from math import inf, nan
from time import monotonic, sleep

import numpy as np
import pytest
from random_values import random_low_state

from safe_locomotion.backends.backend import always
from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.backends.robot_link import SETTLE_S, STATE_OLD, RobotLink
from safe_locomotion.commands import damping_command
from safe_locomotion.types import LowCommand

STATE = random_low_state(0)
MOVE = LowCommand(
    stamp_ns=0, q=np.ones(12), dq=np.ones(12), tau=np.ones(12), kp=np.ones(12), kd=np.ones(12)
)


NAMES = {"stopping": "damp", STATE_OLD: "late"}


class Robot:
    """Remembers what was done to it."""

    def __init__(self, states=None):
        self.states = states
        self.log = []
        self.waits = []

    def read(self, timeout_s):
        """Next state."""
        self.waits.append(timeout_s)
        return STATE if self.states is None else self.states.pop(0) if self.states else None

    def write(self, command, fresh=always):
        """Keep the command, if it is fresh after all that is slow."""
        self.pack()
        if not fresh():
            return False
        self.log.append(NAMES.get(command.reason, "move"))
        self.send()
        return True

    def pack(self):
        """Take no time."""

    def send(self):
        """Take no time."""

    def listen(self, listen_s):
        """One other program."""
        self.waits.append(listen_s)
        return Commanders(commands=1)

    def stop(self):
        """Damping."""
        self.log.append("stop")

    def close(self):
        """Free the robot."""
        self.log.append("close")


class Clock:
    """0.1 s pass with each look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        """Time [s]."""
        self.now += 0.1
        return self.now


class Steady:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self):
        """Time [s]."""
        return self.now


def link(robot, age_s=inf, clock=None, silence_s=0.01):
    """A link to this robot."""
    return RobotLink(
        lambda: robot,
        lambda s: damping_command(s.stamp_ns, 1.0, q=s.q, reason="stopping"),
        silence_s=silence_s,
        age_s=age_s,
        damping_s=0.5,
        clock=clock or Clock(),
    )


def opened(robot, active):
    """The same, open or active."""
    made = link(robot)
    made.open()
    if active:
        made.activate()
    return made


def tick(made):
    """One tick of a control loop; what `write` returned, or None without a LowState."""
    state = made.read()
    return None if state is None else made.write(MOVE)


def test_open_is_read_only():
    """An open link hands over states, so that the stages get warm, and sends no answer."""
    robot = Robot()
    made = opened(robot, False)
    for _ in range(3):
        assert made.read() is STATE
        assert made.write(MOVE) is None
    assert robot.log == []


def test_a_link_that_only_read_leaves_silently():
    """Closing a link that was never active commands nothing."""
    robot = Robot()
    opened(robot, False).close()
    assert robot.log == ["close"]


def test_active_answers_each_state():
    """One command per LowState."""
    robot = Robot()
    made = opened(robot, True)
    latencies = [tick(made) for _ in range(3)]
    assert robot.log == ["move"] * 3
    assert all(latency >= 0.0 for latency in latencies)


def test_the_latency_counts_from_the_state_to_the_end_of_writing():
    """Both computing between read and write and the writing itself are in it."""
    robot = Robot()
    made = link(robot, clock=monotonic)
    made.open()
    made.activate()
    robot.send = lambda: sleep(0.01)
    made.read()
    sleep(0.02)
    assert made.write(MOVE) >= 0.03


def test_a_look_takes_no_state_away():
    """The state of a look is the one that the next read returns."""
    robot = Robot(["first", "second"])
    made = opened(robot, False)
    assert made.look(0.03) == made.look(0.04) == "first"
    assert made.read() == "first"
    assert made.look(0.05) == "second"
    assert [made.read(), made.read()] == ["second", None]
    assert robot.waits == [0.03, 0.05, 0.01]


def test_a_look_ahead_is_gone_with_the_link():
    """After closing and opening, the next state is looked at, not an old one."""
    robot = Robot(["first", "second"])
    made = opened(robot, False)
    assert made.look(0.01) == "first"
    made.close()
    made.open()
    assert made.look(0.01) == "second"


def test_others_are_asked_of_the_backend():
    """A closed link hears nobody."""
    robot = Robot()
    made = link(robot)
    assert made.listen(0.3) == Commanders()
    made.open()
    assert made.listen(0.3) == Commanders(commands=1) and robot.waits == [0.3]


def test_nothing_is_answered_before_the_first_state():
    """An active link without a LowState sends nothing."""
    robot = Robot()
    assert opened(robot, True).write(MOVE) is None
    assert robot.log == []


def test_silence_is_answered_by_damping():
    """Without a LowState an active link stops the robot, an inactive one keeps quiet."""
    active = Robot([])
    inactive = Robot([])
    links = [opened(active, True), opened(inactive, False)]
    assert [made.active for made in links] == [True, False]
    for _ in range(2):
        assert [made.read() for made in links] == [None, None]
    assert active.log == ["stop", "stop"] and inactive.log == []
    assert [made.silences for made in links] == [2, 2]


@pytest.mark.parametrize("leave", ["deactivate", "close"])
@pytest.mark.parametrize("states", [None, []], ids=["states come", "silence"])
def test_leaving_damps_repeatedly(leave, states):
    """Deactivation and closing repeat damping, with and without states; then nothing moves."""
    robot = Robot(states)
    made = opened(robot, True)
    getattr(made, leave)()
    damped = [word for word in robot.log if word != "close"]
    assert (
        len(damped) >= 4 and set(damped) <= {"damp", "stop"} and damped[0] == damped[-1] == "stop"
    )
    assert ("damp" in damped) == (states is None)
    assert (robot.log[-1] == "close") == (leave == "close")
    assert made.active is False
    robot.log.clear()
    assert tick(made) is None
    assert robot.log == []


def test_damping_is_repeated_for_its_time():
    """States come each 0.25 s, and damping lasts 0.5 s."""
    robot = Robot()
    clock = Steady()
    made = link(robot, inf, clock)
    made.open()
    made.activate()
    read = robot.read

    def paced(timeout_s):
        """A state after 0.25 s."""
        clock.now += 0.25
        return read(timeout_s)

    robot.read = paced
    made.deactivate()
    assert robot.log == ["stop", "damp", "damp", "stop"] and robot.waits == [0.01, 0.01]


def test_a_failing_stop_does_not_prevent_closing():
    """Even when the backend raises while stopping, it is closed."""
    robot = Robot()
    made = opened(robot, True)
    robot.stop = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        made.close()
    assert robot.log[-1] == "close" and made.backend is None and not made.active


def test_closed_link_cannot_be_activated():
    """There is nothing to answer without a backend."""
    made = link(Robot())
    made.activate()
    assert not made.active


AGE_S = 0.02
SILENCE_S = 0.01


def on_a_clock(robot, age_s=AGE_S):
    """An active link whose clock the test moves."""
    clock = Steady()
    made = link(robot, age_s, clock)
    made.open()
    made.activate()
    return made, clock


@pytest.mark.parametrize(("pause_s", "sent"), [(0.0, "move"), (0.0199, "move"), (0.0201, "late")])
def test_an_old_state_is_not_answered(pause_s, sent):
    """A process that stood still in mid-tick damps, and the next answer in time moves again."""
    robot = Robot()
    made, clock = on_a_clock(robot)
    made.read()
    clock.now += pause_s
    assert made.write(MOVE) == pytest.approx(pause_s)
    clock.now += 0.002
    made.read()
    made.write(MOVE)
    assert robot.log == [sent, "move"] and made.late == (sent == "late")


@pytest.mark.parametrize(("beyond_s", "sent"), [(0.0, "move"), (1e-9, "late")])
@pytest.mark.parametrize(("before_s", "after_s"), [(0.0, 0.25), (0.75, 0.0)])
def test_an_age_and_a_pause_count_from_their_bounds_on(before_s, after_s, beyond_s, sent):
    """A state may be 0.25 s old, and 0.5 s of silence and that age may pass between two reads."""
    robot = Robot()
    clock = Steady()
    made = link(robot, 0.25, clock, silence_s=0.5)
    made.open()
    made.activate()
    clock.now += before_s + (beyond_s if before_s else 0.0)
    made.read()
    clock.now += after_s + (beyond_s if after_s else 0.0)
    made.write(MOVE)
    assert robot.log == [sent]


@pytest.mark.parametrize("pause_s", [0.08, 2.0, inf, nan])
def test_a_pause_of_any_length_is_seen(pause_s):
    """Seconds count like milliseconds, and a clock that says nonsense damps too."""
    robot = Robot()
    made, clock = on_a_clock(robot)
    made.read()
    clock.now += pause_s
    made.write(MOVE)
    assert robot.log == ["late"]


@pytest.mark.parametrize(
    ("where", "sent"),
    [("pack", ["late"]), ("send", ["move", "late"])],
)
def test_a_pause_during_the_write_is_damped_at_once(where, sent):
    """A command that gets old while it is packed never leaves; one in the transport is damped.

    Damping goes on until the transport is drained; then an answer in time moves the robot again.
    """
    robot = Robot()
    made, clock = on_a_clock(robot)

    def stands_still():
        """The process stands still in here, once."""
        delattr(robot, where)
        clock.now += 1.0

    made.read()
    setattr(robot, where, stands_still)
    made.write(MOVE)
    assert robot.log == sent
    for step_s in (0.002, SETTLE_S):
        clock.now += step_s
        made.read()
        made.write(MOVE)
    assert robot.log == [*sent, "late", "move"] and made.late == 2


def test_states_from_a_pause_are_not_trusted():
    """After a pause between two reads, answers damp until the transport is drained."""
    robot = Robot()
    made, clock = on_a_clock(robot)
    ticks = []
    for step_s in (0.002, SILENCE_S + AGE_S - 0.001, 0.08, *[0.002] * 12):
        clock.now += step_s
        made.read()
        made.write(MOVE)
        ticks.append((clock.now, robot.log[-1]))
    assert [word for _, word in ticks[:2]] == ["move", "move"]
    paused_s = ticks[2][0]
    assert all((word == "late") == (t < paused_s + SETTLE_S) for t, word in ticks[2:]), ticks
    assert ticks[-1][1] == "move"


def test_in_lock_step_no_state_is_old():
    """The robot waits for the answer, however long it takes."""
    robot = Robot()
    made, clock = on_a_clock(robot, inf)
    for _ in range(3):
        made.read()
        clock.now += 5.0
        made.write(MOVE)
        clock.now += 5.0
    assert robot.log == ["move"] * 3 and made.late == 0


def test_before_activation_a_pause_does_not_count():
    """The link may wait for its robot; what counts begins with activation."""
    robot = Robot()
    clock = Steady()
    made = link(robot, AGE_S, clock)
    made.open()
    clock.now += 10.0
    made.activate()
    made.read()
    made.write(MOVE)
    assert robot.log == ["move"]


@pytest.mark.parametrize(("stop_s", "sent"), [(0.02, "move"), (0.039, "move"), (0.06, "late")])
def test_damping_a_silent_robot_is_no_pause(stop_s, sent):
    """The first state after a silence is answered, unless the damping itself took far too long."""
    robot = Robot([STATE, None, None, STATE])
    made, clock = on_a_clock(robot)

    def stop():
        """Repeat damping, as backends do."""
        clock.now += stop_s

    robot.stop = stop
    made.read()
    for _ in range(2):
        clock.now += SILENCE_S
        assert made.read() is None
    clock.now += 0.002
    made.read()
    made.write(MOVE)
    assert robot.log == [sent]
