"""Fixtures of the zoo: one walking policy in the conventions of seven projects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from core_values import A1
from foreign_policies import (
    BY_KIND,
    BY_LEG,
    GYM_POSE,
    JOINTS,
    KD,
    KP,
    RATE,
    SCALE,
    Builder,
    Convention,
    Fixture,
    dumped,
    gains,
    gemm,
    in_order,
    listed,
    model,
    network,
    term_places,
    written,
)

from safe_locomotion.types import Array

LAB = {
    "base_velocity": "base_lin_vel",
    "base_angular_velocity": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "velocity_command": "generated_commands",
    "joint_position": "joint_pos_rel",
    "joint_velocity": "joint_vel_rel",
    "previous_action": "last_action",
}
PLAIN = tuple((name, 1.0) for name in LAB)
GYM = (
    ("base_velocity", 2.0),
    ("base_angular_velocity", 0.25),
    ("projected_gravity", 1.0),
    ("velocity_command", (2.0, 2.0, 0.25)),
    ("joint_position", 1.0),
    ("joint_velocity", 0.05),
    ("previous_action", 1.0),
)
#: Body height, gait, swing height, pitch, roll, stance width and length, and a coefficient.
TROT = (0.0, 3.0, 0.5, 0.0, 0.0, 0.5, 0.08, 0.0, 0.0, 0.25, 0.4, 0.0)
FRAMES = 30
SAME = np.full(12, SCALE)


def lab(terms=PLAIN[1:]) -> Convention:
    """Isaac Lab's convention with the pose of our policy."""
    pose = in_order(BY_KIND, A1.q_stand)
    return Convention(terms=terms, order=BY_KIND, pose=pose, scale=SAME)


def gym(terms=GYM[1:], order=BY_LEG) -> Convention:
    """Isaac Gym's convention with the pose of legged_gym's A1."""
    pose = np.array([GYM_POSE[name] for name in order])
    return Convention(terms=terms, order=order, pose=pose, scale=SAME)


def isaaclab_by_options(folder: Path) -> Fixture:
    """48 numbers, and no file of settings."""
    convention = lab(PLAIN)
    words = ("--layout", "isaaclab", "--pose", listed(convention.pose), "--scale", str(SCALE))
    source = written(folder / "isaaclab_options/policy.onnx", convention)
    return Fixture(layout="isaaclab", source=source, words=(*words, *gains()))


def descriptors(convention: Convention, frames: int) -> dict:
    """What Isaac Lab writes about observation, action and robot."""
    joints = [f"{name}_joint" for name in convention.order]
    observations = []
    for name, factors in convention.terms:
        size = convention.size(name, factors)
        overloads = {"clip": None, "flatten_history_dim": True, "scale": factors}
        observations.append(
            {
                "name": LAB[name],
                "overloads": {**overloads, "history_length": frames},
                "shape": [size],
                **({"joint_names": joints} if name.startswith("joint") else {}),
            }
        )
    # The robot's own order differs from that of the action.
    robot = [f"{name}_joint" for name in JOINTS]
    return {
        "actions": [
            {
                "full_path": "isaaclab.envs.mdp.actions.joint_actions.JointPositionAction",
                "joint_names": joints,
                "offset": convention.pose.tolist(),
                "scale": SCALE,
                "clip": None,
            }
        ],
        "articulations": {
            "robot": {
                "joint_names": robot,
                "default_joint_pos": A1.q_stand.tolist(),
                "default_joint_stiffness": [KP] * 12,
                "default_joint_damping": [KD] * 12,
            }
        },
        "observations": {"policy": observations},
        "scene": {"dt": 1.0 / RATE, "decimation": 2, "physics_dt": 0.5 / RATE},
    }


def isaaclab(folder: Path, frames: int = 0) -> Fixture:
    """45 numbers and their descriptors."""
    scaled = (("base_angular_velocity", 0.2), *PLAIN[2:5], ("joint_velocity", 0.05), PLAIN[6])
    convention = lab(scaled)
    place = folder / f"isaaclab_{frames}"
    config = dumped(place / "IO_descriptors.yaml", descriptors(convention, frames))
    count = max(frames, 1)
    places = term_places(convention, count)
    source = written(place / "policy.onnx", convention, places, count * convention.width)
    words = ("--layout", "isaaclab", "--config", config)
    return Fixture(layout="isaaclab", source=source, words=words)


