"""walk_these_ways: `parameters.pkl` of a run, with its body and its adaptation module.

A frame has the gravity, fifteen commands, joints, one or two actions and a clock of the gait. The
last thirty frames follow one another, oldest first, and zeros stand for those before the first
one. The commands beyond the velocity are constants here (`--behaviour`). Source: its
`legged_robot.py` and `lcm_agent.py`. Joints are in Isaac Gym's order.
"""

from dataclasses import replace
from pathlib import Path

from safe_locomotion.policy.importers.isaac_lab import rate_of
from safe_locomotion.policy.importers.joint_names import ISAAC_GYM
from safe_locomotion.policy.importers.layout import ImportOptions, Layout
from safe_locomotion.policy.importers.mjlab import past
from safe_locomotion.policy.importers.plain_files import Settings, read_pickle, read_yaml
from safe_locomotion.policy.importers.term_names import clipped
from safe_locomotion.policy.refusal import Numbers, refuse
from safe_locomotion.policy.term import (
    Clock,
    ObservationHistory,
    ObservationTerm,
    observation_term,
)
from safe_locomotion.types import N_JOINTS

#: Keys of the scales of the commands after the velocity; None for 1.
BEHAVIOUR_SCALES = (
    "body_height_cmd",
    *(None,) * 5,
    "footswing_height_cmd",
    "body_pitch_cmd",
    "body_roll_cmd",
    "stance_width_cmd",
    "stance_length_cmd",
    "aux_reward_cmd",
)
TROT = "0,3,0.5,0,0,0.5,0.08,0,0,0.25,0.4,0"
#: Observations that no contract can express.
REFUSED = ("observe_yaw", "observe_contact_states", "observe_timing_parameter", "observe_imu")


def read(config: Path | None, options: ImportOptions) -> Layout:
    """What the parameters of the run say.

    Raises:
        PolicyRefusedError: there is no such file, or no contract can express it.
    """
    if config is None:
        raise refuse("layout walk_these_ways", "--config parameters.pkl of the run", "none")
    file = read_pickle(config) if config.suffix == ".pkl" else read_yaml(config)
    said = file.part("Cfg") if "Cfg" in file else file
    env = said.part("env")
    wrong = [key for key in REFUSED if env.get(key)]
    if wrong or ("terrain" in said and said.part("terrain").get("measure_heights")):
        raise refuse(env.where, "no yaw, contact, timing or height", ", ".join(wrong) or "heights")
    control = said.part("control")
    behaviour = _behaviour(said, options)
    scale = control.number("action_scale")
    hip = scale * control.number("hip_scale_reduction")
    ages = past(int(env.number("num_observation_history")))
    terms = _terms(said, behaviour)
    width = sum(term.width for term in terms)
    if width != env.number("num_observations"):
        raise refuse(f"{env.where}: num_observations", width, env.get("num_observations"))
    return Layout(
        source=config.name,
        order=ISAAC_GYM,
        rate_hz=rate_of(said.part("sim").number("dt") * control.number("decimation")),
        terms=tuple(replace(term, ages=ages) for term in terms),
        history=ObservationHistory(order="frame", start="zero"),
        clock=_clock(said, behaviour) if env.get("observe_clock_inputs") else None,
        scale=(hip, scale, scale) * 4,
        kp=_by_joint(control.part("stiffness")),
        kd=_by_joint(control.part("damping")),
        default_pose=_pose(said),
        clip=said.part("normalization").number("clip_actions"),
        sources={"behaviour": "--behaviour"},
    )


def _behaviour(said: Settings, options: ImportOptions) -> Numbers:
    """The commands after the velocity, as many as the policy was trained with."""
    count = int(said.part("commands").number("num_commands")) - 3
    given = options.behaviour or ()
    if not 0 <= count <= len(BEHAVIOUR_SCALES) or len(given) != count:
        expected = f"{count} numbers; a trot of 3 Hz is {TROT}"
        raise refuse("--behaviour", expected, len(given) or "none")
    return given


def _terms(said: Settings, behaviour: Numbers) -> list[ObservationTerm]:
    """Terms of a frame, oldest code first: what is observed in front was added later."""
    env = said.part("env")
    scales = said.part("obs_scales") if "obs_scales" in said else _normalised(said)
    linear = scales.number("lin_vel")
    angular = scales.number("ang_vel")
    velocity = observation_term("base_velocity", linear)
    turning = observation_term("base_angular_velocity", angular)
    terms = [velocity] if env.get("observe_only_lin_vel") else []
    terms += [turning] if env.get("observe_only_ang_vel") else []
    terms += [velocity, turning] if env.get("observe_vel") else []
    terms.append(observation_term("projected_gravity"))
    terms.append(observation_term("velocity_command", (linear, linear, angular)))
    if behaviour:
        factors = [1.0 if key is None else scales.number(key) for key in BEHAVIOUR_SCALES]
        values = [x * factor for x, factor in zip(behaviour, factors, strict=False)]
        terms.append(observation_term("constant", values, width=len(values)))
    terms.append(observation_term("joint_position", scales.number("dof_pos")))
    terms.append(observation_term("joint_velocity", scales.number("dof_vel")))
    terms.append(observation_term("previous_action", width=N_JOINTS))
    if env.get("observe_two_prev_actions"):
        terms.append(observation_term("earlier_action", width=N_JOINTS))
    if env.get("observe_clock_inputs"):
        terms.append(observation_term("clock", width=4))
    bound = said.part("normalization").number("clip_observations")
    return [clipped(term, bound) for term in terms]


def _normalised(said: Settings) -> Settings:
    return said.part("normalization").part("obs_scales")


def _clock(said: Settings, behaviour: Numbers) -> Clock:
    """Phases of FL, FR, RL, RR from frequency, phase, offset and bound of the behaviour."""
    if len(behaviour) < 5:
        raise refuse("--behaviour", "frequency, phase, offset and bound of a gait", len(behaviour))
    _, frequency, phase, offset, bound = behaviour[:5]
    middle = (bound, offset) if said.part("commands").get("pacing_offset") else (offset, bound)
    return Clock(frequency=frequency, offsets=(phase + offset + bound, *middle, phase))


def _by_joint(gains: Settings) -> Numbers:
    """The gain whose key is part of a joint's name; the last such key counts."""
    found = []
    for joint in ISAAC_GYM:
        keys = [key for key in gains.names if key in f"{joint}_joint"]
        if not keys:
            raise refuse(gains.where, f"a gain of {joint}", ", ".join(gains.names))
        found.append(gains.number(keys[-1]))
    return tuple(found)


def _pose(said: Settings) -> Numbers:
    angles = said.part("init_state").part("default_joint_angles")
    return tuple(angles.number(f"{joint}_joint") for joint in ISAAC_GYM)
