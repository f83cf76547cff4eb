"""The site of pages and API builds without a warning."""

import subprocess
import sys

import pytest
from places import ROOT

pytest.importorskip("zensical", reason="Python 3.10, or an environment without the extra docs")


def test_the_site_builds_without_a_warning() -> None:
    """Links, anchors, navigation and docstrings are sound, and every room has its page."""
    built = subprocess.run(
        [sys.executable, ROOT / "tools/site.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    rooms = ROOT / "build/pages/api"
    assert {page.stem for page in rooms.glob("*.md")} == {
        page.stem for page in (ROOT / "build/site/api").glob("*.html")
    }
    assert "safe_locomotion/control/mpc.py" in (ROOT / "build/site/api/control.html").read_text()


def test_a_row_for_several_names_becomes_one_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rows of arguments and attributes are split; text that continues one goes with it."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    from docstring_rows import one_name_a_row

    text = """Claim.

    Args:
        roll, pitch: of the base
            [rad].
        height: of the base [m].

    Raises:
        ValueError, TypeError: never.
    """
    assert one_name_a_row(text).split("\n") == [
        "Claim.",
        "",
        "    Args:",
        "        roll: of the base",
        "            [rad].",
        "        pitch: of the base",
        "            [rad].",
        "        height: of the base [m].",
        "",
        "    Raises:",
        "        ValueError, TypeError: never.",
        "    ",
    ]
