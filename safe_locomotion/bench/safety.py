"""Time of the supervisor's safety decision: trigger test and forecasts of the learner."""

from dataclasses import replace
from functools import partial

from safe_locomotion.bench.recording import Recording, Tick
from safe_locomotion.bench.timing import Call, Stage
from safe_locomotion.pipeline import make_forecaster
from safe_locomotion.safety.forecast import Forecast, Forecaster, Moment
from safe_locomotion.safety.switching_rule import InterventionParameters, Rollout
from safe_locomotion.safety.trigger_set import TriggerSet, TriggerState

POLICY_EVERY = 4  # ticks of 2 ms
SAFETY = ("trigger", "rollout_open", "rollout_open_64", "rollout_closed")


def safety_stages(r: Recording) -> list[Stage]:
    """Trigger test and rollouts with the paper's horizons.

    They are 20 steps of 0.016 s with one MPC solve, and 10 steps with a solve at each of them.
    """
    ticks = r.walking_ticks[::POLICY_EVERY]
    rows: list[tuple[str, str, Call]] = [
        ("trigger", "estimate to components, trigger test and margins", _trigger(r)),
        (
            "rollout_open",
            "20 steps of the learner: kinematics, MPC solve under its gait, rollout and test",
            _forecast(r, 20, "open_loop", 0.0),
        ),
        (
            "rollout_open_64",
            "the same from 64 states within the estimator's uncertainty",
            _forecast(r, 20, "open_loop", 2.0),
        ),
        (
            "rollout_closed",
            "10 steps with an MPC solve at each of them",
            _forecast(r, 10, "closed_loop", 0.0),
        ),
    ]
    return [
        Stage(name=name, what=what, make=partial(_same, call), items=ticks)
        for name, what, call in rows
    ]


def _same(call: Call) -> Call:
    return call


def _trigger(r: Recording) -> Call:
    s = r.config.supervisor
    state = TriggerState(s.trigger_set)
    trigger_set = TriggerSet(s.trigger_set.bounds, s.thresholds.fall_height)

    def test(tick: Tick) -> None:
        values = state.update(tick.cycle.estimate, tick.cycle.verdict.gait.frequency)
        trigger_set.triggers(values)
        trigger_set.margins(values)

    return test


def _forecast(r: Recording, horizon: int, rollout: Rollout, uncertainty: float) -> Call:
    forecaster = _forecaster(
        r,
        replace(
            r.config.supervisor.intervention,
            horizon=horizon,
            rollout=rollout,
            uncertainty=uncertainty,
        ),
    )

    def look(tick: Tick) -> None:
        estimate = tick.cycle.estimate
        verdict = tick.cycle.verdict
        forecaster.follow(estimate, verdict.gait)
        Forecast(
            forecaster, Moment(estimate, tick.cycle.proposal, verdict.gait, verdict.command)
        ).learner_stays_safe()

    return look


def _forecaster(r: Recording, parameters: InterventionParameters) -> Forecaster:
    supervisor = replace(r.config.supervisor, intervention=parameters)
    forecaster = make_forecaster(r.robot, replace(r.config, supervisor=supervisor))
    first = r.walking_ticks[0].cycle.estimate
    forecaster.state.update(first, supervisor.recovery.frequency)
    return forecaster
