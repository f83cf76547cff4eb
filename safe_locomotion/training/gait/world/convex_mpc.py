"""Convex MPC of many robots at once: the problem of `control.mpc`, condensed, solved by ADMM.

States are eliminated. With the accelerations a = E u of the forces u, each of the six axes is a
double integrator with constant weights, so the cost is

    1/2 u' (E' S E + R) u + (E' s)' u

with one constant S (N, N) per axis and E (6, 12) per step. ADMM alternates between this quadratic
and the exact projection onto the friction pyramids with the bounds of f_z. Its linear system has
the matrix D + E' S E with D = (R + rho) 1, which the Woodbury identity reduces to the inverse of
(R + rho) S^-1 + E E', 60 x 60 for ten steps. Single precision is enough once that matrix is scaled
to ones on its diagonal.

Source: Di Carlo et al., IROS 2018, for the problem; Boyd et al., 2011, section 5.2, for ADMM.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp

from safe_locomotion.control.mpc_matrices import FORCE_UNIT, inverse_axis_curvatures
from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.robot.centroidal import NU, NX, CentroidalModel
from safe_locomotion.training.gait.world.arrays import Array1, Array2, Array3, Array4
from safe_locomotion.types import N_LEGS, Array

THREADS = 64  #: of a block; one block per robot
LONGEST_HORIZON = THREADS // 6
SOURCE = Path(__file__).with_suffix(".cu")


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmmParameters:
    """Effort of the solver.

    In a trot, 30 iterations with rho 0.5 and alpha 1.7 are enough. Random gaits saturate the cones,
    and need the numbers below.

    Attributes:
        iterations: of every solve, at least one.
        rho: weight of the cones against the cost, in units of FORCE_UNIT.
        alpha: over-relaxation.
    """

    iterations: int = 60
    rho: float = 1.5
    alpha: float = 1.9


@wp.struct
class MpcConstants:
    """What is the same for all robots and ticks."""

    unit: float
    dt: float
    mass: float
    force_weight: float
    fz_min: float
    fz_max: float
    rho: float
    alpha: float
    iterations: int
    inverse_inertia: Array2
    inverse_hessian: Array3
    weights: Array1


@wp.struct
class MpcInputs:
    """The problems of one tick.

    Attributes:
        x0: (B, 12) states in the ground frame of `robot.centroidal`.
        reference: (B, N, 12) wanted states at the end of each step.
        feet: (B, N, 4, 3) feet relative to the centre of mass [m]; finite for swing feet, too.
        stance: (B, N, 4) 1 for a foot that pushes during a step, 0 for others.
        gravity: (B, 3) [m/s2].
        mu: (B,) friction.
    """

    x0: Array2
    reference: Array3
    feet: Array4
    stance: Array3
    gravity: Array2
    mu: Array1


@wp.struct
class MpcOutputs:
    """The solutions, which are the start of the next tick's.

    Attributes:
        forces: (B, N, 12) ground reaction forces [FORCE_UNIT]; zero for swing feet.
        dual: (B, N, 12) of the cones.
        residual: (B,) largest distance of a solution from its cone [N].
    """

    forces: Array3
    dual: Array3
    residual: Array1


class BatchedMpc:
    """Solves one problem per robot and tick, warm started from the tick before.

    Attributes:
        inputs: arrays to write the problems to.
        outputs: arrays to read the solutions from.
    """

    def __init__(
        self,
        model: CentroidalModel,
        parameters: MpcParameters,
        robots: int,
        *,
        admm: AdmmParameters | None = None,
        device: str = "cpu",
    ) -> None:
        """Prepare the constant matrices.

        Args:
            model: of all robots.
            parameters: weights and limits, as onboard; its solver settings are not used.
            robots: B.
            admm: effort.
            device: of Warp.

        Raises:
            ValueError: the horizon is longer than a block of threads can hold.
        """
        n = parameters.horizon
        if n > LONGEST_HORIZON:
            raise ValueError(f"horizon: at most {LONGEST_HORIZON} (found {n})")
        self._device = device
        self._robots = robots
        self._kernel = _kernel(n)
        self._constants = _constants(model, parameters, admm or AdmmParameters(), device)
        self.inputs = MpcInputs()
        self.inputs.x0 = self._zeros(NX)
        self.inputs.reference = self._zeros(n, NX)
        self.inputs.feet = self._zeros(n, N_LEGS, 3)
        self.inputs.stance = self._zeros(n, N_LEGS)
        self.inputs.gravity = self._zeros(3)
        self.inputs.mu = self._zeros()
        self.outputs = MpcOutputs()
        self.outputs.forces = self._zeros(n, NU)
        self.outputs.dual = self._zeros(n, NU)
        self.outputs.residual = self._zeros()

    def solve(self) -> None:
        """Find the forces for the present inputs."""
        wp.launch_tiled(
            self._kernel,
            dim=[self._robots],
            inputs=[self._constants, self.inputs],
            outputs=[self.outputs],
            block_dim=THREADS,
            device=self._device,
        )

    def reset(self) -> None:
        """Forget the previous solutions."""
        self.outputs.forces.zero_()
        self.outputs.dual.zero_()

    def _zeros(self, *shape: int) -> Any:
        return wp.zeros((self._robots, *shape), dtype=float, device=self._device)


def _constants(
    model: CentroidalModel, parameters: MpcParameters, admm: AdmmParameters, device: str
) -> Any:
    def on_device(values: Array) -> Any:
        return wp.array(values.astype(np.float32), dtype=float, device=device)

    values = MpcConstants()
    values.unit = FORCE_UNIT
    values.dt = parameters.dt
    values.mass = model.mass
    values.force_weight = parameters.force_weight
    values.fz_min = parameters.fz_min / FORCE_UNIT
    values.fz_max = parameters.fz_max / FORCE_UNIT
    values.rho = admm.rho
    values.alpha = admm.alpha
    values.iterations = admm.iterations
    values.inverse_inertia = on_device(model.inverse_inertia)
    values.inverse_hessian = on_device(inverse_axis_curvatures(parameters))
    values.weights = on_device(np.array(parameters.weights))
    return values


def _kernel(horizon: int) -> Any:
    """Make the kernel for one length of the horizon."""

    @wp.func_native(SOURCE.read_text().replace("HORIZON", str(horizon)))
    def solve(
        robot: int, lane: int, constants: MpcConstants, inputs: MpcInputs, outputs: MpcOutputs
    ) -> None: ...

    @wp.kernel(enable_backward=False, module="unique")
    def convex_mpc(constants: MpcConstants, inputs: MpcInputs, outputs: MpcOutputs) -> None:
        robot, lane = wp.tid()
        solve(robot, lane, constants, inputs, outputs)

    return convex_mpc
