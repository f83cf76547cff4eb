"""Drafts of a robot's parameter file and motors, scaled from the A1's by mass and leg length.

The rules are those by which the files of Go2, Go1 and Laikago were made.
"""

from collections.abc import Iterator, Mapping
from math import sqrt
from pathlib import Path

from safe_locomotion.config import config_path
from safe_locomotion.control.footholds import sideways_reach
from safe_locomotion.robot.models import (
    RobotModel,
    composite_body,
    load_robot,
    read_urdf,
    robot_file,
)
from safe_locomotion.safety.trigger_set import designed_bounds
from safe_locomotion.sim.motors import load_motors
from safe_locomotion.types import GRAVITY

REACH = 0.1  #: [m] of the A1's sideways step, by which its trigger set was designed
CELL_EMPTY = 3.33  #: [V] of a cell at which the last gate stops, as on the A1
CELL_LOW = 3.5  #: [V] of a cell at which the robot sits down
CELLS = 6  #: of the A1's battery
LONGEST_UNIT = 16  #: characters of a remark that is a unit

Change = tuple[str, str]  #: value as text, and comment


def config_text(robot: RobotModel, urdf: Path) -> str:
    """The A1's parameter file with the robot's values; all other lines stay as they are."""
    lines = config_path("a1").read_text().splitlines()
    leg = _leg_inertia(urdf) / _leg_inertia(robot_file("a1", ".urdf"))
    changes = dict(_changes(robot, leg))
    head = [
        f"# {robot.name}: a draft of the parameters of every node, in SI units.",
        "# Values without a remark of their own are the A1's. Scaled ones follow mass and leg",
        "# length. The A1's value is in brackets. README.md lists what a person must still decide.",
    ]
    return "\n".join([*head, *_changed(lines[1:], changes), ""])


def _changed(lines: list[str], changes: Mapping[str, Change]) -> Iterator[str]:
    """The lines with other values at the dotted keys of `changes`."""
    parents: list[tuple[int, str]] = []
    for line in lines:
        key, colon, rest = line.partition(":")
        name = key.strip()
        if not colon or name.startswith("#"):
            yield line
            continue
        depth = len(key) - len(key.lstrip())
        parents = [*(p for p in parents if p[0] < depth), (depth, name)]
        path = ".".join(p[1] for p in parents if p[1] != "ros__parameters")
        if path not in changes:
            yield line
            continue
        value, why = changes[path]
        old, _, remark = rest.partition("#")
        unit = remark.partition(";")[0].strip()
        unit = f"{unit}; " if unit and not unit[0].isdigit() and len(unit) <= LONGEST_UNIT else ""
        yield f"{key}: {value}".ljust(33) + f" # {unit}{why} [{old.strip().strip('[]')}]"


def _changes(robot: RobotModel, leg: float) -> Iterator[tuple[str, Change]]:
    """Dotted keys, values and remarks; `leg` is the inertia of a leg over the A1's."""
    a1 = load_robot("a1")
    mass = robot.mass / a1.mass
    length = robot.thigh_length / a1.thigh_length
    weight = robot.mass * GRAVITY
    slow = sqrt(a1.nominal_height / robot.nominal_height)
    by_leg = "by the leg's inertia about the thigh"
    by_size = "by mass and leg length"
    yield from _scaled(
        "bridge_node.gains", {"swing_kp": (60.0, leg), "swing_kd": (1.5, leg)}, by_leg
    )
    ramp = {"ramp_kp": (80.0, mass * length), "ramp_kd": (3.0, mass * length)}
    yield from _scaled("bridge_node.gains", ramp, by_size)
    damping = {"damping": (3.0, mass * length)}
    yield from _scaled("bridge_node.gains", damping, by_size)
    yield from _scaled("bridge_node.limits", damping, by_size)
    largest = {"kp_max": (120.0, mass * length), "kd_max": (8.0, mass * length)}
    yield from _scaled("bridge_node.limits", largest, by_size)
    limits = "bridge_node.limits"
    fastest = 30.0 / 21.0 * float(robot.dq_max.max())
    yield f"{limits}.dq_max", (f"{fastest:.1f}", "1.43 times the fastest joint")
    steps = ", ".join(f"{1.2 * torque:.1f}" for torque in robot.tau_max[:3])
    yield f"{limits}.torque_step", (f"[{steps}]", "1.2 times the peak torque")
    volts = "decide: of the robot's battery, here the A1's"
    yield f"{limits}.voltage_min", (f"{CELL_EMPTY * CELLS:.1f}", volts)
    yield f"{limits}.voltage_warning", (f"{CELL_LOW * CELLS:.1f}", volts)
    for place in ("policy_node.gait", "supervisor_node.recovery"):
        frequencies = {"frequency": (2.5, slow), "fast_frequency": (3.0, slow)}
        yield from _scaled(place, frequencies, "by the root of the height")
    yield from _trigger_set(robot, length)
    locomotion = "mpc_node.locomotion"
    height = f"{robot.nominal_height:g}"
    yield f"{locomotion}.body_height", (height, "the standing height")
    yield from _scaled("mpc_node.swing", {"height": (0.07, length)}, "by leg length")
    reach = sideways_reach(robot, robot.nominal_height)
    yield "mpc_node.swing.reach", (f"{reach:.2f}", "as far as a leg reaches sideways")
    solver = "mpc_node.solver"
    weightless = f"{2.0e-5 / mass**2:.1e}"
    yield f"{solver}.force_weight", (weightless, "by the square of the mass")
    yield f"{solver}.fz_max", (f"{1.23 * weight:.0f}.0", "1.23 times the weight")


