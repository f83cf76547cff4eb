"""MPC problems of a closed loop: a trotting rigid body that is pushed, at 250 Hz.

The body is a full nonlinear rigid body (finite rotations, gyroscopic term). So the problems
include tilts, velocities and saturated forces that a linear simulation would not reach.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from safe_locomotion.control.mpc import ConvexMpc
from safe_locomotion.control.mpc_problem import MpcParameters, MpcProblem
from safe_locomotion.robot.centroidal import LEVEL_GRAVITY, CentroidalModel, centroidal_state
from safe_locomotion.robot.ground_frame import ground_frame
from safe_locomotion.rotations import (
    matrix_from_quaternion,
    multiply,
    quaternion_from_rotation_vector,
    rpy_from_quaternion,
)
from safe_locomotion.types import N_LEGS, Array, Flags

A1_LIKE = CentroidalModel(mass=12.7, inertia=np.diag([0.135, 0.337, 0.363]))
"""A standing A1 in round numbers, for timing only."""
HIPS = np.array(
    [[0.183, -0.13, 0.0], [0.183, 0.13, 0.0], [-0.183, -0.13, 0.0], [-0.183, 0.13, 0.0]]
)
"""Points above the feet [m]."""
HEIGHT = 0.27  # m
PERIOD = 0.004  # s between problems
TROT_OFFSETS = np.array([0.0, 0.5, 0.5, 0.0])
NOWHERE = np.zeros(3)
PUSH_LEVER = np.array([0.05, 0.0, 0.02])  # point where pushes act, from the centre of mass [m]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """Motion and pushes of the body.

    Attributes:
        frequency: strides per second [Hz].
        duty: share of the stride on the ground; 1 for standing.
        push_every: mean time between lateral pushes [s]; 0 for none.
        push_impulse: largest impulse of a push, over 0.1 s [N s].
        speed: largest commanded forward speed [m/s]; each push draws a new command.
        seed: seed of commands and pushes.
    """

    frequency: float = 2.5
    duty: float = 0.55
    push_every: float = 0.8
    push_impulse: float = 10.0
    speed: float = 0.8
    seed: int = 0


TROT = Scenario()
PUSHED = Scenario(push_impulse=20.0, seed=2)
STAND = Scenario(duty=1.0, push_impulse=6.0, speed=0.0, seed=1)


def record(
    scenario: Scenario, parameters: MpcParameters, count: int, model: CentroidalModel = A1_LIKE
) -> list[MpcProblem]:
    """The first `count` problems of a closed loop with `ConvexMpc` and these parameters."""
    return [
        problem
        for problem, _ in zip(_closed_loop(scenario, parameters, model), range(count), strict=False)
    ]


def _closed_loop(
    scenario: Scenario, parameters: MpcParameters, model: CentroidalModel
) -> Iterator[MpcProblem]:
    random = np.random.default_rng(scenario.seed)
    body = RigidBody(model)
    controller = ConvexMpc(model, parameters)
    steps = np.arange(parameters.horizon, dtype=np.float64)
    command = NOWHERE
    push = NOWHERE
    until = 0.0
    feet = HIPS.copy()
    was_stance = np.zeros(N_LEGS, dtype=bool)
    for tick in range(10**9):
        time = tick * PERIOD
        if time >= until:
            command = np.array([random.uniform(-0.3, 1.0) * scenario.speed, 0.0, 0.0])
            push = np.array([0.0, random.uniform(-1.0, 1.0) * scenario.push_impulse / 0.1, 0.0])
            until = (
                time + random.uniform(0.5, 1.5) * scenario.push_every
                if scenario.push_every > 0.0
                else np.inf
            )
            pushed_until = time + 0.1
        stance = stance_at(time + parameters.dt * steps, scenario)
        frame = ground_frame(rpy_from_quaternion(body.quaternion)[2])
        landed = stance[0] & ~was_stance
        was_stance = stance[0]
        footholds = _footholds(body, frame, command, scenario)
        feet[landed] = footholds[landed]
        targets = np.where(stance[0][:, None], feet, footholds)
        problem = _problem(body, frame, command, targets, stance, parameters)
        yield problem
        forces = controller.solve(problem).forces @ frame.T
        body.advance(feet, forces, push if time < pushed_until else NOWHERE)


def _footholds(body: "RigidBody", frame: Array, command: Array, scenario: Scenario) -> Array:
    """(4, 3) next footholds on the ground in odom, by Raibert's rule."""
    under = np.where([1.0, 1.0, 0.0], body.position, 0.0)
    shift = NOWHERE
    if scenario.speed:
        velocity = frame.T @ body.velocity
        half_stance = 0.5 * scenario.duty / scenario.frequency
        shift = half_stance * velocity + 0.05 * (velocity - command)
    footholds: Array = (HIPS + shift * [1.0, 1.0, 0.0]) @ frame.T + under
    return footholds


