"""The driver of a learning robot, with real files, and a robot that does at once what it is asked.

The whole loop over the wire is `tools/learn_two_hours.py`; it takes minutes.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from safe_locomotion.cli.learn.driver import (
    FRUITLESS,
    VOLTAGE_BACK,
    VOLTAGE_SPARE,
    Driver,
    NothingLearnedError,
)
from safe_locomotion.cli.learn.folder import STATUS, LearnFolder
from safe_locomotion.cli.learn.run import StopRequest
from safe_locomotion.cli.learn.settings import LearnSettings
from safe_locomotion.cli.main import main
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.field import Field
from safe_locomotion.operator.learning_flight import LearningFlight, Sight
from safe_locomotion.robot.models import robot_names
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.sim.robot import LOW_CHARGE
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

LIMITS = load_config("a1").bridge.limits
LOOK_S = 0.05
TRAJECTORY_S = 3.2
EDGES = {
    ("stand", Mode.PASSIVE): Mode.STAND,
    ("stand", Mode.WALK): Mode.STAND,
    ("stand", Mode.FALLEN): Mode.STAND,
    ("walk", Mode.STAND): Mode.WALK,
    ("sit", Mode.STAND): Mode.PASSIVE,
    ("sit", Mode.WALK): Mode.PASSIVE,
}


@dataclass
class Vitals:
    """What the robot says of itself."""

    voltage: float = 24.0
    hottest: float = 40.0
    policy: str = "nominal"
    rollbacks: int = 0
    news: str = ""


@dataclass
class Robot:
    """A robot, its stack, and a recorder that makes an empty episode of each walk."""

    folder: LearnFolder
    vitals: Vitals = field(default_factory=Vitals)
    answers: list[str] = field(default_factory=list)
    mode: Mode = Mode.PASSIVE
    now: float = 0.0
    swaps: list[str] = field(default_factory=list)
    refuses: bool = False
    records: bool = True
    episodes: int = 0

    def request(self, name: str) -> None:
        self.mode = EDGES.get((name, self.mode), self.mode)
        if self.mode is Mode.WALK and self.records:
            self.episodes += 1
            path = self.folder.episodes / f"a1_20260101_{self.episodes:06d}"
            path.mkdir()
            (path / f"{path.name}.mcap").touch()

    def drive(self, command: VelocityCommand) -> None:
        """The robot has no velocity."""

    def swap(self, policy: str) -> None:
        self.swaps.append(policy)
        self.answers.append(f"policy {policy}: {'too young' if self.refuses else 'taken'}")

    def sight(self) -> Sight:
        return Sight(stamp_ns=round(self.now * NANOSECONDS), mode=self.mode, x=0.0, y=0.0, yaw=0.0)


class World:
    """A driver in a folder, and what it says."""

    def __init__(self, root: Path) -> None:
        self.folder = LearnFolder(root=root)
        self.folder.make()
        self.robot = Robot(self.folder)
        self.said: list[str] = []
        self.driver = self.new_driver()

    def new_driver(self) -> Driver:
        flight = LearningFlight(
            command=VelocityCommand(vx=0.45), trajectory_s=TRAJECTORY_S, area=Field(10.0)
        )
        return Driver(self.folder, flight, LIMITS, self.said.append, lambda: self.robot.now)

    def trainer_says(self, policy: str, found: int = 0, **more: Any) -> None:
        """The trainer has read all episodes."""
        status = {
            "policy": policy,
            "updates": int(policy[8:12]),
            "found": found,
            "wanted": 2,
            "may_reject": policy != "learner_0000",
            "latest": self.folder.newest_episode(),
            "fault": "",
        }
        (self.folder.root / STATUS).write_text(json.dumps({**status, **more}))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.driver.step(self.robot.sight(), self.robot)
            self.robot.now += LOOK_S


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def flying(world: World) -> World:
    """The first policy flies."""
    world.trainer_says("learner_0000")
    world.run(2.0)
    assert world.driver.flying == "learner_0000" and world.robot.mode is Mode.WALK
    return world


def test_it_stands_until_a_policy_is_there_and_waits_for_each_update(world: World) -> None:
    """Two walks, then it stands until the trainer has another policy, which it swaps in."""
    world.run(2.0)
    assert world.robot.mode is Mode.STAND and world.driver.hold == "policy"
    flying(world)
    world.run(2 * TRAJECTORY_S + 1.0)
    assert world.robot.episodes == 2 and world.driver.hold == "update"
    world.run(5.0)
    assert world.robot.mode is Mode.STAND and world.robot.episodes == 2
    world.trainer_says("learner_0001")
    world.run(2.0)
    assert world.robot.swaps == ["learner_0000", "learner_0001"]
    assert world.robot.mode is Mode.WALK and world.driver.hold == ""


def test_it_walks_on_when_the_trainer_needs_more(world: World) -> None:
    """One of the walks gave no trajectory, so one more is walked."""
    flying(world)
    world.run(2 * TRAJECTORY_S + 1.0)
    world.trainer_says("learner_0000", found=1)
    world.run(TRAJECTORY_S + 2.0)
    assert world.robot.episodes == 3 and world.driver.hold == "update"


def test_after_a_start_it_walks_what_is_missing(world: World) -> None:
    """One trajectory was there already."""
    world.trainer_says("learner_0003", found=1)
    world.run(12.0)
    assert world.robot.episodes == 1 and world.driver.hold == "update"


def test_walks_that_give_nothing_are_an_error(world: World) -> None:
    """A recorder that does not run must not let a robot walk for hours."""
    flying(world)
    world.robot.records = False
    world.trainer_says("learner_0000")
    with pytest.raises(NothingLearnedError, match="gave no trajectory"):
        world.run(4 * FRUITLESS * (TRAJECTORY_S + 1.0))


def test_a_policy_that_failed_its_trial_is_thrown_away_and_said(world: World) -> None:
    """The journal tells the trainer, and the driver waits for another policy."""
    world.trainer_says("learner_0002")
    world.run(2.0)
    news = "learner_0002 failed its trial (the robot fell); learner_0001 is back"
    world.robot.vitals = Vitals(rollbacks=1, news=news)
    world.run(1.0)
    assert world.folder.journal().rejected == {"learner_0002": news}
    assert f"{news}; its update is thrown away" in world.said
    assert world.driver.hold == "policy" and world.robot.mode is Mode.STAND
    world.trainer_says("learner_0001_1")
    world.run(2.0)
    assert world.driver.flying == "learner_0001_1"


def test_a_first_policy_that_failed_is_tried_again(world: World) -> None:
    """There is no update to throw away."""
    flying(world)
    world.robot.vitals = Vitals(rollbacks=1, news="the robot fell")
    world.run(2.0)
    assert world.robot.swaps == ["learner_0000"] * 2 and world.driver.flying == "learner_0000"
    assert not world.folder.journal().rejected


def test_a_swap_that_is_refused_is_asked_for_again_later(world: World) -> None:
    """The reason is said."""
    world.trainer_says("learner_0000")
    world.robot.refuses = True
    world.run(3.0)
    assert world.robot.swaps == ["learner_0000"]
    assert "policy learner_0000: too young" in world.said
    world.robot.refuses = False
    world.run(6.0)
    assert world.driver.flying == "learner_0000"


def test_a_stack_that_was_started_again_gets_its_policy_again(world: World) -> None:
    """It forgot its policy, and the number of its rollbacks."""
    flying(world)
    world.robot.mode = Mode.PASSIVE
    world.driver.restarted("composed_node ended with status -9: started again", stack=True)
    world.run(2.0)
    assert world.robot.swaps == ["learner_0000"] * 2 and world.robot.mode is Mode.WALK
    world.driver.restarted("trainer ended with status -9: started again", stack=False)
    world.run(0.1)
    assert world.driver.flying == "learner_0000"
    assert len(world.driver.journal.restarts) == 2


@pytest.mark.parametrize("cause", ["battery", "heat"])
def test_battery_and_heat_pause_it(world: World, cause: str) -> None:
    """It lies until another battery is in, or the motors are cold; it goes on by itself."""
    flying(world)
    low = LIMITS.voltage_warning + VOLTAGE_SPARE
    tired = {"battery": Vitals(voltage=low - 0.1), "heat": Vitals(hottest=79.0)}[cause]
    better = {"battery": Vitals(voltage=low + 0.5), "heat": Vitals(hottest=70.0)}[cause]
    rested = {"battery": Vitals(voltage=low + VOLTAGE_BACK + 0.1), "heat": Vitals()}[cause]
    world.robot.vitals = tired
    world.run(1.0)
    assert world.robot.mode is Mode.PASSIVE and world.driver.hold == cause
    world.robot.vitals = better
    world.run(3.0)
    assert world.robot.mode is Mode.PASSIVE
    world.robot.vitals = rested
    world.run(3.0)
    assert world.robot.mode is Mode.WALK
    assert world.driver.journal.pauses == {cause: 1}


def test_unknown_vitals_do_not_pause_it(world: World) -> None:
    """An A1 over its own SDK reports no voltage."""
    world.robot.vitals = Vitals(voltage=float("nan"), hottest=float("nan"))
    flying(world)


def test_a_disk_that_cannot_be_written_pauses_the_learning(world: World) -> None:
    """The trainer says so; the robot stands, and walks on when it is over."""
    flying(world)
    world.trainer_says("learner_0000", fault="No space left on device")
    world.run(1.0)
    assert world.robot.mode is Mode.STAND and world.driver.hold == "disk"
    world.trainer_says("learner_0000")
    world.run(2.0)
    assert world.robot.mode is Mode.WALK


def test_falls_are_noted_and_survive_a_start(world: World) -> None:
    """With the policy, who drove, and the episode."""
    flying(world)
    world.run(1.0)
    world.robot.mode = Mode.FALLEN
    world.run(0.2)
    (fall,) = world.folder.journal().falls
    assert fall["episode"] == "a1_20260101_000001" and fall["driver"] == "recovery"
    assert any("fall 1 after 0.0 min" in line for line in world.said)
    walked = world.driver.journal.walking_s
    again = world.new_driver()
    assert len(again.journal.falls) == 1 and again.journal.walking_s == walked > 0.5


def test_it_sits_down_at_the_end(world: World) -> None:
    """Whatever it was doing."""
    flying(world)
    world.driver.stopping = True
    world.run(1.0)
    assert world.robot.mode is Mode.PASSIVE
    assert world.robot.episodes == 1


def test_the_first_signal_asks_and_the_second_ends() -> None:
    """So that a robot can sit down."""
    stop = StopRequest()
    stop()
    assert stop.asked
    with pytest.raises(KeyboardInterrupt):
        stop()


def test_two_drivers_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one is refused, and told why."""
    folder = LearnFolder(root=tmp_path)
    refused = pytest.raises(ConfigurationError, match="another `learn`")
    with folder.claimed(), refused, folder.claimed():
        pass
    with folder.claimed():
        pass


