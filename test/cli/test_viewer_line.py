"""The viewer's address in the terminal of `safe-locomotion sim`, and a missing library."""

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from safe_locomotion.cli.main import cli
from safe_locomotion.cli.sim import settings
from safe_locomotion.cli.sim.viewer_line import LOG, ViewerLine


@pytest.mark.parametrize(
    "said, shown",
    [
        (
            "viewer: http://127.0.0.1:8080  token: [b]x2\n",
            "viewer: http://127.0.0.1:8080  token: [b]x2\n",
        ),
        ("error: no port\n", "viewer: no port\n"),
        (
            "viewer: http://a  token: x\nviewer, with the token: http://a/?token=x\n",
            "viewer: http://a  token: x\nviewer, with the token: http://a/?token=x\n",
        ),
    ],
)
def test_the_line_is_shown_once_when_it_is_complete(tmp_path, said, shown):
    """Only the complete line of the viewer is printed, and brackets are not markup."""
    console = Console(file=io.StringIO(), width=200)
    line = ViewerLine(tmp_path)
    line.show(console)
    for text in ("[WARN] a word\n", "[WARN] a word\n" + said[:12]):
        (tmp_path / LOG).write_text(text)
        line.show(console)
    assert console.file.getvalue() == ""
    (tmp_path / LOG).write_text("[WARN] a word\n" + said + "more\n")
    for _ in range(3):
        line.show(console)
    assert console.file.getvalue() == shown


def test_asking_for_the_viewer_without_its_library_says_what_to_install(monkeypatch):
    """Without the library the demonstration runs without a viewer."""
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    assert not settings.viewer_installed()
    result = CliRunner().invoke(cli, ["sim", "--viewer"], standalone_mode=False)
    assert "viser" in str(result.exception) and "[viewer]" in str(result.exception)
