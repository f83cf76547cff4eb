"""The pages agree with the code and with the data, and are written in short sentences.

Commands that need a robot are marked on the page. Those of ROS 2 begin with `ros2`, `colcon` or
`rviz2`. Both are checked for names, arguments and options, but they are not run.
"""

import inspect
import re
import sys
from importlib import import_module
from pkgutil import resolve_name

import doc_commands as docs
import pytest
from places import ROOT

from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.safety.hazards import HAZARDS

TABLE_OR_CODE = re.compile(r"^(?:\||    |!\[)")
COMMANDS = [command for page in docs.PAGES for command in docs.commands(page)]

#: Commands that are run, with what is changed in them to keep it short.
RUN = {
    "safe-locomotion policy ls": {},
    "safe-locomotion policy check a1_trot": {},
    "safe-locomotion policy info a1_velocity_lstm": {},
    "safe-locomotion trigger-set --design --reach 0.12": {},
    "safe-locomotion sim --headless --duration 20 --vx 0.5 --report report.json": {
        "--duration 20": "--duration 0.5"
    },
}


@pytest.fixture(autouse=True)
def readers_folder(tmp_path, monkeypatch):
    """Work in an empty folder that holds the files that the commands of the pages read."""
    monkeypatch.chdir(tmp_path)
    for name in docs.FOLDERS:
        (tmp_path / name).mkdir(parents=True)
    for name in docs.FILES:
        (tmp_path / name).touch()


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_every_command_is_known(page, monkeypatch):
    """Every name, option, value and file in a command of the page exists."""
    monkeypatch.setattr("safe_locomotion.cli.sim.command.run", docs.stop_before_start)
    for command in docs.commands(page):
        try:
            docs.check(command)
        except Exception as error:
            raise AssertionError(
                f"{command.page}:{command.line}: {command.text}: {error}"
            ) from error


@pytest.mark.parametrize(
    "text",
    [
        "safe-locomotion sim --vxx 0.4",
        "safe-locomotion sim --terrain moon",
        "safe-locomotion sim --set mpc.locomotion.body_hight=0.2",
        "safe-locomotion sim --policy moonwalk",
        "safe-locomotion fly",
        "make fly",
        'make sim ARGS="--vxx 0.4"',
        "ros2 launch safe_locomotion sim_b2.launch.py",
        "ros2 launch safe_locomotion real_a1.launch.py graph:=star",
        "ros2 service call /jump std_srvs/srv/Trigger",
        "ros2 param set /policy_node policy moonwalk",
        "ros2 topic echo /odometry",
        "pip install -e '.[moon]'",
        ".venv/bin/python tools/figures.py --moon 1",
        "wget https://example.org",
    ],
)
def test_an_unknown_command_is_found(text, monkeypatch):
    """A command with a name that does not exist is refused."""
    monkeypatch.setattr("safe_locomotion.cli.sim.command.run", docs.stop_before_start)
    command = docs.Command(page="", line=0, text=text)
    with pytest.raises(Exception, match=r"."):
        docs.check(command)


@pytest.mark.parametrize("text", RUN)
def test_commands_that_are_run(text):
    """The command of the page, shortened as `RUN` says, ends with status 0."""
    assert text in {command.text for command in COMMANDS}, "no longer on any page"
    for found, instead in RUN[text].items():
        assert found in text
        text = text.replace(found, instead)
    assert main(text.split()[1:]) == 0


def test_commands_for_the_robot_are_marked():
    """In a block of code, exactly the commands for a real robot carry the mark.

    What speaks to the interface lo needs no robot.
    """
    for command in (command for command in COMMANDS if not command.in_text):
        addresses = any(
            word in command.text for word in ("safe_locomotion real_", "--interface", "ping ")
        )
        addresses = addresses and "interface:=lo" not in command.text
        assert addresses == command.on_robot, command


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every linked file exists, and every anchor is a heading of its page."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings
            }, target


