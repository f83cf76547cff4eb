"""Lifted legs of many robots: feet and interventions that agree with the onboard ones."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from core_values import A1

pytest.importorskip("warp")

import warp as wp
from batched_states import floats, numbers, vectors
from gait_walks import CONFIG
from judged_walks import RAW, Onboard, Tick, World, converged, stack, wild_ticks

from safe_locomotion.config import StackConfig
from safe_locomotion.control.foot import Foot, Swing
from safe_locomotion.control.gait import executable
from safe_locomotion.control.lift import LIFT_TIME, Lift
from safe_locomotion.envs.gait_contract import gait_contract
from safe_locomotion.envs.gait_tasks import gait_task
from safe_locomotion.policy.contract import Origin
from safe_locomotion.rotations import vector
from safe_locomotion.training.gait.world.arrays import Array1, LegVectors3, Vectors3
from safe_locomotion.training.gait.world.feet import Feet, feet_of, lift_foot
from safe_locomotion.training.gait.world.locomotion import SwingShape, swing_shape

SHAPE = swing_shape(CONFIG.mpc.swing)
FEET = 50
BLOCK = 40  # ticks for which legs stay lifted or down


@wp.kernel
def lift_all(
    feet: Feet,
    foothold: Vectors3,
    under_hip: Vectors3,
    hip_velocity: Vectors3,
    share: Array1,
    rate: Array1,
    shape: SwingShape,
    out: LegVectors3,
):
    k = wp.tid()
    point, velocity = lift_foot(
        feet, k, 0, foothold[k], under_hip[k], hip_velocity[k], share[k], rate[k], shape
    )
    out[k, 0] = point
    out[k, 1] = velocity


def test_feet_of_lifted_legs_agree() -> None:
    """Points and velocities agree, at the top, on the way up and on the way down.

    So does the place from which a foot would go up again.
    """
    rng = np.random.default_rng(1)
    shares = rng.uniform(size=FEET).astype(np.float32).astype(np.float64)
    lifts = [Lift(float(share), k % 2 == 0) for k, share in enumerate(shares)]
    lifts[0] = Lift(1.0, True)
    lifts[1] = Lift(1.0, False)
    places = rng.normal(size=(4, FEET, 3)).astype(np.float32).astype(np.float64)
    feet = feet_of(FEET, "cpu")
    feet.lift_off.assign(np.repeat(places[0][:, None], 4, axis=1).astype(np.float32))
    out = wp.zeros((FEET, 2), dtype=wp.vec3)
    rates = [lift.rate for lift in lifts]
    given = [vectors(place) for place in places[1:]]
    numbers_of = [floats([lift.share for lift in lifts]), floats(rates)]
    wp.launch(lift_all, dim=FEET, inputs=[feet, *given, *numbers_of, SHAPE, out])
    for k, lift in enumerate(lifts):
        lift_off, foothold, under_hip, velocity = (vector(place[k]) for place in places)
        foot = Foot(stance=False, lift_off=lift_off)
        swing = Swing(0.5, 1.0, foothold, lift, under_hip, velocity)
        foot.descend(swing, CONFIG.mpc.swing)
        point, speed = foot.swing(swing, CONFIG.mpc.swing)
        np.testing.assert_allclose(numbers(out)[k, 0], point, atol=2e-6)
        np.testing.assert_allclose(numbers(out)[k, 1], speed, atol=2e-5 / LIFT_TIME)
        np.testing.assert_allclose(numbers(feet.lift_off)[k, 0], foot.lift_off, atol=1e-6)


@cache
def lifting_ticks() -> list[Tick]:
    """The wild walks, with a learner that lifts no leg, FL and RR, or one leg in turn."""
    flags = ((False,) * 4, (False, True, True, False), (True, False, False, False))
    ticks = []
    for k, tick in enumerate(wild_ticks()):
        fr, fl, rr, rl = flags[k // BLOCK % len(flags)]
        ticks.append(replace(tick, learner=replace(tick.learner, lifted=(fr, fl, rr, rl))))
    return ticks


def verdicts(
    configs: Sequence[StackConfig], onboard: Sequence[Onboard]
) -> tuple[np.ndarray, np.ndarray]:
    """Whether recovery drives (T, B), onboard and batched.

    On every tick the driving gait lifts the learner's legs or none.
    """
    world = World(configs)
    expected = []
    found = []
    for tick in lifting_ticks():
        world.play(tick)
        expected.append([twin.play(tick) for twin in onboard])
        acts = world.decisions.recovers.numpy() == 1
        found.append(acts)
        lifted = np.where(acts[:, None], 0.0, np.array(tick.learner.lifted, dtype=float))
        np.testing.assert_array_equal(world.decisions.driving_lifted.numpy(), lifted)
    return np.array(expected), np.array(found)


def test_verdicts_about_lifting_learners_are_equal() -> None:
    """Criteria that measure and criteria that look ahead decide alike on every tick."""
    configs = [
        stack("naive", 10),
        stack("reachability", 5, RAW),
        stack("reachability", 10),
        stack("planning", 10, RAW),
    ]
    expected, found = verdicts(configs, [Onboard(converged(config)) for config in configs])
    np.testing.assert_array_equal(found, expected)
    assert ((found[1:] != found[:-1]).sum(axis=0) > 10).all()


def test_problems_of_lifting_learners_are_equal() -> None:
    """Feet and stance flags of the rollout's MPC problems agree, with legs on their way too."""
    config = stack("reachability", 10)
    world = World([config])
    onboard = Onboard(converged(config))
    rollout = world.interventions[10].rollout
    assert rollout is not None
    out_of_horizon = 0
    for tick in lifting_ticks():
        world.play(tick)
        onboard.play(tick)
        _, inputs = onboard.inputs(tick)
        stance = rollout.solver.inputs.stance.numpy()[0]
        np.testing.assert_array_equal(stance > 0.5, inputs.problem.stance)
        feet = rollout.solver.inputs.feet.numpy()[0]
        np.testing.assert_allclose(feet, inputs.problem.feet, atol=1e-5)
        out_of_horizon += int((stance[:, [1, 2]] < 0.5).all())
    assert out_of_horizon >= 10


