"""The rate of a policy: half of it is told from the flight, and the right one is not doubted."""

from collections import Counter
from dataclasses import replace
from math import inf, isnan, nan, pi, sin

import numpy as np
import pytest
from policy_models import gait_contract, joint_contract

from safe_locomotion.cli.policy.flight_check import rate_step
from safe_locomotion.evaluation.flight.course import COURSE, Segment
from safe_locomotion.evaluation.flight.flight import Flight, fly, roughness
from safe_locomotion.evaluation.flight.judgement import Judgement, judge
from safe_locomotion.evaluation.flight.rate import (
    CALMER,
    ROUGH,
    OtherRate,
    better_rate,
    faster,
    is_better,
    is_doubtful,
)
from safe_locomotion.policy.file import find_policy, read_policy
from safe_locomotion.types import VelocityCommand

pytest.importorskip("mujoco")

SHORT = (
    Segment(name="stand", duration=1.1, command=VelocityCommand()),
    Segment(name="forward", duration=1.9, command=VelocityCommand(vx=0.4)),
)
NO_NETWORK = b""
RATES = (25, 50, 100, 125)  #: [Hz]


def flight(**changed: float) -> Flight:
    """A flight without a fault at a doubtful rate."""
    values = {"tilt_rate": 0.3, "roughness": 0.8, **changed}
    nothing: Counter[str] = Counter()
    return Flight(
        policy="p",
        duration=20.0,
        followed=(),
        falls=0,
        uses=0,
        recovery=0.0,
        triggers=nothing,
        faults=nothing,
        gate_trips=nothing,
        **values,
    )


def other(*, flies: bool = True, **changed: float) -> OtherRate:
    """A flight at twice the rate, calm and smooth."""
    judgement = Judgement(
        flies=flies, stands=True, follows=True, velocity_error=0.1, turn_error=0.1, line=""
    )
    values = {"tilt_rate": 0.2, "roughness": 0.6, **changed}
    return OtherRate(rate_hz=100, flight=flight(**values), judgement=judgement)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.4])
def test_roughness_of_a_sine_follows_its_frequency(share: float) -> None:
    """It is 2 sin(pi f / r), so half the rate gives almost twice as much."""
    phase = 2.0 * pi * share * np.arange(4000)
    targets = [(k, np.full(12, np.sin(x))) for k, x in enumerate(phase)]
    assert roughness(targets) == pytest.approx(2.0 * sin(pi * share), rel=0.01)


def test_roughness_needs_motion_and_no_gaps() -> None:
    """Nothing that moves gives NaN; a gap is not counted as a change."""
    assert isnan(roughness([]))
    assert isnan(roughness([(k, np.ones(12)) for k in range(9)]))
    smooth = [(k, np.full(12, float(k))) for k in range(5)]
    later = [(k + 9, np.full(12, 50.0 + k)) for k in range(5)]
    assert roughness([*smooth, *later]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("value", "doubted"), [(ROUGH, False), (nan, False), (0.8, True)])
def test_only_rough_targets_make_a_rate_doubtful(value: float, doubted: bool) -> None:
    """A gait policy, which has no targets, is not doubted; nothing is flown without doubt."""
    found = flight(roughness=value)
    assert is_doubtful(found) is doubted
    if not doubted:
        assert better_rate(joint_contract(), NO_NETWORK, COURSE, found) is None


@pytest.mark.parametrize(
    ("tried", "better"),
    [
        (other(), True),
        (other(flies=False), False),
        (other(tilt_rate=CALMER * 0.3 + 1e-6), False),
        (other(tilt_rate=nan), False),
        (other(tilt_rate=inf), False),
        (other(roughness=0.8), False),
        (other(roughness=nan), False),
    ],
)
def test_another_rate_must_be_better_in_everything(tried: OtherRate, better: bool) -> None:
    """It passes the flight, the robot is calmer by the margin, and the targets smoother."""
    assert is_better(tried, flight()) is better


def test_higher_rates_are_tried_up_to_twice_the_own_one() -> None:
    """They divide the rate of the LowStates; 100 Hz has none."""
    contract = joint_contract()
    tried = {rate: [c.rate_hz for c in faster(replace(contract, rate_hz=rate))] for rate in RATES}
    assert tried == {25: [50], 50: [100], 100: [], 125: [250]}
    assert not is_doubtful(flight(roughness=nan)) and gait_contract().joint is None


def test_the_shipped_policy_is_doubted_at_half_its_rate_alone() -> None:
    """At 50 Hz it passes a short flight as well, but its targets are rough."""
    contract, model = read_policy(find_policy("a1_velocity_lstm"))
    half = fly(replace(contract, rate_hz=50), model, SHORT)
    right = fly(contract, model, SHORT)
    assert judge(half, len(SHORT)).flies and judge(right, len(SHORT)).flies
    assert is_doubtful(half) and not is_doubtful(right)
    assert rate_step(contract, model, right).passed


def test_the_command_names_the_better_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has both numbers and the option; without a better rate the step is passed."""
    contract = joint_contract(rate_hz=50)
    place = "safe_locomotion.evaluation.flight.rate.flown_faster"
    monkeypatch.setattr(place, lambda *_: iter([other()]))
    step = rate_step(contract, NO_NETWORK, flight())
    assert not step.passed and "--rate 100" in step.text
    assert all(number in step.text for number in ("0.80", "0.60", "0.30", "0.20"))
    monkeypatch.setattr(place, lambda *_: iter([other(flies=False)]))
    step = rate_step(contract, NO_NETWORK, flight())
    assert step.passed and "no higher rate walks better" in step.text
