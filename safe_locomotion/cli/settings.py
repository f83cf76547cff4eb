"""What `safe-locomotion sim` was asked for, turned into a stack: every value is checked before anything starts."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from safe_locomotion.config import load_config
from safe_locomotion.control.gait import phase_offsets
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.operator.commands import Step, format_script, parse_script
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.runtime.stack import NODE_NAMES, Graph, Process, StackOptions, Value, stack
from safe_locomotion.safety.switching_rule import CRITERIA, PREDICTING
from safe_locomotion.shared_files import find_share
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.pushes import Push, format_pushes, lateral_pushes, parse_pushes
from safe_locomotion.sim.remote_script import parse_holds
from safe_locomotion.types import VelocityCommand

FIRST_PUSH = 3.0  # s after standing up, when the robot has reached its speed
DEMONSTRATED_PUSH = Push(time=7.0, impulse=(0.0, 15.0, 0.0))
NEW_COMMAND_EACH = (2.0, 4.0)  # s
RANDOM_VELOCITY = (
    (-0.4, 0.8),
    (-0.3, 0.3),
    (-1.0, 1.0),
)  # m/s, m/s, rad/s: well inside what the tuned controller follows
PAUSE_SHARE = 0.15  # of the random commands


@dataclass(frozen=True, kw_only=True)
class SimSettings:
    """Options of the command; units as in its help text."""

    robot: str
    gait: str | None
    policy: str
    supervisor: str | None
    horizon: int | None
    duration: float | None
    vx: float
    vy: float
    wz: float
    push: str
    pushes_every: float | None
    push_impulse: float
    remote: str
    friction: float
    payload: float
    motor_delay_ms: float
    start: str
    terrain: str
    graph: Graph
    lock_step: bool
    realtime: bool
    viewer: bool
    viewer_port: int
    seed: int
    random_commands: bool
    script: str
    overrides: tuple[str, ...]
    save_states: Path | None

    def check(self) -> None:
        """Refuse what is not there.

        Raises:
            ConfigurationError: with the choices.
        """
        if self.supervisor is not None and self.supervisor not in CRITERIA:
            raise UnknownNameError("supervisor", self.supervisor, CRITERIA)
        self._check_policy()
        if self.horizon is not None and self.supervisor not in (None, *PREDICTING):
            raise ConfigurationError(
                f"--horizon needs a supervisor that predicts: {', '.join(PREDICTING)}"
            )
        if self.script and self.random_commands:
            raise ConfigurationError("--script and --random-commands exclude each other")
        if self.save_states is not None and self.duration is None:
            raise ConfigurationError("--save-states needs --duration")
        if self.duration is not None and not 0.0 < self.duration <= 1e6:
            raise ConfigurationError(f"--duration {self.duration:g} lies outside (0, 1e6] s")
        parse_holds(self.remote)
        if self.viewer and not viewer_installed():
            raise ConfigurationError(
                "--viewer needs viser, which is not installed: pip install 'safe_locomotion[viewer]'"
            )
        SimulationOptions(
            robot=self.robot,
            seed=self.seed,
            terrain=self.terrain,
            friction=self.friction,
            payload=self.payload,
            motor_delay_ms=self.motor_delay_ms,
            start=self.start,
        )
        for name in ("vx", "vy", "wz"):
            if not -inf < getattr(self, name) < inf:
                raise ConfigurationError(f"--{name} must be finite")

    @property
    def policy_folder(self) -> str:
        """Folder of a policy that was given by its path: who names a file on the command line allows its folder."""
        return (
            str(Path(self.policy).resolve().parent)
            if os.sep in self.policy or self.policy.endswith(".onnx")
            else ""
        )

    @property
    def policy_value(self) -> str:
        """Value of the parameter `policy`: a name, or the whole path of a file."""
        return str(Path(self.policy).resolve()) if self.policy_folder else self.policy

    def _check_policy(self) -> None:
        if self.policy == NOMINAL:
            return
        from safe_locomotion.policy.vetting import locate

        locate(self.policy, [Path(self.policy_folder)] if self.policy_folder else None)

    def steps(self) -> tuple[Step, ...]:
        """What the operator does: the script, random commands, or one walk at the given velocity."""
        walk = VelocityCommand(vx=self.vx, vy=self.vy, wz=self.wz)
        if self.random_commands:
            return random_steps(self.duration or 0.0, np.random.default_rng(self.seed))
        if not self.script:
            return (Step(time=0.0, request="walk", command=walk),)
        return tuple(
            Step(
                time=s.time,
                request=s.request,
                command=walk
                if s.request == "walk" and s.command == VelocityCommand()
                else s.command,
            )
            for s in parse_script(self.script)
        )

    def pushes(self) -> tuple[Push, ...]:
        """Pushes of both options, in the order of their times."""
        regular: list[Push] = []
        if self.pushes_every is not None:
            if not 0.5 <= self.pushes_every <= 1e4:
                raise ConfigurationError("--pushes-every must lie within 0.5 and 10000 s")
            count = int(((self.duration or 0.0) - FIRST_PUSH - 1.0) / self.pushes_every) + 1
            rng = np.random.default_rng(self.seed)
            regular = lateral_pushes(
                self.push_impulse, count, start=FIRST_PUSH, interval=self.pushes_every, rng=rng
            )
        if self.duration is None and not self.push:
            regular = [DEMONSTRATED_PUSH]
        return tuple(sorted((*parse_pushes(self.push), *regular), key=lambda push: push.time))

    def robot_arguments(self, folder: Path) -> tuple[str, ...]:
        """Command line of the simulated robot."""
        duration = () if self.duration is None else ("--duration", repr(self.duration))
        pushes = format_pushes(self.pushes())
        return (
            *(
                "--seed",
                str(self.seed),
                "--terrain",
                self.terrain,
                "--friction",
                repr(self.friction),
            ),
            *("--payload", repr(self.payload), "--motor-delay-ms", repr(self.motor_delay_ms)),
            *("--start", self.start),
            *(
                "--truth",
                str(folder / "truth.npz"),
                "--summary",
                str(folder / "robot.json"),
                "--answer-timeout",
                "2",
            ),
            *((f"--push={pushes}",) if pushes else ()),
            *((f"--remote={self.remote}",) if self.remote else ()),
            *duration,
            *(("--paced",) if self.duration is None else ()),
        )

    def processes(self, folder: Path, domain: int, *, record: bool = False) -> tuple[Process, ...]:
        """The stack, with every stage logging into `folder`; without a duration nobody asks for a report of it.

        Args:
            folder: for logs, and for episodes with `record`.
            domain: of the robot's wire.
            record: each walk as an episode.
        """
        overrides: dict[str, dict[str, Value]] = {f"{name}_node": {} for name in NODE_NAMES}
        if self.duration is not None:
            overrides = {node: {"log_dir": str(folder)} for node in overrides}
            overrides["supervisor_node"]["script"] = format_script(self.steps())
        if self.policy_folder:
            overrides["policy_node"]["policy_folder"] = self.policy_folder
        if self.save_states is not None:
            overrides["bridge_node"]["log_states"] = True
        if self.viewer:
            overrides["viewer_node"] = {"port": self.viewer_port}
        return stack(
            StackOptions(
                robot=self.robot,
                graph=self.graph,
                sdk_options={"domain": domain},
                config_file=write_config(self.robot, self.changes(), folder),
                policy=self.policy_value,
                lock_step=self.lock_step,
                realtime=self.realtime,
                overrides=overrides,
                robot_arguments=self.robot_arguments(folder),
                record=str(folder) if record else "",
                watchers=("viewer",) if self.viewer else (),
            )
        )

    def changes(self) -> dict[str, Any]:
        """Parameters that differ from the robot's own file, by dotted key."""
        changed = dict(assignment(text) for text in self.overrides)
        if self.gait is not None:
            phase_offsets(self.gait)
            changed |= {"policy.gait.name": self.gait, "supervisor.recovery.name": self.gait}
        if self.supervisor is not None:
            changed["supervisor.intervention.criterion"] = self.supervisor
        if self.horizon is not None:
            changed["supervisor.intervention.horizon"] = self.horizon
        return changed


