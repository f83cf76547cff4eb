"""The cycle as function calls: its parts hand on records, and a warm-up leaves no trace."""

import numpy as np
import pytest
from core_values import A1, CONFIG_FILE, START_NS, TICK_NS, low_state

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Output, Pipeline, StageName, standing_state
from safe_locomotion.robot_time import Divider
from safe_locomotion.types import LowCommand, Mode, VelocityCommand

CONFIG = load_config(CONFIG_FILE)


def commands(pipeline: Pipeline) -> list[LowCommand]:
    """Answers to a robot that is asked to stand and held in its standing pose."""
    pipeline.supervisor.request("walk")
    return [
        pipeline.step(low_state(stamp_ns=START_NS + k * TICK_NS), VelocityCommand(vx=0.2)).command
        for k in range(600)
    ]


def test_the_parts_of_a_step_hand_on_all_that_the_next_one_needs() -> None:
    """Parts and step give the same cycles; a plan acts from the next tick on."""
    whole = Pipeline(A1, CONFIG)
    parts = Pipeline(A1, CONFIG)
    made = None
    for k in range(20):
        state = low_state(stamp_ns=START_NS + k * TICK_NS)
        sensed = parts.sense(state)
        cycle = parts.act(sensed, VelocityCommand())
        assert cycle.state is state and cycle.estimate is sensed.estimate
        assert cycle is parts.cycle and cycle.proposal is parts.proposal
        assert (cycle.plan is None) is (k == 0)
        if cycle.plan is not None and made is not None:
            assert cycle.plan.stamp_ns in (made.state.stamp_ns, made.state.stamp_ns - TICK_NS)
        parts.plan(cycle)
        made = cycle
        other = whole.step(state, VelocityCommand())
        np.testing.assert_array_equal(cycle.command.tau, other.command.tau)
        assert cycle.verdict.stamp_ns == other.verdict.stamp_ns == cycle.command.stamp_ns
        with pytest.raises(AttributeError):
            cycle.plan = None  # type: ignore[misc]


def test_an_observer_is_told_of_each_stage_when_it_is_done() -> None:
    """Every stage with its own output and time, in the order of the cycle; the plan comes last."""
    told: list[tuple[StageName, Output, float]] = []
    pipeline = Pipeline(A1, CONFIG, observer=lambda *stage: told.append(stage))
    cycle = pipeline.step(low_state(stamp_ns=START_NS), VelocityCommand())
    stages = [stage for stage, _, _ in told]
    assert stages == ["estimator", "policy", "supervisor", "command", "mpc"]
    outputs = [output for _, output, _ in told[:4]]
    expected = [cycle.estimate, cycle.proposal, cycle.verdict, cycle.command]
    assert all(a is b for a, b in zip(outputs, expected, strict=True))
    assert all(seconds > 0.0 for _, _, seconds in told)
    following = pipeline.step(low_state(stamp_ns=START_NS + TICK_NS), VelocityCommand())
    assert following.plan is told[4][1]


def test_a_warm_up_leaves_no_trace() -> None:
    """Commands after it are those without it, bit for bit, through standing up and walking."""
    cold = Pipeline(A1, CONFIG)
    warm = Pipeline(A1, CONFIG)
    warm.warm_up()
    assert warm.cycle is None and warm.proposal is None and warm.supervisor.mode is Mode.PASSIVE
    for a, b in zip(commands(cold), commands(warm), strict=True):
        assert a.reason == b.reason
        for name in ("q", "dq", "tau", "kp", "kd"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert cold.supervisor.mode is warm.supervisor.mode is Mode.WALK


def test_the_standing_state_passes_the_gate() -> None:
    """Otherwise a warm-up would only ever damp."""
    assert Pipeline(A1, CONFIG).command.gate.state_fault(standing_state(A1, START_NS)) == ""


def test_a_divider_says_yes_once_per_period() -> None:
    """On the first stamp of each period, counted from zero, also where stamps are missing."""
    divider = Divider(8)
    assert [stamp for stamp in (0, 2, 7, 8, 9, 24, 31, 33) if divider.due(stamp)] == [0, 8, 24, 33]
