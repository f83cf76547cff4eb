"""A simulated robot, its stack in processes of its own, and an operator, for the campaign.

The robot waits for the answer to each state, so that a busy machine changes no outcome. Times are
those of the robot.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGCONT
from time import monotonic, sleep
from types import TracebackType
from typing import Literal

import numpy as np
from campaign_faults import clock_library, own_clock, small_disk

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.backends.robot_wire import RobotWire
from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.runtime.stack import Graph, StackOptions, Value, stack
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import LowCommand, LowState, Mode, VelocityCommand
from safe_locomotion.ui.remote_operator import RemoteOperator

Kind = Literal["composed", "nodes", "clock"]  #: a graph; "clock" is one process with its own clock
ANSWER_S = 0.5  #: longest wait for the answer to a state
PATIENCE_S = 120.0  #: for the robot to walk
STATE_MS = 2
LET_GO_MS = 20  #: without a new command the simulated motors let go
STEADY = 150  #: states of walking
ASK_EACH = 50  #: states
UPRIGHT = 0.9  #: cosine of the tilt
LOOK_EACH = 10  #: states between two looks of the operator
SWAPPED = ("a1_trot", "nominal")
ASKED = {Mode.PASSIVE: "walk", Mode.STAND: "walk", Mode.FALLEN: "reset", Mode.FAULT: "reset"}
TAG = "SAFE_LOCOMOTION_CAMPAIGN"  #: environment variable of everything that the campaign starts
#: Times by the clock of the machine, which others share: the robot waits for slow answers.
PATIENT: dict[str, dict[str, Value]] = {
    "bridge_node": {"answer_wait_ms": 60.0, "state_age_ms": 150.0, "silence_ms": 2000.0},
    "supervisor_node": {"proposal_wait_ms": 60.0},
}


class NoWalkError(Exception):
    """The robot does not walk within `PATIENCE_S`."""


def damps(command: LowCommand) -> bool:
    """No stiffness, no torque, damping on every joint."""
    moves = command.kp.any() or command.tau.any() or command.dq.any()
    return not moves and bool((command.kd > 0.0).all())


class World:
    """One robot and one stack.

    Attributes:
        graph: of the stack.
        clock: file with the error of the stack's wall clock [s]; None where it has no own one.
        disk: whether the episodes lie on a small disk of their own.
        robot: simulated.
        running: the processes by name.
        last: newest command, None where none came for the newest state.
        oldest_ms: largest age of a command that moved the motors [ms of robot time].
        old: how many commands moved them at more than `LET_GO_MS`.
    """

    def __init__(self, kind: Kind, folder: Path, seed: int, watchers: tuple[str, ...]) -> None:
        self.graph: Graph = "nodes" if kind == "nodes" else "composed"
        self.folder = folder
        self.clock = folder / "clock" if kind == "clock" else None
        self.disk = False
        self.robot = SimulatedRobot(SimulationOptions(seed=seed))
        self.rng = np.random.default_rng(seed)
        self.last: LowCommand | None = None
        self.oldest_ms = 0.0
        self.old = 0
        self.moves = False
        self.stamp_ns = 0
        self._watchers = watchers
        self._states = 0
        self._exit = ExitStack()

    def __enter__(self) -> "World":
        with ExitStack() as opened:
            self.ros_domain = opened.enter_context(claim_domain())
            self.domain = opened.enter_context(claim_domain())
            self.wire = RobotWire(domain=self.domain)
            opened.callback(self.wire.close)
            self.operator = RemoteOperator(self.ros_domain)
            opened.callback(self.operator.close)
            reach = {"ROS_DOMAIN_ID": str(self.ros_domain), TAG: str(os.getpid())}
            if self.clock is not None and (library := clock_library()) is not None:
                reach |= own_clock(library, self.clock)
            if "recorder" in self._watchers:
                self.disk = opened.enter_context(small_disk(self.folder / "walks"))
            options = StackOptions(
                graph=self.graph,
                sdk_options={"domain": self.domain},
                overrides={
                    **PATIENT,
                    "viewer_node": {"port": 8300},
                    "recorder_node": {"start": "service", "free_mb": 0.0},
                },
                watchers=tuple(name for name in self._watchers if name != "recorder"),
                record=str(self.folder / "walks") if "recorder" in self._watchers else "",
            )
            self._stack = opened.enter_context(
                RunningStack(stack(options)[1:], environment=reach, output=self.folder)
            )
            opened.callback(self._let_run)
            self._exit = opened.pop_all()
        self.running = self._stack.running
        self.robot.put_on_feet()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def _let_run(self) -> None:
        """Let paused processes run on, so that they can end."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.send_signal(SIGCONT)

    def pids(self) -> dict[str, int]:
        """Processes of the stack that run."""
        return {name: p.pid for name, p in self.running.items() if p.poll() is None}

    def ended(self) -> dict[str, int]:
        """Exit status of each process that has ended."""
        return {
            name: status for name, p in self.running.items() if (status := p.poll()) is not None
        }

    def state(self) -> LowState:
        """The sensors; an IMU that rests is never still to the last bit."""
        state = self.robot.low_state()
        if not self.moves:
            state = replace(state, gyro=state.gyro + 1e-4 * self.rng.normal(size=3))
        return state

    def step(
        self,
        *,
        answer_s: float = ANSWER_S,
        after: Callable[[], object] | None = None,
        change: Callable[[LowState], LowState] | None = None,
    ) -> LowCommand | None:
        """One state and its answer.

        Args:
            answer_s: longest wait for it.
            after: called between state and answer.
            change: of the state that is sent.
        """
        state = self.state()
        state = state if change is None else change(state)
        self.wire.publish(state)
        self.stamp_ns = state.stamp_ns
        if after is not None:
            after()
        self.last = self._answer(answer_s)
        self.moves = self.moves or (self.last is not None and bool(self.last.kp.any()))
        if self.moves:
            self.robot.step(self.last)
        else:
            self.robot.rest()
        self._states += 1
        if self._states % LOOK_EACH == 0:
            self.operator.spin(0.0005)
            self.operator.drive(VelocityCommand(vx=0.2))
        return self.last

    def _answer(self, longest_s: float) -> LowCommand | None:
        end = monotonic() + longest_s
        command = self.wire.take_command(0.002)
        while command is None and monotonic() < end:
            command = self.wire.take_command(0.02)
        if command is not None and command.stamp_ns and not damps(command):
            age_ms = 1e-6 * (self.stamp_ns - command.stamp_ns)
            self.oldest_ms = max(self.oldest_ms, age_ms)
            self.old += age_ms > LET_GO_MS
        return command

    def damped_after_ms(self, most_states: int, **how: object) -> int | None:
        """Robot time until the motors are damped or let go, and stay so [ms]; None for never."""
        quiet = []
        silent = 0
        for _ in range(most_states):
            command = self.step(**how)  # type: ignore[arg-type]
            silent = silent + 1 if command is None else 0
            let_go = silent * STATE_MS >= LET_GO_MS
            quiet.append(let_go or (command is not None and damps(command)))
        if not quiet[-1]:
            return None
        last_move = max((k for k, damped in enumerate(quiet) if not damped), default=-1)
        return (last_move + 1) * STATE_MS

    @property
    def mode(self) -> Mode | None:
        """Mode of the newest verdict."""
        return self.operator.mode

    def walk(self) -> None:
        """Reset what holds the robot down, and let it rise and take a step.

        Raises:
            NoWalkError: it does not walk in time; says in which mode it is and why.
        """
        end = monotonic() + PATIENCE_S
        steady = 0
        while steady < STEADY:
            if monotonic() > end or self.ended():
                why = f"{self.mode}, {self.operator.reasons}, ended: {self.ended()}"
                raise NoWalkError(f"no walk: {why}")
            if self._states % ASK_EACH == 0 and self.mode in ASKED:
                if self.mode in (Mode.FALLEN, Mode.FAULT) and self._lies_badly():
                    self.robot.lie_down()
                self.operator.request(ASKED[self.mode])
            self.step(answer_s=ANSWER_S if self.wire.controllers() else 0.002)
            steady = steady + 1 if self.mode is Mode.WALK and self.moves else 0

    def _lies_badly(self) -> bool:
        """Whether the robot lies on its side or back, from where it gets up slowly."""
        _, x, y, _ = self.robot.truth().quaternion_wxyz
        return bool(1.0 - 2.0 * (x * x + y * y) < UPRIGHT)


def orphans() -> Iterator[int]:
    """Processes that this campaign started and that still run."""
    mark = f"{TAG}={os.getpid()}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)


def wait_for_none(patience_s: float = 5.0) -> list[int]:
    """Orphans that are left after a while."""
    end = monotonic() + patience_s
    while (left := list(orphans())) and monotonic() < end:
        sleep(0.1)
    return left
