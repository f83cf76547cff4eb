"""Parts of a step that are captured as graphs, and that may run beside each other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import warp as wp


class Parts:
    """Parts of a step that are captured as graphs, and streams for what may run beside the first.

    On the CPU every part simply runs, one after the other.
    """

    def __init__(self, device: str, streams: int) -> None:
        self._device = device
        self._on_gpu = device.startswith("cuda")
        self._streams = [wp.Stream(device) for _ in range(streams if self._on_gpu else 0)]
        self._graphs: dict[str, Any] = {}

    def run(self, name: str, part: Callable[[], None]) -> None:
        """Run a part; on the first time modules load, on the second it is captured."""
        if not self._on_gpu:
            part()
        elif name not in self._graphs:
            part()
            self._graphs[name] = None
        else:
            if self._graphs[name] is None:
                with wp.ScopedCapture(self._device, force_module_load=False) as capture:
                    part()
                self._graphs[name] = capture.graph
            wp.capture_launch(self._graphs[name])

    @contextmanager
    def beside(self, stream: int) -> Iterator[None]:
        """What runs inside waits for all that was launched before; see `wait_for`."""
        if not self._on_gpu:
            yield
            return
        with wp.ScopedStream(self._streams[stream]):
            yield

    def wait_for(self, stream: int) -> None:
        """Let what follows wait for what runs beside."""
        if self._on_gpu:
            wp.get_stream(self._device).wait_stream(self._streams[stream])
