"""What every node process shares: signals, the executor thread, the exit status.

The control loop runs on the main thread, so that a signal ends it between two ticks and its `close`
can still command damping. Services, parameters, `cmd_vel` and diagnostics run in rclpy's executor
on a second thread.
"""

import atexit
import gc
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.processes import follow_parent
from safe_locomotion.runtime.realtime import Garbage

IDLE_S = 0.02  #: longest wait of a loop for a message, so that it sees signals and requests
LOCK_STEP_WAIT_S = 2.0  #: longest wait for another stage where the robot waits for us
LOCK_STEP_LOOKS = 20  #: of the bridge in this time, so that it sees signals and requests
LOCK_STEP_LOOK_S = LOCK_STEP_WAIT_S / LOCK_STEP_LOOKS
THREAD_END_S = 2.0  #: longest wait for the callback in work at the end
END_S = 15  #: longest time that the middleware gets to end [s]
STOPPED = 0
FAILED = 1
REFUSED = 2
GIL_SWITCH_INTERVAL_S = 0.0005
"""With the default of 5 ms a diagnostics message could delay the control thread by two ticks."""


class ControlLoop(Protocol):
    """What `run` drives."""

    @property
    def nodes(self) -> Sequence[Node]:
        """Nodes whose services and timers the executor serves."""
        ...

    @property
    def slow_nodes(self) -> Sequence[Node]:
        """Nodes whose callbacks may take seconds.

        They get a thread of their own, so that no emergency stop waits for them.
        """
        ...

    @property
    def freeze_garbage(self) -> bool:
        """Whether garbage is collected between two ticks only."""
        ...

    def start(self) -> None:
        """Get ready; called once, when the executor is running."""
        ...

    def step(self) -> None:
        """Run one tick, or return within a fraction of a second when nothing arrives."""
        ...

    def tidy(self) -> None:
        """Do what need not be done before the command is out; called after each tick."""
        ...

    def close(self) -> None:
        """Leave the robot in damping and free what is open."""
        ...


class _ExecutorThread:
    """A thread that serves services and timers of some nodes until it is told to end."""

    def __init__(self, nodes: Sequence[Node], stop: Event, failures: list[BaseException]) -> None:
        self._executor = SingleThreadedExecutor()
        for node in nodes:
            self._executor.add_node(node)
        self._stop = stop
        self._failures = failures
        self._end: Future[None] = Future()
        self._thread = Thread(target=self._spin, name="executor", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin_until_future_complete(self._end)
        except ExternalShutdownException:
            pass
        except BaseException as error:
            self._failures.append(error)
        finally:
            self._stop.set()

    def end(self) -> None:
        """Let the callback in work finish, then end.

        `Executor.shutdown` alone would destroy what the callback still uses.
        """
        self._end.set_result(None)
        self._thread.join(THREAD_END_S)
        self._executor.shutdown(timeout_sec=1.0)


@contextmanager
def _executor_threads(loop: ControlLoop, stop: Event) -> Iterator[list[BaseException]]:
    failures: list[BaseException] = []
    others = [node for node in loop.nodes if node not in loop.slow_nodes]
    threads = [
        _ExecutorThread(nodes, stop, failures) for nodes in (others, loop.slow_nodes) if nodes
    ]
    try:
        yield failures
    finally:
        _bound_the_end()
        for thread in threads:
            thread.end()
        for node in loop.nodes:
            node.destroy_node()


def _bound_the_end() -> None:
    """Let the kernel end the process if the middleware hangs while it ends.

    Fast DDS can loop forever inside `destroy_node`, with the interpreter held, so that neither a
    signal handler nor a thread of ours would run. Damping is commanded and logs are closed by then.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(END_S)


class _StartRefusedError(SafeLocomotionError):
    """The node cannot start before the user changes something."""


@contextmanager
def _starting() -> Iterator[None]:
    try:
        yield
    except SafeLocomotionError as error:
        raise _StartRefusedError(str(error)) from error


def turn(loop: ControlLoop, stop: Event) -> None:
    """Run ticks until `stop` is set; garbage is collected between them."""
    gc.enable()  # see `safe_locomotion`; all is imported
    garbage = Garbage(freeze=loop.freeze_garbage)
    try:
        while not stop.is_set():
            loop.step()
            loop.tidy()
            garbage.collect()
    finally:
        garbage.close()


def _drive(build: Callable[[], ControlLoop], stop: Event) -> None:
    with _starting():
        loop = build()
    with _executor_threads(loop, stop) as failures:
        try:
            with _starting():
                loop.start()
            turn(loop, stop)
        finally:
            loop.close()
    if failures:
        raise failures[0]


def run(build: Callable[[], ControlLoop], args: list[str] | None = None) -> int:
    """Run a node until SIGINT, SIGTERM or SIGHUP.

    An error of this package is one line on stderr. Anything else is a bug and keeps its traceback.

    Returns:
        Exit status of the process. 0: stopped on request. 1: something failed while running. 2: the
        node could not start, because of its configuration, an SDK, a port, a domain or another
        robot.
    """
    stop = Event()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)

    def on_signal(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    follow_parent()
    atexit.register(gc.freeze)  # the last search for garbage would take a quarter of a second
    sys.setswitchinterval(GIL_SWITCH_INTERVAL_S)
    try:
        _drive(build, stop)
    except SafeLocomotionError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED if isinstance(error, _StartRefusedError) else FAILED
    finally:
        rclpy.try_shutdown()
        signal.alarm(0)
    return STOPPED
