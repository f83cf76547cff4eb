"""The robot process: a `SimulatedRobot` behind a wire, by the clock or in lock-step.

Wall-clock: the state of time t is published at wall time t. The newest command that has arrived one
period later drives the robot over this period.

Lock-step: the command that answers the state drives the period, however long it takes. A loaded
machine thus changes nothing.

A controller that answers within a period sees the same robot in both. In lock-step the robot rests
until the first answer: it sends one state each 10 ms, and only their tick changes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Protocol

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.disturbances import DisturbanceOptions, Disturbances
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.recorder import TruthRecorder
from safe_locomotion.sim.report import percentiles, without_nan
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import PERIOD
from safe_locomotion.types import Array, LowCommand, LowState

TRUTH_EVERY = 10
"""States per ground-truth message: 50 Hz."""
CATCH_UP = 5 * PERIOD
"""A lag up to this is made up by shorter periods [s].

Beyond it robot time falls behind the wall clock, and the report says so.
"""
REST_PACE = 0.01
"""Wall time between states of a resting robot [s].

It is longer than the latency of a healthy controller. The first answer then finds no further states
under way, whose number would differ from run to run.
"""
FIRST_ANSWER = 5.0
"""Wall time for the first answer while a controller listens [s].

A controller listens before it commands, and its first tick may be slow. On a loaded machine both
took 1.4 s. With this patience it sees one resting state, whose number would change the run.
"""
REPEAT_PACE = 0.1
"""Wall time between repetitions of the state that waits for its first answer [s].

