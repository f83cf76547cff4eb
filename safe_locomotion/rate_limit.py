"""How much a command may differ from the one before it: the gate's bound on sudden changes.

A step that is too large is clamped and counted, not answered by damping. Every command on the way lies between one that was sent
and one that passed all other bounds, so clamping adds no new danger, and the robot reaches what was wanted some cycles later; damping
would drop a walking robot for what may be one odd plan. A source that is still being clamped after `patience` runs away or swings
from end to end: then it is refused.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from safe_locomotion.types import Array, LowCommand, LowState

TORQUE, POSITION = "torque_step", "position_step"


class RateLimit:
    """Bounds the step from the last command sent to the next one.

    The step in torque is that of the commands, both taken at the present state: the motion of the robot between the two is no
    step. The target of a joint counts where it has stiffness.

    Attributes:
        clamped: how many commands were clamped, by what was too large.
    """

    def __init__(self, *, torque_step: Array, position_step: Array, patience_ns: int) -> None:
        """Nothing has been sent yet.

        Args:
            torque_step: (12,) largest change of the commanded torque from one command to the next [Nm].
            position_step: (12,) largest change of a position target [rad].
            patience_ns: for which commands may be clamped without interruption.
        """
        self._torque_step, self._position_step, self._patience_ns = torque_step, position_step, patience_ns
        self._size = len(torque_step)
        self._last: LowCommand | None = None
        self._since_ns: int | None = None
        self.clamped: Counter[str] = Counter()

    def sent(self, command: LowCommand) -> None:
        """What the next command is compared with."""
        self._last = command

    def limited(self, state: LowState, command: LowCommand) -> tuple[LowCommand, bool]:
        """The command with its steps clamped, the same object where none is too large; and whether patience has ended."""
        last = self._last
        if last is None:
            return command, False
        moved = self._clamp_position(command, last)
        moved = self._clamp_torque(state, moved, last)
        if moved is command:
            self._since_ns = None
            return command, False
        if self._since_ns is None:
            self._since_ns = state.stamp_ns
        return moved, not 0 <= state.stamp_ns - self._since_ns <= self._patience_ns

    def _clamp_position(self, command: LowCommand, last: LowCommand) -> LowCommand:
        step = command.q - last.q
        small = np.abs(step) <= self._position_step
        if np.count_nonzero(small) == self._size or not (command.kp[~small] > 0.0).any():
            return command
        self.clamped[POSITION] += 1
        near = last.q + np.clip(step, -self._position_step, self._position_step)
        return replace(command, q=np.where(command.kp > 0.0, near, command.q))

    def _clamp_torque(self, state: LowState, command: LowCommand, last: LowCommand) -> LowCommand:
        """tau + kp (q* - q) + kd (dq* - dq) of both at this q, dq; what is too much is taken from the feed-forward."""
        c, q, dq = command, state.q, state.dq
        step = c.tau - last.tau + c.kp * (c.q - q) - last.kp * (last.q - q) + c.kd * (c.dq - dq) - last.kd * (last.dq - dq)
        if np.count_nonzero(np.abs(step) <= self._torque_step) == self._size:
            return command
        self.clamped[TORQUE] += 1
        return replace(command, tau=c.tau + np.clip(step, -self._torque_step, self._torque_step) - step)