@pytest.mark.parametrize(
    "lifted",
    [
        (1.0, 1.0, 1.0, 1.0),
        (1.0, 0.0, 1.0, 1.0),
        (np.nan, 0.0, 0.0, 0.0),
        (0.5, 0.0, 0.0, 0.0),
        (np.inf, 0.0, 0.0, 0.0),
        (-1.0, 1.0, 1.0, 1.0),
    ],
)
def test_impossible_lifted_legs_are_recovery(lifted: tuple[float, float, float, float]) -> None:
    """With fewer than two legs left, or flags that are none, recovery drives with all legs.

    Onboard such a gait cannot be executed either.
    """
    config = stack("naive", 0)
    world = World([config, config])
    tick = wild_ticks()[60]
    world.show([tick, tick])
    world.lifted.assign(np.array([lifted, (0.0, 1.0, 1.0, 0.0)], dtype=np.float32))
    world.decide()
    assert world.decisions.recovers.numpy().tolist() == [1, 0]
    driving = world.decisions.driving_lifted.numpy()
    np.testing.assert_array_equal(driving, [[0, 0, 0, 0], [0, 1, 1, 0]])
    assert not executable(replace(tick.learner, lifted=lifted))


def test_actions_say_which_legs_their_gaits_lift() -> None:
    """The two-leg task lifts FL and RR, the catwalk no leg."""
    pytest.importorskip("torch")
    from safe_locomotion.training.gait.world.gait_actions import GaitActions

    origin = Origin(command="", seed=0, commit="")
    actions = []
    for name in ("two_leg", "catwalk"):
        action = gait_contract(A1, gait_task(name), name=name, origin=origin).gait
        assert action is not None
        actions.append(action)
    lifted = GaitActions(actions, "cpu").lifted
    assert lifted.tolist() == [[0.0, 1.0, 1.0, 0.0], [0.0] * 4]
