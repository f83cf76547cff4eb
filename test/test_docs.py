"""The pages: every command is one that the code knows, some are run, links lead somewhere, and every reason is explained.

Commands that need a robot are marked on the page, those of ROS 2 begin with `ros2`, `colcon` or `rviz2`: their names, arguments and
options are checked, but they are not run.
"""

import inspect
import re

import doc_commands as docs
import pytest

from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.safety.hazards import HAZARDS

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
    """A folder as a reader would have it, so that files named on a page are there, and none is left in the checkout."""
    monkeypatch.chdir(tmp_path)
    for name in docs.FILES:
        (tmp_path / name).touch()
    for name in docs.FOLDERS:
        (tmp_path / name).mkdir(parents=True)


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_every_command_is_known(page, monkeypatch):
    """Command, options, values, targets, launch arguments, services, topics and files exist as the page writes them."""
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
        "curl https://example.org",
    ],
)
def test_an_unknown_command_is_found(text, monkeypatch):
    """The failing twin of the test above."""
    monkeypatch.setattr("safe_locomotion.cli.sim.command.run", docs.stop_before_start)
    command = docs.Command(page="", line=0, text=text)
    with pytest.raises(Exception, match=r"."):
        docs.check(command)


@pytest.mark.parametrize("text", RUN)
def test_commands_that_are_run(text):
    """Shortened as the table says, the command of the page ends with status 0."""
    assert text in {command.text for command in COMMANDS}, "no longer on any page"
    for found, instead in RUN[text].items():
        assert found in text
        text = text.replace(found, instead)
    assert main(text.split()[1:]) == 0


def test_commands_for_the_robot_are_marked():
    """In a block of code, what addresses a real robot carries the mark, and nothing else does."""
    for command in (command for command in COMMANDS if not command.in_text):
        addresses = any(
            word in command.text for word in ("real_a1.launch.py", "--interface", "ping ")
        )
        assert addresses == command.on_robot, command


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Files exist; an anchor is a heading of the page it points to."""
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
    """A page that the README does not name is not found."""
    readme = (docs.ROOT / "README.md").read_text()
    for page in sorted((docs.ROOT / "docs").glob("*.md")):
        assert f"(docs/{page.name})" in readme, page.name


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_parameters_exist(page):
    """What a page calls `node.section.key` is in the configuration."""
    config = load_config("a1")
    for name in re.findall(
        r"`((?:bridge|estimator|policy|supervisor|mpc)(?:\.[a-z_0-9]+)+)`", page.read_text()
    ):
        value = config
        for part in name.split("."):
            value = getattr(value, part)


def test_every_reason_is_explained():
    """Each hazard of the supervisor and each reason of the gate stands in the page on trouble."""
    page = (docs.ROOT / "docs/trouble_shooting.md").read_text()
    literals = re.findall(r'"([a-z]+(?:_[a-z]+)*)"', inspect.getsource(CommandGate))
    for name in {*HAZARDS, *literals}:
        assert f"`{name}`" in page, name
