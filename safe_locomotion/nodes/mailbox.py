"""Work that other threads hand to the control thread.

The control thread alone touches the stages and the robot.
"""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import Any, TypeVar

from safe_locomotion.errors import SafeLocomotionError

T = TypeVar("T")


class NoAnswerError(SafeLocomotionError):
    """The control thread did not answer in time."""


class Mailbox:
    """Calls made on one thread and executed on another, between two ticks."""

    def __init__(self) -> None:
        """Owned by the thread that creates it."""
        self._owner = get_ident()
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    def ask(self, call: Callable[[], T], timeout_s: float) -> T:
        """Run `call` on the control thread and return its result, or raise what it raised.

        Raises:
            NoAnswerError: not executed within `timeout_s`; it will not be executed later.
        """
        if get_ident() == self._owner:
            return call()
        future: Future[T] = Future()
        self._calls.put((call, future))
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            if future.cancel():
                raise NoAnswerError(
                    f"the control loop did not answer within {timeout_s} s"
                ) from None
            return future.result()

    def serve(self) -> None:
        """Execute what has been asked; called by the control thread."""
        while True:
            try:
                call, future = self._calls.get_nowait()
            except Empty:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except Exception as error:
                future.set_exception(error)
