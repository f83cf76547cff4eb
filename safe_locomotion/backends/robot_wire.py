"""The robot's end of the SDK2 wire, for simulated robots: sends states and receives commands."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_, SportModeState_

from safe_locomotion.backends.dds import (
    LOOPBACK,
    SIMULATION_DOMAIN,
    RawReader,
    RawWriter,
    join_domain,
)
from safe_locomotion.backends.sdk2_codec import LowCommandCodec, LowStateCodec, Truth, TruthCodec
from safe_locomotion.backends.tick_clock import MILLISECOND_TICK_NS, tick_difference
from safe_locomotion.backends.unitree_sdk2 import COMMAND_TOPIC, STATE_TOPIC
from safe_locomotion.types import Array, LowCommand, LowState

TRUTH_TOPIC: Final = "rt/sim/truth"


class RobotWire:
    """Publishes LowStates and takes LowCommands as a robot does.

    Attributes:
        rejected: number of commands ignored so far, by reason (`sdk2_codec.Rejection`).
        overtaken: commands, valid or not, dropped because a newer one had already arrived.

    Raises:
        BackendError: unknown or busy interface or domain.
    """

    def __init__(self, *, domain: int = SIMULATION_DOMAIN, interface: str = LOOPBACK) -> None:
        self._states = LowStateCodec()
        self._commands = LowCommandCodec()
        self._truths = TruthCodec()
        self.rejected: Counter[str] = Counter()
        self.overtaken = 0
        self._tick = 0
        self._stamp_ns = 0
        participant = join_domain(domain, interface)
        self._state_writer = RawWriter(participant, STATE_TOPIC, LowState_)
        self._truth_writer = RawWriter(participant, TRUTH_TOPIC, SportModeState_)
        self._reader = RawReader(participant, COMMAND_TOPIC, LowCmd_)
        self._participant = participant

    def publish(self, state: LowState) -> None:
        """Send one state.

        Ticks are milliseconds and start at 1 or later, because 0 in a command means that it
        answers no particular state.
        """
        self._tick = state.tick
        self._stamp_ns = state.stamp_ns
        self._state_writer.write(self._states.encode(state))

    def take_command(self, timeout_s: float) -> LowCommand | None:
        """The newest valid command that was not taken before.

        Returns:
            None after `timeout_s` without a message, or when no message was valid. The
            `stamp_ns` of a command is the stamp of the state that it answers; 0 when the
            controller does not tell.
        """
        if not self._reader.wait(timeout_s):
            return None
        samples = self._reader.take()
        while samples:
            result = self._commands.decode(samples.pop())
            if not isinstance(result, str):
                self.overtaken += len(samples)
                command, tick = result
                return replace(command, stamp_ns=self._stamp_of(tick)) if tick else command
            self.rejected[result] += 1
        return None

    def _stamp_of(self, tick: int) -> int:
        return self._stamp_ns + tick_difference(tick, self._tick) * MILLISECOND_TICK_NS

    def publish_truth(
        self,
        *,
        stamp_ns: int,
        position: Array,
        quaternion_wxyz: Array,
        velocity: Array,
        angular_velocity: Array,
        foot_force: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    ) -> None:
        """Publish the true motion for reports, see `Truth`. No controller reads it."""
        truth = Truth(
            stamp_ns=stamp_ns,
            position=position,
            quaternion_wxyz=quaternion_wxyz,
            velocity=velocity,
            angular_velocity=angular_velocity,
            foot_force=np.asarray(foot_force, dtype=np.float64),
        )
        self._truth_writer.write(self._truths.encode(truth))

    def controllers(self) -> int:
        """Number of connected publishers of low commands."""
        return self._reader.matched_publishers()

    def listeners(self) -> int:
        """Number of connected readers of low states."""
        return self._state_writer.matched_subscribers()

    def close(self) -> None:
        """Leave the domain; a second call does nothing."""
        for name in ("_reader", "_state_writer", "_truth_writer", "_participant"):
            self.__dict__.pop(name, None)


class TruthReader:
    """Reads the true motion of a simulated robot, for reports.

    Raises:
        BackendError: unknown or busy interface or domain.
    """

    def __init__(self, *, domain: int = SIMULATION_DOMAIN, interface: str = LOOPBACK) -> None:
        self._participant = join_domain(domain, interface)
        self._reader = RawReader(self._participant, TRUTH_TOPIC, SportModeState_)
        self._codec = TruthCodec()

    def take(self, timeout_s: float = 0.0) -> list[Truth]:
        """Samples since the last take, oldest first, at most the 64 newest.

        The list is empty after `timeout_s` without a sample.
        """
        if not self._reader.wait(timeout_s):
            return []
        return [
            truth for raw in self._reader.take() if (truth := self._codec.decode(raw)) is not None
        ]

    def publishers(self) -> int:
        """Number of connected simulated robots."""
        return self._reader.matched_publishers()

    def close(self) -> None:
        """Leave the domain; a second call does nothing."""
        for name in ("_reader", "_participant"):
            self.__dict__.pop(name, None)
