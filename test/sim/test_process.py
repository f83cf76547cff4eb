"""The robot process in wall-clock time and in lock-step, over a wire in memory."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from memory_wire import ROBOT, Controller, MemoryWire, hold

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.disturbances import DisturbanceOptions
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.process import LOST_AFTER, STAND_UP_LIMIT, ProcessOptions, RobotProcess
from safe_locomotion.sim.pushes import Push, impulse_in_world, parse_pushes
from safe_locomotion.types import LowState


def process_on(wire: MemoryWire, pushes: tuple[Push, ...] = (), **options) -> RobotProcess:
    options.setdefault("disturbances", DisturbanceOptions(pushes=pushes))
    return RobotProcess(ProcessOptions(**options), wire, clock=wire.clock, wait=wire.wait)


def test_robot_stands_up_over_the_wire_in_wall_clock_mode() -> None:
    """At 500 Hz, with a controller that answers within a period, the robot stands.

    Robot time is wall time.
    """
    wire = MemoryWire(Controller(), latency=0.001)
    summary = process_on(wire, duration=0.5).run(lambda: False)
    assert summary["falls"] == 0 and summary["stood_at_s"] is not None
    assert (wire.states[-1].stamp_ns - wire.states[0].stamp_ns) * 1e-9 == pytest.approx(
        wire.now, abs=0.005
    )


def test_lost_time_is_reported_not_made_up() -> None:
    """After a stall of 1 s robot time lags the wall by 1 s, and states keep their 2 ms distance."""
    wire = MemoryWire(Controller())
    process = process_on(wire)
    for i in range(1000):
        wire.now += 1.0 if i == 500 else 0.0
        process.tick()
    assert wire.now == pytest.approx(3.0, abs=0.02)


def trajectory(first_latency: float, latency: float, starts_after: int) -> np.ndarray:
    wire = MemoryWire(Controller(), first_latency, starts_after)
    process = process_on(wire, lockstep=True, pushes=(Push(time=0.2, impulse=(0.0, 8.0, 0.0)),))
    while process.commands < 1000:
        process.tick()
        if process.commands:
            wire.latency = latency
    return np.array([np.r_[s.q, s.gyro, s.foot_force] for s in wire.states[-1000:]])


def test_lockstep_gives_the_same_trajectory_on_a_loaded_machine() -> None:
    """States are bit-identical when the controller starts later and answers more slowly."""
    quick = trajectory(first_latency=0.0001, latency=0.0001, starts_after=3)
    slow = trajectory(first_latency=0.009, latency=0.05, starts_after=40)
    np.testing.assert_array_equal(quick, slow)


def test_lockstep_rests_until_the_first_command() -> None:
    """Without a controller only the tick of the states changes; one state comes each 10 ms."""
    wire = MemoryWire(Controller())
    wire.silent = True
    process = process_on(wire, lockstep=True)
    for _ in range(100):
        process.tick()
    assert [b.tick - a.tick for a, b in zip(wire.states, wire.states[1:], strict=False)] == [2] * 99
    np.testing.assert_array_equal(wire.states[1].q, wire.states[-1].q)
    assert wire.now == pytest.approx(1.0)


def test_lockstep_repeats_a_state_that_a_new_listener_has_missed() -> None:
    """A controller that connects after the first state soon gets the same one, and answers it."""
    wire = MemoryWire(Controller(), starts_after=1)
    wire.connected = 1
    process = process_on(wire, lockstep=True)
    process.tick()
    assert process.commands == 1 and wire.now == pytest.approx(0.01)
    assert [state.tick for state in wire.states] == [wire.states[0].tick] * 2


def test_lockstep_goes_on_without_a_controller() -> None:
    """The robot waits five times for a dead controller, and counts this.

    Then it runs limp until a controller comes back.
    """
    wire = MemoryWire(Controller())
    process = process_on(wire, lockstep=True, answer_timeout=0.25)
    while not process.robot.has_stood:
        process.tick()
    wire.silent = True
    before = wire.now
    for _ in range(600):
        process.tick()
    assert process.timeouts == LOST_AFTER and process.robot.falls == 1
    assert wire.now - before == pytest.approx(LOST_AFTER * 0.25 + 595 * 0.002, abs=0.01)
    wire.silent = False
    for _ in range(10):
        process.tick()
    assert process.timeouts == LOST_AFTER and process.commands > 0


def after_a_foreign_answer(stamped: bool | None) -> tuple[LowState, MemoryWire]:
    """State after 21 ticks, and the wire; a foreign command comes before the last tick.

    Args:
        stamped: the command carries the stamp of the previous state; False: no stamp; None: there
            is no such command.
    """
    wire = MemoryWire(Controller())
    process = process_on(wire, lockstep=True)
    for _ in range(20):
        process.tick()
    if stamped is not None:
        stamp_ns = wire.states[-2].stamp_ns if stamped else 0
        wire.answers.appendleft((wire.now, hold(ROBOT.q_sit + 1.0, stamp_ns=stamp_ns)))
    process.tick()
    return process.robot.low_state(), wire


@pytest.mark.parametrize("stamped", [True, False])
def test_only_the_answer_to_the_present_state_is_taken(stamped: bool) -> None:
    """In lock-step a late answer changes nothing, and neither does damping without a stamp.

    A controller that is late sends such damping. The state still gets its own answer.
    """
    undisturbed, _ = after_a_foreign_answer(None)
    state, wire = after_a_foreign_answer(stamped)
    assert not wire.answers
    for name in ("q", "dq", "tau"):
        np.testing.assert_array_equal(getattr(state, name), getattr(undisturbed, name))


def test_truth_goes_out_at_50_hz() -> None:
    """One ground-truth message for every tenth state, stamped as that state."""
    wire = MemoryWire(Controller())
    process = process_on(wire)
    for _ in range(100):
        process.tick()
    assert wire.truths == [state.stamp_ns for state in wire.states[::10]]


def test_push_comes_when_it_is_due() -> None:
    """A push at 0.3 s after standing shows in the lateral velocity then, not before."""
    wire = MemoryWire(Controller())
    process = process_on(wire, pushes=(Push(time=0.3, impulse=(0.0, 10.0, 0.0)),))
    while process.stood_at is None or process.robot.time_s < process.stood_at + 0.298:
        process.tick()
    before = abs(process.robot.truth().velocity[1])
    for _ in range(55):
        process.tick()
    assert before < 0.02 and process.robot.truth().position[1] > 0.01


def test_fallen_robot_is_put_back_on_its_feet() -> None:
    """One second after a fall the robot is upright again, and one fall is counted."""
    wire = MemoryWire(Controller())
    process = process_on(wire, pushes=(Push(time=0.1, impulse=(0.0, 90.0, 0.0)),))
    while not process.fall_times:
        process.tick()
    for _ in range(510):
        process.tick()
    assert process.robot.falls == 1 and process.robot.truth().height > 0.2


def test_truth_file_holds_every_state(tmp_path) -> None:
    """The recorder writes one row per state and leaves no part file.

    The velocities integrate to the positions.
    """
    wire = MemoryWire(Controller())
    path = tmp_path / "run" / "truth.npz"
    process = process_on(wire, duration=0.5, truth_file=path)
    summary = process.run(lambda: False)
    data = np.load(path)
    assert len(data["time"]) == summary["states"] and os.listdir(path.parent) == ["truth.npz"]
    np.testing.assert_allclose(np.diff(data["time"]), 0.002, atol=1e-9)
    travelled = np.sum(data["velocity"], axis=0) * 0.002
    np.testing.assert_allclose(travelled, data["position"][-1] - data["position"][0], atol=2e-3)


def test_run_ends_when_the_robot_never_stands() -> None:
    """A run with a duration ends after the stand-up limit when no controller comes."""
    wire = MemoryWire(Controller())
    wire.silent = True
    process = process_on(wire, duration=1.0, lockstep=True)
    while process.robot.time_s < STAND_UP_LIMIT - 0.01:
        process.robot.rest()
    assert process.run(lambda: False)["stood_at_s"] is None


@pytest.mark.parametrize(
    "text", ["25", "25@", "@3", "25@x", "nan@3", "25@-1", "25@inf", "25@1,,3@4"]
)
def test_malformed_pushes_are_refused(text) -> None:
    """Anything but numbers around an @ is a configuration error that quotes the part."""
    with pytest.raises(ConfigurationError, match="push"):
        parse_pushes(text)


def test_pushes_are_sorted_and_lateral() -> None:
    """Times are sorted, and the impulse is lateral in the heading frame.

    When the robot faces left, it points backwards.
    """
    first, second = parse_pushes("-25@6,10@3.5")
    assert (first.time, second.time) == (3.5, 6.0)
    np.testing.assert_allclose(
        impulse_in_world(first, np.sqrt([0.5, 0.0, 0.0, 0.5])), (-10.0, 0.0, 0.0), atol=1e-9
    )
    assert parse_pushes("") == ()


@pytest.mark.parametrize(
    "bad", [{"duration": 0.0}, {"duration": float("nan")}, {"answer_timeout": float("nan")}]
)
def test_options_without_meaning_are_refused(bad) -> None:
    """Zero or NaN times are configuration errors that name the option."""
    with pytest.raises(ConfigurationError, match=next(iter(bad))):
        ProcessOptions(**bad)


def test_simulation_options_reach_the_robot() -> None:
    """The summary states the simulation's options, so a run can be repeated from its report."""
    options = replace(SimulationOptions(), seed=7, friction=0.4)
    wire = MemoryWire(Controller())
    process = process_on(wire, simulation=options)
    process.tick()
    summary = process.summary()
    assert summary["simulation"]["seed"] == 7 and summary["simulation"]["friction"] == 0.4
    assert json.loads(json.dumps(summary, allow_nan=False))["real_time_factor"] == pytest.approx(
        1.0
    )


def test_pushes_wait_for_a_fallen_robot() -> None:
    """The push that fells the robot counts.

    The next one waits until the robot has stood for two seconds again.
    """
    process = process_on(
        MemoryWire(Controller()), lockstep=True, pushes=parse_pushes("200@0.5,1@1"), duration=30.0
    )
    while process.pushed < 2:
        process.tick()
        assert process.robot.time_s < 40.0
    assert process.fall_times and process.robot.stands
    assert process.robot.time_s - process.fall_times[-1] >= 2.0
