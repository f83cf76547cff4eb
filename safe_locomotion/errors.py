"""Exceptions of the package: one base, leaves that carry evidence and name the valid choices.

Exceptions are for set-up. Inside the control loop failures are values (see `types.LowCommand.reason`).
"""

from collections.abc import Iterable


class SafeLocomotionError(Exception):
    """Base of every error this package raises on purpose; its text is meant for the user."""


class ConfigurationError(SafeLocomotionError):
    """A file, key or value of the configuration is missing, unknown or out of range."""


class UnknownNameError(ConfigurationError):
    """A name (robot, gait, terrain, key) that is not one of the valid choices."""

    def __init__(self, what: str, name: object, choices: Iterable[object]) -> None:
        listed = ", ".join(str(choice) for choice in choices)
        super().__init__(f"unknown {what} {name!r}; choose one of: {listed}")
        self.what = what
        self.name = name


class RobotMismatchError(SafeLocomotionError):
    """What arrives on the wire cannot come from the robot named in the configuration."""


class BackendError(SafeLocomotionError):
    """The link to the robot could not be opened or refused a request."""


class PolicyRefusedError(SafeLocomotionError):
    """A policy file that must not fly; one line says what was expected and what was found."""


class RecordingError(SafeLocomotionError):
    """An episode cannot be written: no space, no permission, no folder, no library."""
