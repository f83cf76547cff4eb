"""Batched motor commands give the torques of the onboard command stage."""

from collections.abc import Sequence

import numpy as np
import pytest
from core_values import A1, START_NS, TICK_NS, low_state, stance_plan, verdict
from gait_walks import CONFIG, gait_walk

pytest.importorskip("warp")

from batched_states import floats, numbers, state_estimates, vectors

from safe_locomotion.commands import commanded_torque
from safe_locomotion.pipeline import Cycle
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.training.gait.world.controller import BatchedController
from safe_locomotion.training.gait.world.planning import Plans
from safe_locomotion.types import N_LEGS, NANOSECONDS, Array, LowState, StancePlan

TORQUE = 1e-4  # [Nm] of at most 33.5
FADED = 40  # LowStates after which nothing is left of the cross-fade from standing
WALKS = 2


def batched(plans: Sequence[StancePlan]) -> Plans:
    """One robot for each plan."""
    out = Plans()
    out.stance = floats([plan.stance for plan in plans])
    out.force = vectors([plan.force for plan in plans])
    out.foot_position = vectors([plan.foot_position for plan in plans])
    out.foot_velocity = vectors([plan.foot_velocity for plan in plans])
    return out


def torques(
    controller: BatchedController, states: Sequence[LowState], plans: Sequence[StancePlan]
) -> Array:
    """(B, 12) torques of the motors in these states, by plans of one age [Nm]."""
    age = (states[0].stamp_ns - plans[0].stamp_ns) / NANOSECONDS
    controller.command(state_estimates(states), batched(plans), age)
    bias = numbers(controller.commands.bias)
    stiffness = numbers(controller.commands.kp) * [state.q for state in states]
    damping = numbers(controller.commands.kd) * [state.dq for state in states]
    torque: Array = bias - stiffness - damping
    return torque


def walking_cycles() -> list[tuple[Cycle, ...]]:
    """Cycles of several walks side by side, with plans of equal age."""
    walks = [gait_walk(seed, 400)[FADED:] for seed in range(WALKS)]
    return list(zip(*walks, strict=False))


def test_commands_of_recorded_walks_agree() -> None:
    """By the plans of a pushed robot under random gaits the torques agree to 1e-4 Nm.

    The recorded commands went through the gate of the real pipeline.
    """
    controller = BatchedController(A1, CONFIG, WALKS)
    for cycles in walking_cycles():
        plans = [cycle.plan for cycle in cycles if cycle.plan is not None]
        states = [cycle.state for cycle in cycles]
        found = torques(controller, states, plans)
        expected = [commanded_torque(cycle.state, cycle.command) for cycle in cycles]
        assert not any(cycle.command.reason for cycle in cycles)
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=TORQUE)


def drawn_plan(stamp_ns: int, rng: np.random.Generator) -> StancePlan:
    """Feet of a standing robot that push at random, or shall be somewhere else at once."""
    return stance_plan(
        stamp_ns=stamp_ns,
        stance=rng.uniform(size=N_LEGS) < 0.5,
        force=rng.normal(size=(N_LEGS, 3)) * [15.0, 15.0, 20.0] + [0.0, 0.0, 60.0],
        foot_position=Kinematics(A1).feet(A1.q_stand) + 0.06 * rng.standard_normal((N_LEGS, 3)),
        foot_velocity=rng.standard_normal((N_LEGS, 3)),
    )


def test_steps_of_the_torque_are_bounded_alike() -> None:
    """Plans that jump make steps that the gate clamps; the torques still agree to 1e-4 Nm.

    After a restart the first command is compared with nothing, as in a new command stage.
    """
    rng = np.random.default_rng(5)
    controller = BatchedController(A1, CONFIG, 1)
    clamped = 0
    for tick in range(400):
        stamp_ns = START_NS + tick * TICK_NS
        if tick % 100 == 0:
            stage = CommandStage(A1, CONFIG.bridge.gains, CONFIG.bridge.limits)
            controller.restart(floats([1.0]))
        if tick % 8 == 0:
            plan = drawn_plan(stamp_ns, rng)
        state = low_state(
            stamp_ns=stamp_ns,
            q=A1.q_stand + 0.03 * rng.standard_normal(12),
            dq=rng.standard_normal(12),
        )
        command = stage.update(state, verdict(stamp_ns=stamp_ns), plan)
        assert command.reason == ""
        found = torques(controller, [state], [plan])[0]
        np.testing.assert_allclose(found, commanded_torque(state, command), rtol=0.0, atol=TORQUE)
        clamped += stage.gate.rate.clamped.total() if tick % 100 == 99 else 0
    assert clamped > 20
