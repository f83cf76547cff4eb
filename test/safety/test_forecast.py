"""Forecasts: what is answered without a prediction, and in which frame states are."""

import numpy as np
import pytest
from core_values import A1, TROT, estimate
from supervised import NO_SUPPORT

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.pipeline import make_forecaster
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.safety.forecast import Forecast, Moment
from safe_locomotion.types import Proposal, VelocityCommand

FORWARD = VelocityCommand(vx=0.3)


def config(criterion: str) -> StackConfig:
    """The paper's raw measures, under one criterion."""
    return load_config(
        "a1",
        {
            "supervisor.trigger_set.roll_rate": "raw",
            "supervisor.trigger_set.lookahead": 0.0,
            "supervisor.intervention.criterion": criterion,
        },
    )


def test_no_forecast_is_no_hand_back() -> None:
    """Without a learner there is no answer; one that falls gets none or the longest plan."""
    forecaster = make_forecaster(A1, config("planning"))
    nothing = Forecast(forecaster, Moment(estimate(), None, TROT, FORWARD))
    assert not nothing.learner_stays_safe()
    assert nothing.least_recovery_steps() is None
    assert nothing.states_in_odom() is None
    falling = Forecast(
        forecaster,
        Moment(
            estimate(),
            Proposal(stamp_ns=0, policy="l", kind="gait", gait=NO_SUPPORT),
            NO_SUPPORT,
            FORWARD,
        ),
    )
    assert falling.least_recovery_steps() in (None, 9)


def test_predicted_states_lie_in_odom() -> None:
    """The first row holds the present centre of mass and velocity, whatever the heading."""
    forecaster = make_forecaster(A1, config("reachability"))
    now = estimate(
        position=np.array((3.0, -2.0, 0.27)),
        quaternion_wxyz=quaternion_from_rpy(0.0, 0.0, 1.2),
        velocity=np.array((0.1, 0.2, 0.0)),
    )
    forecaster.state.update(now, TROT.frequency)
    forecast = Forecast(
        forecaster,
        Moment(now, Proposal(stamp_ns=0, policy="l", kind="gait", gait=TROT), TROT, FORWARD),
    )
    assert forecast.learner_stays_safe()
    states = forecast.states_in_odom()
    assert states is not None
    np.testing.assert_allclose(states[0, 3:6], (3.0, -2.0, 0.25), atol=0.02)
    np.testing.assert_allclose(states[0, 9:12], (0.1, 0.2, 0.0), atol=1e-9)
    assert states[0, 2] == pytest.approx(1.2)