def unitree_rl_lab(folder: Path, frames: int = 1) -> Fixture:
    """deploy.yaml, whose gains are in SDK order and whose slice is an object of Python."""
    scales = {"base_angular_velocity": 0.2, "joint_velocity": 0.05}
    terms = tuple((name, scales.get(name, 1.0)) for name, _ in PLAIN[1:])
    convention = lab(terms)
    names = {**LAB, "velocity_command": "velocity_commands"}
    observations = {
        names[name]: {
            "params": {},
            "clip": [-100.0, 100.0] if frames > 1 else None,
            "scale": [scale] * convention.size(name, scale),
            "history_length": frames,
        }
        for name, scale in terms
    }
    document = {
        "joint_ids_map": [JOINTS.index(name) for name in BY_KIND],
        "step_dt": 1.0 / RATE,
        "stiffness": [KP] * 12,
        "damping": [KD] * 12,
        "default_joint_pos": convention.pose.tolist(),
        "commands": {
            "base_velocity": {
                "ranges": {
                    "lin_vel_x": [-1.0, 1.0],
                    "lin_vel_y": [-0.4, 0.4],
                    "ang_vel_z": [-1.0, 1.0],
                    "heading": None,
                }
            }
        },
        "actions": {
            "JointPositionAction": {
                "clip": [[-100.0, 100.0]] * 12,
                "joint_names": [".*"],
                "scale": [SCALE] * 12,
                "offset": convention.pose.tolist(),
                "joint_ids": "SLICE",
            }
        },
        "observations": observations,
    }
    place = folder / f"unitree_{frames}"
    config = Path(dumped(place / "params/deploy.yaml", document))
    python = "!!python/object/apply:builtins.slice [null, null, null]"
    config.write_text(config.read_text().replace("SLICE", python))
    places = term_places(convention, frames)
    source = written(place / "exported/policy.onnx", convention, places, frames * convention.width)
    words = ("--layout", "unitree_rl_lab", "--config", str(config))
    return Fixture(layout="unitree_rl_lab", source=source, words=words)


def rl_sar(folder: Path, ages: tuple[int, ...] = ()) -> Fixture:
    """config.yaml over base.yaml; the six frames of himloco stand newest first."""
    convention = gym() if ages else gym(order=JOINTS)
    place = folder / f"rl_sar_{len(ages)}"
    names = ("ang_vel", "gravity_vec", "commands", "dof_pos", "dof_vel", "actions")
    config = {
        "a1/mine": {
            "model_name": "policy.onnx",
            "num_observations": 45,
            "observations": list(names),
            "observations_history": list(ages),
            "observations_history_priority": "time",
            "clip_obs": 100.0,
            "clip_actions_lower": [-100] * 12,
            "clip_actions_upper": [100] * 12,
            "rl_kp": [KP] * 12,
            "rl_kd": [KD] * 12,
            "action_scale": [SCALE] * 12,
            "wheel_indices": [],
            "lin_vel_scale": 2.0,
            "ang_vel_scale": 0.25,
            "dof_pos_scale": 1.0,
            "dof_vel_scale": 0.05,
            "commands_scale": [2.0, 2.0, 0.25],
            "default_dof_pos": convention.pose.tolist(),
            "joint_mapping": [JOINTS.index(name) for name in convention.order],
        }
    }
    dumped(place / "base.yaml", {"a1": {"dt": 0.005, "decimation": 2, "joint_mapping": [0]}})
    path = dumped(place / "mine/config.yaml", config)
    width = convention.width * len(ages)
    places = range(45) if not ages else range(45 * ages.index(0), 45 * ages.index(0) + 45)
    source = written(place / "mine/policy.onnx", convention, places, width)
    words = ("--layout", "rl_sar", "--config", path)
    return Fixture(layout="rl_sar", source=source, words=words)


def legged_gym(folder: Path) -> Fixture:
    """45 numbers; pose, scales and order are those of its code."""
    source = written(folder / "legged_gym/policy.onnx", gym())
    return Fixture(layout="legged_gym", source=source, words=("--layout", "legged_gym", *gains()))


def mjlab(folder: Path) -> Fixture:
    """An export with metadata, whose numbers have three decimals, and which no option explains."""
    pose = np.round(in_order(BY_LEG, A1.q_stand), 3)
    convention = Convention(terms=PLAIN, order=BY_LEG, pose=pose, scale=SAME)
    source = written(folder / "mjlab/policy.onnx", convention)
    export = onnx.load(source)
    names = "base_lin_vel,base_ang_vel,projected_gravity,command,joint_pos,joint_vel,actions"
    said = {
        "joint_names": ",".join(f"{name}_joint" for name in BY_LEG),
        "joint_stiffness": ",".join([f"{KP:.3f}"] * 12),
        "joint_damping": ",".join([f"{KD:.3f}"] * 12),
        "default_joint_pos": ",".join(f"{angle:.3f}" for angle in pose),
        "action_scale": ",".join([f"{SCALE:.3f}"] * 12),
        "observation_names": names,
        "observation_terms_scale": ",".join(["1.000"] * 7),
        "observation_terms_history_length": ",".join(["0.000"] * 7),
        "observation_terms_clip": ",".join(["-inf;inf"] * 7),
    }
    for key, text in said.items():
        export.metadata_props.add(key=key, value=text)
    onnx.save(export, source)
    return Fixture(layout="mjlab", source=source, words=("--rate", str(RATE)))


