"""The policy command: ls, info, check, and import of files of other projects."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from core_values import A1, LIMITS, estimate
from onnx import TensorProto, helper
from policy_models import gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import (
    HIDDEN,
    GraphBuilder,
    lstm_memories,
    lstm_pair,
    mlp,
)
from safe_locomotion.cli.main import main
from safe_locomotion.policy.file import load_policy, read_policy, write_policy
from safe_locomotion.rotations import quaternion_from_rpy
from safe_locomotion.types import JOINTS, VelocityCommand

ISAAC = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
KP = [30.1251, 31.0, 32.0] * 4
MJLAB = {
    "run_path": "none",
    "joint_names": ",".join(f"{JOINTS[i]}_joint" for i in ISAAC),
    "joint_stiffness": ",".join(f"{x:.3f}" for x in KP),
    "joint_damping": ",".join(["0.750"] * 12),
    "default_joint_pos": ",".join(["0.100,0.900,-1.800"] * 4),
    "command_names": "twist",
    "observation_names": "base_lin_vel,base_ang_vel,projected_gravity,"
    "joint_pos,joint_vel,actions,command",
    "observation_terms_scale": "1.000,0.200,1.000,1.000,0.050,1.000,2.000;2.000;0.250",
    "observation_terms_history_length": "0.000,0.000,0.000,0.000,0.000,0.000,0.000",
    "observation_terms_clip": ",".join(["-inf;inf"] * 7),
    "action_scale": ",".join(["0.300,0.350,0.400"] * 4),
}


def renamed(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """Rename tensors of a network."""
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return model


def foreign(width: int, said: dict[str, str] | None = None) -> onnx.ModelProto:
    """A network as rsl_rl exports it, with an open batch size."""
    model = renamed(
        mlp(width, 12, hidden=16, scale=0.5), {"observation": "obs", "action": "actions"}
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for key, text in (said or {}).items():
        model.metadata_props.add(key=key, value=text)
    return model


def plain_action(file: Path, row: np.ndarray) -> np.ndarray:
    """Output of a network for one observation, by the reference of onnx."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(onnx.load(file)).run(None, {"obs": row[None].astype(np.float32)})[0][
        0
    ]


def run(*arguments: str | Path) -> int:
    return main(["policy", *map(str, arguments)])


def test_list_says_what_flies_and_why_the_others_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file has kind, rate, robot and origin, or the reason why it is refused."""
    write_policy(mlp(45, 12, hidden=8), joint_contract(), tmp_path / "one.onnx")
    write_policy(mlp(19, 9, hidden=8), gait_contract(), tmp_path / "two.onnx")
    (tmp_path / "three.onnx").write_bytes(b"nothing")
    assert run("ls", tmp_path) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    for word in ("joint", "100 Hz", "a1", "45", "python -m nothing (seed 3)"):
        assert word in rows["one"]
    assert "gait" in rows["two"] and "125 Hz" in rows["two"]
    assert "checksum" in rows["three"]


def test_info_shows_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The contract shows terms with scales, gains of joints, memories and bounds of a gait."""
    write_policy(lstm_pair(45, 12), joint_contract(recurrent=lstm_memories()), tmp_path / "j.onnx")
    write_policy(mlp(19, 9, hidden=8), gait_contract(), tmp_path / "g.onnx")
    assert run("info", tmp_path / "j.onnx") == 0
    said = capsys.readouterr().out
    for word in (
        "100 Hz",
        "base_angular_velocity",
        "0.25",
        "2, 2, 0.25",
        "RL_calf",
        "-1.79",
        "h0_in [1, 1, 256] -> h0_out",
    ):
        assert word in said
    assert run("info", tmp_path / "g.onnx") == 0
    said = capsys.readouterr().out
    for word in (
        "125 Hz",
        "previous_gait",
        "swing_ratio",
        "change",
        "value",
        "-0.13, 0.13, -0.13, 0.13",
    ):
        assert word in said


