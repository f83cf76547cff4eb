"""Kernels between MuJoCo-Warp and the rest of the world: torques, power, contacts and falls."""

import warp as wp

from safe_locomotion.sim.falls import COS_TOPPLED, FAILURE_HEIGHT
from safe_locomotion.training.gait.world.arrays import (
    BLOCK,
    Array1,
    Array2,
    Integers1,
    Integers2,
    Pairs,
    Vectors3,
    Wrenches,
)
from safe_locomotion.training.gait.world.estimates import Estimates
from safe_locomotion.training.gait.world.motors import Drives, gear_friction, motor_torque
from safe_locomotion.types import N_JOINTS, N_LEGS

TOUCHES = N_LEGS + 1
"""Contact forces that are told apart: of the feet and of the trunk."""
SANE = 1.0e3
"""A state with a faster joint or base [rad/s, m/s] is no state; the physics has blown up."""

wp.set_module_options({"enable_backward": False, "max_unroll": 4, "block_dim": BLOCK})

JOINTS = wp.constant(N_JOINTS)
LEGS = wp.constant(N_LEGS)
FORCES = wp.constant(TOUCHES)
LOWEST = wp.constant(FAILURE_HEIGHT)
COS_TILTED = wp.constant(COS_TOPPLED)
LARGEST = wp.constant(SANE)


@wp.struct
class Bodies:
    """States and inputs of the physics, and pushes.

    Attributes:
        qpos: (B, 19) base in odom, quaternion wxyz, joints [m, rad].
        qvel: (B, 18) velocity of the base in odom, rates in base, joints [m/s, rad/s].
        ctrl: (B, 12) motor torques [Nm].
        qfrc_applied: (B, 18) generalised forces, of the gearboxes [Nm].
        xfrc_applied: (B, nbody) forces [N] and moments [Nm] in odom at the centres of mass.
        qacc_warmstart: (B, 18) where the solver starts [m/s2, rad/s2].
        push: (B,) force of the push in odom [N].
        push_steps: (B,) time steps for which it still acts.
        push_length: time steps of a whole push.
        trunk: id of the body that is pushed.
        dt: time step [s].
    """

    qpos: Array2
    qvel: Array2
    ctrl: Array2
    qfrc_applied: Array2
    xfrc_applied: Wrenches
    qacc_warmstart: Array2
    push: Vectors3
    push_steps: Integers1
    push_length: int
    trunk: int
    dt: float


@wp.struct
class Variations:
    """Motors that differ from the model's, and the commands that the slow ones still follow.

    Attributes:
        strength: (B,) share of the model's torque that the motors give.
        delay: (B,) time steps from the arrival of a command to its first effect, at most those of
            one command.
        bias, kp, kd: (B, 12) the command before the present one, see `MotorCommands`.
    """

    strength: Array1
    delay: Integers1
    bias: Array2
    kp: Array2
    kd: Array2


@wp.struct
class Pose:
    """A robot at rest.

    Attributes:
        qpos: (19,).
        load: of each foot [N].
        contact_on, contact_off: loads at which contact begins and ends [N].
    """

    qpos: Array1
    load: float
    contact_on: float
    contact_off: float


@wp.kernel
def drive(
    drives: Drives,
    bias: Array2,
    kp: Array2,
    kd: Array2,
    varied: Variations,
    step: int,
    bodies: Bodies,
) -> None:
    """Motor torque and gear friction of each joint, and the push on each trunk."""
    robot, joint = wp.tid()
    q = bodies.qpos[robot, 7 + joint]
    dq = bodies.qvel[robot, 6 + joint]
    wanted = bias[robot, joint] - kp[robot, joint] * q - kd[robot, joint] * dq
    if step < varied.delay[robot]:
        wanted = varied.bias[robot, joint]
        wanted = wanted - varied.kp[robot, joint] * q - varied.kd[robot, joint] * dq
    torque = motor_torque(drives, joint, wanted, dq)
    bodies.ctrl[robot, joint] = varied.strength[robot] * torque
    bodies.qfrc_applied[robot, 6 + joint] = gear_friction(drives, dq)
    if joint == 0:
        force = wp.vec3()
        if bodies.push_steps[robot] > 0:
            bodies.push_steps[robot] -= 1
            force = bodies.push[robot]
        bodies.xfrc_applied[robot, bodies.trunk] = wp.spatial_vector(force, wp.vec3())


@wp.kernel
def forget(mask: Array1, varied: Variations) -> None:
    """Let the motors of some robots be limp until their first command arrives."""
    robot, joint = wp.tid()
    if mask[robot] > 0.5:
        varied.bias[robot, joint] = 0.0
        varied.kp[robot, joint] = 0.0
        varied.kd[robot, joint] = 0.0


