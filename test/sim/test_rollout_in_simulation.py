"""The linear rollout against MuJoCo: a trotting robot 0.16 s later."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_locomotion.config import load_config
from safe_locomotion.operator.requests import Script, Step
from safe_locomotion.pipeline import Pipeline, make_forecaster
from safe_locomotion.safety.forecast import Forecast, Moment
from safe_locomotion.safety.trigger_set import TriggerState
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import Array, Mode, VelocityCommand

FORWARD = VelocityCommand(vx=0.4)
AHEAD_NS = 160_000_000
COMPONENTS = [5, 0, 1, 10, 6]
"""Height, roll, pitch, lateral velocity, roll rate in a centroidal state."""


@pytest.mark.parametrize("kind", ["open_loop", "closed_loop"])
def test_prediction_of_a_trot_over_a_sixth_of_a_second(kind: str) -> None:
    """The RMS error is below 1 cm, 0.015 rad of roll, 0.025 rad of pitch, 0.05 m/s and 0.12 rad/s.

    The predicted velocity and roll rate are nearer than the present ones.
    """
    errors, persistence = errors_after(kind)
    assert len(errors) > 60
    rms = np.sqrt((errors**2).mean(axis=0))
    still = np.sqrt((persistence**2).mean(axis=0))
    assert (rms < (0.01, 0.015, 0.025, 0.05, 0.12)).all(), rms
    assert (rms[3:] < 0.8 * still[3:]).all(), (rms, still)


def errors_after(kind: str) -> tuple[Array, Array]:
    """Errors of the prediction over 0.16 s, and errors of a state that stays as it is."""
    config = load_config(
        "a1", {"supervisor.intervention.rollout": kind, "supervisor.intervention.criterion": "off"}
    )
    robot = SimulatedRobot(SimulationOptions(seed=1))
    script = Script([Step(time=0.0, request="walk", command=FORWARD)])
    pipeline = Pipeline(robot.robot, config)
    forecaster = make_forecaster(robot.robot, config, pipeline.policy.suppose)
    started = None
    state = TriggerState(replace(config.supervisor.trigger_set, roll_rate="raw", lookahead=0.0))
    measured: dict[int, Array] = {}
    predicted: dict[int, Array] = {}
    while started is None or robot.time_s - started < 2.0:
        low_state = robot.low_state()
        request, wanted = script.update(low_state.stamp_ns, pipeline.supervisor.mode)
        if request is not None:
            pipeline.supervisor.request(request)
        cycle = pipeline.step(low_state, wanted)
        robot.step(cycle.command)
        estimate = cycle.estimate
        verdict = cycle.verdict
        if verdict.mode is not Mode.WALK:
            continue
        started = robot.time_s if started is None else started
        forecaster.follow(estimate, verdict.gait)
        measured[estimate.stamp_ns] = np.array(state.update(estimate, verdict.gait.frequency))
        if robot.time_s - started > 0.8 and not len(measured) % 4:
            now = Moment(estimate, cycle.proposal, verdict.gait, verdict.command)
            states = Forecast(forecaster, now).look()
            assert states is not None
            predicted[estimate.stamp_ns] = (states[-1] - states[0])[COMPONENTS]
    pairs = [
        (measured[stamp + AHEAD_NS] - measured[stamp], p)
        for stamp, p in predicted.items()
        if stamp + AHEAD_NS in measured
    ]
    changes = np.array([change for change, _ in pairs])
    return changes - np.array([p for _, p in pairs]), changes