def settings(root: Path, **changes: Any) -> LearnSettings:
    """Options as the command line gives them."""
    given: dict[str, Any] = {
        "robot": "a1",
        "task": "efficient",
        "start": "scratch",
        "updates": 3,
        "folder": LearnFolder(root=root),
        "seed": 0,
        "trajectories": 10,
        "vx": 0.45,
        "radius": 10.0,
        "supervisor": "dwell",
        "horizon": None,
        "person": "5@20",
        "friction": 0.8,
        "payload": 0.0,
        "motor_delay_ms": 0.0,
        "overrides": (),
        "quota_mb": 2000.0,
    }
    return LearnSettings(**{**given, **changes})


def test_the_processes_are_those_of_a_flight_and_a_trainer(tmp_path: Path) -> None:
    """The stack explores, rises by itself, and takes its policies from the folder."""
    learning = settings(tmp_path)
    learning.folder.make()
    learning.check()
    robot, stack, recorder, trainer = learning.processes(7)
    assert "--leave-fallen" in robot.arguments and "--person=5@20" in robot.arguments
    assert "--lock-step" in robot.arguments
    assert stack.parameters["policy_node"]["policy_folder"] == str(tmp_path / "policies")
    config = (tmp_path / "logs" / "a1.yaml").read_text()
    for words in ("explore: true", "self_right: automatic", "criterion: dwell"):
        assert words in config
    assert recorder.parameters["recorder_node"]["directory"] == str(tmp_path / "episodes")
    assert not trainer.essential and "--follow" in trainer.arguments