def stance_at(times: Array, scenario: Scenario) -> Flags:
    """(len(times), 4) whether each foot of a trot is on the ground."""
    on_ground: Flags = (times[:, None] * scenario.frequency + TROT_OFFSETS) % 1.0 < scenario.duty
    return on_ground


def _problem(
    body: "RigidBody", frame: Array, command: Array, feet: Array, stance: Flags, p: MpcParameters
) -> MpcProblem:
    origin = body.position * [1.0, 1.0, 0.0]
    x0 = centroidal_state(
        rotation=matrix_from_quaternion(body.quaternion),
        position=body.position,
        velocity=body.velocity,
        rates=body.rates,
        com=NOWHERE,
        frame=frame,
        origin=origin,
    )
    reference = np.zeros((p.horizon, 12))
    ahead = p.dt * np.arange(1, p.horizon + 1)[:, None] * command
    reference[:, 3:6] = ahead
    reference[:, 5] = HEIGHT
    reference[:, 9:] = command
    now = (feet - origin) @ frame - [0.0, 0.0, x0[5]]
    lands_again = np.cumsum(~stance, axis=0) > 0
    landed_feet = HIPS - [0.0, 0.0, HEIGHT]
    standing_feet = now - (ahead - ahead[0])[:, None, :]
    return MpcProblem(
        x0=x0,
        reference=reference,
        stance=stance,
        feet=np.where(lands_again[:, :, None], landed_feet, standing_feet),
    )


class RigidBody:
    """A free body: position and velocity in odom, quaternion_wxyz, and rates in base."""

    def __init__(self, model: CentroidalModel) -> None:
        self.model = model
        self.position = np.array([0.0, 0.0, HEIGHT])
        self.velocity = np.zeros(3)
        self.quaternion = np.array([1.0, 0.0, 0.0, 0.0])
        self.rates = np.zeros(3)

    def advance(
        self, feet: Array, forces: Array, push: Array, duration: float = PERIOD, substeps: int = 2
    ) -> None:
        """Integrate the motion.

        Args:
            feet: (4, 3) positions of the feet in odom [m].
            forces: (4, 3) forces at the feet in odom [N].
            push: (3,) force at PUSH_LEVER in odom [N].
            duration: time to integrate [s].
            substeps: number of equal steps.
        """
        dt = duration / substeps
        for _ in range(substeps):
            rotation = matrix_from_quaternion(self.quaternion)
            moment = np.cross(feet - self.position, forces).sum(axis=0) @ rotation
            moment = moment + np.cross(PUSH_LEVER, push @ rotation)
            gyroscopic = np.cross(self.rates, self.model.inertia @ self.rates)
            spin = self.model.inverse_inertia @ (moment - gyroscopic)
            acceleration = (forces.sum(axis=0) + push) / self.model.mass + LEVEL_GRAVITY
            velocity = self.velocity + dt * acceleration
            rates = self.rates + dt * spin
            self.position = self.position + 0.5 * dt * (self.velocity + velocity)
            turn = quaternion_from_rotation_vector(0.5 * dt * (self.rates + rates))
            self.quaternion = multiply(self.quaternion, turn)
            self.velocity = velocity
            self.rates = rates
