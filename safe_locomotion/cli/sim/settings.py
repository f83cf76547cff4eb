"""Options of `safe-locomotion sim`, checked before anything starts, and the stack they describe."""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from safe_locomotion.cli.options import assignment, check_horizon
from safe_locomotion.config import config_path, load_config
from safe_locomotion.control.gait import phase_offsets
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.requests import Step, format_script, parse_script
from safe_locomotion.policy.file import check_seal, is_name, read_bytes
from safe_locomotion.policy.stage import NOMINAL
from safe_locomotion.runtime.stack import NODE_NAMES, Graph, Process, StackOptions, Value, stack
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.pushes import Push, format_pushes, lateral_pushes, parse_pushes
from safe_locomotion.sim.remote_script import parse_holds
from safe_locomotion.types import VelocityCommand

FIRST_PUSH = 3.0  # s after standing up; the robot has then reached its speed
DEMONSTRATED_PUSH = Push(time=7.0, impulse=(0.0, 15.0, 0.0))
NEW_COMMAND_EACH = (2.0, 4.0)  # s
RANDOM_VELOCITY = ((-0.4, 0.8), (-0.3, 0.3), (-1.0, 1.0))
"""Ranges of vx [m/s], vy [m/s] and wz [rad/s], well inside what the tuned controller follows."""
WHOLE_LOG_MB = 1e6  # the report needs every row
PAUSE_SHARE = 0.15  # of the random commands


@dataclass(frozen=True, kw_only=True)
class SimSettings:
    """Options of the command, in the units of its help text."""

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
    viewer_host: str
    viewer_port: int
    seed: int
    random_commands: bool
    script: str
    overrides: tuple[str, ...]
    save_states: Path | None

    def check(self) -> None:
        """Refuse unknown names, values out of range and options that do not fit together.

        Raises:
            ConfigurationError: an option is wrong; the message lists the valid choices.
        """
        self._check_policy()
        check_horizon(self.supervisor, self.horizon)
        if self.script and self.random_commands:
            raise ConfigurationError("--script and --random-commands cannot be used together")
        if self.save_states is not None and self.duration is None:
            raise ConfigurationError("--save-states needs --duration")
        if self.duration is not None and not 0.0 < self.duration <= 1e6:
            raise ConfigurationError(f"--duration {self.duration:g} s is outside (0, 1e6] s")
        parse_holds(self.remote)
        if self.viewer and not viewer_installed():
            raise ConfigurationError(
                "--viewer needs viser, which is not installed:"
                " pip install 'safe_locomotion[viewer]'"
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
                raise ConfigurationError(f"--{name} {getattr(self, name)}: must be finite")

    @property
    def policy_folder(self) -> str:
        """Folder of a policy that was given by its path, else an empty text.

        A path on the command line allows policies from its folder.
        """
        return "" if is_name(self.policy) else str(Path(self.policy).resolve().parent)

    @property
    def policy_value(self) -> str:
        """Value of the parameter `policy`: a name, or the absolute path of a file."""
        return str(Path(self.policy).resolve()) if self.policy_folder else self.policy

    def _check_policy(self) -> None:
        if self.policy == NOMINAL:
            return
        from safe_locomotion.policy.check_process import locate

        path = locate(self.policy, [Path(self.policy_folder)] if self.policy_folder else None)
        check_seal(read_bytes(path))  # says at once how a file of another project becomes ours

    def steps(self) -> tuple[Step, ...]:
        """Steps of the operator: the script, random commands, or one walk at the given velocity."""
        walk = VelocityCommand(vx=self.vx, vy=self.vy, wz=self.wz)
        if self.random_commands:
            return random_steps(self.duration or 0.0, np.random.default_rng(self.seed))
        if not self.script:
            return (Step(time=0.0, request="walk", command=walk),)
        return tuple(
            replace(step, command=walk)
            if step.request == "walk" and step.command == VelocityCommand()
            else step
            for step in parse_script(self.script)
        )

    def pushes(self) -> tuple[Push, ...]:
        """Pushes of `--push` and `--pushes-every`, in order of time."""
        regular: list[Push] = []
        if self.pushes_every is not None:
            if not 0.5 <= self.pushes_every <= 1e4:
                raise ConfigurationError(
                    f"--pushes-every {self.pushes_every:g} s is outside [0.5, 10000] s"
                )
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
        values = {
            "seed": str(self.seed),
            "terrain": self.terrain,
            "friction": repr(self.friction),
            "payload": repr(self.payload),
            "motor-delay-ms": repr(self.motor_delay_ms),
            "start": self.start,
            "truth": str(folder / "truth.npz"),
            "summary": str(folder / "robot.json"),
            "answer-timeout": "2",
            "push": format_pushes(self.pushes()),
            "remote": self.remote,
            "duration": "" if self.duration is None else repr(self.duration),
        }
        options = tuple(f"--{name}={value}" for name, value in values.items() if value)
        return (*options, "--paced") if self.duration is None else options

    def processes(self, folder: Path, domain: int, *, record: bool = False) -> tuple[Process, ...]:
        """Processes of the stack.

        With a duration, every stage logs into `folder`, because the report needs the logs.

        Args:
            folder: folder for logs, and for episodes with `record`.
            domain: DDS domain of the robot's wire.
            record: whether each walk is recorded as an episode.
        """
        overrides: dict[str, dict[str, Value]] = {f"{name}_node": {} for name in NODE_NAMES}
        if self.duration is not None:
            logs: dict[str, Value] = {"log_dir": str(folder), "log_mb": WHOLE_LOG_MB}
            overrides = {node: dict(logs) for node in overrides}
            overrides["supervisor_node"]["script"] = format_script(self.steps())
        if self.policy_folder:
            overrides["policy_node"]["policy_folder"] = self.policy_folder
        if self.save_states is not None:
            overrides["bridge_node"]["log_states"] = True
        if self.viewer:
            overrides["viewer_node"] = {"host": self.viewer_host, "port": self.viewer_port}
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
    """Whether the library of the web viewer, an extra, is installed."""
    return find_spec("viser") is not None


def random_steps(duration: float, rng: np.random.Generator) -> tuple[Step, ...]:
    """A new random velocity every 2 to 4 s, sometimes zero, for `duration` [s]."""
    steps = []
    time = 0.0
    while time < max(duration, 1e-9):
        velocity = [round(float(rng.uniform(*bounds)), 3) for bounds in RANDOM_VELOCITY]
        if rng.random() < PAUSE_SHARE:
            velocity = [0.0, 0.0, 0.0]
        vx, vy, wz = velocity
        command = VelocityCommand(vx=vx, vy=vy, wz=wz)
        steps.append(Step(time=round(time, 3), request="walk", command=command))
        time += float(rng.uniform(*NEW_COMMAND_EACH))
    return tuple(steps)


def write_config(robot: str, changes: dict[str, Any], folder: Path) -> str:
    """Write the robot's parameter file with changes, so that every node reads the same values.

    Returns:
        Path of the file; an empty text without changes.

    Raises:
        ConfigurationError: an unknown key or a value of the wrong type.
    """
    load_config(robot, changes)
    if not changes:
        return ""
    document = yaml.safe_load(config_path(robot).read_text())
    for key, value in changes.items():
        section, *parents, last = key.split(".")
        place = document[f"{section}_node"]["ros__parameters"]
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    path = folder / f"{robot}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)
