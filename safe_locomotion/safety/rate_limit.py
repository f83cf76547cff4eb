"""How much a command may differ from the one before it: the gate's bound on sudden changes.

A step that is too large is clamped and counted, not answered by damping. Every clamped command
lies between one that was sent and one that passed all other bounds, so clamping adds no new danger.
The robot reaches the wanted command some cycles later. Damping would drop a walking robot for what
may be one odd plan. A source that is still clamped after `patience_ns` runs away or oscillates, so
it is refused.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from safe_locomotion.commands import commanded_torque
from safe_locomotion.types import Array, LowCommand, LowState

TORQUE = "torque_step"
POSITION = "position_step"


class RateLimit:
    """Bounds the step from the last command sent to the next one.

    The step in torque is the difference of the commands, both taken at the present state. The
    motion of the robot between the two does not count. The target of a joint counts if the joint
    has stiffness.

    Attributes:
        clamped: number of clamped commands, by the quantity that was too large.
    """

    def __init__(self, *, torque_step: Array, position_step: Array, patience_ns: int) -> None:
        """Start without a last command.

        Args:
            torque_step: (12,) largest change of the commanded torque between two commands [Nm].
            position_step: (12,) largest change of a position target [rad].
            patience_ns: longest time of clamping without interruption.
        """
        self._torque_step = torque_step
        self._position_step = position_step
        self._patience_ns = patience_ns
        self._size = len(torque_step)
        self._last: LowCommand | None = None
        self._since_ns: int | None = None
        self.clamped: Counter[str] = Counter()

    def sent(self, command: LowCommand) -> None:
        """Take the command that was sent; the next one is compared with it."""
        self._last = command

    def limited(self, state: LowState, command: LowCommand) -> tuple[LowCommand, bool]:
        """The command with its steps clamped, and whether it has been clamped for too long.

        It is the same object if no step is too large. The resulting torque lies between that of the
        last command and the wanted one. Feed-forward supplies what stiffness and damping, with the
        clamped target, do not.
        """
        last = self._last
        if last is None:
            return command, False
        torque_now = commanded_torque(state, last)
        step = commanded_torque(state, command) - torque_now
        jump = command.q - last.q
        gentle = np.count_nonzero(np.abs(step) <= self._torque_step) == self._size
        near = self._near(jump, command)
        if gentle and near:
            self._since_ns = None
            return command, False
        self.clamped.update([TORQUE] * (not gentle) + [POSITION] * (not near))
        reached = last.q + np.clip(jump, -self._position_step, self._position_step)
        target = np.where(command.kp > 0.0, reached, command.q)
        torque = torque_now + np.clip(step, -self._torque_step, self._torque_step)
        stiffness = command.kp * (target - state.q)
        tau = torque - stiffness - command.kd * (command.dq - state.dq)
        return replace(command, q=target, tau=tau), self._impatient(state.stamp_ns)

    def _near(self, jump: Array, command: LowCommand) -> bool:
        """Whether no target of a joint with stiffness changes too much."""
        small = np.abs(jump) <= self._position_step
        return np.count_nonzero(small) == self._size or not (command.kp[~small] > 0.0).any()

    def _impatient(self, stamp_ns: int) -> bool:
        if self._since_ns is None:
            self._since_ns = stamp_ns
        return not 0 <= stamp_ns - self._since_ns <= self._patience_ns
