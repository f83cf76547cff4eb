"""Draws the pages of paper 1's experiments from their JSON files, with PNG files of the pictures.

.venv/bin/python tools/paper1_pages.py build/paper1/paper1_fig3.json
.venv/bin/python tools/paper1_pages.py docs/data/paper1_fig3.json --out build
"""

import argparse
from pathlib import Path

from safe_locomotion.training.gait.pictures import write_page


def main() -> None:
    """Draw each file that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="of results")
    parser.add_argument("--out", type=Path, help="folder of the pages; else beside each file")
    chosen = parser.parse_args()
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
    for file in chosen.files:
        print(write_page(file, chosen.out))


if __name__ == "__main__":
    main()