def viewer_installed() -> bool:
    """Whether the library of the web viewer is there; it is an extra."""
    return find_spec("viser") is not None


def random_steps(duration: float, rng: np.random.Generator) -> tuple[Step, ...]:
    """A new random velocity each few seconds, sometimes zero, for `duration` [s]."""
    steps = []
    time = 0.0
    while time < max(duration, 1e-9):
        velocity = [float(rng.uniform(low, high)) for low, high in RANDOM_VELOCITY]
        vx, vy, wz = velocity if rng.random() >= PAUSE_SHARE else (0.0, 0.0, 0.0)
        steps.append(
            Step(
                time=round(time, 3),
                request="walk",
                command=VelocityCommand(vx=round(vx, 3), vy=round(vy, 3), wz=round(wz, 3)),
            )
        )
        time += float(rng.uniform(*NEW_COMMAND_EACH))
    return tuple(steps)


def write_config(robot: str, changes: dict[str, Any], folder: Path) -> str:
    """The robot's parameter file with changes, so that every node reads the same; "" without changes.

    Raises:
        ConfigurationError: an unknown key or a value of the wrong type.
    """
    load_config(robot, changes)
    if not changes:
        return ""
    document = yaml.safe_load((find_share("config") / f"{robot}.yaml").read_text())
    for key, value in changes.items():
        section, *parents, last = key.split(".")
        place = document[f"{section}_node"]["ros__parameters"]
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    path = folder / f"{robot}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


def assignment(text: str) -> tuple[str, Any]:
    """Key and value of node.key=value, the value as YAML.

    Raises:
        ConfigurationError: of another form.
    """
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigurationError(
            f"--set {text!r} is not of the form node.key=value, for instance mpc.locomotion.body_height=0.25"
        )
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigurationError(
            f"--set {text!r}: the value is not a number, word or list"
        ) from None