@pytest.mark.parametrize("change", [{"task": "catwalk"}, {"seed": 1}, {"robot": "go1"}])
def test_a_folder_keeps_what_it_learns(tmp_path: Path, change: dict[str, Any]) -> None:
    """Another task, seed or robot needs another folder; more updates do not."""
    kept = {"task": "efficient", "robot": "a1", "seed": 0, "trajectories": 10}
    (tmp_path / STATUS).write_text(json.dumps({"options": kept}))
    settings(tmp_path, updates=99).check()
    with pytest.raises(ConfigurationError, match="choose another folder"):
        settings(tmp_path, **change).check()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"person": "5"}, "J@T"),
        ({"start": "nowhere.onnx"}, "no such file"),
        ({"friction": -1.0}, "friction"),
        ({"supervisor": "dwell", "horizon": -1}, "horizon"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigurationError, match=said):
        settings(tmp_path, **change).check()


def test_the_command_line_names_its_choices(capsys: pytest.CaptureFixture[str]) -> None:
    """A task that needs no learning over the wire is refused."""
    assert main(["learn", "--task", "recovery", "--record", "x"]) == 2
    assert "two_leg" in capsys.readouterr().err


@pytest.mark.parametrize("robot", robot_names())
def test_the_person_of_the_simulator_changes_every_battery_that_makes_a_robot_sit(
    robot: str,
) -> None:
    """Also one that seems empty under 450 W; otherwise the robot would lie for good."""
    motors = load_motors(robot)
    pause = load_config(robot).bridge.limits.voltage_warning + VOLTAGE_SPARE
    at_rest = pause + motors.battery_resistance * 450.0 / pause
    span = motors.cell_voltage_full - motors.cell_voltage_empty
    left = (at_rest - motors.cell_voltage_empty) / span
    assert 0.0 < left < LOW_CHARGE
    assert at_rest + VOLTAGE_BACK < motors.cell_voltage_full
