"""How a contract is refused, and the checks of numbers that all its parts share."""

from collections.abc import Sequence

from pydantic import ConfigDict

from safe_locomotion.errors import PolicyRefusedError, one_line

Numbers = tuple[float, ...]

LARGEST = 1e6  #: larger numbers mean nothing here and would overflow float32 when multiplied
SMALLEST = 1e-6  #: of a number that must be positive

#: Of every part of a contract that is read from JSON: no unknown key, no conversion, no NaN.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def refuse(what: str, expected: object, found: object) -> PolicyRefusedError:
    """The error that says in one line what was expected and what was found.

    Text that comes from a file may be long, so every part is cut.
    """
    return PolicyRefusedError(
        one_line(f"{what[:80]}: expected {_short(expected)}, found {_short(found)}")
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 250 else f"{text[:250]}..."


def check_numbers(what: str, values: Sequence[float], size: int) -> None:
    """Refuse values that are not `size` finite numbers within +-`LARGEST`.

    Raises:
        PolicyRefusedError: they are not.
    """
    if len(values) != size:
        raise refuse(what, f"{size} numbers", len(values))
    if not all(-LARGEST <= value <= LARGEST for value in values):
        raise refuse(what, f"finite numbers within +-{LARGEST:g}", values)


def check_positive(what: str, values: Sequence[float]) -> None:
    """Refuse values that are not all within `SMALLEST`..`LARGEST`.

    Raises:
        PolicyRefusedError: they are not.
    """
    if not all(SMALLEST <= value <= LARGEST for value in values):
        raise refuse(what, f"positive numbers within {SMALLEST:g}..{LARGEST:g}", values)


def check_bounds(what: str, lower: Numbers | None, upper: Numbers | None, size: int) -> None:
    """Refuse bounds that are not both there or both missing, and bounds that cross.

    Raises:
        PolicyRefusedError: see above.
    """
    if lower is None and upper is None:
        return
    if lower is None or upper is None:
        raise refuse(f"{what}: bounds", "lower and upper, or neither", "one of them")
    check_numbers(f"{what}: lower", lower, size)
    check_numbers(f"{what}: upper", upper, size)
    if not all(lo <= hi for lo, hi in zip(lower, upper, strict=True)):
        raise refuse(f"{what}: bounds", "lower <= upper", (lower, upper))