def rsl_rl_turned(folder: Path) -> Fixture:
    """Options say everything; the hips of the right legs turn the other way."""
    turned = np.array([-1.0 if name in ("FR_hip", "RR_hip") else 1.0 for name in BY_LEG])
    pose = in_order(BY_LEG, A1.q_stand)
    convention = Convention(terms=PLAIN[1:], order=BY_LEG, pose=pose, scale=SCALE * turned)
    axes = "/".join(f"{sign:g}" for sign in turned)
    joints = f"joint_pos:{axes},joint_vel:{axes}"
    terms = f"base_ang_vel,projected_gravity,velocity_commands,{joints},actions"
    words = ("--layout", "rsl_rl", "--terms", terms, "--order", "isaacgym", *gains())
    more = ("--pose", listed(pose), "--scale", listed(convention.scale))
    source = written(folder / "rsl_rl_turned/policy.onnx", convention)
    return Fixture(layout="rsl_rl", source=source, words=(*words, *more))


def encoder_and_actor(folder: Path) -> Fixture:
    """Two files: an encoder of three whole frames, and a recurrent actor of the newest one."""
    convention = replace(lab(), order=JOINTS, pose=A1.q_stand)
    place = folder / "rsl_rl_two"
    place.mkdir(parents=True)
    matrix, offset = convention.front()
    code = np.zeros((5, 3 * 45))
    code[:, 90:] = matrix[:5]
    weights: dict[str, Array] = {}
    first = gemm("obs", "latent", weights, code, offset[:5])
    encoder = model([first], weights, {"obs": (1, 135)}, {"latent": (1, 5)})
    onnx.save(encoder, place / "encoder.onnx")
    behind = np.zeros((45, 50))
    behind[5:, :45] = matrix[5:]
    behind[:5, 45:] = np.eye(5)
    offset[:5] = 0.0
    onnx.save(network(behind, offset, convention.back()), place / "actor.onnx")
    terms = ",".join(name for name, _ in PLAIN[1:])
    words = ("--layout", "rsl_rl", "--terms", terms, "--order", "sdk", *gains())
    pose = ("--pose", listed(A1.q_stand), "--scale", str(SCALE))
    more = ("--history", "3", "--history-order", "frame", "--encoder", str(place / "encoder.onnx"))
    return Fixture(layout="rsl_rl", source=place / "actor.onnx", words=(*words, *pose, *more))


def parameters() -> dict:
    """The parameters of a run, of which the import reads these."""
    return {
        "env": {
            "num_observations": 73,
            "num_observation_history": FRAMES,
            "observe_only_ang_vel": True,
            "observe_two_prev_actions": True,
            "observe_clock_inputs": True,
            "observe_yaw": False,
        },
        "commands": {"num_commands": 15, "pacing_offset": False},
        "obs_scales": {
            "lin_vel": 2.0,
            "ang_vel": 0.25,
            "dof_pos": 1.0,
            "dof_vel": 0.05,
            "body_height_cmd": 2.0,
            "footswing_height_cmd": 0.15,
            "body_pitch_cmd": 0.3,
            "body_roll_cmd": 0.3,
            "stance_width_cmd": 1.0,
            "stance_length_cmd": 1.0,
            "aux_reward_cmd": 1.0,
        },
        "control": {
            "stiffness": {"joint": KP},
            "damping": {"joint": KD},
            "action_scale": SCALE,
            "hip_scale_reduction": 0.5,
            "decimation": 2,
        },
        "init_state": {
            "default_joint_angles": {f"{name}_joint": a for name, a in GYM_POSE.items()}
        },
        "normalization": {"clip_actions": 10.0, "clip_observations": 100.0},
        "sim": {"dt": 0.5 / RATE},
        "terrain": {"measure_heights": False, "origins": np.zeros(3)},
    }


ZOO: dict[str, Builder] = {
    "isaaclab, options": isaaclab_by_options,
    "isaaclab, descriptors": isaaclab,
    "isaaclab, three frames": lambda folder: isaaclab(folder, 3),
    "unitree_rl_lab": unitree_rl_lab,
    "unitree_rl_lab, five frames": lambda folder: unitree_rl_lab(folder, 5),
    "rl_sar": rl_sar,
    "rl_sar, six frames": lambda folder: rl_sar(folder, (0, 1, 2, 3, 4, 5)),
    "legged_gym": legged_gym,
    "mjlab": mjlab,
    "rsl_rl, turned axes": rsl_rl_turned,
    "rsl_rl, encoder and actor": encoder_and_actor,
}
"""Those that need no torch; `torch_zoo` has the others."""
