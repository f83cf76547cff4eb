"""Whether the files of a robot are consistent: models, mass, limits and gains."""

from collections.abc import Iterator
from math import pi, sqrt

import numpy as np

from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.config import StackConfig
from safe_locomotion.robot.kinematics import Kinematics
from safe_locomotion.robot.models import (
    Link,
    RobotModel,
    composite_body,
    read_urdf,
    robot_file,
)
from safe_locomotion.sim.model_numbers import model_numbers
from safe_locomotion.sim.motors import MotorParameters
from safe_locomotion.types import GRAVITY, JOINTS, LEGS, N_LEGS, Array

CLOSE = 1e-4  #: [m], [rad] and relative, between URDF and MJCF
SPEED = 1.0  #: [m/s] at which the joints must be fast enough to swing
SHARE_OF_PEAK = 0.6  #: largest share of the peak torque with which two legs hold the body
SAG = 0.2  #: [rad] by which a joint may give way under a quarter of the weight
DAMPING_RATIOS = (0.15, 2.0)  #: of a swinging leg about its thigh joint
LEAST_FORCE = 0.9  #: of the weight that one foot must be allowed to carry: a trot stands on two
HEIGHT = 0.03  #: [m] between the standing height and that of the controller
CHEST = 0.25  #: of the distance of the hips by which the centre of mass may lie off the middle


def check_models(robot: RobotModel) -> Iterator[Finding]:
    """The MJCF is the URDF: mass, places of the feet, ranges and torques."""
    mend = f"make {robot.name}.xml and {robot.name}.urdf agree"
    poses = [robot.q_stand, robot.q_sit, 0.5 * (robot.q_min + robot.q_max)]
    model = model_numbers(robot.name, poses)
    yield judge(
        "mass of both models",
        met=abs(model.mass - robot.mass) <= CLOSE * robot.mass,
        text=f"URDF {robot.mass:.3f} kg, MJCF {model.mass:.3f} kg",
        mend=mend,
    )
    kinematics = Kinematics(robot)
    miss = float(np.abs(model.feet - [kinematics.feet(q) for q in poses]).max())
    yield judge(
        "feet of both models",
        met=miss <= CLOSE,
        text=f"the feet differ by {1e3 * miss:.2f} mm at most, in three poses",
        mend=mend,
    )
    ranges = np.stack((robot.q_min, robot.q_max), axis=1)
    off = max(np.abs(model.ranges - ranges).max(), np.abs(model.torque - robot.tau_max).max())
    yield judge(
        "limits of both models",
        met=bool(off <= CLOSE),
        text=f"ranges and torques differ by {off:.4f} at most",
        mend=mend,
    )


def check_mass(robot: RobotModel) -> Iterator[Finding]:
    """Links are bodies that can exist, left and right are alike, and the body is balanced."""
    urdf = read_urdf(robot_file(robot.name, ".urdf"))
    wrong = [name for name, link in urdf.links.items() if not possible(link)]
    yield judge(
        "inertias",
        met=not wrong,
        text=f"impossible: {', '.join(wrong)}" if wrong else "of all links possible",
        mend="no side of a body has more inertia than the other two together; ask the vendor",
    )
    masses = {leg: composite_body(urdf, {}, f"{leg}_hip").mass for leg in LEGS}
    spread = max(masses.values()) / min(masses.values()) - 1.0
    text = ", ".join(f"{leg} {mass:.3f}" for leg, mass in masses.items())
    yield judge(
        "legs alike",
        met=spread <= 0.02,
        text=f"{text} kg",
        mend="the controller takes the masses of the FR leg for all of them",
        otherwise="warning",
    )
    hips = robot.hip_position
    centre = 0.5 * (hips.max(axis=0) + hips.min(axis=0))
    off = np.abs(robot.com - centre)[:2] / np.ptp(hips[:, :2], axis=0)
    yield judge(
        "balance",
        met=bool((off <= CHEST).all()),
        text=f"centre of mass {1e3 * (robot.com - centre)[0]:+.0f} mm ahead of the middle of the"
        f" hips, {1e3 * (robot.com - centre)[1]:+.0f} mm to the left",
        mend="see whether a link of the trunk has a wrong mass or place",
        otherwise="warning",
    )


def possible(link: Link) -> bool:
    """Whether a body may have this mass and inertia; none of both is possible too."""
    a, b, c = np.linalg.eigvalsh(link.inertia).tolist()
    massless = link.mass == 0.0 and not link.inertia.any()
    return massless or (link.mass > 0.0 and a > 0.0 and c <= (a + b) * (1.0 + 1e-3))


