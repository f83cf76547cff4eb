"""Feet that step within the horizon of the MPC: when they come down, and where."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, START_NS, estimate, verdict

from safe_locomotion.config import load_config
from safe_locomotion.control.gait import GaitClock
from safe_locomotion.control.later_contacts import place_later_contacts
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.control.mpc_problem import MpcProblem
from safe_locomotion.types import GaitParameters, Mode, VelocityCommand

CONFIG = load_config("a1").mpc
TROT = GaitParameters(
    frequency=2.5,
    swing_ratio=0.45,
    phase_offsets=(0.5, 0.5, 0.0),
    foot_y=(-0.13, 0.13, -0.13, 0.13),
)
STANCE = 0.22  #: [s] of this trot
STRIDE = 0.4  #: [s]
HIPS = [(0.18, -0.13), (0.18, 0.13), (-0.18, -0.13), (-0.18, 0.13)]


def placed(touchdowns, times, *, velocity=(0.0, 0.0), yaw_rate=0.0):
    """Feet that were NaN before."""
    feet = np.full((len(times), 4, 3), np.nan)
    place_later_contacts(
        feet,
        times,
        touchdowns,
        HIPS,
        velocity=velocity,
        height=0.26,
        yaw_rate=yaw_rate,
        stride=STRIDE,
        stance_duration=STANCE,
        reach=0.2,
    )
    return feet


def test_a_contact_is_centred_under_the_hip():
    """At 1 m/s a foot comes down 0.11 m ahead of its hip, and half a stance later is under it."""
    feet = placed([0.1, 9.0, 9.0, 9.0], [0.0, 0.1, 0.21, 0.32], velocity=(1.0, -0.5))
    hip = np.array((*HIPS[0], -0.26))
    assert np.isnan(feet[0]).all() and np.isnan(feet[:, 1:]).all()
    np.testing.assert_allclose(feet[1, 0], hip + np.array((0.11, -0.055, 0.0)), atol=1e-12)
    np.testing.assert_allclose(feet[2, 0], hip, atol=1e-12)
    np.testing.assert_allclose(feet[3, 0], hip - np.array((0.11, -0.055, 0.0)), atol=1e-12)


def test_the_step_after_it_begins_anew():
    """A stride later the foot is where it came down first, seen from the body."""
    one, other = placed([0.1, 9.0, 9.0, 9.0], [0.15, 0.55], velocity=(0.8, 0.0))[:, 0]
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_feet_of_a_turning_body_go_round():
    """At 2 rad/s hips are turned by 0.2 rad after 0.1 s, and their feet step along the circle."""
    foot = placed([0.1, 9.0, 9.0, 9.0], [0.1], yaw_rate=2.0)[0, 0]
    c, s = np.cos(0.2), np.sin(0.2)
    x, y = c * HIPS[0][0] - s * HIPS[0][1], s * HIPS[0][0] + c * HIPS[0][1]
    np.testing.assert_allclose(foot, (x - 0.22 * y, y + 0.22 * x, -0.26), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_later_touchdowns_are_those_of_the_schedule(seed):
    """In gaits that change, each foot swings once before the time that is said, and stands then."""
    rng = np.random.default_rng(seed)
    clock = GaitClock()
    gait = TROT
    for k in range(60):
        ratio, *offsets = rng.uniform(0.3, 0.6, 4).tolist()
        gait = GaitParameters(
            frequency=float(rng.uniform(1.5, 3.5)),
            swing_ratio=ratio,
            phase_offsets=(offsets[0], offsets[1], offsets[2]),
            foot_y=TROT.foot_y,
        )
        clock.update(k * 8_000_000, gait, step=True)
        for leg, time in enumerate(clock.later_touchdowns(gait)):
            times = [*np.linspace(0.0, time - 1e-6, 200), time + 1e-6]
            down = copy(clock).schedule(gait, times)[:, leg]
            swings = np.flatnonzero(~down)
            assert down[-1] and not down[-2]
            now_in_swing = not down[0]
            assert np.diff(swings).max(initial=1) > 1 if now_in_swing else len(swings) > 0


def test_a_standing_robot_has_no_later_contacts():
    """No foot lifts off, so none comes down again; nor does a leg that is held in the air."""
    clock = GaitClock()
    clock.update(0, TROT, step=False)
    assert clock.later_touchdowns(TROT) == [np.inf] * 4
    clock.update(8_000_000, TROT, step=True)
    lifted = GaitParameters(
        frequency=2.5,
        swing_ratio=0.45,
        phase_offsets=(0.5, 0.5, 0.0),
        foot_y=TROT.foot_y,
        lifted=(False, True, False, False),
    )
    assert clock.later_touchdowns(lifted)[1] == np.inf
    assert max(clock.later_touchdowns(lifted)[::2]) < np.inf


class Problems:
    """Stands in the solver's place and keeps the problems."""

    def __init__(self, mpc) -> None:
        self._mpc = mpc
        self.seen: list[MpcProblem] = []

    def __getattr__(self, name):
        return getattr(self._mpc, name)

    def solve(self, problem: MpcProblem):
        """Solve it, and keep it."""
        self.seen.append(problem)
        return self._mpc.solve(problem)


def last_feet(speed: float, *, later_contacts: bool) -> np.ndarray:
    """Feet along x in the last step of the horizon, of a body that shall walk at 0.5 m/s."""
    p = replace(CONFIG.locomotion, later_contacts=later_contacts)
    control = LocomotionController(A1, p, CONFIG.swing, CONFIG.solver)
    control.mpc = problems = Problems(control.mpc)
    for k in range(190):
        stamp = START_NS + k * CONFIG.period_ns
        command = VelocityCommand(vx=0.5)
        state = estimate(stamp_ns=stamp, velocity=np.array((speed, 0.0, 0.0)))
        control.update(state, verdict(stamp_ns=stamp, mode=Mode.WALK, command=command))
    return problems.seen[-1].feet[-1, :, 0]


def test_feet_stay_behind_a_body_that_does_not_move_as_wanted():
    """At 0.5 m/s as wanted feet come down ahead; at 1.7 m/s, beyond the slack, none does."""
    ahead = last_feet(0.5, later_contacts=True) - last_feet(0.5, later_contacts=False)
    assert (ahead >= -1e-9).all() and ahead.max() > 0.1
    fast = last_feet(1.7, later_contacts=True) - last_feet(1.7, later_contacts=False)
    assert not fast.any()
