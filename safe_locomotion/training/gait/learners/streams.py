"""Random numbers of many runs: each run draws the same ones alone and beside others.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a key
and a counter into four words of 32 bits. The key is the run's seed. The counter is the whole state,
so a checkpoint holds one number, and CPU and GPU draw equal words.
"""

from collections.abc import Sequence
from math import pi, prod
from typing import Any

import torch
from torch import Tensor

WORD = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  #: of the first and the third word
WEYL = (0x9E3779B9, 0xBB67AE85)  #: added to the key after each round


def philox(counter: Sequence[Tensor], key: Sequence[Tensor]) -> list[Tensor]:
    """Four random words of 32 bits (int64 tensors) for each counter and key.

    Args:
        counter: four words.
        key: two words; their shapes broadcast with those of the counter.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _product(c0, MULTIPLIERS[0])
        high1, low1 = _product(c2, MULTIPLIERS[1])
        c0 = high1 ^ c1 ^ k0
        c1 = low1
        c2 = high0 ^ c3 ^ k1
        c3 = low0
        k0 = (k0 + WEYL[0]) & WORD
        k1 = (k1 + WEYL[1]) & WORD
    return [c0, c1, c2, c3]


def _product(x: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """High and low word of x times multiplier; no intermediate value exceeds 49 bits."""
    low = x * (multiplier & 0xFFFF)
    high = x * (multiplier >> 16)
    return (high + (low >> 16)) >> 16, (low + ((high & 0xFFFF) << 16)) & WORD


class Streams:
    """One stream of random numbers for each of R runs.

    Attributes:
        seeds: (R,) of the runs, int64.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seeds = torch.tensor(list(seeds), dtype=torch.int64, device=device)
        self._drawn = 0

    def normal(self, *shape: int) -> Tensor:
        """(R, *shape) standard normal numbers, by Box and Muller."""
        count = prod(shape)
        uniform = self._uniform(2 * ((count + 1) // 2))
        half = uniform.shape[1] // 2
        radius = torch.sqrt(-2.0 * torch.log(uniform[:, :half]))
        angle = 2.0 * pi * uniform[:, half:]
        both = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
        return both[:, :count].reshape(-1, *shape)

    def permutations(self, epochs: int, count: int) -> Tensor:
        """(epochs, count) orders in which all runs visit their samples; they depend on no seed."""
        words = self._words(torch.zeros_like(self.seeds[:1]), epochs * count)
        return torch.argsort(words.view(epochs, count), dim=1, stable=True)

    def indices(self, count: int, below: int) -> Tensor:
        """(count,) indices in [0, below), equal for all runs; they depend on no seed."""
        words = self._words(torch.zeros_like(self.seeds[:1]), count)
        return words[0] * below >> 32

    def state_dict(self) -> dict[str, Any]:
        """Seeds and the number of counters used."""
        return {"seeds": self.seeds, "drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.seeds.copy_(state["seeds"])
        self._drawn = int(state["drawn"])

    def _uniform(self, count: int) -> Tensor:
        """(R, count) numbers inside (0, 1), never 0 or 1."""
        return ((self._words(self.seeds, count) >> 9).float() + 0.5) * 2.0**-23

    def _words(self, seeds: Tensor, count: int) -> Tensor:
        """(len(seeds), count) words; all runs advance together."""
        blocks = (count + 3) // 4
        at = torch.arange(self._drawn, self._drawn + blocks, device=seeds.device)[None]
        self._drawn += blocks
        zero = torch.zeros_like(at)
        key = [(seeds & WORD)[:, None], ((seeds >> 32) & WORD)[:, None]]
        words = philox([at & WORD, at >> 32, zero, zero], key)
        return torch.stack(words, dim=2).flatten(1)[:, :count]
