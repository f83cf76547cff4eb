"""Where plans are computed: both ways give the same numbers, and a plan that is late keeps no command waiting."""

import os
from threading import Event, Thread
from threading import enumerate as threads
from time import monotonic

import numpy as np
import pytest
from core_values import A1, CONFIG_FILE, START_NS, TICK_NS, low_state

from safe_locomotion.config import load_config
from safe_locomotion.control.planner import PlansBeside, PlansInTurn
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.types import N_LEGS, Mode, StancePlan, VelocityCommand

CONFIG = load_config(CONFIG_FILE)
LONG = 10.0  # s; a test that needs it has failed


def plan(stamp_ns):
    """One to tell from others by its stamp."""
    rows = np.zeros((N_LEGS, 3))
    return StancePlan(
        stamp_ns=stamp_ns,
        stance=np.ones(N_LEGS, dtype=bool),
        force=rows,
        foot_position=rows,
        foot_velocity=rows,
        solved=True,
    )


@pytest.fixture
def beside(request):
    """A planner that waits, or as long as a test says, ended whatever happens."""
    planner = PlansBeside(getattr(request, "param", LONG))
    yield planner
    planner.close()


def test_beside_or_in_turn_the_commands_are_the_same(beside):
    """Bit for bit through standing up and walking; the plan of a tick acts from the next one on."""
    answers = []
    for planner in (PlansInTurn(), beside):
        pipeline = Pipeline(A1, CONFIG, planner=planner)
        pipeline.supervisor.request("walk")
        said = []
        for k in range(900):
            command = pipeline.step(
                low_state(stamp_ns=START_NS + k * TICK_NS), VelocityCommand(vx=0.3)
            )
            made = pipeline.cycle.plan
            assert k == 0 or (
                made is not None
                and 0 < START_NS + k * TICK_NS - made.stamp_ns <= CONFIG.mpc.period_ns
            )
            said.append(
                (
                    command.reason,
                    *(getattr(command, name).tobytes() for name in ("q", "dq", "tau", "kp", "kd")),
                )
            )
        assert pipeline.supervisor.mode is Mode.WALK
        answers.append(said)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("make", [PlansInTurn, lambda: PlansBeside(LONG)])
def test_the_newest_plan_is_the_last_one_begun(make):
    """None before the first; asked twice, it stays."""
    planner = make()
    assert planner.newest() is None
    for stamp in (1, 2, 3):
        planner.begin(lambda stamp=stamp: plan(stamp))
        assert planner.newest().stamp_ns == planner.newest().stamp_ns == stamp
    planner.close()


@pytest.mark.parametrize("beside", [0.0], indirect=True)
def test_a_late_plan_is_not_waited_for_and_none_is_begun_behind_it(beside):
    """The one before acts on; what would have been begun meanwhile never is; the late one counts when it is done."""
    beside.begin(lambda: plan(1))
    until = monotonic() + LONG
    while beside.newest() is None and monotonic() < until:
        pass
    go = Event()
    skipped = []

    def slow():
        go.wait(LONG)
        return plan(2)

    beside.begin(slow)
    assert beside.newest().stamp_ns == 1
    beside.begin(lambda: skipped.append(3))
    assert beside.newest().stamp_ns == 1
    go.set()
    while beside.newest().stamp_ns == 1 and monotonic() < until:
        pass
    assert beside.newest().stamp_ns == 2 and not skipped


@pytest.mark.parametrize("beside", [0.05], indirect=True)
def test_patience_ends(beside):
    """Somebody who waits goes on after so long, not before."""
    go = Event()
    beside.begin(lambda: go.wait(LONG))
    start = monotonic()
    assert beside.newest() is None
    assert 0.05 <= monotonic() - start < LONG
    go.set()


def test_what_a_computation_raises_is_raised_where_its_plan_is_asked_for(beside):
    """Once; the next plan is computed as ever."""
    beside.begin(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        beside.newest()
    assert beside.newest() is None
    beside.begin(lambda: plan(4))
    assert beside.newest().stamp_ns == 4


def test_a_closed_planner_leaves_no_thread():
    """Also with a plan in work."""
    planner = PlansBeside(LONG)
    planner.begin(lambda: plan(1))
    assert any(thread.name.startswith("planner") for thread in threads())
    planner.close()
    assert not any(thread.name.startswith("planner") for thread in threads())


@pytest.mark.parametrize(("control", "planning"), [(50, 49), (1, 1)])
def test_commands_come_first_on_a_core_that_both_threads_share(control, planning):
    """The planner inherits the scheduling of the control thread, one priority below; ordinary scheduling stays ordinary."""
    seen = []

    def control_thread():
        planner = PlansBeside(LONG)
        planner.begin(
            lambda: seen.append((os.sched_getscheduler(0), os.sched_getparam(0).sched_priority))
        )
        planner.newest()
        planner.close()

    def realtime_thread():
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(control))
        except PermissionError:
            seen.append(None)
            return
        control_thread()

    for target in (control_thread, realtime_thread):
        thread = Thread(target=target)
        thread.start()
        thread.join(LONG)
    assert seen[0] == (os.SCHED_OTHER, 0)
    if seen[1] is None:
        pytest.skip("this user may not ask for SCHED_FIFO")
    assert seen[1] == (os.SCHED_FIFO, planning)
