"""Build the pages and the API as a site in build/site: python tools/site.py [--serve].

The pages are those of docs, with README as the first one. The API has a page for each room of the
package, with the docstrings of the room and of all that is public in it. The docstrings are read
without importing the package, so that neither ROS nor torch is needed.

Every warning ends the build with exit status 1. Settings of the site are in zensical.toml.
"""

import argparse
import ast
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "safe_locomotion"
SETTINGS = ROOT / "zensical.toml"
PAGES = ROOT / "build/pages"
FOLDERS = ("data", "media")  #: of docs, which pages link to
#: Pages that stand outside of docs.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "licence.md",
}


def rooms() -> list[Path]:
    """Folders and files of the package, as paths."""
    return sorted(
        path
        for path in PACKAGE.iterdir()
        if not path.name.startswith("__") and path.suffix in ("", ".py")
    )


def modules(room: Path) -> list[Path]:
    """Files of a folder that have something to show."""
    return [path for path in sorted(room.rglob("*.py")) if path.name != "__init__.py"]


def dotted(path: Path) -> str:
    """Name by which Python imports a file or folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def claim(room: Path) -> str:
    """First line of the docstring of a room.

    Raises:
        ValueError: the room has none.
    """
    file = room if room.is_file() else room / "__init__.py"
    text = ast.get_docstring(ast.parse(file.read_text()))
    if not text:
        raise ValueError(f"{file.relative_to(ROOT)} has no docstring, which its page needs")
    return text.splitlines()[0]


def api_page(room: Path) -> str:
    """Page of a room: its docstring, then each module with its path."""
    text = f"# {room.stem}\n\n"
    if room.is_file():
        return f"{text}{source(room)}"
    text += f"::: {dotted(room)}\n\n"
    for module in modules(room):
        text += f"## {dotted(module).removeprefix(f'{PACKAGE.name}.')}\n\n{source(module)}"
    return text


def source(module: Path) -> str:
    """Path of a file, and all that is public in it."""
    return f"`{module.relative_to(ROOT)}`\n\n::: {dotted(module)}\n\n"


def api_index() -> str:
    """Page that lists the rooms."""
    lines = [f"| [{room.stem}]({room.stem}.md) | {claim(room)} |" for room in rooms()]
    return "\n".join(["# Rooms of the package", "", "| room | content |", "|---|---|", *lines, ""])


def outside_page(name: str) -> str:
    """A page from outside of docs, whose links lead to where the pages of the site are."""
    text = (ROOT / name).read_text()
    if name == "LICENSE":
        return f"# Licence\n\n```text\n{text}```\n"
    text = text.replace("](docs/", "](")
    for old, new in OUTSIDE.items():
        text = text.replace(f"]({old})", f"]({new})")
    return text


def write_pages() -> None:
    """Write all pages of the site into an empty folder."""
    shutil.rmtree(PAGES, ignore_errors=True)
    (PAGES / "api").mkdir(parents=True)
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, PAGES)
    for folder in FOLDERS:
        shutil.copytree(ROOT / "docs" / folder, PAGES / folder)
    for name, target in OUTSIDE.items():
        (PAGES / target).write_text(outside_page(name))
    (PAGES / "api/index.md").write_text(api_index())
    for room in rooms():
        (PAGES / f"api/{room.stem}.md").write_text(api_page(room))


def unlisted_pages() -> list[str]:
    """Pages that the navigation in zensical.toml does not list."""
    settings = SETTINGS.read_text()
    names = [str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md")]
    return [name for name in sorted(names) if f'"{name}"' not in settings]


def main() -> int:
    """Build the site, or serve it; exit status 1 after any warning."""
    parser = argparse.ArgumentParser(description="Build the pages and the API as a site.")
    parser.add_argument("--serve", action="store_true", help="show the site until Ctrl-C")
    options = parser.parse_args()
    write_pages()
    if unlisted := unlisted_pages():
        print(f"zensical.toml: pages that nav does not list: {', '.join(unlisted)}")
        return 1
    zensical = [sys.executable, "-m", "zensical"]
    if options.serve:
        return subprocess.run([*zensical, "serve"], cwd=ROOT, check=False).returncode
    built = subprocess.run(
        [*zensical, "build", "--strict", "--clean"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(built.stdout)
    # A docstring that cannot be parsed is only a line of output there.
    return int(built.returncode != 0 or "griffe:" in built.stdout)


if __name__ == "__main__":
    sys.exit(main())