@wp.kernel
def meter(bodies: Bodies, share: float, power: Array1, energy: Array1) -> None:
    """Add one time step to mean power and positive work; `sim.motors.PowerMeter`."""
    robot = wp.tid()
    total = float(0.0)
    positive = float(0.0)
    for joint in range(JOINTS):
        joint_power = bodies.ctrl[robot, joint] * bodies.qvel[robot, 6 + joint]
        total += wp.abs(joint_power)
        positive += wp.max(joint_power, 0.0)
    power[robot] += share * total
    energy[robot] += bodies.dt * positive


@wp.kernel
def feel(
    count: Integers1,
    world: Integers1,
    geom: Pairs,
    address: Integers2,
    force: Array2,
    touching: Integers1,
    touch: Array2,
) -> None:
    """Add the normal force of one contact to its foot or trunk."""
    contact = wp.tid()
    if contact >= count[0]:
        return
    row = address[contact, 0]
    if row < 0:
        return
    pair = geom[contact]
    place = wp.max(touching[pair[0]], touching[pair[1]])
    if place >= 0:
        wp.atomic_add(touch, world[contact], place, force[world[contact], row])


@wp.func
def is_sane(qpos: Array2, qvel: Array2, robot: int) -> bool:
    """Whether all numbers of a robot's state are finite, and no speed is absurd."""
    for k in range(19):
        if not wp.isfinite(qpos[robot, k]):
            return False
    for k in range(18):
        if not wp.abs(qvel[robot, k]) <= LARGEST:
            return False
    return True


@wp.func
def read_state(bodies: Bodies, robot: int, truth: Estimates) -> None:
    """Copy the state of one robot."""
    truth.position[robot] = wp.vec3(
        bodies.qpos[robot, 0], bodies.qpos[robot, 1], bodies.qpos[robot, 2]
    )
    turn = wp.quat(
        bodies.qpos[robot, 4], bodies.qpos[robot, 5], bodies.qpos[robot, 6], bodies.qpos[robot, 3]
    )
    truth.rotation[robot] = wp.quat_to_matrix(wp.normalize(turn))
    truth.velocity[robot] = wp.vec3(
        bodies.qvel[robot, 0], bodies.qvel[robot, 1], bodies.qvel[robot, 2]
    )
    truth.rates[robot] = wp.vec3(
        bodies.qvel[robot, 3], bodies.qvel[robot, 4], bodies.qvel[robot, 5]
    )
    for joint in range(JOINTS):
        truth.joints[robot, joint] = bodies.qpos[robot, 7 + joint]
        truth.joint_rates[robot, joint] = bodies.qvel[robot, 6 + joint]


@wp.kernel
def watch(bodies: Bodies, pose: Pose, touch: Array2, fallen: Array1, truth: Estimates) -> None:
    """Truth and fall of one robot; `sim.falls` for a robot that never lies down on purpose."""
    robot = wp.tid()
    if not is_sane(bodies.qpos, bodies.qvel, robot):
        fallen[robot] = 1.0
        return
    read_state(bodies, robot, truth)
    for leg in range(LEGS):
        needed = wp.where(truth.contact[robot, leg] > 0.5, pose.contact_off, pose.contact_on)
        truth.contact[robot, leg] = wp.where(touch[robot, leg] > needed, 1.0, 0.0)
    high = bodies.qpos[robot, 2] >= LOWEST
    upright = truth.rotation[robot][2, 2] >= COS_TILTED
    free = not touch[robot, LEGS] > 0.0
    if not (high and upright and free):
        fallen[robot] = 1.0


@wp.kernel
def put(
    mask: Array1,
    pose: Pose,
    bodies: Bodies,
    time: Array1,
    touch: Array2,
    energy: Array1,
    fallen: Array1,
    truth: Estimates,
) -> None:
    """Put one robot on its feet at the origin, at rest; its feet carry its weight."""
    robot = wp.tid()
    if not mask[robot] > 0.5:
        return
    for k in range(19):
        bodies.qpos[robot, k] = pose.qpos[k]
    for k in range(18):
        bodies.qvel[robot, k] = 0.0
        bodies.qacc_warmstart[robot, k] = 0.0
        bodies.qfrc_applied[robot, k] = 0.0
    for joint in range(JOINTS):
        bodies.ctrl[robot, joint] = 0.0
    bodies.xfrc_applied[robot, bodies.trunk] = wp.spatial_vector()
    bodies.push_steps[robot] = 0
    time[robot] = 0.0
    energy[robot] = 0.0
    fallen[robot] = 0.0
    for leg in range(LEGS):
        touch[robot, leg] = pose.load
        truth.contact[robot, leg] = 1.0
    touch[robot, LEGS] = 0.0
    read_state(bodies, robot, truth)


@wp.kernel
def start_push(impulse: Vectors3, mask: Array1, bodies: Bodies) -> None:
    """Spread an impulse, and what is left of the running push, over the length of a push."""
    robot = wp.tid()
    if not mask[robot] > 0.5:
        return
    length = float(bodies.push_length)
    left = float(bodies.push_steps[robot]) / length
    bodies.push[robot] = left * bodies.push[robot] + impulse[robot] / (length * bodies.dt)
    bodies.push_steps[robot] = bodies.push_length