def test_check_passes_what_may_fly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good policy passes contract, robot, parity and latency, with status 0."""
    write_policy(mlp(45, 12, hidden=8), joint_contract(), tmp_path / "j.onnx")
    assert run("check", tmp_path / "j.onnx") == 0
    said = capsys.readouterr().out
    assert [line.split()[:2] for line in said.splitlines()[:4]] == [
        ["ok", f"{x}:"] for x in ("contract", "robot", "parity", "latency")
    ]
    assert "the file is sound" in said and "it may fly" not in said


def test_check_refuses_with_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Large gains, an unknown robot, a damaged and a missing file end with status 1 and why."""
    joint = joint_contract().joint
    assert joint is not None
    from dataclasses import replace

    stiff = joint_contract(joint=replace(joint, kp=(500.0,) * 12))
    write_policy(mlp(45, 12, hidden=8), stiff, tmp_path / "stiff.onnx")
    write_policy(mlp(45, 12, hidden=8), joint_contract(robot="spot"), tmp_path / "spot.onnx")
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "stiff.onnx").read_bytes()[:-1])
    for name, says in (
        ("stiff.onnx", "kp: expected at most 120, found 500"),
        ("spot.onnx", "robot: expected one of"),
        ("cut.onnx", "checksum"),
        ("none.onnx", "expected a file that exists"),
    ):
        assert run("check", tmp_path / name) == 1
        said = " ".join(capsys.readouterr().out.split())
        assert says in said and "it must not fly" in said


def test_mjlab_export_becomes_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The import uses the metadata; options take precedence over its rounded numbers."""
    source = tmp_path / "policy.onnx"
    onnx.save(foreign(48, MJLAB), source)
    stiffness = ",".join(map(str, KP))
    assert (
        run(
            "import",
            source,
            tmp_path / "mine.onnx",
            "--rate",
            "50",
            "--kp",
            stiffness,
            "--command",
            "train",
            "--seed",
            "7",
        )
        == 0
    )
    captured = capsys.readouterr()
    assert "mjlab layout" in captured.out and "rounded to three decimals" in captured.err
    c, _ = read_policy(tmp_path / "mine.onnx")
    assert (c.name, c.rate_hz, c.origin.command, c.origin.seed) == ("mine", 50, "train", 7)
    assert c.joint_order == tuple(JOINTS[i] for i in ISAAC)
    assert [term.name for term in c.observation][::6] == ["base_velocity", "velocity_command"]
    assert c.observation[-1].scale == (2.0, 2.0, 0.25) and c.observation[1].scale == (0.2,) * 3
    assert c.joint is not None and c.joint.kp == tuple(KP) and c.joint.kd == (0.75,) * 12
    assert c.joint.scale == (0.3, 0.35, 0.4) * 4 and c.default_pose == (0.1, 0.9, -1.8) * 4
    assert run("check", tmp_path / "mine.onnx") == 0


@pytest.mark.parametrize("width", [45, 48])
def test_legged_gym_policy_acts_as_in_its_training(width: int, tmp_path: Path) -> None:
    """Targets equal those of the network for an observation in Isaac's order and scales."""
    source = tmp_path / "legged.onnx"
    onnx.save(foreign(width), source)
    assert run("import", source, tmp_path / "mine.onnx") == 0
    policy = load_policy("mine", A1, LIMITS, [tmp_path])
    rng = np.random.default_rng(3)
    e = estimate(
        quaternion_wxyz=quaternion_from_rpy(0.1, -0.2, 0.0),
        velocity=rng.normal(size=3),
        angular_velocity=rng.normal(size=3),
        q=A1.q_stand + 0.1 * rng.normal(size=12),
        dq=rng.normal(size=12),
    )
    pose = np.array(
        [0.1, 0.8, -1.5, -0.1, 0.8, -1.5, 0.1, 1.0, -1.5, -0.1, 1.0, -1.5]
    )  # FL FR RL RR
    from safe_locomotion.rotations import matrix_from_quaternion

    rotation = matrix_from_quaternion(e.quaternion_wxyz)
    previous = np.zeros(12)
    for _ in range(3):
        row = np.concatenate(
            (
                2.0 * rotation.T @ e.velocity,
                0.25 * e.angular_velocity,
                rotation.T @ (0.0, 0.0, -1.0),
                (2.0 * 0.5, 2.0 * -0.1, 0.25 * 0.2),
                e.q[ISAAC] - pose,
                0.05 * e.dq[ISAAC],
                previous,
            )
        )[-width:]
        previous = plain_action(source, row)
        targets = policy.act(e, VelocityCommand(vx=0.5, vy=-0.1, wz=0.2)).joints
        np.testing.assert_allclose(targets.q[ISAAC], pose + 0.25 * previous, atol=1e-5)
        np.testing.assert_array_equal(
            (targets.kp, targets.kd), (np.full(12, 20.0), np.full(12, 0.5))
        )


