from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from safe_locomotion.bench.mpc_alternatives import exact_osqp
from safe_locomotion.bench.mpc_problems import A1_LIKE, HEIGHT, HIPS, TROT, record
from safe_locomotion.control.cone_faces import TOUCHED, ConeFaces
from safe_locomotion.control.friction_cone import clip_plan, clip_to_cone
from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_matrices import FORCE_UNIT, MpcMatrices
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.control.sparse_qp import SparseQp
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.centroidal import CentroidalModel
from safe_locomotion.robot.ground_frame import ground_frame

PARAMETERS = MpcParameters()
N = PARAMETERS.horizon
WEIGHT = A1_LIKE.mass * 9.81
FEET = np.tile(HIPS - [0.0, 0.0, HEIGHT], (N, 1, 1))
UPRIGHT_STATE = np.array([0.0, 0.0, 0.0, 0.0, 0.0, HEIGHT, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
MIRROR_LEGS = [1, 0, 3, 2]
MIRROR_STATE = np.array([-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1])
TROT_PROBLEMS = record(TROT, PARAMETERS, 250)


def standing(**changes: object) -> MpcProblem:
    """Upright on four feet, with changes."""
    problem = MpcProblem(
        x0=UPRIGHT_STATE,
        reference=np.tile(UPRIGHT_STATE, (N, 1)),
        feet=FEET,
        stance=np.ones((N, 4), dtype=bool),
    )
    return problem._replace(**changes)


def settled(mpc: ConvexMpc, problem: MpcProblem) -> np.ndarray:
    """Forces after enough warm-started ticks on one problem to reach its optimum."""
    for _ in range(30):
        answer = mpc.solve(problem)
    assert answer.ok
    return answer.forces


@pytest.fixture
def mpc() -> ConvexMpc:
    """Fresh solver of the A1."""
    return ConvexMpc(A1_LIKE, PARAMETERS)


def test_standing_carries_the_weight(mpc: ConvexMpc) -> None:
    """An upright robot has its weight carried within 1 %, in equal shares.

    The feet push neither sideways nor with a moment.
    """
    forces = settled(mpc, standing())
    assert forces[:, 2].sum() == pytest.approx(WEIGHT, rel=0.01)
    np.testing.assert_allclose(forces.sum(axis=0)[:2], 0.0, atol=1e-6)
    np.testing.assert_allclose(np.cross(FEET[0], forces).sum(axis=0), 0.0, atol=1e-6)


def test_forces_push_back_to_the_reference(mpc: ConvexMpc) -> None:
    """A body too low is pushed up by more than its weight, one that moves left is pushed right.

    One that is rolled to the right loads its right feet.
    """
    low = UPRIGHT_STATE.copy()
    left = UPRIGHT_STATE.copy()
    rolled = UPRIGHT_STATE.copy()
    low[5] = HEIGHT - 0.03
    left[10] = 0.3
    rolled[0] = 0.1
    assert settled(mpc, standing(x0=low))[:, 2].sum() > 1.1 * WEIGHT
    assert settled(mpc, standing(x0=left))[:, 1].sum() < -5.0
    right_minus_left = settled(mpc, standing(x0=rolled))[:, 2] @ [1.0, -1.0, 1.0, -1.0]
    assert right_minus_left > 5.0


def test_mirror_image(mpc: ConvexMpc) -> None:
    """Mirroring the problem left to right mirrors the forces."""
    x0 = UPRIGHT_STATE + np.array(
        (0.03, -0.02, 0.01, 0.0, 0.01, 0.0, 0.1, -0.2, 0.1, 0.2, 0.1, -0.1)
    )
    stance = np.tile([True, True, False, True], (N, 1))
    forces = settled(mpc, standing(x0=x0, stance=stance))
    mirrored = settled(mpc, standing(x0=x0 * MIRROR_STATE, stance=stance[:, MIRROR_LEGS]))
    np.testing.assert_allclose(mirrored, forces[MIRROR_LEGS] * [1, -1, 1], atol=1e-4)


def test_standing_along_a_slope_is_standing_under_tilted_gravity(mpc: ConvexMpc) -> None:
    """In the ground frame of a 15 degree slope the feet carry g cos on z and g sin on x."""
    frame = ground_frame(0.0, np.array([-np.sin(0.26), 0.0, np.cos(0.26)]))
    total = settled(mpc, standing(gravity=frame.T @ [0.0, 0.0, -9.81])).sum(axis=0)
    np.testing.assert_allclose(
        total, WEIGHT * np.array([np.sin(0.26), 0.0, np.cos(0.26)]), atol=0.05 * WEIGHT
    )


def tracking_cost(forces: np.ndarray, problem: MpcProblem, model: CentroidalModel) -> float:
    """The cost of forces (N, 4, 3) [N], by the rollout of the centroidal model."""
    states = model.rollout(problem.x0, forces, problem.feet, PARAMETERS.dt, problem.gravity)
    errors = states - problem.reference
    force_cost = PARAMETERS.force_weight * (forces**2).sum()
    return float(0.5 * (errors**2 * PARAMETERS.weights).sum() + 0.5 * force_cost)


def test_the_matrices_are_those_of_the_problem() -> None:
    """The program's cost is that of the rolled out model plus a constant, on a slope too."""
    random = np.random.default_rng(1)
    model = CentroidalModel(
        mass=12.0, inertia=np.array([[0.14, 0.0, 0.03], [0.0, 0.33, 0.0], [0.03, 0.0, 0.36]])
    )
    problem = TROT_PROBLEMS[60]._replace(gravity=np.array([2.0, 0.5, -9.5]))
    matrices = MpcMatrices(model, PARAMETERS)
    assert matrices.fill(problem)
    differences = []
    for _ in range(3):
        forces = random.normal(size=(N, 4, 3)) * 20.0 * problem.stance[:, :, None]
        u = forces.reshape(-1, 3) / FORCE_UNIT
        made = np.einsum("kua,ku->ka", matrices.levers, u.reshape(N, 12)).ravel()
        cost = 0.5 * made @ matrices.curvature @ made + np.vdot(matrices.gradient, u)
        cost += 0.5 * PARAMETERS.force_weight * (forces**2).sum()
        differences.append(cost - tracking_cost(forces, problem, model))
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9)
    np.testing.assert_allclose(
        matrices.curvature @ matrices.inverse_curvature, np.eye(6 * N), atol=1e-6
    )


@pytest.mark.parametrize("mu", [0.3, 0.8])
def test_the_table_of_inverses_is_of_the_faces(mu: float) -> None:
    """Each inverse is that of force weight and penalty along the normals of its faces."""
    faces = ConeFaces(PARAMETERS)
    faces.assume(mu)
    weight = PARAMETERS.force_weight * FORCE_UNIT**2
    for touched, inverse in zip(TOUCHED, faces.stiff_inverses, strict=True):
        normals = faces.normals[touched > 0.0]
        stiff = weight * (np.eye(3) + PARAMETERS.penalty * normals.T @ normals)
        np.testing.assert_allclose(stiff @ inverse, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(faces.normals, axis=1), 1.0)


def test_answers_satisfy_the_kkt_conditions(mpc: ConvexMpc) -> None:
    """A settled answer is stationary, feasible and complementary, by residuals computed here.

    Its multipliers have the right sign.
    """
    for problem in TROT_PROBLEMS[20:120:20]:
        settled(mpc, problem)
        u = mpc.solve(problem).solution
        m = mpc.matrices
        faces = ConeFaces(PARAMETERS)
        made = np.einsum("kua,ku->ka", m.levers, u.reshape(N, 12)).ravel()
        pushed = (m.curvature @ made).reshape(N, 6)
        slope = np.einsum("kua,ka->ku", m.levers, pushed).reshape(-1, 3)
        slope += m.gradient + PARAMETERS.force_weight * FORCE_UNIT**2 * u
        assert np.abs(slope + mpc.multipliers @ faces.normals).max() < 1e-6
        inside = (u @ faces.normals.T - faces.distances)[problem.stance.ravel()]
        assert inside.max() < 1e-6
        assert mpc.multipliers.min() >= 0.0
        assert np.abs(mpc.multipliers[problem.stance.ravel()] * inside).max() < 1e-6


def test_update_equals_rebuild(mpc: ConvexMpc) -> None:
    """A solver that forgets other problems answers as one built from scratch."""
    for problem in TROT_PROBLEMS[:20]:
        mpc.solve(problem)
    mpc.reset()
    problem = TROT_PROBLEMS[120]
    np.testing.assert_allclose(
        mpc.solve(problem).forces, ConvexMpc(A1_LIKE, PARAMETERS).solve(problem).forces, atol=1e-9
    )


@pytest.mark.parametrize("solver", ["exact_osqp", "condensed_daqp", "condensed_proxqp"])
def test_closed_loop_ticks_agree_with_exact_solvers(mpc: ConvexMpc, solver: str) -> None:
    """On ticks of a pushed trot the first force is within 0.05 N RMS of other solvers."""
    pytest.importorskip(
        {"condensed_daqp": "daqp", "condensed_proxqp": "proxsuite"}.get(solver, "osqp")
    )
    from safe_locomotion.bench import mpc_alternatives

    exact = getattr(mpc_alternatives, solver)(A1_LIKE, PARAMETERS)
    errors = [mpc.solve(problem).forces - exact(problem) for problem in TROT_PROBLEMS]
    assert np.sqrt(np.mean(np.square(errors))) < 0.05


def test_swing_feet_get_exactly_zero(mpc: ConvexMpc) -> None:
    """Feet in the air get no force; in flight none gets any, and the body falls."""
    stance = np.tile([True, False, False, True], (N, 1))
    forces = mpc.solve(standing(stance=stance)).forces
    assert (forces[[1, 2]] == 0.0).all()
    assert (forces[[0, 3], 2] > 30.0).all()
    flight = mpc.solve(standing(stance=np.zeros((N, 4), dtype=bool)))
    assert flight.ok
    assert (flight.plan == 0.0).all()


@settings(deadline=None)
@given(arrays(float, 12, elements=st.floats(-3.0, 3.0)), st.integers(0, 15))
def test_forces_are_in_the_cone_for_any_state(x0: np.ndarray, contacts: int) -> None:
    """In any state, with any contacts, forces are inside pyramid and bounds, with no tolerance.

    This holds for unsolved problems too.
    """
    stance = np.tile([bool(contacts >> leg & 1) for leg in range(4)], (N, 1))
    forces = ANY_STATE.solve(standing(x0=x0, stance=stance)).forces
    assert (np.abs(forces[:, :2]) <= PARAMETERS.mu * forces[:, 2:]).all()
    assert ((forces[:, 2] >= 0.0) & (forces[:, 2] <= PARAMETERS.fz_max)).all()


ANY_STATE = ConvexMpc(A1_LIKE, PARAMETERS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("where", ["x0", "reference", "feet", "gravity"])
def test_bad_numbers_are_refused_and_leave_no_trace(mpc: ConvexMpc, where: str, bad: float) -> None:
    """A tick with NaN, infinity or 1e200 says so and pushes with nothing.

    The next good tick is right again.
    """
    good = standing()
    wanted = mpc.solve(good).forces
    spoiled = getattr(good, where).copy()
    spoiled.flat[-1] = bad
    answer = mpc.solve(good._replace(**{where: spoiled}))
    assert not answer.ok
    assert (answer.forces == 0.0).all()
    after = mpc.solve(good)
    assert after.ok
    np.testing.assert_allclose(after.forces, wanted, atol=1e-9)


def test_nan_inside_the_solver_is_noticed(mpc: ConvexMpc) -> None:
    """A NaN in the matrices gives ok=False and no force; the answer after it is right."""
    problem = standing()
    wanted = mpc.solve(problem).forces
    assert mpc.matrices.fill(problem)
    mpc.matrices.gradient[0] = np.nan
    answer = mpc.solve_filled(problem)
    assert not answer.ok
    assert not answer.found
    assert (answer.forces == 0.0).all()
    np.testing.assert_allclose(mpc.solve(problem).forces, wanted, atol=1e-9)


def test_steps_are_bounded_and_reported() -> None:
    """A tolerance that cannot be met costs all steps and is reported, with finite forces."""
    mpc = ConvexMpc(A1_LIKE, MpcParameters(tolerance=-1.0))
    answer = mpc.solve(TROT_PROBLEMS[50])
    assert answer.steps == PARAMETERS.newton_steps
    assert not answer.ok
    assert answer.found
    assert np.isfinite(answer.forces).all()


def wild(problem: MpcProblem, random: np.random.Generator) -> MpcProblem:
    """The problem under a gait that is drawn at random, in a state that is thrown about."""
    times = random.uniform() + PARAMETERS.dt * np.arange(N)
    phase = times[:, None] * random.uniform(1.5, 4.0) + random.uniform(size=4)
    thrown = np.array([0.1, 0.1, 0.0, 0.0, 0.0, 0.02, 0.5, 0.5, 0.3, 0.3, 0.3, 0.2])
    return problem._replace(
        stance=phase % 1.0 < random.uniform(0.3, 0.7),
        x0=problem.x0 + thrown * random.standard_normal(12),
    )


def test_cold_solves_of_random_gaits_are_exact(mpc: ConvexMpc) -> None:
    """Of a hundred wild problems from a cold start, each is ok and within 0.5 N RMS of exact."""
    random = np.random.default_rng(0)
    exact = exact_osqp(A1_LIKE, PARAMETERS)
    errors = []
    for problem in TROT_PROBLEMS[:200:2]:
        drawn = wild(problem, random)
        mpc.reset()
        answer = mpc.solve(drawn)
        assert answer.ok
        errors.append(answer.forces - exact(drawn))
    assert np.sqrt(np.mean(np.square(errors))) < 0.5


def test_a_trot_needs_one_step_nearly_always(mpc: ConvexMpc) -> None:
    """Warm started, nine in ten ticks of a pushed trot need one step."""
    steps = [mpc.solve(problem).steps for problem in TROT_PROBLEMS]
    assert np.mean(np.array(steps) == 1) > 0.9


def test_a_copy_goes_on_by_itself(mpc: ConvexMpc) -> None:
    """A copy answers as the solver would, and leaves its memory alone."""
    for problem in TROT_PROBLEMS[:20]:
        mpc.solve(problem)
    twin = deepcopy(mpc)
    found = twin.solve(TROT_PROBLEMS[20])
    twin.solve(standing())
    np.testing.assert_array_equal(mpc.solve(TROT_PROBLEMS[20]).solution, found.solution)


def test_warm_up_leaves_no_trace(mpc: ConvexMpc) -> None:
    """After a warm-up on another problem the first answer is that of a fresh solver."""
    mpc.warm_up(TROT_PROBLEMS[30])
    problem = TROT_PROBLEMS[100]
    np.testing.assert_allclose(
        mpc.solve(problem).forces, ConvexMpc(A1_LIKE, PARAMETERS).solve(problem).forces, atol=1e-9
    )


def test_materialised_program_is_the_written_problem() -> None:
    """Rows and cost of the program, evaluated at a rollout, give the equations of the module.

    The rows have no defect, and the cost is the quoted one.
    """
    problem = TROT_PROBLEMS[60]
    random = np.random.default_rng(1)
    forces = random.normal(size=(N, 4, 3)) * 20.0
    states = A1_LIKE.rollout(
        problem.x0, np.where(problem.stance[:, :, None], forces, 0.0), problem.feet, PARAMETERS.dt
    )
    qp = SparseQp(A1_LIKE, PARAMETERS).materialise(problem)
    z = np.concatenate([states.ravel(), forces.ravel() / FORCE_UNIT])
    np.testing.assert_allclose((qp.A @ z - qp.l)[: 12 * N], 0.0, atol=1e-12)
    tracking = (
        0.5
        * (
            np.array(PARAMETERS.weights)
            * ((states - problem.reference) ** 2 - problem.reference**2)
        ).sum()
    )
    assert 0.5 * z @ (qp.P @ z) + qp.q @ z == pytest.approx(
        tracking + 0.5 * PARAMETERS.force_weight * (forces**2).sum()
    )


def test_clip_moves_forces_onto_the_pyramid() -> None:
    """By hand: f_z goes into its bounds first, then f_x and f_y into mu f_z.

    Forces inside stay, and swing feet get zero.
    """
    parameters = MpcParameters(mu=0.5, fz_min=10.0, fz_max=100.0)
    forces = np.array([[80.0, -70.0, 200.0], [9.0, 0.0, -5.0], [1.0, 2.0, 50.0], [1.0, 2.0, 50.0]])
    clipped = clip_to_cone(forces, np.array([True, True, True, False]), parameters)
    np.testing.assert_array_equal(clipped, [[50, -50, 100], [5, 0, 10], [1, 2, 50], [0, 0, 0]])


def test_the_clip_of_a_plan_is_that_of_its_steps() -> None:
    """Plain numbers and arrays give the same forces, whatever is clipped."""
    random = np.random.default_rng(3)
    parameters = MpcParameters(mu=0.5, fz_min=10.0, fz_max=100.0)
    plan = random.normal(0.0, 80.0, size=(200, 4, 3))
    stance = random.random((200, 4)) < 0.7
    for step, pushes, expected in zip(
        plan, stance, clip_plan(plan, stance, parameters), strict=True
    ):
        np.testing.assert_array_equal(clip_to_cone(step, pushes, parameters), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": (1.0,) * 11},
        {"weights": (-1.0,) * 12},
        {"mu": 0.0},
        {"mu": np.nan},
        {"horizon": 0},
        {"newton_steps": 0},
        {"weights": (0.0, *(1.0,) * 5, 0.0, *(1.0,) * 5)},
        {"fz_min": 200.0},
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object]) -> None:
    """Parameters that make no MPC are an error at set-up."""
    with pytest.raises(ConfigurationError):
        MpcParameters(**wrong)


def test_low_friction_stays_close_to_exact() -> None:
    """At mu 0.25 forces saturate often; the first is within 0.3 N RMS of the exact one."""
    parameters = MpcParameters(mu=0.25)
    mpc = ConvexMpc(A1_LIKE, parameters)
    exact = exact_osqp(A1_LIKE, parameters)
    problems = record(TROT, parameters, 250)
    errors = [mpc.solve(problem).forces - exact(problem) for problem in problems]
    assert np.sqrt(np.mean(np.square(errors))) < 0.3
