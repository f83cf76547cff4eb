"""The programs in examples/ are short, and each does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT
from recorded_walk import wild_walk, write_walk

EXAMPLES = ROOT / "examples"
LONGEST = 40  # lines
#: What each program says, with the numbers that it found.
SAYS = {
    "pipeline_in_simulation": r"WALK: the robot came ([\d.]+) m far.*\nit fell 0 times",
    "learner_in_python": r"recovery drove ([1-9]\d*)% of the walk\nthe robot fell 0 times",
    "write_a_policy_file": r"walked under supervision and fell (\d+) times",
    "supervisor_on_recorded_states": r"horizon  0: recovery drives ([\d.]+)%, in [1-9]\d* uses",
    "read_an_episode": r"joint positions \((\d+), 12\)[\s\S]*recovery drove",
}
ON_AN_EPISODE = ("supervisor_on_recorded_states", "read_an_episode")


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded walk in which the supervisor had to step in."""
    folder = tmp_path_factory.mktemp("episodes") / "walk"
    write_walk(wild_walk(), folder)
    return folder


def test_every_example_is_short_and_tested() -> None:
    """No program has more than 40 lines, and each is in the table above."""
    programs = sorted(EXAMPLES.glob("*.py"))
    assert {path.stem for path in programs} == set(SAYS)
    for path in programs:
        assert len(path.read_text().splitlines()) <= LONGEST, path.name


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name: str, episode: Path) -> None:
    """The program ends by itself and says what it promises."""
    arguments = [str(episode)] if name in ON_AN_EPISODE else []
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = re.search(SAYS[name], done.stdout)
    assert found, done.stdout
    assert float(found[1]) >= 0.0


def test_the_readme_shows_an_example_as_it_is() -> None:
    """The snippet of the README is the program that the tests run, line by line."""
    name, shown = re.findall(
        r"<!-- example: (\S+) -->\n\n```python\n(.*?)```\n",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )[0]
    assert shown == (ROOT / name).read_text()
