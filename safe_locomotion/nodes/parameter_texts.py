"""What `ros2 param describe` and rqt show of a parameter: the text of its dataclass.

The docstring of a dataclass describes each attribute with its unit, once for readers of the code
and for users of ROS.
"""

import inspect
import re
from collections.abc import Iterator, Set
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rcl_interfaces.msg import ParameterDescriptor

ROW = re.compile(r"^    (\w+(?:, \w+)*): (.*)$")
SECTION = "Attributes:"


def descriptors(cls: type[Any], changeable: Set[str]) -> dict[str, ParameterDescriptor]:
    """Descriptor of every parameter in a dataclass, also of those nested in it, by dotted name.

    Args:
        cls: of the settings, or of a section of the configuration file.
        changeable: names of parameters that may change while the node runs.
    """
    return {
        name: ParameterDescriptor(
            description=text,
            additional_constraints=_choices(kind),
            read_only=name not in changeable,
            dynamic_typing=True,
        )
        for name, text, kind in _leaves(cls, "")
    }


def attribute_texts(cls: type[Any]) -> dict[str, str]:
    """What the docstrings of a class and of its bases say about each attribute."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= _described(base.__doc__ or "")
    return texts


def _described(docstring: str) -> dict[str, str]:
    _, found, section = inspect.cleandoc(docstring).partition(f"\n{SECTION}\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines() if found else ():
        if row := ROW.match(line):
            names = row[1].split(", ")
            texts |= dict.fromkeys(names, row[2])
        elif line.startswith(" " * 8):
            texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
        elif line.strip():
            break
    return texts


def _leaves(cls: type[Any], prefix: str) -> Iterator[tuple[str, str, Any]]:
    """Dotted name, text and type of each value."""
    texts = attribute_texts(cls)
    types = get_type_hints(cls)
    for field in fields(cls):
        kind = types[field.name]
        if is_dataclass(kind) and isinstance(kind, type):
            yield from _leaves(kind, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, texts.get(field.name, ""), kind


def _choices(kind: Any) -> str:
    if get_origin(kind) is not Literal:
        return ""
    return f"one of: {', '.join(str(value) for value in get_args(kind))}"
