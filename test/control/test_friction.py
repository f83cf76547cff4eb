from dataclasses import replace

import numpy as np
import pytest

from safe_locomotion.config import load_config
from safe_locomotion.control.friction import SlipParameters, SlipWatch
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_problem import MpcProblem
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.robot.models import load_robot

TICK = 0.004  # s
PARAMETERS = SlipParameters(speed=0.3, after=0.01, mu_min=0.3, fall_time=0.02, rise_rate=0.1)
MU = 0.5


def slide(watch: SlipWatch, speed: float, ticks: int, *, loaded: bool = True) -> float:
    """Friction after one foot has moved at `speed` [m/s] while the others stand."""
    mu = watch.mu
    for k in range(ticks):
        feet = [(0.0, speed * TICK * k, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)]
        mu = watch.update(TICK, feet, [loaded, True, True, True])
    return mu


def test_a_loaded_foot_that_slides_lowers_the_friction_down_to_the_least() -> None:
    """Friction falls once a loaded foot has slid for `after`, and not before.

    A foot in the air and a foot that merely rolls lower nothing.
    """
    assert slide(SlipWatch(PARAMETERS, MU), 0.5, 3) == MU
    assert slide(SlipWatch(PARAMETERS, MU), 0.5, 6) < MU
    assert slide(SlipWatch(PARAMETERS, MU), 0.5, 200) == pytest.approx(PARAMETERS.mu_min, abs=1e-3)
    assert slide(SlipWatch(PARAMETERS, MU), 0.5, 200, loaded=False) == MU
    assert slide(SlipWatch(PARAMETERS, MU), 0.1, 200) == MU


def test_friction_comes_back_at_its_rate_and_no_further_than_the_configured_one() -> None:
    """Ten seconds at 0.1 a second bring back more friction than was lost."""
    watch = SlipWatch(PARAMETERS, MU)
    low = slide(watch, 0.5, 200)
    watch.reset()
    assert slide(watch, 0.0, 101) == pytest.approx(low + 101 * TICK * PARAMETERS.rise_rate)
    assert slide(watch, 0.0, 2500) == MU


def test_a_foot_that_landed_elsewhere_has_not_slid() -> None:
    """Neither the way of a foot through the air nor a tick without time counts as slip."""
    watch = SlipWatch(PARAMETERS, MU)
    for k in range(50):
        place = (0.3 * (k // 5), 0.0, 0.0)
        watch.update(TICK, [place] * 4, [k % 5 != 0] * 4)
    assert watch.mu == MU
    assert watch.update(0.0, [(9.0, 0.0, 0.0)] * 4, [True] * 4) == MU


@pytest.mark.parametrize("name", ["speed", "mu_min", "fall_time", "rise_rate"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_numbers_that_describe_no_watch_are_refused(name: str, value: float) -> None:
    """The error names the number."""
    with pytest.raises(ConfigurationError, match=name):
        replace(PARAMETERS, **{name: value})


def test_an_mpc_that_assumes_another_friction_is_the_mpc_built_for_it() -> None:
    """Forces are those of a solver made with that friction, also after a change back."""
    robot = load_robot("a1")
    parameters = load_config("a1").mpc.solver
    model = CentroidalModel(mass=robot.mass, inertia=robot.inertia)
    x0 = np.zeros(12)
    reference = np.zeros((10, 12))
    x0[5] = reference[:, 5] = 0.25
    x0[10] = -1.5
    feet = np.array([[x, y, -0.25] for x in (0.18, -0.18) for y in (-0.13, 0.13)])
    problem = MpcProblem(
        x0=x0,
        reference=reference,
        feet=np.tile(feet, (10, 1, 1)),
        stance=np.ones((10, 4), dtype=np.bool_),
    )
    solver = ConvexMpc(model, parameters)
    for mu in (0.3, parameters.mu, 0.2):
        solver.assume_friction(mu)
        solver.reset()
        built = ConvexMpc(model, replace(parameters, mu=mu))
        for _ in range(20):
            adapted = solver.solve(problem).forces
            fresh = built.solve(problem).forces
        np.testing.assert_allclose(adapted, fresh, atol=1e-9)
        assert np.abs(adapted[:, 1]).max() == pytest.approx(
            mu * adapted[np.abs(adapted[:, 1]).argmax(), 2], rel=1e-6
        )
