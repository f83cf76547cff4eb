"""Lifted legs: ways up and down, clock and schedule, and feet that are held and do not push."""

import math
from copy import copy
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from core_values import A1, START_NS, TROT, estimate, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_locomotion.config import load_config
from safe_locomotion.control.foot import Foot, Swing
from safe_locomotion.control.gait import PHASE_OFFSETS, GaitClock, GaitPhase, executable
from safe_locomotion.control.gait_handover import RATIO_MARGIN, GaitBlend
from safe_locomotion.control.lift import LIFT_TIME, Lift
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.control.swing import SwingParameters, lifted_point
from safe_locomotion.types import FL, FR, RL, RR, GaitParameters, Mode

TICK = 0.004  #: [s], 250 Hz
TICK_NS = 4_000_000
TWO_LEG = replace(TROT, frequency=5.0, swing_ratio=0.4, lifted=(False, True, True, False))
UP_OR_DOWN = math.ceil(LIFT_TIME / TICK) + 1  #: ticks of a way up or down
SWING = SwingParameters()
FLAGS = st.tuples(*[st.booleans()] * 4).filter(lambda flags: sum(flags) <= 2)
GAITS = st.builds(
    lambda name, frequency, ratio, lifted: replace(
        TROT,
        frequency=frequency,
        swing_ratio=ratio,
        phase_offsets=PHASE_OFFSETS[name],
        lifted=lifted,
    ),
    st.sampled_from(sorted(PHASE_OFFSETS)),
    st.floats(1.0, 5.0),
    st.floats(0.1, 0.9),
    FLAGS,
)


def run(
    clock: GaitClock, gait: GaitParameters, ticks: range, *, step: bool = True
) -> list[GaitPhase]:
    return [clock.update(START_NS + k * TICK_NS, gait, step=step) for k in ticks]


def test_two_legs_must_be_left() -> None:
    """No leg, one leg or any two legs may be lifted; three or four may not."""
    for count in range(5):
        for legs in combinations(range(4), count):
            lifted = tuple(leg in legs for leg in range(4))
            assert executable(replace(TROT, lifted=lifted)) is (count <= 2)


@pytest.mark.parametrize(
    "lifted", [(math.nan, False, False, False), (False,) * 3, (2, 0, 0, 0), (False, None, True, 0)]
)
def test_what_are_no_four_flags_is_refused(lifted: tuple) -> None:
    """NaN, another number, nothing, or another count of flags cannot be executed."""
    assert not executable(replace(TROT, lifted=lifted))


def test_the_way_up_and_down_by_hand() -> None:
    """A third of the time is a third of the way; the ends are held, and the way down ends."""
    third = LIFT_TIME / 3.0
    up = Lift(0.0, True).moved(True, third)
    assert up is not None
    assert (up.share, up.progress, up.time_to_ground) == pytest.approx((1 / 3, 1 / 6, third))
    assert up.rate == pytest.approx(1.0 / LIFT_TIME)
    top = up.moved(True, 1.0)
    assert top == Lift(1.0, True) and top is not None and top.rate == 0.0
    down = top.moved(False, third)
    assert down is not None and down.rate == pytest.approx(-1.0 / LIFT_TIME)
    assert (down.share, down.progress) == pytest.approx((2 / 3, 2 / 3))
    assert down.moved(False, 2.5 * third) is None


@settings(max_examples=30, deadline=None)
@given(gait=GAITS)
def test_a_lifted_leg_leaves_at_its_lift_off_and_the_others_do_not_notice(
    gait: GaitParameters,
) -> None:
    """A lifted leg never stands again after its first lift-off and is soon at the top.

    The legs that follow the gait do exactly what they do without lifted legs.
    """
    plain = run(GaitClock(), replace(gait, lifted=(False,) * 4), range(500))
    phases = run(GaitClock(), gait, range(500))
    for leg, lifted in enumerate(gait.lifted):
        stance = [phase.stance[leg] for phase in phases]
        usual = [phase.stance[leg] for phase in plain]
        if not lifted:
            assert stance == usual
            for name in ("swing_progress", "time_to_touchdown", "lifts"):
                got = [getattr(phase, name)[leg] for phase in phases]
                assert got == [getattr(phase, name)[leg] for phase in plain]
            continue
        first = usual.index(False)
        assert stance == usual[:first] + [False] * (500 - first)
        top = [phase.lifts[leg] for phase in phases[first + UP_OR_DOWN :]]
        assert set(top) == {Lift(1.0, True)}
        assert {phase.swing_progress[leg] for phase in phases[first + UP_OR_DOWN :]} == {0.5}


