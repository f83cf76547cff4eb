"""A mode machine in any mode, and its conditions, for tests of modes and hazards."""

from safe_locomotion.safety.hazards import Severity
from safe_locomotion.safety.modes import Conditions, Goal, ModeMachine
from safe_locomotion.types import Mode

TICK_NS = 2_000_000
START_NS = 1_700_000_000_000_000_000
STEP_TIME = 1.5  # s
YES = Conditions(upright=True, standing=True, sitting=True, slow=True, still=True)
NO = Conditions()
NONE, RECOVER, STOP, SIT, FALLEN, FAULT = Severity


def machine(
    settle_time: float = 0.0, timeout: float = 6.0, stop: float = 4.0, unasked: bool = False
) -> ModeMachine:
    """A fresh machine."""
    return ModeMachine(
        settle_time=settle_time,
        stand_up_timeout=timeout,
        stop_timeout=stop,
        self_right_timeout=13.0,
        self_right_unasked=unasked,
        step_time=STEP_TIME,
    )


def machine_in(
    mode: Mode,
    goal: Goal,
    *,
    settle_time: float = 0.0,
    timeout: float = 6.0,
    stop: float = 4.0,
    upright: bool = False,
) -> ModeMachine:
    """A machine that entered `mode` at START_NS; `upright` means that the robot's belly is down."""
    one = machine(settle_time, timeout, stop)
    one.update(START_NS, NONE, Conditions(upright=upright))
    one.mode = mode
    one.goal = goal
    one.since_ns = START_NS
    return one
