"""Extension of griffe: a row of a docstring that describes several names becomes a row for each.

In the package one line may describe several arguments, as in `roll, pitch: of the base [rad]`. The
API pages then show each name with its type.
"""

import re
from typing import Any

import griffe

SECTION = re.compile(r"^(\s*)(?:Args|Attributes):$")
ROW = re.compile(r"^(\s+)(\*{0,2}\w+(?:, \*{0,2}\w+)+): ")


def one_name_a_row(text: str) -> str:
    """The docstring with one name in each row of its arguments and attributes."""
    done: list[str] = []
    names: list[str] = []
    row: list[str] = []
    indent = None  # of the section's rows

    def close() -> None:
        for name in names:
            done.append(f"{indent}{name}: {row[0]}")
            done.extend(row[1:])
        names.clear()
        row.clear()

    for line in text.splitlines():
        deeper = indent is not None and line.startswith(f"{indent} ")
        if names and deeper:
            row.append(line)
            continue
        close()
        section = SECTION.match(line)
        found = ROW.match(line)
        if section:
            indent = f"{section[1]}    "
        elif line.strip() and indent is not None and not line.startswith(indent):
            indent = None
        if found and found[1] == indent:
            names.extend(found[2].split(", "))
            row.append(line[found.end() :])
        else:
            done.append(line)
    close()
    return "\n".join(done)


class DocstringRows(griffe.Extension):
    """Rewrites the docstring of every object that griffe reads."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give each name a row of its own."""
        if obj.docstring is not None:
            obj.docstring.value = one_name_a_row(obj.docstring.value)