@settings(max_examples=30, deadline=None)
@given(gait=GAITS, after=GAITS, ticks=st.integers(250, 400))
def test_a_leg_that_is_no_longer_lifted_is_down_at_once_and_stays_for_a_stance(
    gait: GaitParameters, after: GaitParameters, ticks: int
) -> None:
    """Whatever its phase is, it comes down in `LIFT_TIME` without a jump, and then steps."""
    trot = replace(after, lifted=(False,) * 4)
    clock = GaitClock()
    before = run(clock, gait, range(ticks))[-1]
    phases = run(clock, trot, range(ticks, ticks + 600))
    for leg in range(4):
        lift = before.lifts[leg]
        if lift is None:
            continue
        share = [lift.share] + [0.0 if p.lifts[leg] is None else p.lifts[leg].share for p in phases]
        assert all(b >= a - TICK / LIFT_TIME - 1e-9 for a, b in pairwise(share))
        stance = [phase.stance[leg] for phase in phases]
        down = stance.index(True)
        assert down <= UP_OR_DOWN
        assert all(p.lifts[leg] is None for p in phases[down:])
        assert stance[down:].count(False) > 0


@settings(max_examples=60, deadline=None)
@given(
    gait=GAITS,
    flags=st.lists(FLAGS, min_size=1, max_size=3),
    ticks=st.integers(0, 200),
    held=st.integers(1, 40),
    step=st.booleans(),
)
def test_schedule_is_what_update_returns_later(
    gait: GaitParameters,
    flags: list[tuple[bool, bool, bool, bool]],
    ticks: int,
    held: int,
    step: bool,
) -> None:
    """The schedule is the later stance, apart from ties, on the way up, at the top and down."""
    clock = GaitClock()
    run(clock, replace(gait, lifted=flags[0]), range(ticks))
    now = ticks
    for lifted in flags[1:]:
        run(clock, replace(gait, lifted=lifted), range(now, now + held))
        now += held
    run(clock, gait, range(now, now + 1), step=step)
    times = TICK * np.arange(1, 120)
    expected = clock.schedule(gait, times)
    sooner = clock.schedule(gait, times - 1e-8)
    later = clock.schedule(gait, times + 1e-8)
    phases = run(clock, gait, range(now + 1, now + 120), step=step)
    got = np.array([phase.stance for phase in phases])
    assert ((got == expected) | (sooner != later)).all()


def test_a_stop_brings_lifted_feet_down() -> None:
    """Without steps no leg stays lifted, whatever the gait says, and the clock comes to rest."""
    clock = GaitClock()
    run(clock, TWO_LEG, range(200))
    phase = run(clock, TWO_LEG, range(200, 200 + 2 * UP_OR_DOWN), step=False)[-1]
    assert all(phase.stance) and phase.lifts == (None,) * 4 and not clock.stepping


def test_a_copy_and_a_joint_policy() -> None:
    """A copied clock lifts by itself, and one that follows a joint policy forgets lifted legs."""
    clock = GaitClock()
    run(clock, TWO_LEG, range(100))
    twin = copy(clock)
    run(twin, TROT, range(100, 120))
    assert run(clock, TWO_LEG, range(100, 101))[-1].lifts[FL] == Lift(1.0, True)
    phase = clock.follow(START_NS + 101 * TICK_NS, TROT, [0.0] * 4, [1.0] * 4)
    assert all(phase.stance) and phase.lifts == (None,) * 4


def test_recovery_plants_the_feet_of_a_gait_with_lifted_legs() -> None:
    """It does so although the offsets are its own; and the flags change at once, both ways."""
    blend = GaitBlend()
    same = replace(TROT, lifted=TWO_LEG.lifted)
    blend.update(START_NS, "learner", same)
    first = blend.update(START_NS + TICK_NS, "recovery", TROT)
    assert first.swing_ratio == pytest.approx(RATIO_MARGIN) and first.lifted == (False,) * 4
    for k in range(2, 60):
        last = blend.update(START_NS + k * TICK_NS, "recovery", TROT)
    assert last == TROT
    back = blend.update(START_NS + 60 * TICK_NS, "learner", TWO_LEG)
    assert back.lifted == TWO_LEG.lifted


