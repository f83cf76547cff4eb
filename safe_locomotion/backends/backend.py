"""The interface to a robot: its methods and the counters of messages."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

import numpy as np

from safe_locomotion.backends.commanders import Commanders
from safe_locomotion.commands import damping_command
from safe_locomotion.errors import BackendError, UnknownNameError
from safe_locomotion.types import N_JOINTS, LowCommand, LowState


@dataclass(kw_only=True, slots=True)
class Counters:
    """Counts of messages since a backend was opened.

    Attributes:
        received: states that `read` returned.
        dropped: states that arrived, but were replaced by a newer one before they were read.
        malformed, crc_errors: messages ignored because of their size or their checksum.
        repeated_ticks: messages ignored because they repeat the last tick.
        tick_jumps: returned states whose tick is before the last one, or further ahead than the
            clock's limit.
        foreign_publishers: other publishers of low commands at present.
        foreign_commands: low commands of others on the wire.
        state_sources: programs that send LowStates at present; 1 where the link does not tell.
        clock_offset_us: clock of this machine less robot time, where stamps follow it [us].
        written: commands that the transport accepted.
        write_failures: commands that the transport refused.
        nonfinite_commands: commands with a NaN or infinite number; damping replaced them.
        refused_commands: commands that were not sent because `stop` came during the write.
    """

    received: int = 0
    dropped: int = 0
    malformed: int = 0
    crc_errors: int = 0
    repeated_ticks: int = 0
    tick_jumps: int = 0
    foreign_publishers: int = 0
    foreign_commands: int = 0
    state_sources: int = 1
    clock_offset_us: int = 0
    written: int = 0
    write_failures: int = 0
    nonfinite_commands: int = 0
    refused_commands: int = 0


def stop_command(stop_kd: float) -> LowCommand:
    """Damping `stop_kd` [Nm s/rad] without a position set-point.

    The velocity set-point is 0, because VelStopF would switch kd off.
    """
    return damping_command(0, stop_kd, q=np.full(N_JOINTS, POS_STOP), reason="stop")


def always() -> bool:
    """Whether a command that answers no state may be sent: it never gets old."""
    return True


def is_finite(command: LowCommand) -> bool:
    """Whether every number of the command is finite in single precision, as on the wire."""
    numbers = np.concatenate((command.q, command.dq, command.tau, command.kp, command.kd))
    return bool((np.abs(numbers) <= _FLOAT32_MAX).all())


class Backend(Protocol):
    """A robot, real, simulated or recorded.

    Only the thread of the control loop calls `read` and `write`. Any thread and any signal
    handler may call `stop`.
    """

    @property
    def counters(self) -> Counters:
        """A copy of the counters as they stand."""

    def read(self, timeout_s: float) -> LowState | None:
        """The newest state that was not read before; None after `timeout_s`.

        Other Python threads run while it waits.
        """

    def behind_s(self) -> float:
        """How far the newest state that waits is from the last one that was read [s].

        It is robot time, and no clock of this machine. A state that waits is still read later,
        and it need not be valid. The value is 0.0 when none waits, and where robot time is unknown.
        """

    def write(self, command: LowCommand, fresh: Callable[[], bool] = always) -> bool:
        """Send a command and return at once, whether or not the robot listens.

        A command with a NaN or infinite number is never sent.

        Args:
            command: what the motors shall do.
            fresh: whether the command may still be sent. It is asked last, when only the call of
                the transport is left.

        Returns:
            Whether it was fresh; otherwise nothing was sent.
        """

    def listen(self, listen_s: float) -> Commanders:
        """Find other commanders; called before the first command.

        Args:
            listen_s: how long to listen at least [s], from where the robot is connected.

        Returns:
            None of them on a link that does not show others.
        """

    def greet(self) -> None:
        """Make a robot send states that only answers commands: send one damping command.

        For all other robots do nothing. The call comes before the first state, once the robot
        may be commanded.
        """

    def stop(self) -> None:
        """Send damping several times, unless no command was ever sent."""

    def close(self) -> None:
        """Stop and close the link; a second call does nothing."""


POS_STOP: Final = 2.146e9  # PosStopF of the vendor's SDKs: no position set-point
VEL_STOP: Final = 16000.0  # VelStopF: no velocity set-point
STOP_REPEATS: Final = 10
STOP_PERIOD_S: Final = 0.002  # the rate of the wire
_FLOAT32_MAX = float(np.finfo(np.float32).max)

BACKENDS: Final = {
    "unitree_sdk2": ("safe_locomotion.backends.unitree_sdk2", "UnitreeSdk2"),
    "legged_sdk": ("safe_locomotion.backends.legged_sdk", "LeggedSdk"),
    "mock": ("safe_locomotion.backends.mock", "Mock"),
}


def open_backend(name: str, **options: Any) -> Backend:
    """Open the backend `name` with its constructor's options.

    Raises:
        UnknownNameError: an unknown backend or option.
        BackendError: the SDK is not installed, or the link cannot be opened.
    """
    if name not in BACKENDS:
        raise UnknownNameError("sdk", name, BACKENDS)
    module_name, class_name = BACKENDS[name]
    try:
        constructor = getattr(import_module(module_name), class_name)
    except ImportError as error:
        raise BackendError(
            f"sdk {name!r} needs a package that cannot be imported: {error}"
        ) from error
    accepted = inspect.signature(constructor).parameters
    for key in options:
        if key not in accepted:
            raise UnknownNameError(f"option of sdk {name!r}", key, accepted)
    missing = [
        key
        for key, parameter in accepted.items()
        if parameter.default is parameter.empty and key not in options
    ]
    if missing:
        raise BackendError(
            f"sdk {name!r} needs the option {', '.join(missing)}:"
            f" parameter sdk_options.{missing[0]} of the bridge"
        )
    backend: Backend = constructor(**options)
    return backend