def test_recurrent_export_with_weights_beside_it(tmp_path: Path) -> None:
    """A recurrent export of rsl_rl with weights in a second file becomes one file."""
    b = GraphBuilder(np.random.default_rng(0))
    b.linear(
        b.lstm("obs", "e", 45, ("h_in", "h_out"), ("c_in", "c_out")),
        "actions",
        HIDDEN,
        12,
        scale=0.05,
    )
    memory = {"h": (1, 1, HIDDEN), "c": (1, 1, HIDDEN)}
    model = b.model(
        {"obs": (1, 45)} | {f"{k}_in": shape for k, shape in memory.items()},
        {"actions": (1, 12)} | {f"{k}_out": shape for k, shape in memory.items()},
    )
    onnx.save(
        model, tmp_path / "policy.onnx", save_as_external_data=True, location="policy.onnx.data"
    )
    assert run("import", tmp_path / "policy.onnx", tmp_path / "mine.onnx", "--order", "sdk") == 0
    (tmp_path / "policy.onnx.data").unlink()
    c, _ = read_policy(tmp_path / "mine.onnx")
    assert [(pair.input, pair.output, pair.shape) for pair in c.recurrent] == [
        ("h_in", "h_out", (1, 1, HIDDEN)),
        ("c_in", "c_out", (1, 1, HIDDEN)),
    ]
    assert c.joint_order == JOINTS
    assert run("check", tmp_path / "mine.onnx") == 0


def two_inputs() -> onnx.ModelProto:
    model = foreign(45)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1, 3)))
    return model


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (foreign(44), (), "observation of legged_gym: expected 45 or 48 numbers, found 44"),
        (two_inputs(), (), "inputs besides memories: expected one, found obs, more"),
        (
            foreign(48, MJLAB | {"observation_names": "base_lin_vel,height_scan"}),
            (),
            "observation_names: expected names out of",
        ),
        (
            foreign(48, MJLAB | {"observation_terms_history_length": "3.000"}),
            (),
            "observation_terms_history_length: expected none",
        ),
        (
            foreign(48, MJLAB | {"observation_terms_clip": "-5.000;5.000"}),
            (),
            "observation_terms_clip: expected none",
        ),
        (
            foreign(48, MJLAB | {"joint_stiffness": "20.0,x"}),
            (),
            "metadata: expected numbers separated by commas",
        ),
        (foreign(48, MJLAB | {"joint_names": "a,b"}), (), "joint_order: expected each of"),
        (foreign(45, MJLAB), (), "shape: expected"),
        (
            foreign(45, {"joint_names": "a"}),
            (),
            "metadata of an mjlab export: expected joint_names",
        ),
        (foreign(45), ("--kp", "20,21"), "expected 1 or 12 numbers, found 2"),
        (foreign(45), ("--kp", "stiff"), "must be numbers separated by commas"),
        (foreign(45), ("--kp", "500"), "kp: expected at most 120, found 500"),
        (foreign(45), ("--rate", "60"), "rate_hz: expected a divisor of 500, found 60"),
        (foreign(45), ("--order", "FR_hip,FL_hip"), "joint_order: expected each of"),
        (foreign(45), ("--limit", "nan"), "action_limit: expected positive numbers"),
    ],
)
def test_what_cannot_be_imported_says_why(
    model: onnx.ModelProto,
    options: tuple[str, ...],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A refused import gives one line and status 2, and writes no file."""
    onnx.save(model, tmp_path / "policy.onnx")
    assert run("import", tmp_path / "policy.onnx", tmp_path / "mine.onnx", *options) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "mine.onnx").exists()


def test_what_is_no_model_cannot_be_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of another kind and missing weights are refused."""
    (tmp_path / "text.onnx").write_text("hello")
    onnx.save(
        foreign(45),
        tmp_path / "cut.onnx",
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    (tmp_path / "w.data").unlink()
    for name in ("text.onnx", "cut.onnx"):
        assert run("import", tmp_path / name, tmp_path / "mine.onnx") == 2
        assert "source: expected an ONNX model" in capsys.readouterr().err
