"""The link never leaves a robot without damping, whatever ends it."""

from math import inf
from time import monotonic, sleep

import pytest
from linked_robot import MOVE, STATE, Robot, Steady, link

from safe_locomotion.backends.commanders import Commanders


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


def test_opening_and_closing_twice_is_once():
    """The second call finds nothing to do."""
    robot = Robot()
    made = opened(robot, True)
    made.open()
    assert made.active and made.backend is robot
    made.close()
    made.close()
    assert robot.log.count("close") == 1


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
