"""A link answers no old state: a process that stood still anywhere in its tick damps."""

from math import inf, nan

import pytest
from linked_robot import MOVE, STATE, Robot, Steady, link

from safe_locomotion.backends.robot_link import MOST_BEHIND_S, SETTLE_S

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


@pytest.mark.parametrize(
    ("behind_s", "sent"),
    [(0.0, "move"), (MOST_BEHIND_S, "move"), (0.021, "late"), (1.0, "late"), (inf, "late")],
)
def test_a_state_is_not_answered_when_a_much_newer_one_waits(behind_s, sent):
    """Robot time decides too, where our clock allows any age; 20 ms are the most."""
    assert MOST_BEHIND_S == 0.02
    robot = Robot()
    made, _ = on_a_clock(robot, inf)
    made.read()
    robot.behind = behind_s
    made.write(MOVE)
    assert robot.log == [sent] and made.late == (sent == "late")


def test_a_robot_time_that_is_no_number_damps():
    """NaN compares with nothing."""
    robot = Robot()
    made, _ = on_a_clock(robot, inf)
    robot.behind = nan
    made.read()
    made.write(MOVE)
    assert robot.log == ["late"]


def test_states_that_arrive_during_the_send_are_damped_at_once():
    """They are looked for again when the command is out."""
    robot = Robot()
    made, _ = on_a_clock(robot, inf)

    def send():
        """The states of a pause arrive."""
        del robot.send
        robot.behind = 0.1

    made.read()
    robot.send = send
    made.write(MOVE)
    assert robot.log == ["move", "late"] and made.late == 1


def test_states_from_a_backlog_are_not_trusted():
    """The newest of those that had arrived by then is not answered, until all had time to come."""
    robot = Robot()
    made, clock = on_a_clock(robot, inf)
    words = []
    for step_s, behind_s in ((0.002, 0.1), (SETTLE_S - 0.001, 0.0), (0.002, 0.0), (0.002, 0.0)):
        clock.now += step_s
        robot.behind = behind_s
        made.read()
        made.write(MOVE)
        words.append(robot.log[-1])
    assert words == ["late", "late", "move", "move"]
