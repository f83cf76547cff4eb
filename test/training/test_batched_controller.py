"""The batched controller plans and commands as the onboard one does, on recorded walks.

The walks are of the simulated A1 with its whole pipeline, under random gaits, commands and pushes.
Both sides take the ground for the plane z = 0 and get gaits that float32 can hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest
from core_values import A1
from gait_walks import gait_walk, on_flat_ground, rounded_gait

pytest.importorskip("warp")

import warp as wp
from batched_states import batched_commands, batched_gaits, floats, numbers, write_estimates

from safe_locomotion.bench.mpc_alternatives import exact_osqp
from safe_locomotion.config import load_config
from safe_locomotion.control.lift import NONE_LIFTED
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.control.mpc import ConvexMpc, MpcAnswer
from safe_locomotion.control.mpc_problem import MpcProblem
from safe_locomotion.pipeline import Cycle
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.rotations import matrix_from_quaternion, yaw_matrix
from safe_locomotion.training.gait.world.controller import BatchedController
from safe_locomotion.training.gait.world.estimates import estimates
from safe_locomotion.types import NANOSECONDS, Array, StancePlan

#: With feet that come down ahead in the horizon, which the walks were recorded without.
CONFIG = load_config("a1", {"mpc.locomotion.later_contacts": True})
WALKS = 3
TICKS = 200  # of the MPC
RESTART = 80  # tick on which one robot begins anew
SOLVED = 5  # every so many ticks forces are compared
ELAPSED = CONFIG.mpc.period_ns / NANOSECONDS
MODEL = CentroidalModel(mass=A1.mass, inertia=A1.inertia)
PLACE = 1e-5  # [m]
SPEED = 2e-5  # [m/s]
Lifted = tuple[bool, bool, bool, bool]


class ListeningMpc(ConvexMpc):
    """The onboard solver, which keeps its last problem."""

    problem: MpcProblem

    def solve(self, problem: MpcProblem) -> MpcAnswer:
        self.problem = problem
        return super().solve(problem)


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What both sides said on one MPC tick, for all walks.

    Attributes:
        cycles: of the recorded walks.
        plans: of the onboard controllers.
        problems, mu: of their solvers.
        found: arrays of the batched controller.
    """

    cycles: tuple[Cycle, ...]
    plans: list[StancePlan]
    problems: list[MpcProblem]
    mu: list[float]
    found: dict[str, Array] = field(repr=False)


class Controllers:
    """A batched controller and onboard ones that get the same estimates and verdicts."""

    def __init__(self) -> None:
        self._batched = BatchedController(A1, CONFIG, WALKS)
        self._states = estimates(WALKS, "cpu")
        self._onboard = [onboard_controller() for _ in range(WALKS)]

    def restart(self, robot: int) -> None:
        """Begin the walk of one robot anew."""
        self._onboard[robot] = onboard_controller()
        self._batched.restart(floats(np.arange(WALKS) == robot))

    def plan(self, cycles: tuple[Cycle, ...], lifted: Sequence[Lifted]) -> Tick:
        """Plan by the estimates and verdicts of recorded cycles, one per robot.

        The gaits of the verdicts hold other legs in the air.
        """
        verdicts = [
            replace(cycle.verdict, gait=replace(rounded_gait(cycle.verdict.gait), lifted=flags))
            for cycle, flags in zip(cycles, lifted, strict=True)
        ]
        sensed = [on_flat_ground(cycle.estimate) for cycle in cycles]
        write_estimates(self._states, sensed)
        gaits = batched_gaits([verdict.gait for verdict in verdicts])
        commands = batched_commands([verdict.command for verdict in verdicts])
        self._batched.plan(self._states, gaits, commands, ELAPSED, floats(lifted))
        plans = [
            one.update(estimate, verdict)
            for one, estimate, verdict in zip(self._onboard, sensed, verdicts, strict=True)
        ]
        solvers = [one.mpc for one in self._onboard]
        problems = [solver.problem for solver in solvers if isinstance(solver, ListeningMpc)]
        return Tick(
            cycles=cycles,
            plans=plans,
            problems=problems,
            mu=[solver.mu for solver in solvers],
            found=self._arrays(),
        )

    def _arrays(self) -> dict[str, Array]:
        batched = self._batched
        problem = batched.mpc.inputs
        sources = (
            (batched.plans, ("stance", "force", "foot_position", "foot_velocity")),
            (problem, ("x0", "reference", "feet", "gravity", "mu")),
            (batched.state.feet, ("landed", "lost")),
        )
        arrays = {
            name: numbers(getattr(source, name)) for source, names in sources for name in names
        }
        return arrays | {"schedule": numbers(problem.stance)}


def onboard_controller() -> LocomotionController:
    """As in the pipeline, with a solver that keeps its problem."""
    mpc = CONFIG.mpc
    controller = LocomotionController(A1, mpc.locomotion, mpc.swing, mpc.solver)
    controller.mpc = ListeningMpc(MODEL, mpc.solver)
    return controller