def step_foot(foot: Foot, at: tuple, *, lifted: bool, progress: float, contact: bool) -> None:
    foot.step(
        at,
        scheduled=False,
        progress=progress,
        contact=contact,
        hangs=True,
        elapsed=TICK,
        parameters=SWING,
        lifted=lifted,
    )


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_a_lifted_foot_that_touches_the_ground_does_not_push(progress: float) -> None:
    """Nor does one that had landed; on its way down a contact ends its swing as usual."""
    foot = Foot(stance=False, landed=True)
    step_foot(foot, (0.0, 0.0, 0.0), lifted=True, progress=progress, contact=True)
    assert not foot.stance and not foot.landed and not foot.lost
    step_foot(foot, (0.0, 0.0, 0.0), lifted=False, progress=progress, contact=True)
    assert foot.stance is (progress >= SWING.early_contact)


@given(share=st.floats(0.01, 0.99), rate=st.sampled_from([-1.0 / LIFT_TIME, 1.0 / LIFT_TIME]))
def test_velocity_is_the_derivative_of_position(share: float, rate: float) -> None:
    """Central differences agree, with an upper end that moves."""
    ground = (0.1, -0.1, 0.02)
    velocity = (0.3, -0.2, 0.0)

    def at(time: float) -> np.ndarray:
        above = (0.15 + 0.3 * time, -0.12 - 0.2 * time, 0.09)
        point, _ = lifted_point(ground, above, share + rate * time, rate, velocity)
        return np.array(point)

    h = 1e-6
    _, got = lifted_point(ground, (0.15, -0.12, 0.09), share, rate, velocity)
    np.testing.assert_allclose((at(h) - at(-h)) / (2 * h), got, atol=1e-5)


def test_a_foot_that_is_lifted_again_on_its_way_down_does_not_jump() -> None:
    """It goes up from where it was going."""
    foot = Foot(stance=False, lift_off=(9.0, 9.0, 0.0))
    swing = Swing(0.0, 0.1, (0.2, 0.1, 0.02), Lift(0.6, False), (0.1, 0.1, 0.02))
    foot.descend(swing, SWING)
    down, _ = foot.swing(swing, SWING)
    foot.descend(swing._replace(lift=Lift(0.6, True)), SWING)
    up, _ = foot.swing(swing._replace(lift=Lift(0.6, True)), SWING)
    assert up == down and down[2] > 0.02


def test_the_plan_holds_two_feet_up_and_stands_on_the_others() -> None:
    """Lifted feet have no force and are a swing's height above their place under the hip.

    The body moves with 0.2 m/s, and the targets move along. The targets do not jump on the way up,
    and all feet are down again soon after the gait has changed.
    """
    config = load_config("a1").mpc
    control = LocomotionController(A1, config.locomotion, config.swing, config.solver)
    tick_ns = config.period_ns
    loaded = np.ones(4, dtype=np.bool_)
    plans = []
    for k in range(160):
        stamp_ns = START_NS + k * tick_ns
        gait = TWO_LEG if k < 100 else TROT
        state = estimate(
            stamp_ns=stamp_ns,
            contact=loaded,
            position=np.array((0.2 * k * tick_ns * 1e-9, 0.0, A1.nominal_height)),
            velocity=np.array((0.2, 0.0, 0.0)),
        )
        plans.append(control.update(state, verdict(stamp_ns=stamp_ns, mode=Mode.WALK, gait=gait)))
        loaded = plans[-1].stance
    held = plans[99]
    assert not held.stance[[FL, RR]].any() and not held.force[[FL, RR]].any()
    for leg in (FL, RR):
        place = (A1.hip_position[leg, 0], TROT.foot_y[leg])
        height = config.swing.height + A1.foot_radius - A1.nominal_height
        np.testing.assert_allclose(held.foot_position[leg], (*place, height), atol=1e-9)
        np.testing.assert_allclose(held.foot_velocity[leg], 0.0, atol=1e-9)
        after = [plan.foot_position[leg] for plan in plans[20:100]]
        steps = np.abs(np.diff(after, axis=0)).max()
        assert steps <= 2.0 * config.swing.height / LIFT_TIME * tick_ns * 1e-9
    carried = [plan.force[[FR, RL], 2].sum() for plan in plans[50:100] if plan.stance[FR]]
    assert np.mean(carried) == pytest.approx(A1.mass * 9.81 / (1.0 - TWO_LEG.swing_ratio), rel=0.25)
    assert any(plan.stance[FL] and plan.stance[RR] for plan in plans[100:135])