def check_limits(robot: RobotModel, config: StackConfig) -> Iterator[Finding]:
    """The poses lie within the ranges, and the motors are strong and fast enough."""
    for name, q in (("standing pose", robot.q_stand), ("sitting pose", robot.q_sit)):
        outside = [
            joint
            for joint, x, low, high in zip(JOINTS, q, robot.q_min, robot.q_max, strict=True)
            if not low <= x <= high
        ]
        yield judge(
            name,
            met=not outside,
            text=f"outside the range: {', '.join(outside)}" if outside else "within the ranges",
            mend="change poses.json or the ranges",
        )
    share = float((np.abs(standing_torque(robot, 2)) / robot.tau_max).max())
    yield judge(
        "torque",
        met=share <= SHARE_OF_PEAK,
        text=f"two legs hold the body with {100.0 * share:.0f} % of the peak torque",
        mend=f"above {100.0 * SHARE_OF_PEAK:.0f} % little is left for walking; see mass and height",
    )
    gait = config.policy.gait
    swing = gait.fast_swing_ratio / gait.fast_frequency
    foot = 2.0 * SPEED / gait.fast_frequency / swing - SPEED
    needed = foot / robot.nominal_height
    slowest = float(robot.dq_max.min())
    yield judge(
        "speed",
        met=needed <= slowest,
        text=f"a swing at {SPEED:g} m/s needs {needed:.1f} rad/s of {slowest:.1f}",
        mend="walk slower, or with a lower frequency",
        otherwise="warning",
    )


def standing_torque(robot: RobotModel, legs: int) -> Array:
    """(12,) joint torques when so many feet carry the weight in the standing pose [Nm]."""
    kinematics = Kinematics(robot)
    force = robot.mass * GRAVITY / legs
    torques: list[float] = []
    for leg in range(N_LEGS):
        one = kinematics.legs[leg]
        pose = one.pose(*robot.q_stand[3 * leg : 3 * leg + 3].tolist())
        torques += one.torque(pose, 0.0, 0.0, -force)
    return np.array(torques)


def check_gains(
    robot: RobotModel, config: StackConfig, motors: MotorParameters
) -> Iterator[Finding]:
    """Gains, last gate, trigger set and battery fit each other and the robot."""
    gains = config.bridge.gains
    limits = config.bridge.limits
    sag = float(np.abs(standing_torque(robot, N_LEGS)).max()) / gains.ramp_kp
    yield judge(
        "ramp gains",
        met=sag <= SAG,
        text=f"a standing joint gives way by {sag:.3f} rad",
        mend="raise bridge.gains.ramp_kp",
    )
    leg = composite_body(read_urdf(robot_file(robot.name, ".urdf")), {}, f"{LEGS[0]}_thigh")
    inertia = float(leg.inertia[1, 1] + leg.mass * (leg.com[0] ** 2 + leg.com[2] ** 2))
    ratio = gains.swing_kd / (2.0 * sqrt(gains.swing_kp * inertia))
    low, high = DAMPING_RATIOS
    yield judge(
        "swing gains",
        met=low <= ratio <= high,
        text=f"damping ratio {ratio:.2f}, {sqrt(gains.swing_kp / inertia) / (2.0 * pi):.1f} Hz",
        mend=f"choose bridge.gains.swing_kp and swing_kd for a ratio of {low} to {high}",
        otherwise="warning",
    )
    strong = limits.kp_max >= max(gains.ramp_kp, gains.swing_kp)
    braking = (gains.ramp_kd, gains.swing_kd, gains.damping, limits.damping)
    firm = limits.kd_max >= max(braking)
    fast = limits.dq_max >= float(robot.dq_max.max())
    yield judge(
        "last gate",
        met=strong and firm and fast,
        text=f"kp <= {limits.kp_max:g}, kd <= {limits.kd_max:g}, speed <= {limits.dq_max:g} rad/s",
        mend="the gate must allow the gains of bridge.gains and the top speed of the joints",
    )
    force = config.mpc.solver.fz_max / (robot.mass * GRAVITY)
    yield judge(
        "force of a foot",
        met=force >= LEAST_FORCE,
        text=f"mpc.solver.fz_max is {force:.2f} times the weight",
        mend=f"a trot stands on two feet: at least {LEAST_FORCE:g} times",
    )
    yield from _check_heights(robot, config)
    voltages = (limits.voltage_min, limits.voltage_warning, motors.cell_voltage_full)
    yield judge(
        "battery",
        met=voltages[0] < voltages[1] < voltages[2],
        text="stop {:g} V, warning {:g} V, full {:g} V".format(*voltages),
        mend="voltage_min < voltage_warning < cell_voltage_full is needed",
    )


def _check_heights(robot: RobotModel, config: StackConfig) -> Iterator[Finding]:
    height = config.mpc.locomotion.body_height
    bounds = config.supervisor.trigger_set.bounds
    text = (
        f"standing {robot.nominal_height:g} m, walking {height:g} m, safe from"
        f" {bounds.height_min:g} to {bounds.height_max:g} m"
    )
    near = abs(height - robot.nominal_height) <= HEIGHT
    yield judge(
        "heights",
        met=near and bounds.height_min < height < bounds.height_max,
        text=text,
        mend="mpc.locomotion.body_height must lie near nominal_height and within the trigger set",
    )
