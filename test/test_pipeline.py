"""The cycle as function calls: what its parts hand on, and that a warm-up leaves no trace."""

import numpy as np
from core_values import A1, CONFIG_FILE, START_NS, TICK_NS, low_state

from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline, standing_state
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


def test_a_warm_up_leaves_no_trace() -> None:
    """The commands after it are those without it, bit for bit, through standing up, standing and walking."""
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
