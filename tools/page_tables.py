"""Tables of a page that are made from data.

A table stands between `<!-- MARK: NAME -->` and `<!-- /MARK -->`. All else is written by hand.
"""

import re
from collections.abc import Callable


def blocks(mark: str) -> re.Pattern[str]:
    """Pattern of a table with its marks; group 2 is the table's name."""
    return re.compile(rf"(<!-- {mark}: (\w+) -->\n)(.*?)(<!-- /{mark} -->)", re.DOTALL)


def refilled(text: str, block: re.Pattern[str], table: Callable[[str], str]) -> str:
    """The text with each table made anew by its name."""
    return block.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[4]}", text)
