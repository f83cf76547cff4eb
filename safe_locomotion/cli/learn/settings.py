"""Options of `safe-locomotion learn`, and the processes that they describe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_locomotion.cli.learn.folder import LearnFolder
from safe_locomotion.cli.options import assignment, check_horizon
from safe_locomotion.cli.sim.settings import write_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.runtime.stack import Process, StackOptions, stack
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.pushes import parse_person
from safe_locomotion.types import VelocityCommand

STEPS = 400  #: of a trajectory (paper 1, section VI)
STEP_S = 0.008  #: of the policy [s]
BATTERY_CHANGE_S = 5.0  #: for which a simulated robot lies before it has another battery [s]
TRAINER = "trainer"
SAME = ("task", "robot", "seed", "trajectories")  #: what a folder keeps from its first start


@dataclass(frozen=True, kw_only=True)
class LearnSettings:
    """What learns, and how long.

    Attributes:
        robot, task: by name.
        start: `scratch`, or a policy file.
        updates: after which it ends, counted from the first.
        folder: of everything that is written.
        seed: of weights, exploration, sensors and pushes.
        trajectories: of an update.
        vx: forward velocity [m/s].
        radius: of the field [m].
        supervisor, horizon: of the criterion; None for those of the robot's file.
        person: pushes as `J@T`; empty for none.
        friction, payload, motor_delay_ms: of the simulated robot.
        overrides: parameters as node.key=value.
        quota_mb: of the episodes; 0 keeps all [MB].
    """

    robot: str
    task: str
    start: str
    updates: int
    folder: LearnFolder
    seed: int
    trajectories: int
    vx: float
    radius: float
    supervisor: str | None
    horizon: int | None
    person: str
    friction: float
    payload: float
    motor_delay_ms: float
    overrides: tuple[str, ...]
    quota_mb: float

    def check(self) -> None:
        """Refuse what does not fit together, or not to the folder.

        Raises:
            ConfigurationError: with what is wrong.
        """
        check_horizon(self.supervisor, self.horizon)
        parse_person(self.person)
        SimulationOptions(
            robot=self.robot,
            seed=self.seed,
            friction=self.friction,
            payload=self.payload,
            motor_delay_ms=self.motor_delay_ms,
        )
        if self.start != "scratch" and not Path(self.start).is_file():
            raise ConfigurationError(f"--from {self.start}: there is no such file")
        before = self.folder.status().get("options", {})
        for name in SAME:
            wanted = getattr(self, name)
            if name in before and before[name] != wanted:
                raise ConfigurationError(
                    f"--record {self.folder.root}: it learns with {name} {before[name]}, not"
                    f" {wanted}; choose another folder or the same options"
                )

    @property
    def command(self) -> VelocityCommand:
        """Velocity of the walks."""
        return VelocityCommand(vx=self.vx)

    def changes(self) -> dict[str, Any]:
        """Parameters that differ from the robot's own file, by dotted key."""
        changed: dict[str, Any] = {
            "policy.explore": True,
            "supervisor.thresholds.self_right": "automatic",
        }
        if self.supervisor is not None:
            changed["supervisor.intervention.criterion"] = self.supervisor
        if self.horizon is not None:
            changed["supervisor.intervention.horizon"] = self.horizon
        return changed | dict(assignment(text) for text in self.overrides)

    def robot_arguments(self) -> tuple[str, ...]:
        """Command line of the simulated robot: nobody puts it on its feet."""
        values = {
            "seed": str(self.seed),
            "friction": repr(self.friction),
            "payload": repr(self.payload),
            "motor-delay-ms": repr(self.motor_delay_ms),
            "summary": str(self.folder.logs / "robot.json"),
            "answer-timeout": "2",
            "battery-change": repr(BATTERY_CHANGE_S),
            "person": self.person,
        }
        options = tuple(f"--{name}={value}" for name, value in values.items() if value)
        return (*options, "--leave-fallen")

    def trainer(self) -> Process:
        """The trainer, a process of its own that shares nothing but the folder."""
        root = self.folder.root
        values = {
            "from-episodes": str(self.folder.episodes),
            "out": str(root),
            "robot": self.robot,
            "robots": str(self.trajectories),
            "steps": str(STEPS),
            "seed": str(self.seed),
            "updates": str(self.updates),
            "from": self.start if self.start == "scratch" else str(Path(self.start).resolve()),
        }
        options = tuple(f"--{name}={value}" for name, value in values.items())
        return Process(
            name=TRAINER,
            executable="safe-locomotion",
            module="safe_locomotion.cli.main",
            arguments=("train", "gait", self.task, "--follow", *options),
            essential=False,
        )

    def processes(self, domain: int) -> tuple[Process, ...]:
        """Robot, stack, recorder and trainer.

        Args:
            domain: DDS domain of the robot's wire.
        """
        folder = self.folder
        processes = stack(
            StackOptions(
                robot=self.robot,
                graph="composed",
                sdk_options={"domain": domain},
                config_file=write_config(self.robot, self.changes(), folder.logs),
                lock_step=True,
                overrides={
                    "policy_node": {"policy_folder": str(folder.policies)},
                    "recorder_node": {"quota_mb": self.quota_mb},
                },
                robot_arguments=self.robot_arguments(),
                record=str(folder.episodes),
            )
        )
        return (*processes, self.trainer())
