"""Tables of a page that are made from data.

A table stands between `<!-- MARK: NAME -->` and `<!-- /MARK -->`. The only one of a page has no
name. All else is written by hand.
"""

import re
from collections.abc import Callable


def blocks(mark: str) -> re.Pattern[str]:
    """Pattern of a table with its marks; group 2 is the table's name."""
    return re.compile(rf"(<!-- {mark}: (\w+) -->\n)(.*?)(<!-- /{mark} -->)", re.DOTALL)


def refilled(text: str, block: re.Pattern[str], table: Callable[[str], str]) -> str:
    """The text with each table made anew by its name."""
    return block.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[4]}", text)


def with_only_table(page: str, mark: str, table: str) -> str:
    """The page with a new table between its two marks.

    Raises:
        ValueError: a mark is missing.
    """
    begin = f"<!-- {mark} -->"
    end = f"<!-- /{mark} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page needs the marks {begin} and {end}")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"
