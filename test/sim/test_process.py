"""The robot process in wall-clock time and in lock-step, over a wire in memory and over real DDS on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import load_robot
from safe_locomotion.runtime.processes import PARENT
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.process import LOST_AFTER, ProcessOptions, RobotProcess
from safe_locomotion.sim.pushes import Push, impulse_in_world, parse_pushes
from safe_locomotion.types import LowCommand, LowState

ROBOT = load_robot("a1")


def hold(q, stamp_ns: int = 0) -> LowCommand:
    zero = np.zeros(12)
    return LowCommand(
        stamp_ns=stamp_ns, q=q, dq=zero, tau=zero, kp=np.full(12, 80.0), kd=np.full(12, 3.0)
    )


class Controller:
    """Stands up over 1 s from where the joints are at its first state, then stands; `sit_at` lets it command damping."""

    def __init__(self) -> None:
        self.start: LowState | None = None

    def __call__(self, state: LowState) -> LowCommand:
        if self.start is None:
            self.start = state
        s = min(1.0, (state.stamp_ns - self.start.stamp_ns) * 1e-9)
        return hold(
            self.start.q + (ROBOT.q_stand - self.start.q) * (3 * s * s - 2 * s**3), state.stamp_ns
        )


class FakeWire:
    """A wire in memory with its own clock: the controller answers every state after `latency` unless it is `silent`."""

    def __init__(self, controller, latency: float = 0.0, starts_after: int = 0) -> None:
        self.rejected: Counter[str] = Counter()
        self.overtaken = 0
        self.states: list[LowState] = []
        self.truths: list[int] = []
        self.now = 0.0
        self.silent = False
        self.latency = latency
        self.starts_after = starts_after
        self._controller = controller
        self._answers = deque()

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def publish(self, state: LowState) -> None:
        self.states.append(state)
        if not self.silent and len(self.states) > self.starts_after:
            self._answers.append((self.now + self.latency, self._controller(state)))

    def listeners(self) -> int:
        return 0

    def take_command(self, timeout_s: float) -> LowCommand | None:
        if self._answers and self._answers[0][0] <= self.now + timeout_s:
            due, command = self._answers.popleft()
            self.now = max(self.now, due)
            return command
        self.now += timeout_s
        return None

    def publish_truth(self, *, stamp_ns, **_: object) -> None:
        self.truths.append(stamp_ns)


def process_on(wire: FakeWire, **options) -> RobotProcess:
    return RobotProcess(ProcessOptions(**options), wire, clock=wire.clock, wait=wire.wait)


def test_robot_stands_up_over_the_wire_in_wall_clock_mode() -> None:
    """Paced at 500 Hz with a controller that answers within a period: the robot stands and robot time is wall time."""
    wire = FakeWire(Controller(), latency=0.001)
    summary = process_on(wire, duration=0.5).run(lambda: False)
    assert summary["falls"] == 0 and summary["stood_at_s"] is not None
    assert (wire.states[-1].stamp_ns - wire.states[0].stamp_ns) * 1e-9 == pytest.approx(
        wire.now, abs=0.005
    )


def test_lost_time_is_reported_not_made_up() -> None:
    """After a stall of 1 s robot time lags the wall by 1 s, and states keep their 2 ms distance."""
    wire = FakeWire(Controller())
    process = process_on(wire)
    for i in range(1000):
        wire.now += 1.0 if i == 500 else 0.0
        process.tick()
    assert wire.now == pytest.approx(3.0, abs=0.02)


def trajectory(first_latency: float, latency: float, starts_after: int) -> np.ndarray:
    wire = FakeWire(Controller(), first_latency, starts_after)
    process = process_on(wire, lockstep=True, pushes=(Push(time=0.2, impulse=(0.0, 8.0, 0.0)),))
    while process.commands < 1000:
        process.tick()
        if process.commands:
            wire.latency = latency
    return np.array([np.r_[s.q, s.gyro, s.foot_force] for s in wire.states[-1000:]])


def test_lockstep_gives_the_same_trajectory_on_a_loaded_machine() -> None:
    """A controller that starts later and answers slower than a period sees bit-identical states under the same seed."""
    quick = trajectory(first_latency=0.0001, latency=0.0001, starts_after=3)
    slow = trajectory(first_latency=0.009, latency=0.05, starts_after=40)
    np.testing.assert_array_equal(quick, slow)


def test_lockstep_rests_until_the_first_command() -> None:
    """Without a controller only the tick of the states changes, one state each 10 ms."""
    wire = FakeWire(Controller())
    wire.silent = True
    process = process_on(wire, lockstep=True)
    for _ in range(100):
        process.tick()
    assert [b.tick - a.tick for a, b in zip(wire.states, wire.states[1:], strict=False)] == [2] * 99
    np.testing.assert_array_equal(wire.states[1].q, wire.states[-1].q)
    assert wire.now == pytest.approx(1.0)


def test_lockstep_goes_on_without_a_controller() -> None:
    """A dead controller is waited for five times, counted, then the robot free-runs limp until a controller comes back."""
    wire = FakeWire(Controller())
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


def test_answers_to_older_states_are_not_taken_for_the_present_one() -> None:
    """In lock-step a late answer does not shift the pairing: the next state still gets its own answer."""
    wire = FakeWire(Controller())
    process = process_on(wire, lockstep=True)
    for _ in range(20):
        process.tick()
    wire._answers.appendleft((wire.now, hold(ROBOT.q_sit + 1.0, stamp_ns=wire.states[-2].stamp_ns)))
    process.tick()
    assert not np.allclose(process.robot._newest.q, ROBOT.q_sit + 1.0)
    assert not wire._answers


def test_lockstep_does_not_run_ahead_of_a_controller_that_is_late() -> None:
    """Damping without a stamp, sent while a controller that stamps its commands is late, is not taken for the answer."""
    wire = FakeWire(Controller())
    process = process_on(wire, lockstep=True)
    for _ in range(20):
        process.tick()
    wire._answers.appendleft((wire.now, hold(ROBOT.q_sit + 1.0)))
    process.tick()
    assert not np.allclose(process.robot._newest.q, ROBOT.q_sit + 1.0)
    assert not wire._answers


def test_truth_goes_out_at_50_hz() -> None:
    """One ground-truth message for every tenth state, stamped as that state."""
    wire = FakeWire(Controller())
    process = process_on(wire)
    for _ in range(100):
        process.tick()
    assert wire.truths == [state.stamp_ns for state in wire.states[::10]]


def test_push_comes_when_it_is_due() -> None:
    """A push at 0.3 s after standing shows in the lateral velocity then, not before."""
    wire = FakeWire(Controller())
    process = process_on(wire, pushes=(Push(time=0.3, impulse=(0.0, 10.0, 0.0)),))
    while process.stood_at is None or process.robot.time_s < process.stood_at + 0.298:
        process.tick()
    before = abs(process.robot.truth().velocity[1])
    for _ in range(55):
        process.tick()
    assert before < 0.02 and process.robot.truth().position[1] > 0.01


def test_fallen_robot_is_put_back_on_its_feet() -> None:
    """One second after a fall the robot is upright again, and one fall is counted."""
    wire = FakeWire(Controller())
    process = process_on(wire, pushes=(Push(time=0.1, impulse=(0.0, 90.0, 0.0)),))
    while not process.fall_times:
        process.tick()
    for _ in range(510):
        process.tick()
    assert process.robot.falls == 1 and process.robot.truth().height > 0.2


def test_truth_file_holds_every_state(tmp_path) -> None:
    """The recorder writes one row per state, with no part file left behind, and velocities that integrate to positions."""
    wire = FakeWire(Controller())
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
    wire = FakeWire(Controller())
    wire.silent = True
    process = process_on(wire, duration=1.0, lockstep=True)
    process.robot._ms = 59_990
    assert process.run(lambda: False)["stood_at_s"] is None


@pytest.mark.parametrize(
    "text", ["25", "25@", "@3", "25@x", "nan@3", "25@-1", "25@inf", "25@1,,3@4"]
)
def test_malformed_pushes_are_refused(text) -> None:
    """Anything but numbers around an @ is a configuration error that quotes the part."""
    with pytest.raises(ConfigurationError, match="push"):
        parse_pushes(text)


def test_pushes_are_sorted_and_lateral() -> None:
    """Times are sorted; the impulse is lateral in the heading frame: with the robot facing left it points backwards."""
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


@pytest.fixture
def backend(wire_domain):
    pytest.importorskip("unitree_sdk2py")
    from safe_locomotion.backends.unitree_sdk2 import UnitreeSdk2

    link = UnitreeSdk2(stop_kd=3.0, domain=wire_domain)
    yield link
    link.close()


def command(domain: int, *arguments: str) -> list[str]:
    """Command line of the robot process."""
    return [sys.executable, "-m", "safe_locomotion.sim", "--domain", str(domain), *arguments]


def start(domain: int, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(command(domain, *arguments), stderr=subprocess.PIPE)


def serve(backend, process: subprocess.Popen, limit_s: float) -> int:
    """Answer every state until the process ends."""
    controller = Controller()
    answered = 0
    end = time.monotonic() + limit_s
    while process.poll() is None and time.monotonic() < end:
        state = backend.read(0.1)
        if state is not None:
            backend.write(controller(state))
            answered += 1
    return answered


def test_process_stands_up_over_real_dds(backend, wire_domain, tmp_path) -> None:
    """The real process in lock-step, commanded through the SDK2 backend, stands up, ends after its duration and reports."""
    summary_file = tmp_path / "summary.json"
    truth = str(tmp_path / "truth.npz")
    process = start(
        wire_domain,
        "--lockstep",
        "--duration",
        "0.5",
        "--summary",
        str(summary_file),
        "--truth",
        truth,
    )
    try:
        answered = serve(backend, process, 40.0)
        assert process.wait(10) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    summary = json.loads(summary_file.read_text())
    assert summary["stood_at_s"] is not None and summary["falls"] == 0
    assert summary["commands"] > 400 and answered >= summary["commands"]
    assert summary["commands_rejected"] == {}


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_process_ends_on_a_signal(which, tmp_path, wire_domain) -> None:
    """SIGINT and SIGTERM end the process with status 0 and a summary."""
    pytest.importorskip("unitree_sdk2py")
    summary_file = tmp_path / "summary.json"
    process = start(wire_domain, "--summary", str(summary_file))
    try:
        assert b"DDS domain" in process.stderr.readline()
        process.send_signal(which)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert json.loads(summary_file.read_text())["stood_at_s"] is None


def test_process_ends_with_its_parent(tmp_path, wire_domain) -> None:
    """As in a stack, the process does not outlive the one that started it, and ends as on request."""
    pytest.importorskip("unitree_sdk2py")
    summary_file = tmp_path / "summary.json"
    code = (
        "import os, subprocess, sys\n"
        f"os.environ[{PARENT!r}] = str(os.getpid())\n"
        "subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE).stderr.readline()\n"
    )
    robot = command(wire_domain, "--summary", str(summary_file))
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *robot], check=True, timeout=40)
    end = time.monotonic() + 20.0
    while not summary_file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert summary_file.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--robot", "spot"], "a1"),
        (["--terrain", "moon"], "stairs"),
        (["--interface", "nope0"], "lo"),
        (["--push", "7"], "J@t"),
    ],
)
def test_bad_options_end_with_status_2_and_name_the_choices(arguments, named) -> None:
    """No traceback: one line that names the valid choices, exit status 2."""
    pytest.importorskip("unitree_sdk2py")
    done = subprocess.run(
        [sys.executable, "-m", "safe_locomotion.sim", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 2
    assert named in done.stderr and "Traceback" not in done.stderr


def test_simulation_options_reach_the_robot() -> None:
    """The summary states the simulation's options, so a run can be repeated from its report."""
    options = replace(SimulationOptions(), seed=7, friction=0.4)
    wire = FakeWire(Controller())
    process = process_on(wire, simulation=options)
    process.tick()
    summary = process.summary()
    assert summary["simulation"]["seed"] == 7 and summary["simulation"]["friction"] == 0.4
    assert json.loads(json.dumps(summary, allow_nan=False))["real_time_factor"] == pytest.approx(
        1.0
    )


def test_pushes_wait_for_a_fallen_robot() -> None:
    """The push that fells the robot counts; the next one waits until the robot has stood for two seconds again."""
    process = process_on(
        FakeWire(Controller()), lockstep=True, pushes=parse_pushes("200@0.5,1@1"), duration=30.0
    )
    while process.pushed < 2:
        process.tick()
        assert process.robot.time_s < 40.0
    assert process.fall_times and process.robot.stands
    assert process.robot.time_s - process.fall_times[-1] >= 2.0
