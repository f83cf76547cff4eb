"""Calls between threads arrive once or not at all; health rows say what was counted."""

from threading import Thread, get_ident

from safe_locomotion.nodes.health import (
    ERROR,
    OK,
    STALE,
    WARN,
    LoopTimes,
    Reasons,
    Stream,
    robot_time_ns,
)
from safe_locomotion.nodes.mailbox import Mailbox, NoAnswerError


def asked_from_another_thread(mailbox, call, timeout_s=5.0):
    """Thread that asks, and the list its answer will be in."""
    answers = []

    def ask():
        try:
            answers.append(mailbox.ask(call, timeout_s))
        except Exception as error:
            answers.append(error)

    thread = Thread(target=ask)
    thread.start()
    return thread, answers


def test_a_call_runs_on_the_owner():
    """The call runs on the thread that serves and its result goes back."""
    mailbox = Mailbox()
    thread, answers = asked_from_another_thread(mailbox, get_ident)
    while thread.is_alive():
        mailbox.serve()
    assert answers == [get_ident()]


def test_the_owner_asks_itself():
    """The control thread's own call does not wait for itself."""
    assert Mailbox().ask(lambda: 3, 0.0) == 3


def test_errors_go_back_to_the_asker():
    """The asker gets the exception of the call, and the control thread goes on."""
    mailbox = Mailbox()
    thread, answers = asked_from_another_thread(mailbox, lambda: 1 / 0)
    while thread.is_alive():
        mailbox.serve()
    assert isinstance(answers[0], ZeroDivisionError)


def test_an_unanswered_call_is_never_executed_later():
    """After the asker gave up, the call is dropped: no stand-up minutes after the request."""
    mailbox = Mailbox()
    done = []
    thread, answers = asked_from_another_thread(mailbox, lambda: done.append(1), timeout_s=0.01)
    thread.join()
    mailbox.serve()
    assert isinstance(answers[0], NoAnswerError) and done == []


class Clock:
    now = 0.0

    def __call__(self):
        """Time [s]."""
        return self.now


def test_stream_alive_valid_on_time():
    """Each of the three can fail alone, and the row says which."""
    clock = Clock()
    stream = Stream("s", timeout_s=1.0, period_ns=2, clock=clock)
    assert stream.status().level == STALE and stream.expected
    stream.hear(10)
    stream.hear(12)
    assert stream.status().level == OK and stream.missed == 0
    stream.hear(18)
    assert stream.status().level == WARN and stream.missed == 2
    stream.reject("bad layout")
    assert stream.status().level == ERROR and stream.status().message == "bad layout"
    stream.hear(20)
    clock.now = 1.5
    assert stream.status().level == STALE and not stream.alive and not stream.expected


def test_missing_stamps_are_a_warning_once_and_a_count_for_good():
    """The row after the gap warns, the next one does not; the total stays."""
    stream = Stream("s", timeout_s=1.0, period_ns=2, clock=Clock())
    for stamp in (2, 4, 10):
        stream.hear(stamp)
    assert [stream.status().level for _ in range(2)] == [WARN, OK]
    assert {pair.key: pair.value for pair in stream.status().values}["missed"] == "2"


def test_rate_and_age_of_a_stream():
    """The rate is that between two rows; asking again at once does not change it."""
    clock = Clock()
    stream = Stream("s", timeout_s=1.0, clock=clock)
    for _ in range(100):
        stream.hear(0)
    clock.now = 0.5
    for now in (0.5, 0.51):
        clock.now = now
        values = {pair.key: pair.value for pair in stream.status().values}
        assert values["rate_hz"] == "200.0"
    assert values["age_ms"] == "510"
    clock.now = 1.5
    assert {pair.key: pair.value for pair in stream.status().values}["rate_hz"] == "0.0"


def test_silence_of_an_optional_stream_is_no_fault():
    """The user need not publish cmd_vel."""
    assert Stream("cmd_vel", timeout_s=1.0, required=False).status().level == OK


def test_reasons_count_beginnings():
    """A reason that holds for many ticks is one event."""
    reasons = Reasons("gate")
    for now in [("a",), ("a",), ("a", "b"), (), ("a",)]:
        reasons.update(now)
    assert reasons.counts == {"a": 2, "b": 1} and reasons.status().level == ERROR


def test_loop_times_are_percentiles_of_the_last_ticks():
    """Old ticks leave the window."""
    times = LoopTimes("tick", size=4)
    for seconds in (9.0, 0.001, 0.001, 0.001, 0.002):
        times.add(seconds)
    values = {pair.key: pair.value for pair in times.status().values}
    assert values["p50_ms"] == "1.000" and values["max_ms"] == "2.000" and values["count"] == "5"


def test_robot_time_goes_on_while_the_robot_is_silent():
    """It is the newest stamp of all streams, and later by a silence; 0 before the first message."""
    clock = Clock()
    first = Stream("a", timeout_s=1.0, clock=clock)
    second = Stream("b", timeout_s=1.0, clock=clock)
    assert robot_time_ns([first, second]) == 0
    first.hear(5_000)
    assert robot_time_ns([first, second]) == 5_000
    second.hear(7_000)
    clock.now += 0.5
    assert robot_time_ns([first, second]) == 7_000
    clock.now += 1.5
    assert robot_time_ns([first, second]) == 7_000 + 2_000_000_000
