"""Unusable limits are refused before anything moves; the error has name and number."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from core_values import A1, LIMITS, low_command, low_state, stance_plan, verdict

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.types import Mode


def changed(**changes: Any) -> CommandGate:
    return CommandGate(A1, replace(LIMITS, **changes))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "max_age",
            "position_margin",
            "dq_max",
            "torque_margin",
            "feedforward_margin",
            "kp_max",
            "kd_max",
        ),
        *("temperature_max", "temperature_warning", "voltage_min", "voltage_warning", "max_gap"),
    ],
)
def test_a_limit_that_is_not_a_number_refuses_everything(name: str) -> None:
    """A limit of NaN cannot open the gate. Some limits of NaN cannot even be loaded."""
    if name in (
        "max_age",
        "kd_max",
        "temperature_max",
        "temperature_warning",
        "voltage_min",
        "voltage_warning",
        "max_gap",
    ):
        with pytest.raises((ValueError, ConfigurationError), match=rf"NaN|{name}"):
            changed(**{name: math.nan})
        return
    assert (
        changed(**{name: math.nan}).refusal(low_state(), verdict(), stance_plan(), low_command())
        != ""
    )


@pytest.mark.parametrize(
    ("damping", "allowed"),
    [(0.0, False), (1e-9, True), (LIMITS.kd_max, True), (LIMITS.kd_max + 1e-9, False)],
)
def test_the_gates_own_answer_passes_the_gate(damping: float, allowed: bool) -> None:
    """Damping must be positive and within kd_max, else the configuration is refused."""
    if not allowed:
        with pytest.raises(
            ConfigurationError,
            match=r"^limits: damping: must be positive and at most kd_max \(found ",
        ):
            changed(damping=damping)
        return
    gate = changed(damping=damping)
    assert (
        gate.refusal(
            low_state(), verdict(mode=Mode.PASSIVE), None, gate.damping(low_state(), "why")
        )
        == ""
    )


@pytest.mark.parametrize(
    ("name", "bound", "beyond"),
    [
        ("temperature_warning", LIMITS.temperature_max, LIMITS.temperature_max + 1e-9),
        ("voltage_warning", LIMITS.voltage_min, LIMITS.voltage_min - 1e-9),
        ("max_gap", 1e-9, 0.0),
    ],
)
def test_a_warning_comes_no_later_than_the_gate(name: str, bound: float, beyond: float) -> None:
    """Else the robot would be damped before it sits down. The error names key and number."""
    changed(**{name: bound})
    with pytest.raises(
        ConfigurationError,
        match=rf"^limits: {name}: must be .* \(found {re.escape(str(beyond))}\)$",
    ):
        changed(**{name: beyond})


@pytest.mark.parametrize("name", ["torque_step", "position_step"])
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_step_must_be_positive(name: str, bad: float) -> None:
    """A step of zero or NaN, of any kind of joint, could never be met."""
    for joint in range(3):
        steps = [1.0, 1.0, 1.0]
        steps[joint] = bad
        with pytest.raises(
            ConfigurationError, match=rf"^limits: {name}: must be positive \(found "
        ):
            replace(LIMITS, **{name: tuple(steps)})