def _scaled(
    section: str, values: Mapping[str, tuple[float, float]], why: str
) -> Iterator[tuple[str, Change]]:
    """Values of the A1 times a factor, with two significant digits."""
    for key, (value, factor) in values.items():
        text = f"{float(f'{value * factor:.2g}'):g}"
        yield f"{section}.{key}", (text if "." in text else f"{text}.0", why)


def _trigger_set(robot: RobotModel, length: float) -> Iterator[tuple[str, Change]]:
    box = designed_bounds(height=robot.nominal_height, reach=REACH * length)
    for name, share in (("c1", 1.0), ("c2", 0.75), ("c3", 0.5)):
        values = {
            "height_min": box.height_min,
            "height_max": box.height_max,
            "roll": box.roll,
            "pitch": box.pitch,
            "lateral_velocity": share * box.lateral_velocity,
            "roll_rate": share * box.roll_rate,
        }
        why = "designed_bounds of height and reach" if name == "c1" else "share of c1"
        for key, value in values.items():
            yield f"supervisor_node.trigger_set.{name}.{key}", (f"{value:.3g}", why)


def _leg_inertia(urdf: Path) -> float:
    """Inertia of a straight leg about its thigh joint [kg m2]."""
    leg = composite_body(read_urdf(urdf), {}, "FR_thigh")
    return float(leg.inertia[1, 1] + leg.mass * (leg.com[0] ** 2 + leg.com[2] ** 2))


def motors_text(robot: RobotModel, friction: float) -> str:
    """The file `motors.yaml`: the A1's motors at the same share of the robot's peaks."""
    a1 = load_motors("a1")
    peaks = robot.tau_max[:3]
    speeds = robot.dq_max[:3]
    knees = ", ".join(f"{2.0 / 3.0 * speed:.2f}" for speed in speeds)
    heating = ", ".join(f"{0.38 * (33.5 / peak) ** 2:.3g}" for peak in peaks)
    energy = a1.battery_energy * robot.mass / load_robot("a1").mass
    return f"""\
# {robot.name}: a draft of motors and battery of the simulated robot. Nothing here was measured.
full_torque_speed: [{knees}] # rad/s; two thirds of the top speed, as on the A1
coulomb: {friction:g}                # Nm; as in the URDF
coulomb_speed: {a1.coulomb_speed:g}         # rad/s; tanh(dq / coulomb_speed)
heating: [{heating}] # K/Nm2; the A1's, at the same share of each peak
thermal_time: {a1.thermal_time:g}.0         # s; the A1's
cell_voltage_full: {a1.cell_voltage_full:g}     # V; the A1's six cells
cell_voltage_empty: {a1.cell_voltage_empty:g}.0    # V
battery_energy: {energy:.0f}.0    # J; the A1's charge, scaled with the mass
battery_resistance: {a1.battery_resistance:g}    # Ohm; the A1's
idle_power: {a1.idle_power:g}.0            # W; the A1's
"""