def test_the_index_names_every_page():
    """The README links every page of docs."""
    readme = (docs.ROOT / "README.md").read_text()
    for page in sorted((docs.ROOT / "docs").glob("*.md")):
        assert f"(docs/{page.name})" in readme, page.name


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_parameters_exist(page):
    """Every parameter that a page names as `node.section.key` is in the configuration."""
    config = load_config("a1")
    for name in re.findall(
        r"`((?:bridge|estimator|policy|supervisor|mpc)(?:\.[a-z_0-9]+)+)`", page.read_text()
    ):
        value = config
        for part in name.split("."):
            value = getattr(value, part)


def test_every_reason_is_explained():
    """The page on trouble-shooting names every hazard and every reason of the gate."""
    page = (docs.ROOT / "docs/trouble_shooting.md").read_text()
    literals = re.findall(r'"([a-z]+(?:_[a-z]+)*)"', inspect.getsource(CommandGate))
    for name in {*HAZARDS, *literals}:
        assert f"`{name}`" in page, name


@pytest.fixture
def tool(monkeypatch):
    """Import a program of `tools/` by its name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    return import_module


def test_sentences_are_short(tool):
    """Half of all sentences have at most 15 words, nine of ten at most 28."""
    prose = tool("prose")
    counts = [count for page in docs.PAGES for count in prose.lengths(page)]
    median, ninth_decile = prose.median_and_ninth_decile(counts)
    assert median <= prose.MEDIAN
    assert ninth_decile <= prose.NINTH_DECILE


def test_sentences_are_counted_as_the_tool_says(tool):
    """Code, tables, headings and link targets do not count; a code span is one word."""
    text = """# A heading

One `span of code` and [a link](with/a/target.md). Two: three.

    a block of code

| a | table |
- [ ] an item
  that goes on
```
fenced. code.
```
"""
    prose = tool("prose")
    counts = [prose.words(sentence) for sentence in prose.sentences(text)]
    assert counts == [5, 1, 1, 5]


def test_the_readme_names_every_room():
    """The table of rooms holds each folder and file of the package, and nothing else."""
    table = (ROOT / "README.md").read_text().partition("| group | rooms")[2].partition("\n\n")[0]
    rooms = {
        path.stem
        for path in (ROOT / "safe_locomotion").iterdir()
        if not path.name.startswith("__") and path.suffix in ("", ".py")
    }
    named = re.findall(r"`(\w+)`", table)
    assert sorted(named) == sorted(rooms)


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_no_sentence_is_long(page, tool):
    """No sentence has more than 28 words."""
    prose = tool("prose")
    long = [
        sentence
        for sentence in prose.sentences(page.read_text())
        if prose.words(sentence) > prose.NINTH_DECILE
    ]
    assert not long


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_lines_of_prose_end_at_100_columns(page):
    """Only tables, commands and pictures have longer lines."""
    lines = page.read_text().splitlines()
    assert not [line for line in lines if len(line) > 100 and not TABLE_OR_CODE.match(line)]


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_named_files_and_objects_exist(page):
    """Paths below the checkout and dotted names of the package lead somewhere."""
    text = page.read_text()
    for path in re.findall(r"`((?:safe_locomotion|tools|test)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`(safe_locomotion(?:\.\w+)+)", text):
        resolve_name(name)


@pytest.mark.parametrize(
    "words",
    [
        "unknown key",
        "choose one of",
        "needs the network interface",
        "cannot be imported",
        "cannot be bound",
        "cannot be joined",
        "not activated",
        "another program sends low commands",
    ],
)
def test_quoted_messages_are_those_of_the_code(words):
    """Messages in the page on trouble-shooting are messages of the package."""
    assert words in (ROOT / "docs/trouble_shooting.md").read_text()
    assert any(words in path.read_text() for path in (ROOT / "safe_locomotion").rglob("*.py"))
