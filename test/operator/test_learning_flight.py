"""The operator of a robot that learns, against a robot that only has modes."""

from dataclasses import dataclass

import pytest

from safe_locomotion.operator.field import Field
from safe_locomotion.operator.learning_flight import (
    LIES_DOWN,
    RISE_NS,
    Hold,
    LearningFlight,
    Sight,
)
from safe_locomotion.types import NANOSECONDS, Mode, VelocityCommand

STEP_NS = 20_000_000
#: What a request leads to from each mode.
EDGES = {
    ("stand", Mode.PASSIVE): Mode.STAND,
    ("stand", Mode.WALK): Mode.STAND,
    ("stand", Mode.FALLEN): Mode.SELF_RIGHT,
    ("walk", Mode.STAND): Mode.WALK,
    ("sit", Mode.STAND): Mode.PASSIVE,
    ("sit", Mode.WALK): Mode.PASSIVE,
    ("reset", Mode.FAULT): Mode.PASSIVE,
    ("reset", Mode.FALLEN): Mode.PASSIVE,
}


@dataclass
class Robot:
    """A robot that does at once what it is asked for."""

    mode: Mode = Mode.PASSIVE
    stamp_ns: int = 0
    policy: str = "learner_0000"
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def sight(self) -> Sight:
        x, y, yaw = self.place
        return Sight(
            stamp_ns=self.stamp_ns,
            mode=self.mode,
            policy=self.policy if self.mode is Mode.WALK else "",
            reasons=("fallen",) if self.mode is Mode.FALLEN else (),
            x=x,
            y=y,
            yaw=yaw,
        )

    def run(
        self, flight: LearningFlight, seconds: float, hold: Hold = ""
    ) -> list[tuple[str, VelocityCommand]]:
        answers = []
        for _ in range(round(seconds * NANOSECONDS / STEP_NS)):
            answers.append(flight.update(self.sight(), hold))
            self.mode = EDGES.get((answers[-1][0], self.mode), self.mode)
            self.stamp_ns += STEP_NS
        return answers


def flight(vx: float = 0.45) -> LearningFlight:
    return LearningFlight(command=VelocityCommand(vx=vx), trajectory_s=3.2, area=Field(10.0))


def requests(answers: list[tuple[str, VelocityCommand]]) -> list[str]:
    return [request for request, _ in answers if request]


def test_it_walks_one_trajectory_after_the_other() -> None:
    """Each begins from standing, so each policy begins with its first gait."""
    robot = Robot()
    learning = flight()
    answers = robot.run(learning, 35.0)
    assert requests(answers)[:5] == ["stand", "walk", "stand", "walk", "stand"]
    assert learning.walks == 10
    assert 10 * 3.2 <= learning.walking_s <= 35.0
    assert {command.vx for _, command in answers} == {0.0, 0.45}


def test_a_robot_that_fell_rises_and_goes_on() -> None:
    """By itself at first; after a while it is asked. The fall is noted with its facts."""
    robot = Robot()
    learning = flight()
    robot.run(learning, 1.0)
    assert robot.mode is Mode.WALK
    robot.place = (2.0, 1.0, 0.0)
    robot.mode = Mode.FALLEN
    answers = robot.run(learning, RISE_NS / NANOSECONDS - 0.1)
    assert not requests(answers)
    assert requests(robot.run(learning, 0.5))[0] == "stand"
    assert robot.mode is Mode.SELF_RIGHT
    robot.mode = Mode.STAND
    robot.run(learning, 1.0)
    assert robot.mode is Mode.WALK
    (fall,) = learning.falls
    assert (fall.policy, fall.driver, fall.reasons) == ("learner_0000", "learner", ("fallen",))
    assert (fall.x, fall.y, fall.turned_back) == (2.0, 1.0, False)
    assert learning.walks == 1


def test_a_fall_that_is_seen_late_counts_and_one_in_getting_up_does_not() -> None:
    """The robot may be turning over already when it is looked at."""
    robot = Robot()
    learning = flight()
    robot.run(learning, 1.0)
    robot.mode = Mode.SELF_RIGHT
    robot.run(learning, 0.1)
    robot.mode = Mode.FALLEN
    robot.run(learning, 0.1)
    assert len(learning.falls) == 1


@pytest.mark.parametrize("hold", LIES_DOWN)
def test_it_sits_down_while_it_must_rest(hold: Hold) -> None:
    """From each mode in which it is up; and it asks for nothing more while it lies."""
    for mode in (Mode.STAND, Mode.WALK, Mode.PASSIVE, Mode.FALLEN, Mode.FAULT):
        robot = Robot(mode=mode)
        asked = requests(robot.run(flight(), 1.0, hold))
        assert asked[:1] == (["sit"] if mode in (Mode.STAND, Mode.WALK) else [])
    robot = Robot(mode=Mode.WALK)
    learning = flight()
    robot.run(learning, 2.0, hold)
    robot.run(learning, 1.0)
    assert robot.mode is Mode.WALK
    assert learning.walks == 0


@pytest.mark.parametrize("hold", ["update", "policy", "disk"])
def test_it_stands_while_it_waits(hold: Hold) -> None:
    """A walk that is cut short counts for nothing, and no velocity is commanded."""
    robot = Robot(mode=Mode.WALK)
    learning = flight()
    answers = robot.run(learning, 10.0, hold)
    assert robot.mode is Mode.STAND and learning.walks == 0
    assert all(command == VelocityCommand() for _, command in answers)


def test_a_fault_is_noted_and_reset() -> None:
    """It counts as the end of its trajectory."""
    robot = Robot()
    learning = flight()
    robot.run(learning, 1.0)
    robot.mode = Mode.FAULT
    robot.run(learning, 1.0)
    assert robot.mode in (Mode.STAND, Mode.WALK)
    assert len(learning.faults) == 1 and learning.walks == 1


def test_a_request_is_repeated_while_nothing_happens() -> None:
    """Twice a second, for a stack that was not ready to hear it."""
    learning = flight()
    asked = [
        learning.update(Sight(stamp_ns=k * STEP_NS, mode=Mode.PASSIVE), "")[0] for k in range(100)
    ]
    assert [request for request in asked if request] == ["stand"] * 4


def test_a_robot_that_was_started_anew_begins_again() -> None:
    """Its clock goes back; time and falls so far stay."""
    robot = Robot()
    learning = flight()
    robot.run(learning, 2.0)
    walked = learning.walking_s
    robot.stamp_ns = 0
    robot.mode = Mode.PASSIVE
    robot.run(learning, 1.0)
    assert robot.mode is Mode.WALK and not learning.falls
    assert walked < learning.walking_s < walked + 1.0


def test_it_turns_back_on_the_way() -> None:
    """The command of a walk is that of the field."""
    robot = Robot(place=(11.0, 0.0, 0.0))
    _, command = robot.run(flight(), 1.0)[-1]
    assert command.vx == 0.45 and command.wz != 0.0
