"""Settings in files of other projects, read as plain values: no code of a file ever runs."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from safe_locomotion.errors import PolicyRefusedError, one_line
from safe_locomotion.policy.refusal import Numbers, refuse

BYTES_MAX = 8 * 1024 * 1024


class PlainLoader(yaml.SafeLoader):
    """The safe loader of YAML that takes objects of Python for nothing, or for their list."""


def _python_value(loader: PlainLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode) and suffix == "tuple":
        return loader.construct_sequence(node, deep=True)
    return None


PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", _python_value)


class Nothing:
    """Stands for every object of a pickle that is not a plain value."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take nothing from it."""

    def __call__(self, *_: Any, **__: Any) -> "Nothing":
        """Nothing comes of it."""
        return self

    def __setstate__(self, _: Any) -> None:
        """Take nothing from it."""


class PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, texts and numbers; it imports no class but that of ordered dicts."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """`Nothing` in the place of every class and function."""
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return OrderedDict
        return Nothing


class Settings:
    """Keys and values of a file, or of a part of it.

    Attributes:
        where: name of the file, and of the part.
    """

    def __init__(self, values: Any, where: str) -> None:
        """Take the values.

        Raises:
            PolicyRefusedError: they are not keys and values.
        """
        if not isinstance(values, Mapping):
            raise refuse(where, "keys and values", repr(values)[:80])
        self._values = values
        self.where = where

    def __contains__(self, key: object) -> bool:
        return self._values.get(key) is not None

    @property
    def names(self) -> list[str]:
        """Its keys in the order of the file."""
        return [str(key) for key in self._values]

    def get(self, key: str) -> Any:
        """A value; None where there is none."""
        return self._values.get(key)

    def need(self, key: str) -> Any:
        """A value.

        Raises:
            PolicyRefusedError: the file does not say it.
        """
        if key not in self:
            raise refuse(self.where, f"the key {key!r}", ", ".join(self.names) or "no key")
        return self._values[key]

    def part(self, key: str) -> "Settings":
        """The keys and values under a key."""
        return Settings(self.need(key), f"{self.where}: {key}")

    def number(self, key: str) -> float:
        """One finite number."""
        return self.numbers(key, 1)[0]

    def numbers(self, key: str, size: int | None = None) -> Numbers:
        """Finite numbers; a single one counts for all where a size is given.

        Raises:
            PolicyRefusedError: other values, or another count.
        """
        return numbers(f"{self.where}: {key}", self.need(key), size)

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        found = self.need(key)
        if not isinstance(found, list | tuple) or not all(isinstance(x, str) for x in found):
            raise refuse(f"{self.where}: {key}", "a list of names", repr(found)[:80])
        return list(found)

    def integers(self, key: str) -> list[int]:
        """A list of whole numbers; empty where there is none."""
        found = self.get(key) or []
        if not isinstance(found, list | tuple) or not all(type(x) is int for x in found):
            raise refuse(f"{self.where}: {key}", "whole numbers", repr(found)[:80])
        return list(found)


def numbers(where: str, found: Any, size: int | None = None) -> Numbers:
    """Finite numbers; a single one counts for all where a size is given.

    Raises:
        PolicyRefusedError: other values, or another count.
    """
    listed = list(found) if isinstance(found, list | tuple) else [found]
    fine = [type(x) in (int, float) and isfinite(x) for x in listed]
    if not all(fine):
        raise refuse(where, "finite numbers", repr(found)[:80])
    values = tuple(float(x) for x in listed)
    if size is not None and len(values) == 1:
        return values * size
    if size is not None and len(values) != size:
        raise refuse(where, f"{size} numbers", len(values))
    return values


def read_yaml(path: Path) -> Settings:
    """Keys and values of a YAML file.

    Raises:
        PolicyRefusedError: the file cannot be read.
    """
    try:
        return Settings(yaml.load(_bytes(path), PlainLoader), path.name)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise refuse(path.name, "a YAML file", one_line(error, 200)) from error


def read_pickle(path: Path) -> Settings:
    """Plain values of a pickle.

    Raises:
        PolicyRefusedError: the file cannot be read.
    """
    try:
        return Settings(PlainUnpickler(BytesIO(_bytes(path))).load(), path.name)
    except PolicyRefusedError:
        raise
    except Exception as error:  # whatever bytes make of an unpickler
        raise refuse(path.name, "a pickle of plain values", one_line(error, 200)) from error


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise refuse(path.name, f"at most {BYTES_MAX} bytes", path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise refuse("--config", "a readable file", f"{path} ({error.strerror})") from error
