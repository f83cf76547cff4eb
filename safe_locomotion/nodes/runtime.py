"""What every node process shares: signals, the executor thread, the exit status.

The control loop runs on the main thread, so that a signal ends it between two ticks and its `close` can still command damping.
Services, parameters, `cmd_vel` and diagnostics run in rclpy's executor on a second thread.
"""

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

from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.processes import follow_parent
from safe_locomotion.runtime.realtime import Garbage

IDLE_S = 0.02  # longest wait of a control loop for its next message, so that signals and requests are seen
LOCK_STEP_WAIT_S = 2.0  # longest wait for another stage where the robot waits for us
STOPPED = 0
FAILED = 1
REFUSED = 2
GIL_SWITCH_INTERVAL_S = 0.0005  # the default of 5 ms would let a diagnostics message delay a control tick by more than two ticks


class ControlLoop(Protocol):
    """What `run` drives."""

    @property
    def nodes(self) -> Sequence[Node]:
        """Nodes whose services and timers the executor serves."""
        ...

    @property
    def slow_nodes(self) -> Sequence[Node]:
        """Those of them whose callbacks may take seconds: a thread of their own serves them, emergency stops do not wait there."""
        ...

    @property
    def freeze_garbage(self) -> bool:
        """Whether garbage is collected between two ticks only."""
        ...

    def start(self) -> None:
        """Called once, when the executor is running."""
        ...

    def step(self) -> None:
        """One tick; returns within a fraction of a second when nothing arrives."""
        ...

    def tidy(self) -> None:
        """Called after each tick: what must be done, but not while somebody waits for the tick."""
        ...

    def close(self) -> None:
        """Leave the robot in damping and free what is open."""
        ...


def _spinning(
    nodes: Sequence[Node], stop: Event, failures: list[BaseException]
) -> tuple[SingleThreadedExecutor, Thread]:
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            stop.set()

    thread = Thread(target=spin, name="executor", daemon=True)
    thread.start()
    return executor, thread


@contextmanager
def _executor_threads(loop: ControlLoop, stop: Event) -> Iterator[list[BaseException]]:
    failures: list[BaseException] = []
    groups = [node for node in loop.nodes if node not in loop.slow_nodes], loop.slow_nodes
    running = [_spinning(nodes, stop, failures) for nodes in groups if nodes]
    try:
        yield failures
    finally:
        for executor, thread in running:
            executor.shutdown(timeout_sec=1.0)
            thread.join(2.0)
        for node in loop.nodes:
            node.destroy_node()


class _StartRefusedError(SafeLocomotionError):
    """What a person has to change before it starts."""


@contextmanager
def _starting() -> Iterator[None]:
    try:
        yield
    except SafeLocomotionError as error:
        raise _StartRefusedError(str(error)) from error


def _run(loop: ControlLoop, stop: Event) -> None:
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
            _run(loop, stop)
        finally:
            loop.close()
    if failures:
        raise failures[0]


def run(build: Callable[[], ControlLoop], args: list[str] | None = None) -> int:
    """Run a node until SIGINT, SIGTERM or SIGHUP; the process's exit status.

    0: stopped on request. 1: something failed while running. 2: it could not start: a configuration that is refused, an SDK, port
    or domain that cannot be had, another robot. Errors of this package are one
    line on stderr; anything else is a bug and keeps its traceback.
    """
    stop = Event()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)

    def on_signal(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    follow_parent()
    sys.setswitchinterval(GIL_SWITCH_INTERVAL_S)
    try:
        _drive(build, stop)
    except SafeLocomotionError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED if isinstance(error, _StartRefusedError) else FAILED
    finally:
        rclpy.try_shutdown()
    return STOPPED