A controller that has just connected missed the state that was sent before. One that has it ignores
the repetitions, because their tick is the same.
"""
LOST_AFTER = 5
"""Consecutive unanswered states after which a lock-step controller counts as gone."""
SETTLING_STATES = 250
"""States at the start during which the limp robot settles on its belly; not published."""
STAND_UP_LIMIT = 60.0
"""A run with a duration ends when the robot does not stand by this robot time [s]."""


class Wire(Protocol):
    """The transport that the process needs; `backends.robot_wire.RobotWire` is the real one."""

    rejected: Any
    overtaken: int

    def publish(self, state: LowState) -> None:
        """Send one state."""
        ...

    def take_command(self, timeout_s: float) -> LowCommand | None:
        """Newest command; its `stamp_ns` is that of the state it answers, or 0."""
        ...

    def listeners(self) -> int:
        """How many readers of states are connected now."""
        ...

    def publish_truth(
        self,
        *,
        stamp_ns: int,
        position: Array,
        quaternion_wxyz: Array,
        velocity: Array,
        angular_velocity: Array,
        foot_force: Any,
    ) -> None:
        """Send ground truth."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessOptions:
    """How the robot process runs.

    Attributes:
        simulation: the robot and its world.
        lockstep: wait for the answer to each state.
        paced: in lock-step no faster than real time, for a person who watches. A machine that
            cannot keep real time is slower.
        answer_timeout: longest wait for an answer in lock-step, wall time [s].
        duration: robot time from the moment the robot first stands to the end of the run [s]. None
            runs until stopped.
        disturbances: what happens to the robot.
        truth_file: where the ground truth of every state goes (.npz); None records nothing.
    """

    simulation: SimulationOptions = field(default_factory=SimulationOptions)
    lockstep: bool = False
    paced: bool = False
    answer_timeout: float = 0.5
    duration: float | None = None
    disturbances: DisturbanceOptions = field(default_factory=DisturbanceOptions)
    truth_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range, NaN included."""
        if not 0.0 < self.answer_timeout <= 60.0:
            raise ConfigurationError(
                f"answer_timeout = {self.answer_timeout} lies outside (0, 60] s"
            )
        if self.duration is not None and not 0.0 < self.duration <= 1e6:
            raise ConfigurationError(f"duration = {self.duration} lies outside (0, 1e6] s")


class Pacer:
    """Ticks of wall time; lag beyond `CATCH_UP` is dropped."""

    def __init__(self, clock: Callable[[], float], wait: Callable[[float], None]) -> None:
        self._clock = clock
        self._wait = wait
        self._due = clock()

    def tick(self) -> None:
        """Wait until one period after the last tick."""
        self._due += PERIOD
        left = self._due - self._clock()
        if left > 0.0:
            self._wait(left)
        elif left < -CATCH_UP:
            self._due += -left

    def restart(self) -> None:
        """Count periods from now."""
        self._due = self._clock()


class RobotProcess:
    """Steps the robot and serves its wire.

    Attributes:
        robot: the simulated robot.
        timeouts: states that were not answered in time.
        commands: commands received.
        stood_at: robot time when the robot first stood [s].
        fall_times: robot time of each fall [s].
    """

    def __init__(
        self,
        options: ProcessOptions,
        wire: Wire,
        *,
        clock: Callable[[], float] = perf_counter,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        self.robot = SimulatedRobot(options.simulation)
        self.timeouts = 0
        self.commands = 0
        self.stood_at: float | None = None
        self.fall_times: list[float] = []
        self._options = options
        self._wire = wire
        self._clock = clock
        self._pacer = Pacer(clock, wait)
        self._disturbances = Disturbances(options.disturbances, self.robot)
        self._unanswered = LOST_AFTER
        self._stamps = False  # whether the controller says which state it answers
        self._ticks = 0
        self._recorder = None if options.truth_file is None else TruthRecorder(options.truth_file)
        for _ in range(SETTLING_STATES):
            self.robot.step(None)
        self._started = clock()
        self._ticks_before = 0
        self._round_trips: list[float] = []
        self._last_command: LowCommand | None = None
        self._pacer.restart()

    def run(self, stop: Callable[[], bool]) -> dict[str, Any]:
        """Tick until `stop()` is true or the duration is over; return the summary of the run."""
        try:
            while not (stop() or self.finished):
                self.tick()
        finally:
            if self._recorder is not None:
                self._recorder.close()
        return self.summary()

    @property
    def finished(self) -> bool:
        """The duration is over, or the robot did not stand up in time."""
        duration = self._options.duration
        now = self.robot.time_s
        if duration is None:
            return False
        if self.stood_at is None:
            return now >= STAND_UP_LIMIT
        return self._since_stood(self.stood_at) >= duration

    @property
    def pushed(self) -> int:
        """Pushes so far."""
        return self._disturbances.pushed

    def _since_stood(self, stood_at: float) -> float:
        """Robot time since the robot first stood [s], in whole milliseconds.

        The rounding keeps the time that the robot rested from moving a push by a tick.
        """
        return round(self.robot.time_s - stood_at, 3)

    def tick(self) -> None:
        """Publish the present state, wait for the command that drives the next period, step."""
        state = self.robot.low_state()
        published = self._clock()
        self._wire.publish(state)
        if self._ticks % TRUTH_EVERY == 0:
            self._publish_truth(state.stamp_ns)
        command = self._next_command(state)
        if command is not None:
            self._count(command, 1e3 * (self._clock() - published))
        self._ticks += 1
        if self._options.lockstep and self.commands == 0:
            self.robot.rest()
        else:
            self._advance(command)

    def _count(self, command: LowCommand, waited_ms: float) -> None:
        """Count a command; in lock-step the first one starts the clock of the run."""
        if self.commands == 0 and self._options.lockstep:
            self._started = self._clock()
            self._ticks_before = self._ticks
        self.commands += 1
        self._last_command = command
        if self._options.lockstep and self.stood_at is not None:
            self._round_trips.append(waited_ms)

    def _next_command(self, state: LowState) -> LowCommand | None:
        """The command that drives the next period.

        In lock-step this is the answer to the state. Otherwise, and while no controller answers,
        it is the newest command at the next tick.
        """
        if self._options.lockstep and self.commands == 0:
            self._unanswered = 0
            return self._first_answer(state)
        if self._options.lockstep and self._unanswered < LOST_AFTER:
            return self._waited_for(state.stamp_ns)
        self._pacer.tick()
        command = self._wire.take_command(0.0)
        if command is not None:
            self._unanswered = 0
        return command

    def _first_answer(self, state: LowState) -> LowCommand | None:
        """The answer to a resting robot's state.

        A controller that listens at the end of the usual pace is given more time, until it goes.
        It may have connected after the state was sent, so the state is repeated meanwhile.
        """
        end = self._clock() + FIRST_ANSWER
        answer, _ = self._answer(state.stamp_ns, REST_PACE)
        while answer is None and self._wire.listeners() and self._clock() < end:
            self._wire.publish(state)
            answer, _ = self._answer(state.stamp_ns, REPEAT_PACE)
        return answer

    def _waited_for(self, stamp_ns: int) -> LowCommand | None:
        """The answer to the state.

        After the timeout, which is counted, the newest answer to an older state, or None.
        """
        answer, older = self._answer(stamp_ns, self._options.answer_timeout)
        if answer is not None:
            self._unanswered = 0
            if self._options.paced:
                self._pacer.tick()
            return answer
        self.timeouts += 1
        self._unanswered += 1
        self._pacer.restart()
        return older

    def _answer(self, stamp_ns: int, timeout: float) -> tuple[LowCommand | None, LowCommand | None]:
        """The command that answers the state and the newest other one, each if it comes in time.

        A controller that stamps its commands sends damping without a stamp while it is late. Such
        a command answers nothing.
        """
        deadline = self._clock() + timeout
        older = None
        while (left := deadline - self._clock()) > 0.0:
            command = self._wire.take_command(left)
            if command is not None:
                self._stamps = self._stamps or command.stamp_ns != 0
                if command.stamp_ns == stamp_ns or not self._stamps:
                    return command, None
            older = command or older
        return None, older

    def _advance(self, command: LowCommand | None) -> None:
        """One period of physics with everything that happens around it."""
        stood_at = self.stood_at
        self._disturbances.update(None if stood_at is None else self._since_stood(stood_at))
        if self.robot.step(command):
            self.fall_times.append(self.robot.time_s)
            self._disturbances.fell()
        if self.stood_at is None and self.robot.has_stood:
            self.stood_at = self.robot.time_s
        if self._recorder is not None:
            self._recorder.add(self.robot.truth())

    def _publish_truth(self, stamp_ns: int) -> None:
        truth = self.robot.truth()
        self._wire.publish_truth(
            stamp_ns=stamp_ns,
            position=truth.position,
            quaternion_wxyz=truth.quaternion_wxyz,
            velocity=truth.velocity,
            angular_velocity=truth.angular_velocity,
            foot_force=truth.foot_force.tolist(),
        )

    def summary(self) -> dict[str, Any]:
        """What happened, for the report."""
        wall = self._clock() - self._started
        robot_time = (self._ticks - self._ticks_before) * PERIOD
        return {
            "robot_time_s": robot_time,
            "wall_s": wall,
            "real_time_factor": robot_time / wall if wall > 0.0 else None,
            "stood_at_s": self.stood_at,
            "falls": self.robot.falls,
            "fall_times_s": self.fall_times,
            "pushes": self.pushed,
            "batteries": self._disturbances.batteries,
            "energy_j": self.robot.truth().energy,
            "states": self._ticks,
            "commands": self.commands,
            "commands_rejected": dict(self._wire.rejected),
            "commands_overtaken": self._wire.overtaken,
            "commands_refused": self.robot.refused_commands,
            "unanswered_states": self.timeouts,
            "round_trip_ms": without_nan(percentiles(np.array(self._round_trips))),
            "ended_damped": self._last_command is not None
            and not self._last_command.kp.any()
            and bool((self._last_command.kd > 0.0).all()),
            "lockstep": self._options.lockstep,
            "simulation": asdict(self._options.simulation),
        }
