"""A learned gait policy as recovery policy, in place of the tuned controller."""

from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, START_NS, estimate
from policy_models import affine, gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import mlp
from safe_locomotion.config import load_config
from safe_locomotion.control.nominal_gait import NominalGait
from safe_locomotion.envs.walk import run_episode
from safe_locomotion.errors import ConfigurationError, PolicyRefusedError
from safe_locomotion.operator.requests import Step
from safe_locomotion.operator.velocity import VelocityInput
from safe_locomotion.pipeline import Pipeline, make_recovery
from safe_locomotion.policy.file import pack
from safe_locomotion.policy.learned_recovery import LearnedRecovery
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.policy.term import observation_term
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import VelocityCommand

COMMAND = VelocityCommand(vx=0.4)
CONFIG = load_config("a1")
NOMINAL_GAIT = NominalGait(A1, CONFIG.supervisor.recovery)


def faster_each_time(**changes) -> PolicyRuntime:
    """A policy that raises its frequency by 0.1 Hz per proposal at a height of 0.27 m.

    Its output is proportional to the height of the base.
    """
    contract = gait_contract(observation=(observation_term("base_height"),), **changes)
    matrix = np.zeros((contract.action_width, 1))
    matrix[0] = 1.0 / 0.27
    model = affine(matrix, np.zeros(contract.action_width))
    data, written = pack(model, contract, observations=np.full((64, 1), 0.27))
    return PolicyRuntime(written, data, A1)


def at(ms: float, height: float = 0.27):
    return estimate(stamp_ns=START_NS + round(1e6 * ms), position=np.array((0.0, 0.0, height)))


def test_it_is_asked_once_in_each_of_its_periods() -> None:
    """Its gait holds between two proposals (125 Hz), and a new walk starts from the nominal one."""
    recovery = LearnedRecovery(faster_each_time(), NOMINAL_GAIT)
    seen = [round(recovery.gait(COMMAND, at(2.0 * k)).frequency, 3) for k in range(12)]
    assert seen == sorted(seen)
    assert len(set(seen)) == 3
    assert set(np.diff(sorted(set(seen))).round(3)) == {0.1}
    recovery.reset()
    assert round(recovery.gait(COMMAND, at(30.0)).frequency, 3) == seen[0]


def test_without_an_answer_the_tuned_controller_steps_in() -> None:
    """After NaN in the estimate or an output out of range the fallback's gait is used.

    With the next proposal the learner's own gait is back.
    """
    recovery = LearnedRecovery(faster_each_time(action_limit=2.0), NOMINAL_GAIT)
    own = recovery.gait(COMMAND, at(0.0))
    for ms, height in ((8.0, np.nan), (16.0, 0.6)):
        now = at(ms, height)
        assert recovery.gait(COMMAND, now) == NOMINAL_GAIT.gait(COMMAND, now)
    assert recovery.gait(COMMAND, at(24.0)).frequency == pytest.approx(own.frequency + 0.1)


def test_joint_policies_and_unknown_names_are_refused() -> None:
    """A joint policy is refused, because it would bypass the MPC; so is an unknown name."""
    data, contract = pack(mlp(45, 12), joint_contract())
    with pytest.raises(ConfigurationError, match="needs a gait policy"):
        LearnedRecovery(PolicyRuntime(contract, data, A1), NOMINAL_GAIT)
    for name, error in (("moonwalk", PolicyRefusedError), ("a1_velocity_lstm", ConfigurationError)):
        with pytest.raises(error):
            supervisor = replace(CONFIG.supervisor, recovery_policy=name)
            make_recovery(A1, replace(CONFIG, supervisor=supervisor))


def test_a_policy_that_lifts_legs_is_refused() -> None:
    """Recovery must be able to stand on four feet."""
    action = gait_contract().gait
    assert action is not None
    lifting = faster_each_time(gait=replace(action, lifted=("FL", "RR")))
    with pytest.raises(ConfigurationError, match=r"holds FL, RR in the air"):
        LearnedRecovery(lifting, NOMINAL_GAIT)


def test_a_learned_gait_keeps_a_robot_on_its_feet_whose_learner_may_not_drive() -> None:
    """The shipped gait policy as recovery policy walks the simulated robot alone at 0.4 m/s."""
    changes = {
        "supervisor.recovery_policy": "a1_trot",
        "supervisor.trigger_set.c1.roll": 0.0001,
    }
    config = load_config("a1", changes)
    pipeline = Pipeline(A1, config)
    episode = run_episode(
        SimulatedRobot(SimulationOptions(seed=2)),
        pipeline,
        VelocityInput(config.supervisor.command),
        [Step(time=0.0, request="walk", command=COMMAND)],
        duration=2.5,
    )
    assert episode.falls == 0 and not episode.gate_trips
    assert pipeline.supervisor.statistics.share > 0.95
    assert float(pipeline.cycle.estimate.position[0]) > 0.5
    assert pipeline.cycle.verdict.gait != NOMINAL_GAIT.gait(COMMAND, pipeline.cycle.estimate)
