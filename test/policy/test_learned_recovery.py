"""Recovery policies: a learned gait policy behind the interface of the tuned controller."""

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
from safe_locomotion.policy.contract import observation_term
from safe_locomotion.policy.file import pack
from safe_locomotion.policy.learned_recovery import LearnedRecovery
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import VelocityCommand

COMMAND = VelocityCommand(vx=0.4)
CONFIG = load_config("a1")
NOMINAL_GAIT = NominalGait(A1, CONFIG.supervisor.recovery)


def faster_each_time(**changes) -> PolicyRuntime:
    """Raises its frequency by 0.1 Hz on every proposal; the higher the base, the larger its output."""
    contract = gait_contract(observation=(observation_term("base_height"),), **changes)
    matrix = np.zeros((contract.action_width, 1))
    matrix[0] = 1.0 / 0.27
    data, written = pack(
        affine(matrix, np.zeros(contract.action_width)),
        contract,
        observations=np.full((64, 1), 0.27),
    )
    return PolicyRuntime(written, data, A1)


def at(ms: float, height: float = 0.27):
    return estimate(stamp_ns=START_NS + round(1e6 * ms), position=np.array((0.0, 0.0, height)))


def test_it_is_asked_once_in_each_of_its_periods() -> None:
    """Between two proposals of 125 Hz its gait holds; a new walk starts from its nominal gait."""
    recovery = LearnedRecovery(faster_each_time(), NOMINAL_GAIT)
    seen = [round(recovery.gait(COMMAND, at(2.0 * k)).frequency, 3) for k in range(12)]
    assert (
        len(set(seen)) == 3
        and seen == sorted(seen)
        and set(np.diff(sorted(set(seen))).round(3)) == {0.1}
    )
    recovery.reset()
    assert round(recovery.gait(COMMAND, at(30.0)).frequency, 3) == seen[0]


def test_without_an_answer_the_tuned_controller_steps_in() -> None:
    """NaN in the estimate, an output out of range: the fallback's gait on that proposal, the learner's own afterwards."""
    recovery = LearnedRecovery(faster_each_time(action_limit=2.0), NOMINAL_GAIT)
    own = recovery.gait(COMMAND, at(0.0))
    for ms, height in ((8.0, np.nan), (16.0, 0.6)):
        now = at(ms, height)
        assert recovery.gait(COMMAND, now) == NOMINAL_GAIT.gait(COMMAND, now)
    assert recovery.gait(COMMAND, at(24.0)).frequency == pytest.approx(own.frequency + 0.1)


def test_joint_policies_and_unknown_names_are_refused() -> None:
    """What would pass by the MPC is no recovery policy; the message says so."""
    data, contract = pack(mlp(45, 12), joint_contract())
    with pytest.raises(ConfigurationError, match="needs a gait policy"):
        LearnedRecovery(PolicyRuntime(contract, data, A1), NOMINAL_GAIT)
    for name, error in (("moonwalk", PolicyRefusedError), ("a1_velocity_lstm", ConfigurationError)):
        with pytest.raises(error):
            make_recovery(
                A1, replace(CONFIG, supervisor=replace(CONFIG.supervisor, recovery_policy=name))
            )


def test_a_learned_gait_keeps_a_robot_on_its_feet_whose_learner_may_not_drive() -> None:
    """The shipped gait policy in the place of the tuned controller: recovery alone walks the simulated robot at 0.4 m/s."""
    config = load_config(
        "a1", {"supervisor.recovery_policy": "a1_trot", "supervisor.trigger_set.c1.roll": 0.0001}
    )
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
