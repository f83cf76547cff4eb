"""Devices that a training can run on, and sequences of operations that they replay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import warp as wp

from safe_locomotion.errors import ConfigurationError

OUT_OF_MEMORY = ("out of memory", "failed to allocate")  #: in the errors of Torch and Warp


def check_device(name: str) -> None:
    """Refuse a device that is not here.

    Raises:
        ConfigurationError: with what can be done.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"device {name!r} cannot be used ({reason}): choose --device cpu, which is slow"
        ) from error


@contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Turn the end of a device's memory into one line.

    Raises:
        ConfigurationError: with what can be done.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).lower()
        if not any(words in said for words in OUT_OF_MEMORY):
            raise
        raise ConfigurationError(
            f"device {name!r} has not enough memory for these runs: "
            "train fewer figures or seeds at once, or share them by --devices"
        ) from error


def device_name(name: str) -> str:
    """Name of the hardware."""
    return torch.cuda.get_device_name(name) if name.startswith("cuda") else name


class Captured:
    """A sequence of Torch operations that is replayed as one graph on a CUDA device.

    It must read and write tensors that stay in their place. On the CPU it simply runs.
    """

    WARM_UP = 2  #: calls before the capture, in which Torch chooses its kernels

    def __init__(self, device: str, part: Callable[[], None]) -> None:
        self._part = part
        self._calls = 0 if device.startswith("cuda") else None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Run the part once."""
        if self._graph is not None:
            self._graph.replay()
            return
        if self._calls is None or self._calls < self.WARM_UP:
            self._part()
            self._calls = None if self._calls is None else self._calls + 1
            return
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        with (
            torch.cuda.graph(graph, stream=stream),
            # Warp must know of the capture, or its temporary arrays cannot be part of the graph.
            wp.ScopedCapture(external=True, force_module_load=False),
        ):
            self._part()
        graph.replay()
        self._graph = graph
