"""Draws the pages of paper 1's experiments from their JSON files, with PNG files of the pictures.

.venv/bin/python tools/paper1_pages.py build/paper1/paper1_fig3.json
"""

import argparse
from pathlib import Path

from safe_locomotion.training.gait.pictures import write_page


def main() -> None:
    """Draw each file that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="of results")
    for file in parser.parse_args().files:
        print(write_page(file))


if __name__ == "__main__":
    main()
