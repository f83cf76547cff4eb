"""Dataclasses from what a YAML file holds, strictly: no key too many or too few, no other type.

Robots, motors and configurations are read this way.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from safe_locomotion.errors import ConfigurationError, UnknownNameError, one_line

LONGEST_NUMBER = 40  #: characters of a number in a message
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader; that of libyaml is ten times as fast, but not every PyYAML has it."""
_adapters: dict[type[Any], TypeAdapter[Any]] = {}  # each takes as long as reading a file
_types: dict[type[Any], dict[str, Any]] = {}  # of the fields


def build(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `cls` from nested mappings, strictly.

    Raises:
        ConfigurationError: a key is unknown or missing, a value has the wrong type, or a number is
            not finite.
    """
    _check_keys(cls, values, where)
    try:
        # Strictly from JSON: a list is a tuple and 3 is a float there, but neither "3" nor true is.
        return _adapter(cls).validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"{where}: {place}: {first['msg']} (found {first['input']!r})"
        ) from error


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return _adapters.get(cls) or _adapters.setdefault(cls, TypeAdapter(cls))


def _types_of(cls: type[Any]) -> dict[str, Any]:
    return _types.get(cls) or _types.setdefault(cls, get_type_hints(cls))


def _check_keys(cls: type[Any], values: Any, where: str) -> None:
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{where}: expected keys and values, found {values!r}")
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            raise UnknownNameError(f"key in {where}", key, known)
    missing = sorted(set(known) - set(values) - _with_default(cls))
    if missing:
        raise ConfigurationError(f"{where}: missing {', '.join(missing)}")
    types = _types_of(cls)
    for key, value in values.items():
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, int | float) and not _is_finite(number):
                found = one_line(number, LONGEST_NUMBER)
                raise ConfigurationError(f"{where}: {key}: must be finite (found {found})")
        if is_dataclass(types[key]):
            _check_keys(types[key], value, f"{where}: {key}")


def _is_finite(number: float) -> bool:
    """Whether it is a finite number in double precision; integers may be longer than that."""
    try:
        return isfinite(number)
    except OverflowError:
        return False


def _with_default(cls: type[Any]) -> set[str]:
    return {
        f.name for f in fields(cls) if f.default is not MISSING or f.default_factory is not MISSING
    }
