"""MPC problems as they come up in closed loop: a trotting rigid body that is pushed around, seen at 250 Hz.

The body is the full nonlinear rigid body (finite rotations, gyroscopic term), so the problems hold the tilts, velocities and
saturated forces that a linear simulation would not visit.
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

A1_LIKE = CentroidalModel(
    mass=12.7, inertia=np.diag([0.135, 0.337, 0.363])
)  # standing A1; round numbers, for timing only
HIPS = np.array(
    [[0.183, -0.13, 0.0], [0.183, 0.13, 0.0], [-0.183, -0.13, 0.0], [-0.183, 0.13, 0.0]]
)  # above the feet [m]
HEIGHT = 0.27  # m
PERIOD = 0.004  # s between problems
TROT_OFFSETS = np.array([0.0, 0.5, 0.5, 0.0])
NOWHERE = np.zeros(3)
PUSH_LEVER = np.array([0.05, 0.0, 0.02])  # where a push meets the body, from its centre [m]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What the body is asked to do.

    Attributes:
        frequency: strides per second [Hz].
        duty: share of the stride on the ground; 1 stands.
        push_every: mean time between lateral pushes [s]; 0 for none.
        push_impulse: largest impulse of a push, given over 0.1 s [N s].
        speed: largest commanded forward speed [m/s], drawn anew with each push.
        seed: of commands and pushes.
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
    """The first `count` problems of a closed loop under `ConvexMpc` with these parameters."""
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
        velocity = frame.T @ body.velocity
        under = np.where([1.0, 1.0, 0.0], body.position, 0.0)
        hold = (
            0.5 * scenario.duty / scenario.frequency * velocity + 0.05 * (velocity - command)
            if scenario.speed
            else NOWHERE
        )
        footholds = (HIPS + hold * [1.0, 1.0, 0.0]) @ frame.T + under
        feet[landed] = footholds[landed]
        problem = _problem(
            body, frame, command, np.where(stance[0][:, None], feet, footholds), stance, parameters
        )
        yield problem
        forces = controller.solve(problem).forces @ frame.T
        body.advance(feet, forces, push if time < pushed_until else NOWHERE)


def stance_at(times: Array, scenario: Scenario) -> Flags:
    """(len(times), 4) feet of a trot that are on the ground."""
    on_ground: Flags = (times[:, None] * scenario.frequency + TROT_OFFSETS) % 1.0 < scenario.duty
    return on_ground


def _problem(
    body: "RigidBody", frame: Array, command: Array, feet: Array, stance: Flags, p: MpcParameters
) -> MpcProblem:
    origin = body.position * [1.0, 1.0, 0.0]
    x0 = centroidal_state(
        rotation=matrix_from_quaternion(body.quaternion), position=body.position, velocity=body.velocity,
        rates=body.rates, com=NOWHERE, frame=frame, origin=origin,
    )  # fmt: skip
    reference = np.zeros((p.horizon, 12))
    ahead = p.dt * np.arange(1, p.horizon + 1)[:, None] * command
    reference[:, 3:6], reference[:, 9:] = ahead, command
    reference[:, 5] = HEIGHT
    now = (feet - origin) @ frame - [0.0, 0.0, x0[5]]
    lands_again = np.cumsum(~stance, axis=0) > 0
    return MpcProblem(
        x0=x0, reference=reference, stance=stance,
        feet=np.where(lands_again[:, :, None], HIPS - [0.0, 0.0, HEIGHT], now - (ahead - ahead[0])[:, None, :]),
    )  # fmt: skip


class RigidBody:
    """A free body in odom: position, velocity, quaternion_wxyz, and rates in base."""

    def __init__(self, model: CentroidalModel) -> None:
        self.model = model
        self.position = np.array([0.0, 0.0, HEIGHT])
        self.velocity = np.zeros(3)
        self.quaternion = np.array([1.0, 0.0, 0.0, 0.0])
        self.rates = np.zeros(3)

    def advance(
        self, feet: Array, forces: Array, push: Array, duration: float = PERIOD, substeps: int = 2
    ) -> None:
        """Integrate for a duration [s] under forces (4, 3) at feet (4, 3) and a push (3,) at PUSH_LEVER, all in odom."""
        dt = duration / substeps
        for _ in range(substeps):
            rotation = matrix_from_quaternion(self.quaternion)
            moment = np.cross(feet - self.position, forces).sum(axis=0) @ rotation + np.cross(
                PUSH_LEVER, push @ rotation
            )
            spin = self.model.inverse_inertia @ (
                moment - np.cross(self.rates, self.model.inertia @ self.rates)
            )
            velocity = self.velocity + dt * (
                (forces.sum(axis=0) + push) / self.model.mass + LEVEL_GRAVITY
            )
            rates = self.rates + dt * spin
            self.position = self.position + 0.5 * dt * (self.velocity + velocity)
            turn = quaternion_from_rotation_vector(0.5 * dt * (self.rates + rates))
            self.quaternion = multiply(self.quaternion, turn)
            self.velocity = velocity
            self.rates = rates
