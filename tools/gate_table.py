"""Write the table of events, modes and times of the last hop into docs/safety.md.

Each cell is measured: the real watches, the fault latch, the leg controller and the gate of a robot
run tick by tick, in robot time, until the command damps. The page shows an A1; tests run all.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from page_tables import with_only_table

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import standing_state
from safe_locomotion.robot.models import RobotModel, load_robot
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.safety.fault_latch import FaultLatch
from safe_locomotion.safety.robot_watch import RobotWatch
from safe_locomotion.safety.sensor_watch import SensorWatch
from safe_locomotion.types import (
    DAMPED,
    N_LEGS,
    STATE_PERIOD_NS,
    GaitParameters,
    LowCommand,
    LowState,
    Mode,
    StancePlan,
    VelocityCommand,
    Verdict,
)

PAGE = Path(__file__).resolve().parents[1] / "docs/safety.md"
MARK = "gate"
MODES = tuple(mode for mode in Mode if mode not in DAMPED)
QUIET_TICKS = 55  #: before the event; a window of the sensor watch ends in them
LONGEST_TICKS = 100  #: twice the longest bound
GAIT = GaitParameters(
    frequency=2.5,
    swing_ratio=0.45,
    phase_offsets=(0.5, 0.5, 0.0),
    foot_y=(-0.13, 0.13, -0.13, 0.13),
)
SHOWN = "a1"  #: the robot of the page


@dataclass(kw_only=True)
class Tick:
    """What reaches the last hop on one tick; an event changes it.

    Attributes:
        state: LowState.
        hazards: those of other parts of the bridge.
        foreign_commands, sources: counts of the link.
        judged, planned: whether a new verdict and a new plan come.
        fault: whether the verdict says FAULT, on this tick only.
    """

    state: LowState
    hazards: frozenset[str] = frozenset()
    foreign_commands: int = 0
    sources: int = 1
    judged: bool = True
    planned: bool = True
    fault: bool = False


Event = Callable[[int, Tick], None]  #: changes the tick that is this many after the beginning


def _state(**changes: Any) -> Event:
    """An event that changes readings."""

    def event(k: int, tick: Tick) -> None:
        tick.state = replace(tick.state, **changes)

    return event


def _set(first_only: bool = False, **changes: Any) -> Event:
    """An event that changes something else, on its first tick or from then on."""

    def event(k: int, tick: Tick) -> None:
        if k == 0 or not first_only:
            for name, value in changes.items():
                setattr(tick, name, value)

    return event


def _jump(k: int, tick: Tick) -> None:
    tick.state = replace(tick.state, stamp_ns=tick.state.stamp_ns + 10**9)


TILTED = np.array((np.cos(0.5), np.sin(0.5), 0.0, 0.0))


@cache
def events(robot: str = SHOWN) -> dict[str, Event]:
    """What can happen to the last hop of a robot, by name."""
    limits = load_config(robot).bridge.limits
    q_stand = standing_state(load_robot(robot), 0).q

    def one(value: float) -> Any:
        """The standing pose with another first joint."""
        return np.where(np.arange(q_stand.size) == 0, value, q_stand)

    return {
        "a reading is NaN": _state(q=one(np.nan)),
        "the quaternion has no unit length": _state(quaternion_wxyz=np.zeros(4)),
        "a joint is out of its range": _state(q=one(9.0)),
        "a joint is too fast": _state(dq=one(99.0)),
        "a motor is too hot": _state(temperature=np.full(12, limits.temperature_max + 1.0)),
        "the battery is too low": _state(voltage=limits.voltage_min - 0.1),
        "the stamp jumps": _jump,
        "a drive is off": _state(motors_on=False),
        "another program sends one low command": _set(foreign_commands=1),
        "two programs send LowStates": _set(sources=2),
        "the IMU is frozen": _state(gyro=np.zeros(3)),
        "the attitude jumps": _state(quaternion_wxyz=TILTED),
        "two programs publish verdicts": _set(hazards=frozenset({"second_publisher"})),
        "the emergency stop": _set(hazards=frozenset({"estop"})),
        "the emergency stop, released after one state": _set(True, hazards=frozenset({"estop"})),
        "one verdict says FAULT": _set(True, fault=True),
        "no verdict comes any more": _set(judged=False),
        "no plan comes any more": _set(planned=False),
    }


class LastHop:
    """What stands between a verdict and the wire."""

    def __init__(self, mode: Mode, robot: str = SHOWN) -> None:
        self._mode = mode
        self._robot = load_robot(robot)
        config = load_config(robot).bridge
        self._volts = config.limits.voltage_warning + 1.0
        self._stage = CommandStage(self._robot, config.gains, config.limits)
        self._watch = RobotWatch(self._robot, config.limits)
        self._sensors = SensorWatch(config.limits)
        self._latch = FaultLatch()
        self._noise = np.random.default_rng(0)
        self._verdict: Verdict | None = None
        self._plan: StancePlan | None = None
        self._stamp_ns = 0

    def tick(self, event: Event | None = None, k: int = 0) -> LowCommand:
        """The command of the next tick."""
        self._stamp_ns += STATE_PERIOD_NS
        gyro = 1e-6 * self._noise.normal(size=3)
        standing = standing_state(self._robot, self._stamp_ns)
        state = replace(standing, voltage=self._volts, gyro=gyro)
        tick = Tick(state=state)
        if event is not None:
            event(k, tick)
        stamp_ns = tick.state.stamp_ns
        if tick.planned:
            self._plan = plan(self._robot, stamp_ns - STATE_PERIOD_NS)
        if tick.judged:
            self._verdict = verdict(Mode.FAULT if tick.fault else self._mode, stamp_ns)
            self._latch.hear(self._verdict)
        hazards = tick.hazards | self._watch.update(tick.state, tick.foreign_commands, True)
        hazards |= self._sensors.update(tick.state, tick.sources)
        self._latch.report(hazards)
        self._stage.gate.report(hazards | self._latch.hazards)
        return self._stage.update(tick.state, self._verdict, self._plan)


def verdict(mode: Mode, stamp_ns: int) -> Verdict:
    """A verdict that recovery drives in this mode."""
    return Verdict(
        stamp_ns=stamp_ns,
        mode=mode,
        mode_since_ns=STATE_PERIOD_NS,
        active="recovery",
        gait=GAIT,
        command=VelocityCommand(),
    )


def plan(robot: RobotModel, stamp_ns: int) -> StancePlan:
    """A plan to stand on four feet."""
    return StancePlan(
        stamp_ns=stamp_ns,
        stance=np.ones(N_LEGS, dtype=np.bool_),
        force=np.tile((0.0, 0.0, robot.mass * 9.81 / N_LEGS), (N_LEGS, 1)),
        foot_position=np.zeros((N_LEGS, 3)),
        foot_velocity=np.zeros((N_LEGS, 3)),
    )


def damps(command: LowCommand) -> bool:
    """Whether a command damps and does nothing else."""
    moves = command.kp.any() or command.tau.any() or command.dq.any()
    return not moves and bool((command.kd > 0.0).all())


@cache
def _after_quiet_ticks(mode: Mode, robot: str) -> LastHop:
    hop = LastHop(mode, robot)
    for _ in range(QUIET_TICKS):
        if damps(hop.tick()):
            raise ValueError(f"{mode.name} damps without an event")
    return hop


def ready(mode: Mode, robot: str = SHOWN) -> LastHop:
    """A last hop after its quiet ticks, for one event; all of a mode begin in the same state."""
    return deepcopy(_after_quiet_ticks(mode, robot))


def damped_after_ms(event: Event, mode: Mode, robot: str = SHOWN) -> int | None:
    """Robot time from the state with the event to damping that stays [ms]; None for never."""
    hop = ready(mode, robot)
    commands = [damps(hop.tick(event, k)) for k in range(LONGEST_TICKS)]
    if not commands[-1]:
        return None
    last_move = max((k for k, damped in enumerate(commands) if not damped), default=-1)
    return (last_move + 1) * STATE_PERIOD_NS // 1_000_000


def table() -> str:
    """Events by modes, as a table in Markdown."""
    lines = [
        f"| event | {' | '.join(mode.name for mode in MODES)} |",
        f"|---|{'---|' * len(MODES)}",
    ]
    for name, event in events().items():
        times = [damped_after_ms(event, mode) for mode in MODES]
        cells = ["goes on" if ms is None else f"{ms} ms" for ms in times]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with the present table between its marks."""
    return with_only_table(page, MARK, table())


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
