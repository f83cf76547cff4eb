"""Refusals of files that are no checkpoints, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from safe_locomotion.errors import ConfigurationError

#: What bytes that are no checkpoint, or one of another content, raise in Torch and in its readers.
DAMAGED = (
    OSError,
    RuntimeError,
    LookupError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read a checkpoint.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    try:
        yield
    except DAMAGED as error:
        raise ConfigurationError(f"{path}: not a checkpoint ({error})") from error
    except UnpicklingError as error:
        # Torch's text is long, and advises to read the file without safety.
        raise ConfigurationError(f"{path}: not a checkpoint") from error
