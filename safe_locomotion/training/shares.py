"""Shares of a training, each trained in a process of its own, on a device of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from safe_locomotion.envs.workers import workers
from safe_locomotion.errors import SafeLocomotionError

Share = TypeVar("Share")
Answer = TypeVar("Answer")


class ShareFailedError(SafeLocomotionError):
    """A process that trained a share ended by itself."""


def train_shares(
    make: Callable[[], Callable[[Share], Answer]], shares: Sequence[Share]
) -> list[Answer]:
    """Train all shares at once, also a single one in another process; the answer of each.

    Args:
        make: is called in each process and returns the function that trains a share. It, shares
            and answers must be picklable.
        shares: one for each process.

    Raises:
        ShareFailedError: a process ended by itself; the others have been stopped.
    """
    try:
        with workers(make, max(2, len(shares))) as run:
            return list(run(shares))
    except BrokenProcessPool as error:
        raise ShareFailedError(
            "a training process ended by itself; continue from the checkpoints with --resume"
        ) from error


def say(device: str, line: str) -> None:
    """Print one line of progress, behind the name of the device."""
    print(f"{device}: {line}\n", end="", flush=True)  # noqa: T201 - at once, in one terminal
