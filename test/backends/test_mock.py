"""Replay of recorded states, and their log."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from states import is_damping, resting_state, servo_command, spoiled

from safe_locomotion.backends.backend import open_backend
from safe_locomotion.backends.log import load_states, save_states
from safe_locomotion.backends.mock import Mock
from safe_locomotion.errors import BackendError, ConfigurationError, UnknownNameError


def test_log_round_trip(tmp_path: Path) -> None:
    """A saved log is loaded with the same fields and types."""
    states = [resting_state(tick) for tick in (1, 3, 5)]
    save_states(tmp_path / "log.npz", states)
    for loaded, state in zip(load_states(tmp_path / "log.npz"), states, strict=True):
        for field in fields(state):
            np.testing.assert_array_equal(getattr(loaded, field.name), getattr(state, field.name))
            assert type(getattr(loaded, field.name)) is type(getattr(state, field.name))


def test_wrong_logs_say_what_is_there(tmp_path: Path) -> None:
    """The error for a missing file lists the others; another npz and a text file are refused."""
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ConfigurationError, match=r"other\.npz"):
        load_states(tmp_path / "missing.npz")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(ConfigurationError, match="not a log"):
            load_states(tmp_path / name)


def test_states_come_in_order_then_none() -> None:
    """Each state is returned once; after the last one read times out."""
    states = [resting_state(tick) for tick in (1, 3)]
    backend = Mock(stop_kd=2.0, states=states)
    assert (
        backend.read(0.0) is states[0]
        and backend.read(0.0) is states[1]
        and backend.read(0.001) is None
    )
    assert backend.counters.received == 2


def test_realtime_replay_skips_what_is_overdue() -> None:
    """In real time the newest due state is returned, and the skipped ones are counted."""
    backend = Mock(
        stop_kd=2.0, states=[resting_state(tick) for tick in (1, 2, 3, 10_000)], realtime=True
    )
    last = backend.read(0.0)
    while (state := backend.read(0.02)) is not None:
        last = state
    assert last is not None and last.tick == 3
    assert backend.counters.received + backend.counters.dropped == 3


def test_commands_are_kept_and_never_hold_nan() -> None:
    """write stores commands in order; one that is not finite is stored as damping and counted."""
    backend = Mock(stop_kd=2.0, states=[resting_state()])
    backend.write(servo_command())
    backend.write(spoiled(servo_command()))
    backend.write(spoiled(servo_command(), 1e39))
    np.testing.assert_array_equal(backend.commands[0].kp, servo_command().kp)
    assert all(is_damping(command, 2.0) for command in backend.commands[1:])
    assert backend.counters.nonfinite_commands == 2


def test_close_ends_on_damping_once() -> None:
    """The last command is damping, unless there was no command at all."""
    backend = Mock(stop_kd=2.0, states=[resting_state()])
    backend.write(servo_command())
    backend.close()
    backend.close()
    assert len(backend.commands) == 2 and is_damping(backend.commands[-1], 2.0)
    silent = Mock(stop_kd=2.0, states=[resting_state()])
    silent.close()
    assert silent.commands == []


def test_bad_options_name_the_choices() -> None:
    """Unknown backends and options are errors that list the valid ones."""
    with pytest.raises(UnknownNameError, match="unitree_sdk2, legged_sdk, mock"):
        open_backend("sdk3")
    with pytest.raises(UnknownNameError, match="stop_kd, states, path, realtime"):
        open_backend("mock", speed=2)
    with pytest.raises(BackendError, match="give one of them"):
        open_backend("mock", stop_kd=1.0)
