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

TORQUE = "torque_step"
POSITION = "position_step"


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
        self._torque_step = torque_step
        self._position_step = position_step
        self._patience_ns = patience_ns
        self._size = len(torque_step)
        self._last: LowCommand | None = None
        self._since_ns: int | None = None
        self.clamped: Counter[str] = Counter()

    def sent(self, command: LowCommand) -> None:
        """What the next command is compared with."""
        self._last = command

    def limited(self, state: LowState, command: LowCommand) -> tuple[LowCommand, bool]:
        """The command with its steps clamped, the same object where none is too large; and whether patience has ended.

        The torque that comes out lies between that of the last command and the wanted one; what stiffness does not give of it, with
        its target clamped or not, is feed-forward.
        """
        c = command
        last = self._last
        q = state.q
        dq = state.dq
        if last is None:
            return command, False
        torque_now = last.tau + last.kp * (last.q - q) + last.kd * (last.dq - dq)
        step = c.tau + c.kp * (c.q - q) + c.kd * (c.dq - dq) - torque_now
        jump = c.q - last.q
        gentle = np.count_nonzero(np.abs(step) <= self._torque_step) == self._size
        near = self._near(jump, c)
        if gentle and near:
            self._since_ns = None
            return command, False
        self.clamped.update([TORQUE] * (not gentle) + [POSITION] * (not near))
        target = np.where(
            c.kp > 0.0, last.q + np.clip(jump, -self._position_step, self._position_step), c.q
        )
        torque = torque_now + np.clip(step, -self._torque_step, self._torque_step)
        tau = torque - c.kp * (target - q) - c.kd * (c.dq - dq)
        return replace(command, q=target, tau=tau), self._impatient(state.stamp_ns)

    def _near(self, jump: Array, command: LowCommand) -> bool:
        """Whether no joint with stiffness is sent too far at once."""
        small = np.abs(jump) <= self._position_step
        return np.count_nonzero(small) == self._size or not (command.kp[~small] > 0.0).any()

    def _impatient(self, stamp_ns: int) -> bool:
        if self._since_ns is None:
            self._since_ns = stamp_ns
        return not 0 <= stamp_ns - self._since_ns <= self._patience_ns