def drawn_legs() -> Iterator[list[Lifted]]:
    """Legs that each robot lifts on each tick; they change after about 0.4 s."""
    rng = np.random.default_rng(6)
    lifted: list[Lifted] = [NONE_LIFTED, (False, True, True, False), (True, False, False, False)]
    while True:
        for robot in np.flatnonzero(rng.uniform(size=WALKS) < 0.01).tolist():
            fr, fl, rr, rl = (rng.permutation(4) < rng.integers(0, 3)).tolist()
            lifted[robot] = (fr, fl, rr, rl)
        yield lifted.copy()


@cache
def played(lifting: bool = False) -> list[Tick]:
    """All walks, played to both sides; one robot begins anew in the middle.

    The feet are where they were on the recorded walks, also those of lifted legs.
    """
    controllers = Controllers()
    walks = [gait_walk(seed, 2 * TICKS)[::2] for seed in range(WALKS)]
    ticks = []
    legs = drawn_legs()
    for k, cycles in enumerate(zip(*walks, strict=False)):
        if k == RESTART:
            controllers.restart(1)
        ticks.append(controllers.plan(cycles, next(legs) if lifting else [NONE_LIFTED] * WALKS))
    return ticks


@pytest.mark.parametrize("lifting", [False, True])
def test_feet_push_and_swing_alike(lifting: bool) -> None:
    """Stance flags of all ticks are equal, and foot targets agree to 1e-5 m and 2e-5 m/s."""
    ticks = played(lifting)
    assert len(ticks) == TICKS
    for tick in ticks:
        for name, tolerance in (
            ("stance", 0.0),
            ("foot_position", PLACE),
            ("foot_velocity", SPEED),
        ):
            expected = [getattr(plan, name) for plan in tick.plans]
            np.testing.assert_allclose(tick.found[name], expected, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("lifting", [False, True])
def test_problems_are_equal(lifting: bool) -> None:
    """State, reference, feet and friction of the MPC agree to 1e-5, and its flags are equal."""
    for tick in played(lifting):
        for name in ("x0", "reference", "feet", "gravity"):
            expected = [getattr(problem, name) for problem in tick.problems]
            np.testing.assert_allclose(tick.found[name], expected, rtol=0.0, atol=1e-5)
        np.testing.assert_allclose(tick.found["mu"], tick.mu, atol=1e-5)
        schedules = [problem.stance for problem in tick.problems]
        np.testing.assert_array_equal(tick.found["schedule"] > 0.5, schedules)


def test_the_walks_are_eventful() -> None:
    """Feet land early, lose the ground and slide; without that, the tests above say little."""
    ticks = played()
    assert sum(tick.found["landed"].sum() for tick in ticks) > 30.0
    assert sum(tick.found["lost"].sum() for tick in ticks) > 30.0
    assert min(min(tick.mu) for tick in ticks) < 0.35
    drivers = [cycle.verdict.active for tick in ticks for cycle in tick.cycles]
    assert min(drivers.count("learner"), drivers.count("recovery")) > 100


def test_lifted_legs_leave_the_problems() -> None:
    """Many lifted feet are out of the whole horizon; without that, the tests above say little."""
    never = [
        sum(int((tick.found["schedule"] < 0.5).all(axis=1).sum()) for tick in played(lifting))
        for lifting in (False, True)
    ]
    assert never[0] < 10 and never[1] > 60


def test_forces_are_exact() -> None:
    """First forces are within 0.5 N RMS of converged ones of the onboard problems."""
    errors = []
    for tick in played()[::SOLVED]:
        for robot, problem in enumerate(tick.problems):
            exact = exact_osqp(MODEL, replace(CONFIG.mpc.solver, mu=tick.mu[robot]))
            rotation = matrix_from_quaternion(tick.cycles[robot].estimate.quaternion_wxyz)
            frame = yaw_matrix(np.arctan2(rotation[1, 0], rotation[0, 0]))
            errors.append(tick.found["force"][robot] - exact(problem) @ frame.T @ rotation)
    assert np.sqrt(np.mean(np.square(errors))) <= 0.5


def test_without_a_solution_the_last_forces_hold() -> None:
    """An estimate that is not finite changes no force of a foot that pushes on."""
    standing = gait_walk(0, 2)[0]
    gaits = batched_gaits([standing.verdict.gait])
    commands = batched_commands([standing.verdict.command])
    controller = BatchedController(A1, CONFIG, 1)
    states = estimates(1, "cpu")
    write_estimates(states, [on_flat_ground(standing.estimate)])
    controller.plan(states, gaits, commands, ELAPSED)
    forces = numbers(controller.plans.force)
    states.velocity.fill_(wp.vec3(np.nan, 0.0, 0.0))
    controller.plan(states, gaits, commands, ELAPSED)
    assert forces.any()
    np.testing.assert_array_equal(numbers(controller.plans.force), forces)
