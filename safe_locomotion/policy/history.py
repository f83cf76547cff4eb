"""Frames of the past, from which observations with a history are made.

The work of a step is bounded: one copy of all frames, and one copy of the observation.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.network import Float32
from safe_locomotion.policy.term import ObservationHistory, ObservationTerm


class FrameHistory:
    """The last frames, newest first, and the observation that a contract makes of them.

    After a reset there is no past. The contract's `start` says what stands for it: the first frame,
    or zeros. A frame that is not finite stays visible until it is older than the oldest age.

    Attributes:
        frame: (F,) row that the next frame is written to before `push`.
    """

    def __init__(self, contract: PolicyContract, vector: Float32) -> None:
        """Take what the contract says.

        Args:
            contract: whose field `history` is set.
            vector: (O,) array that `push` writes the observation to.
        """
        assert contract.history is not None
        depth = 1 + max(age for term in contract.observation for age in term.ages)
        self._rows: Float32 = np.zeros((depth, contract.frame_width), dtype=np.float32)
        self._flat = self._rows.reshape(-1)
        self._vector = vector
        self._index = source_index(contract.observation, contract.history)
        self._repeats = contract.history.start == "repeat"
        self._empty = True
        self.frame: Float32 = np.zeros(contract.frame_width, dtype=np.float32)

    def reset(self) -> None:
        """Forget all frames."""
        self._rows.fill(0.0)
        self._empty = True

    def push(self) -> None:
        """Take `frame` as the newest one, and write the observation."""
        if self._empty and self._repeats:
            self._rows[:] = self.frame
        else:
            self._rows[1:] = self._rows[:-1].copy()
            self._rows[0] = self.frame
        self._empty = False
        np.take(self._flat, self._index, out=self._vector, mode="clip")

    def remember(self) -> tuple[Float32, bool]:
        """What `recall` needs to go on from here."""
        return self._rows.copy(), self._empty

    def recall(self, kept: tuple[Float32, bool]) -> None:
        """Go on from where `remember` was called."""
        rows, self._empty = kept
        self._rows[:] = rows


def source_index(terms: Sequence[ObservationTerm], history: ObservationHistory) -> NDArray[np.intp]:
    """(O,) place of every number of the observation in the flattened frames, newest frame first."""
    width = sum(term.width for term in terms)
    begins = np.cumsum([0, *(term.width for term in terms)]).tolist()
    placed = list(zip(begins, terms, strict=False))
    if history.order == "frame":
        blocks = [(age, begin, term.width) for age in terms[0].ages for begin, term in placed]
    else:
        blocks = [(age, begin, term.width) for begin, term in placed for age in term.ages]
    index = [age * width + begin + k for age, begin, size in blocks for k in range(size)]
    return np.array(index, dtype=np.intp)
