"""Exceptions of the package: one base class, and leaves that say what was found and what is valid.

Exceptions are for set-up. Inside the control loop failures are values (see
`types.LowCommand.reason`).
"""

from collections.abc import Iterable


class SafeLocomotionError(Exception):
    """Base of every error that this package raises on purpose; its text is meant for the user."""


class ConfigurationError(SafeLocomotionError):
    """A file, key or value of the configuration is missing, unknown or out of range."""


class UnknownNameError(ConfigurationError):
    """A name (robot, gait, terrain, key) is not one of the valid choices."""

    def __init__(self, what: str, name: object, choices: Iterable[object]) -> None:
        listed = ", ".join(str(choice) for choice in choices)
        super().__init__(f"unknown {what} {name!r}; choose one of: {listed}")
        self.what = what
        self.name = name


class RobotMismatchError(SafeLocomotionError):
    """What arrives on the wire cannot come from the robot named in the configuration."""


class BackendError(SafeLocomotionError):
    """The link to the robot could not be opened, or refused a request."""


class PolicyRefusedError(SafeLocomotionError):
    """A policy file must not fly; one line says what was expected and what was found."""


class RecordingError(SafeLocomotionError):
    """An episode cannot be written: no space, no permission, no folder, no library."""


def one_line(text: object, longest: int | None = None) -> str:
    """The text with each run of white space as one space, cut after `longest` characters."""
    return " ".join(str(text).split())[:longest]
