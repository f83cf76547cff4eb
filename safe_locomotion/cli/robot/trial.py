"""A robot stands up, walks, takes a push and sits down in simulation, with its own files."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.config import StackConfig
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import load_robot
from safe_locomotion.rotations import rotate_plane, rpy_from_quaternion
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Array, Mode, VelocityCommand

STILL = VelocityCommand()
RATE = 500  #: LowStates per second
PUSH = 20.0  #: [N s] for an A1; other robots take it by their mass


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Durations of the trial [s], and velocity [m/s].

    Attributes:
        settle: until the velocity counts.
        walk: for which it counts.
        after: the push.
        speed: forward.
    """

    settle: float = 3.0
    walk: float = 3.0
    after: float = 4.0
    speed: float = 0.5


class Trial:
    """A simulated robot and its pipeline."""

    def __init__(self, name: str, config: StackConfig, seed: int) -> None:
        self.robot = SimulatedRobot(SimulationOptions(robot=name, seed=seed))
        self.pipeline = Pipeline(self.robot.robot, config)
        self.mode = Mode.PASSIVE
        self.refused: set[str] = set()

    def go(self, seconds: float, velocity: VelocityCommand = STILL) -> Array:
        """Go on; return the velocities along the heading (n, 2) [m/s]."""
        along = []
        for _ in range(round(RATE * seconds)):
            cycle = self.pipeline.step(self.robot.low_state(), velocity)
            self.refused |= {cycle.command.reason} - {""}
            self.mode = cycle.verdict.mode
            self.robot.step(cycle.command)
            truth = self.robot.truth()
            yaw = rpy_from_quaternion(truth.quaternion_wxyz)[2]
            along.append(rotate_plane(-yaw, *truth.velocity[:2].tolist()))
        return np.array(along)

    def until(self, mode: Mode, seconds: float) -> bool:
        """Wait for a mode; False when it does not come."""
        for _ in range(round(50 * seconds)):
            self.go(0.02)
            if self.mode is mode:
                return True
        return False

    def request(self, text: str) -> bool:
        """Whether the supervisor accepts the request."""
        return self.pipeline.supervisor.request(text) is None


def try_robot(name: str, config: StackConfig, plan: Plan, seed: int = 0) -> Iterator[Finding]:
    """Findings of standing, walking, the push and sitting; a robot that fell ends the trial."""
    trial = Trial(name, config, seed)
    robot = trial.robot
    stands = (
        trial.until(Mode.PASSIVE, 1.0) and trial.request("stand") and trial.until(Mode.STAND, 6.0)
    )
    trial.go(0.5)
    height = robot.truth().height
    stands &= abs(height - robot.robot.nominal_height) <= 0.04
    yield judge(
        "stands",
        met=stands,
        text=f"{trial.mode.name} at {height:.3f} m{_refusals(trial)}",
        mend="see sitting pose, ramp gains and torques",
    )
    if not stands:
        return
    trial.request("walk")
    forward = VelocityCommand(vx=plan.speed)
    trial.go(plan.settle, forward)
    mean = trial.go(plan.walk, forward).mean(axis=0)
    walks = robot.falls == 0 and trial.mode is Mode.WALK and not trial.refused
    yield judge(
        "walks",
        met=walks and abs(mean[0] - plan.speed) <= 0.1 * plan.speed and abs(mean[1]) <= 0.1,
        text=f"{mean[0]:.3f} m/s of {plan.speed:g}, {_falls(trial)}{_refusals(trial)}",
        mend="see swing gains, mass and inertia, and the gait in the parameter file",
    )
    if not walks:
        return
    impulse = PUSH * robot.robot.mass / load_robot("a1").mass
    robot.push(np.array((0.0, impulse, 0.0)))
    aside = float(np.abs(trial.go(plan.after, forward)[:, 1]).max())
    yield judge(
        "takes a push",
        met=robot.falls == 0 and trial.mode is Mode.WALK and not trial.refused,
        text=f"{impulse:.1f} N s to the left, {aside:.2f} m/s, {_falls(trial)}{_refusals(trial)}",
        mend="see reach, trigger set, torques and steps of the last gate",
    )
    sits = trial.request("sit") and trial.until(Mode.PASSIVE, 6.0)
    yield judge(
        "sits down",
        met=sits,
        text=f"{trial.mode.name}{_refusals(trial)}",
        mend="see sitting pose and ramp gains",
    )


def _falls(trial: Trial) -> str:
    return "no fall" if trial.robot.falls == 0 else f"{trial.robot.falls} falls"


def _refusals(trial: Trial) -> str:
    return f"; the gate refused: {', '.join(sorted(trial.refused))}" if trial.refused else ""
