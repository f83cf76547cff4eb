"""The house keeps its measures: one statement a line, short files and functions."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from places import ROOT

SOURCES = sorted(
    path
    for folder in ("safe_locomotion", "test", "tools", "launch", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
LONGEST_FILE = 400  # lines
LONGEST_FUNCTION = 50  # lines
PACKED_SHARE = 0.005


def names(paths: list[Path]) -> list[str]:
    """Paths as they read in a report."""
    return [str(path.relative_to(ROOT)) for path in paths]


@dataclass(frozen=True)
class Measures:
    """What is counted in a file; its syntax tree is not kept, because there are 940 files."""

    assignments: int
    packed: int
    long_functions: tuple[str, ...]


@cache
def measures(path: Path) -> Measures:
    """The counts of a file, in one walk through it."""
    assignments = 0
    packed = 0
    long = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            assignments += 1
            packed += packs(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    return Measures(assignments, packed, tuple(long))


def packs(node: ast.stmt) -> bool:
    """Whether it writes several values to several names, as `a, b = x, y` does."""
    several = ast.Tuple | ast.List | ast.GeneratorExp | ast.ListComp
    return (
        isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Tuple | ast.List) for target in node.targets)
        and isinstance(node.value, several)
    )


@pytest.mark.parametrize("folder", ["safe_locomotion", "test"])
def test_assignments_are_not_packed(folder: str) -> None:
    """At most one of 200 assignments writes several values to several names."""
    found = [measures(path) for path in SOURCES if path.is_relative_to(ROOT / folder)]
    count = sum(file.assignments for file in found)
    packed = sum(file.packed for file in found)
    assert count > 1000
    assert packed <= PACKED_SHARE * count, f"{packed} of {count}"


def test_a_packed_assignment_is_recognised() -> None:
    """The count above sees what it is there to see, and lets a call's results be named."""
    seen = [packs(ast.parse(text).body[0]) for text in ("a, b = 1, 2", "a, b = (x for x in y)")]
    assert seen == [True, True]
    assert not packs(ast.parse("a, b = f()").body[0])


def test_files_are_short() -> None:
    """No file has more than 400 lines."""
    long = [path for path in SOURCES if len(path.read_text().splitlines()) > LONGEST_FILE]
    assert not names(long)


def test_functions_are_short() -> None:
    """No function has more than 50 lines."""
    long = [name for path in SOURCES for name in measures(path).long_functions]
    assert not long
