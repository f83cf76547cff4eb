import numpy as np
import pytest

from safe_locomotion.bench.mpc import SOLVERS, run
from safe_locomotion.bench.mpc_problems import A1_LIKE, STAND, TROT, record
from safe_locomotion.control.mpc_problem import MpcParameters


def test_figures_of_every_solver() -> None:
    """Each installed solver has times, accuracy and forces in the cone; the others are missing."""
    report = run(count=40)
    assert set(report["stages"]) | set(report["missing"]) == set(SOLVERS)
    for name, stage in report["stages"].items():
        assert 0.0 < stage["quiet_p50_ms"] <= stage["p50_ms"] <= stage["p99_ms"] <= stage["max_ms"]
        assert stage["n"] == 160
        assert report["accuracy"][name]["cone_violation_n"] <= 1e-9


def test_ours_is_closer_to_exact_than_osqp_defaults() -> None:
    """Our error of the first force is below half of that of the textbook QP on OSQP."""
    accuracy = run(count=120, only=("mpc", "mpc_textbook_osqp"))["accuracy"]
    assert accuracy["mpc"]["u0_rms_n"] < 0.5 * accuracy["mpc_textbook_osqp"]["u0_rms_n"]


@pytest.mark.parametrize("scenario", [TROT, STAND])
def test_recorded_problems_repeat(scenario: object) -> None:
    """The same seed gives the same problems, and the body stays upright."""
    first = record(scenario, MpcParameters(), 60, A1_LIKE)
    again = record(scenario, MpcParameters(), 60, A1_LIKE)
    assert all(
        (a.x0 == b.x0).all() and (a.stance == b.stance).all()
        for a, b in zip(first, again, strict=True)
    )
    assert all(np.abs(problem.x0[:2]).max() < 0.5 for problem in first)
