"""`safe-locomotion trigger-set`: the table, the design, the plot and its refusals."""

from pathlib import Path

import pytest

from safe_locomotion.cli.main import main


def test_sets_are_shown_and_designed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The table shows the three sets of the paper and the designed one; --plot draws them."""
    assert main(["trigger-set", "--design", "--reach", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert "c1 (in use)" in shown and "c3" in shown and "designed" in shown and "0.475" in shown
    pytest.importorskip("matplotlib")
    assert main(["trigger-set", "--design", "--plot", str(tmp_path / "sets.png")]) == 0
    assert (tmp_path / "sets.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "arguments", [["--design", "--reach", "0"], ["--plot", "sets.doc"], ["--robot", "unicorn"]]
)
def test_what_cannot_be_drawn_or_designed_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad usage gives one line and status 2."""
    assert main(["trigger-set", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
