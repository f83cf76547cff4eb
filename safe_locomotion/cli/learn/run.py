"""Start robot, stack, recorder and trainer, and drive until enough was learned."""

import os
from importlib.util import find_spec
from time import monotonic
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.cli.learn.driver import Driver
from safe_locomotion.cli.learn.progress import LearningProgress, update_words
from safe_locomotion.cli.learn.settings import STEP_S, STEPS, LearnSettings
from safe_locomotion.cli.sim.run import (
    COMPLETED,
    INTERRUPTED,
    claim_ros_domain,
    ending_signals,
    ros_environment,
    undisturbed,
)
from safe_locomotion.cli.sim.scratch import require_shared_memory
from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.operator.field import Field
from safe_locomotion.operator.learning_flight import LearningFlight
from safe_locomotion.runtime.processes import RunningStack
from safe_locomotion.types import Mode

LOOK_S = 0.05  #: between two looks [s]
SIT_PATIENCE_S = 120.0  #: for a robot that sits down at the end, on a slow machine [s]
MOST_RESTARTS = 50  #: of one process
STACK = ("sim_robot", "composed_node")
LINE_EACH_S = 60.0  #: between two lines of progress where no terminal is [s]
NEEDED = {"torch": "train", "matplotlib": "train", "rosbags": "record"}


def require_libraries() -> None:
    """Refuse to begin where a process would stop for want of a library.

    Raises:
        ConfigurationError: names it.
    """
    for name, extra in NEEDED.items():
        if find_spec(name) is None:
            raise ConfigurationError(
                f"{name} is not installed: pip install 'safe_locomotion[{extra}]'"
            )


class StopRequest:
    """The first signal asks for an orderly end, the second one ends at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *_: Any) -> None:
        """Take a signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def run(settings: LearnSettings, console: Console) -> int:
    """Learn until there were enough updates, or a person ends it; the exit status.

    Raises:
        ConfigurationError: something is missing, or the folder belongs to another learning.
        NothingLearnedError: walks give no trajectories.
    """
    require_libraries()
    require_shared_memory()
    folder = settings.folder
    folder.make()
    stop = StopRequest()
    with folder.claimed(), claim_ros_domain() as on_ros, claim_domain() as domain:
        settings.check()
        folder.forget_status()
        environment = ros_environment(on_ros)
        os.environ.update(environment)
        stack = RunningStack(
            settings.processes(domain),
            {**environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            folder.logs,
            revives_all=True,
            most_restarts=MOST_RESTARTS,
        )
        exports = " ".join(f"{name}={value}" for name, value in environment.items())
        console.print(f"topics and services: export {exports}", soft_wrap=True)
        console.print(f"page: {folder.page}", soft_wrap=True, markup=False)
        with ending_signals(stop), stack:
            try:
                return Learning(settings, stack, console, stop).run(on_ros)
            finally:
                with undisturbed():
                    stack.stop()


class Learning:
    """One run of the driver with its processes."""

    def __init__(
        self, settings: LearnSettings, stack: RunningStack, console: Console, stop: StopRequest
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._console = console
        self._stop = stop
        flight = LearningFlight(
            command=settings.command,
            trajectory_s=STEPS * STEP_S,
            area=Field(settings.radius),
        )
        limits = load_config(settings.robot).bridge.limits
        self._driver = Driver(settings.folder, flight, limits, self._say)
        self._progress = LearningProgress(self._driver, settings.updates)
        self._told: int | None = None
        self._line_at = monotonic()

    def run(self, domain: int) -> int:
        """Look again and again; the exit status."""
        from safe_locomotion.ui.learning_operator import LearningOperator

        operator = LearningOperator(domain)
        try:
            with Live(console=self._console, auto_refresh=False, transient=True) as live:
                while not self._over(operator.mode):
                    self._look(operator, live)
        finally:
            self._driver.keep()
            operator.close()
        enough = self._done >= self._settings.updates
        return COMPLETED if enough else INTERRUPTED

    @property
    def _done(self) -> int:
        return int(self._driver.status.get("updates", 0))

    def _over(self, mode: Mode | None) -> bool:
        """Whether everything was learned, or a person asked for the end, and the robot sits."""
        driver = self._driver
        if not driver.stopping and (self._stop.asked or self._done >= self._settings.updates):
            driver.stopping = True
            self._say("the robot sits down" if self._stop.asked else "all updates are made")
            self._sit_until = monotonic() + SIT_PATIENCE_S
        if not driver.stopping:
            return False
        down = mode is None or mode in (Mode.PASSIVE, Mode.FALLEN, Mode.FAULT)
        return down or monotonic() > self._sit_until

    def _look(self, operator: Any, live: Live) -> None:
        operator.spin(LOOK_S)
        for line in self._stack.revive():
            stack = line.split()[0] in STACK
            self._driver.restarted(line, stack=stack)
            if stack:
                operator.forget()
        sight = operator.look()
        if sight is not None:
            self._driver.step(sight, operator)
        self._tell_updates()
        line = self._progress.line(sight)
        live.update(Text(line), refresh=True)
        if not self._console.is_terminal and monotonic() - self._line_at >= LINE_EACH_S:
            self._line_at = monotonic()
            self._say(line)

    def _tell_updates(self) -> None:
        history = self._driver.status.get("history", ())
        if self._told is None and self._driver.status:
            self._told = len(history)
        for number in range(self._told or 0, len(history)):
            self._say(update_words(number + 1, history[number]))
            self._told = number + 1

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
