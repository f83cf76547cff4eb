"""Windows of several episodes for an LSTM, split into one piece for each episode.

An LSTM of cuDNN runs over a window without resets. So every episode that begins inside a window
gets a row of its own, from zero memory, and the answers are brought back into the window. The
number of rows is fixed, and with it every shape, so that the update can be captured as a graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Split:
    """Where each step of a window (T, M) lies among padded pieces (T, M + spare).

    Attributes:
        place: (T M,) index into the flattened pieces. Steps that found no row have T (M + spare),
            which lies behind the last.
        kept: (T, M) bool: steps that found a row.
        spare: number of rows for episodes that begin inside the window.
    """

    place: Tensor
    kept: Tensor
    spare: int

    def pieces(self, window: Tensor) -> Tensor:
        """Padded pieces (T, M + spare, F) of a window (T, M, F); unused places are zero."""
        steps, robots, width = window.shape
        rows = robots + self.spare
        flat = window.new_zeros(steps * rows + 1, width)
        flat = flat.index_copy(0, self.place, window.reshape(steps * robots, width))
        return flat[:-1].view(steps, rows, width)

    def window(self, pieces: Tensor) -> Tensor:
        """The window (T, M, F) of padded pieces; steps that are not kept are arbitrary."""
        steps, rows, width = pieces.shape
        found = self.place.clamp(max=steps * rows - 1)
        flat = pieces.reshape(steps * rows, width).index_select(0, found)
        return flat.view(steps, rows - self.spare, width)

    def memory(self, first: Tensor) -> Tensor:
        """Memory (1, M + spare, H) with which the pieces begin, from that of the robots."""
        return torch.cat((first, first.new_zeros(1, self.spare, first.shape[2])), dim=1)


def split_windows(ended: Tensor, spare: int) -> Split:
    """The split of windows in which episodes ended.

    Args:
        ended: (T, M) bool: an episode's last step. The next step begins another one.
        spare: rows for the episodes that begin inside.
    """
    steps, robots = ended.shape
    rows = robots + spare
    time = torch.arange(steps, device=ended.device)[:, None].expand(steps, robots)
    begins = torch.zeros_like(ended)
    begins[1:] = ended[:-1]
    number = begins.flatten().cumsum(0).view(steps, robots) - 1
    own = torch.arange(robots, device=ended.device).expand(steps, robots)
    row = torch.where(begins, robots + number, torch.where(time == 0, own, -1)).cummax(0).values
    start = torch.where(begins, time, 0).cummax(0).values
    kept = row < rows
    place = torch.where(kept, (time - start) * rows + row, steps * rows)
    return Split(place=place.flatten(), kept=kept, spare=spare)


def pieces_needed(ended: Tensor) -> Tensor:
    """Largest number of rows (scalar) that any of the minibatches (T, B, M) needs beside its M."""
    return ended[:-1].sum(dim=(0, 2)).max()
