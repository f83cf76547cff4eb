"""Curriculum of ALARM, section III.A: which level of terrain a robot meets next."""

from typing import NamedTuple

import torch
from torch import Tensor

TRACKED = 0.85
"""Share of the velocity tracking reward above which a crossing counts as mastered."""
WALKED = 0.5
"""Share of the commanded way below which a robot goes down."""


class Episode(NamedTuple):
    """How the episodes of n robots ended.

    Attributes:
        crossed: robots that left their tile.
        tracking: mean of the velocity tracking reward, as a share of its maximum.
        way: distance from the start to the end, in the plane [m].
        commanded: speed command times the longest time of an episode [m].
        judged: robots whose command leads away from the start; others keep their level.
    """

    crossed: Tensor
    tracking: Tensor
    way: Tensor
    commanded: Tensor
    judged: Tensor


def moves(episode: Episode) -> tuple[Tensor, Tensor]:
    """Robots (n,) that go up, and robots that go down.

    A robot that crossed its border has done what the tile allows, so it never goes down.
    """
    up = episode.judged & episode.crossed & (episode.tracking > TRACKED)
    short = ~(episode.way >= WALKED * episode.commanded)
    return up, episode.judged & ~episode.crossed & short


def next_level(level: Tensor, up: Tensor, down: Tensor, highest: int, random: Tensor) -> Tensor:
    """Levels (n,) of the next episodes.

    Args:
        level: of the last episode.
        up, down: of `moves`.
        highest: level after which a random one follows.
        random: (n,) numbers in (0, 1).
    """
    solved = up & (level >= highest)
    anywhere = (random * (highest + 1)).long().clamp(max=highest)
    stepped = (level + up.long() - down.long()).clamp(0, highest)
    return torch.where(solved, anywhere, stepped)
