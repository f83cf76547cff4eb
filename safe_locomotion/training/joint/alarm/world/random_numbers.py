"""Random numbers of many robots: all of one step at once, from a counter on the device.

Philox 4x32-10, as in `gait.learners.streams`, with the seed as its key. The counter is made of the
step, the robot and the place of the number. A checkpoint therefore holds one number, and a robot
draws the same numbers whatever the others do.
"""

from typing import TYPE_CHECKING, Any

import torch
import warp as wp
from torch import Tensor

from safe_locomotion.training.gait.world.arrays import Array2

if TYPE_CHECKING:
    Longs = Any
else:
    Longs = wp.array(dtype=wp.int64, ndim=1)

WORDS = 4
"""Numbers of one call of Philox."""

M0 = wp.constant(wp.uint32(0xD2511F53))
M1 = wp.constant(wp.uint32(0xCD9E8D57))
W0 = wp.constant(wp.uint32(0x9E3779B9))
W1 = wp.constant(wp.uint32(0xBB67AE85))

wp.set_module_options({"enable_backward": False})


@wp.func
def product_high(a: wp.uint32, b: wp.uint32) -> wp.uint32:
    """High word of a product."""
    return wp.uint32((wp.uint64(a) * wp.uint64(b)) >> wp.uint64(32))


@wp.func
def philox(counter: wp.vec4ui, key: wp.vec2ui) -> wp.vec4ui:
    """Four random words for a counter and a key."""
    c0 = counter[0]
    c1 = counter[1]
    c2 = counter[2]
    c3 = counter[3]
    k0 = key[0]
    k1 = key[1]
    for _ in range(10):
        high0 = product_high(c0, M0)
        low0 = c0 * M0
        high1 = product_high(c2, M1)
        low1 = c2 * M1
        c0 = high1 ^ c1 ^ k0
        c1 = low1
        c2 = high0 ^ c3 ^ k1
        c3 = low0
        k0 = k0 + W0
        k1 = k1 + W1
    return wp.vec4ui(c0, c1, c2, c3)


@wp.func
def unit(word: wp.uint32) -> float:
    """A number inside (0, 1), never 0 or 1."""
    return (float(word >> wp.uint32(9)) + 0.5) * 1.1920928955078125e-07


@wp.kernel
def fill(step: Longs, key: wp.vec2ui, uniforms: int, numbers: Array2) -> None:
    """Four numbers of one robot: uniform ones first, then normal ones by Box and Muller."""
    robot, block = wp.tid()
    low = wp.uint32(step[0] & wp.int64(0xFFFFFFFF))
    high = wp.uint32(step[0] >> wp.int64(32))
    words = philox(wp.vec4ui(low, high, wp.uint32(robot), wp.uint32(block)), key)
    first = 4 * block
    if first < uniforms:
        for k in range(4):
            numbers[robot, first + k] = unit(words[k])
        return
    for pair in range(2):
        radius = wp.sqrt(-2.0 * wp.log(unit(words[2 * pair])))
        angle = 2.0 * wp.pi * unit(words[2 * pair + 1])
        numbers[robot, first + 2 * pair] = radius * wp.cos(angle)
        numbers[robot, first + 2 * pair + 1] = radius * wp.sin(angle)


class RandomNumbers:
    """Named random numbers of n robots, drawn anew by each `draw`.

    Attributes:
        uniform: (n, width) by name, inside (0, 1).
        normal: (n, width) by name, of mean 0 and variance 1.
    """

    def __init__(
        self, n: int, uniform: dict[str, int], normal: dict[str, int], seed: int, device: str
    ) -> None:
        """Numbers of the given names and widths; `seed` may have 64 bits."""
        wp.init()
        self._uniforms = _padded(sum(uniform.values()))
        width = self._uniforms + _padded(sum(normal.values()))
        numbers = torch.zeros(n, width, device=device)
        self.uniform = _slices(numbers, uniform, 0)
        self.normal = _slices(numbers, normal, self._uniforms)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._key = wp.vec2ui(seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)
        self._views = (wp.from_torch(self._step), wp.from_torch(numbers))
        self._size = (n, width // WORDS)
        self._device = device

    def draw(self) -> None:
        """Replace all numbers."""
        step, numbers = self._views
        inputs = [step, self._key, self._uniforms, numbers]
        wp.launch(fill, self._size, inputs=inputs, device=self._device)
        self._step.add_(1)

    def between(self, name: str, span: tuple[float, float]) -> Tensor:
        """(n, width) numbers of a name, uniform over a range."""
        low, high = span
        return low + (high - low) * self.uniform[name]

    def state_dict(self) -> dict[str, Tensor]:
        """The number of draws so far."""
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where `state_dict` was taken."""
        self._step.copy_(state["step"])


def _padded(count: int) -> int:
    return (count + WORDS - 1) // WORDS * WORDS


def _slices(numbers: Tensor, widths: dict[str, int], first: int) -> dict[str, Tensor]:
    found = {}
    for name, width in widths.items():
        found[name] = numbers[:, first : first + width]
        first += width
    return found
