"""Count the words of each sentence in the pages: python tools/prose.py.

Prose is every paragraph and every list item of README, CONTRIBUTING and docs. Code blocks, tables,
headings, pictures, comments and the targets of links do not count. An inline code span is one word.
A sentence ends at one of `. ! ? :` that is followed by a space or by the end of its paragraph.
"""

import re
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
MEDIAN = 15  # words
NINTH_DECILE = 28  # words

ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) (?:\[ \] )?")
BREAK = re.compile(r"^\s*(?:#|\||!\[|<!--|$)")


def paragraphs(text: str) -> list[str]:
    """Paragraphs and list items of a page, each on one line."""
    found: list[str] = []
    fenced = False
    open_paragraph = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            open_paragraph = False
        elif fenced or BREAK.match(line):
            open_paragraph = False
        elif ITEM.match(line):
            found.append(ITEM.sub("", line))
            open_paragraph = True
        elif open_paragraph:
            found[-1] += f" {line.strip()}"
        elif not line.startswith("    "):
            found.append(line.strip())
            open_paragraph = True
    return found


def sentences(text: str) -> list[str]:
    """Sentences of a page."""
    found: list[str] = []
    for paragraph in paragraphs(text):
        plain = re.sub(r"`[^`]*`", "code", paragraph)
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        plain = re.sub(r"[*_]{2}|(?<!\w)\*|\*(?!\w)", "", plain)
        found += [part for part in re.split(r"(?<=[.!?:])\s+", plain) if words(part)]
    return found


def words(sentence: str) -> int:
    """Number of words: what stands between spaces and holds a letter or a digit."""
    return sum(bool(re.search(r"\w", part)) for part in sentence.split())


def lengths(page: Path) -> list[int]:
    """Words of each sentence of a page."""
    return [words(sentence) for sentence in sentences(page.read_text())]


def median_and_ninth_decile(counts: list[int]) -> tuple[float, float]:
    """Median and 90th percentile; zeros for a page without prose."""
    if len(counts) < 2:
        return float(sum(counts)), float(sum(counts))
    return statistics.median(counts), statistics.quantiles(counts, n=10, method="inclusive")[-1]


def main() -> None:
    """Print one line for each page and one for all of them."""
    every = {str(page.relative_to(ROOT)): lengths(page) for page in PAGES}
    every["all"] = [count for counts in every.values() for count in counts]
    print(f"{'page':28}{'sentences':>10}{'median':>8}{'90 %':>8}{'longest':>9}")
    for name, counts in every.items():
        median, decile = median_and_ninth_decile(counts)
        print(f"{name:28}{len(counts):10}{median:8.1f}{decile:8.1f}{max(counts, default=0):9}")


if __name__ == "__main__":
    main()
