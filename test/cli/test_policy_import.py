"""The command that imports policies of other projects: what it takes, says and refuses."""

import ast
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from core_values import A1, LIMITS, estimate
from onnx import TensorProto, helper

from safe_locomotion.bench.policy_networks import (
    HIDDEN,
    GraphBuilder,
    mlp,
)
from safe_locomotion.cli.main import main
from safe_locomotion.policy.file import load_policy, read_policy
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


GYM = ("--layout", "legged_gym")
FIFTY = ("--rate", "50")


def run(*arguments: str | Path) -> int:
    return main(["policy", *map(str, arguments)])


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
    assert "layout mjlab" in captured.out and "rounded to three decimals" in captured.err
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
    assert run("import", source, tmp_path / "mine.onnx", *GYM) == 0
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
    arguments = ("import", tmp_path / "policy.onnx", tmp_path / "mine.onnx", *GYM)
    assert run(*arguments, "--order", "sdk") == 0
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
        (foreign(45), (), "layout of a file without metadata: expected --layout out of isaaclab"),
        (foreign(44), GYM, "observation of legged_gym: expected 45 or 48 numbers, found 44"),
        (foreign(270), GYM, "found 270, which are 6 frames of 45: --history 6"),
        (foreign(96), ("--layout", "isaaclab"), "found 96, which are 2 frames of 48: --history 2"),
        (foreign(144, MJLAB), FIFTY, "that the network reads (perhaps --history 3), found 48"),
        (foreign(45), (*GYM, "--robot", "go2"), "expected --pose, --scale, --kp, --kd, found none"),
        (foreign(45), ("--layout", "rsl_rl"), "expected --rate, --order, --terms, --pose, --scale"),
        (foreign(45), ("--layout", "unitree_rl_lab"), "expected --config deploy.yaml"),
        (foreign(45), ("--layout", "rl_sar"), "expected --config config.yaml"),
        (foreign(45), ("--layout", "walk_these_ways"), "expected --config parameters.pkl"),
        (foreign(45), ("--layout", "mjlab"), "metadata of an mjlab export: expected"),
        (foreign(46), ("--layout", "isaaclab"), "observation of isaaclab: expected 45 or 48"),
        (foreign(48, MJLAB), (), "layout mjlab: expected --rate"),
        (two_inputs(), GYM, "inputs besides memories: expected one, found obs, more"),
        (
            foreign(48, MJLAB | {"observation_names": "base_lin_vel,height_scan"}),
            (),
            "observation_names: expected terms out of",
        ),
        (
            foreign(48, MJLAB | {"observation_terms_history_length": "3.000"}),
            (),
            "observation_terms_history_length: expected 7 entries, found 1",
        ),
        (
            foreign(48, MJLAB | {"observation_terms_clip": "-5.000;5.000"}),
            (),
            "observation_terms_clip: expected 7 entries, found 1",
        ),
        (
            foreign(48, MJLAB | {"joint_stiffness": "20.0,x"}),
            (),
            "metadata: expected numbers separated by commas",
        ),
        (foreign(48, MJLAB | {"joint_names": "a,b"}), FIFTY, "joint_order: expected each of"),
        (
            foreign(45, MJLAB),
            FIFTY,
            "observation: expected the 45 numbers that the network reads, found 48: base_",
        ),
        (foreign(90), (*GYM, "--history", "2"), "--history: expected --history-order too"),
        (foreign(45), (*GYM, "--obs-scale", "base_height=1"), "--obs-scale: expected terms out of"),
        (foreign(45), (*GYM, "--obs-scale", "smell=1"), "--obs-scale: expected terms out of"),
        (foreign(45), (*GYM, "--obs-scale", "joint_vel=x"), "numbers separated by slashes"),
        (foreign(45), (*GYM, "--terms", "smell"), "--terms: expected terms out of"),
        (foreign(45), (*GYM, "--order", "isaac"), "isaac, which may be either"),
        (
            foreign(45, {"joint_names": "a"}),
            (),
            "metadata of an mjlab export: expected joint_names",
        ),
        (foreign(45), (*GYM, "--order", "up"), "--order: expected sdk, isaacgym, isaaclab or"),
        (foreign(45), (*GYM, "--kp", "20,21"), "expected 1 or 12 numbers, found 2"),
        (foreign(45), (*GYM, "--kp", "stiff"), "must be numbers separated by commas"),
        (foreign(45), (*GYM, "--kp", "500"), "kp: expected at most 120, found 500"),
        (foreign(45), (*GYM, "--rate", "60"), "rate_hz: expected a divisor of 500, found 60"),
        (foreign(45), (*GYM, "--order", "FR_hip,FL_hip"), "joint_order: expected each of"),
        (foreign(45), (*GYM, "--limit", "nan"), "action_limit: expected positive numbers"),
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


def test_a_model_without_its_weights_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of weights beside the model is missing."""
    weights = {"save_as_external_data": True, "location": "w.data", "size_threshold": 0}
    onnx.save(foreign(45), tmp_path / "cut.onnx", **weights)
    (tmp_path / "w.data").unlink()
    assert run("import", tmp_path / "cut.onnx", tmp_path / "mine.onnx") == 2
    assert "source: expected an ONNX model" in capsys.readouterr().err


def test_an_import_replaces_no_network_and_gives_a_name_that_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The source is never overwritten, and the target ends as all policies do."""
    source = tmp_path / "policy.onnx"
    onnx.save(foreign(45), source)
    before = source.read_bytes()
    assert run("import", source, tmp_path / "." / "policy.onnx", *GYM) == 2
    assert "another file than SOURCE" in capsys.readouterr().err
    assert source.read_bytes() == before
    assert run("import", source, tmp_path / "mine.txt", *GYM) == 2
    assert "ends in .onnx" in capsys.readouterr().err and not (tmp_path / "mine.txt").exists()


def test_an_import_says_where_each_value_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options, the layout and its A1 are named, and that no flight has shown the layout right."""
    source = tmp_path / "policy.onnx"
    onnx.save(foreign(90), source)
    history = ("--history", "2", "--history-order", "frame", "--obs-scale", "joint_vel=0.1")
    target = tmp_path / "mine.onnx"
    assert run("import", source, target, *GYM, *history, "--kp", "25") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    assert "--kp" in rows["kp"] and "legged_gym's A1" in rows["kd"]
    assert rows["rate"].split()[-1] == "legged_gym" and "not known yet" in rows["Whether"]
    c, _ = read_policy(target)
    assert c.layout == "legged_gym" and c.history is not None and c.history.order == "frame"
    by_name = {term.name: term for term in c.observation}
    assert by_name["joint_velocity"].scale == (0.1,) * 12
    assert by_name["joint_velocity"].ages == (1, 0)
    assert run("check", target) == 0
    assert "do not show that its layout is right" in " ".join(capsys.readouterr().out.split())


def test_foreign_files_point_to_the_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` and `sim` name the command that makes a policy file of such a file."""
    monkeypatch.chdir(tmp_path)
    onnx.save(foreign(45), "policy.onnx")
    Path("policy.pt").write_bytes(b"PK")
    for name in ("policy.onnx", "policy.pt", "./policy.pt"):
        assert run("check", name) == 1
        assert "policy import" in " ".join(capsys.readouterr().out.split())
        assert main(["sim", "--headless", "--policy", name, "--duration", "1"]) == 2
        assert "policy import" in capsys.readouterr().err


def test_torchscript_without_torch_says_how_to_convert_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has a line of Python that can be run where torch is."""
    monkeypatch.setitem(sys.modules, "safe_locomotion.training.torchscript", None)
    (tmp_path / "policy.pt").write_bytes(b"PK")
    assert run("import", tmp_path / "policy.pt", tmp_path / "mine.onnx", *GYM) == 2
    said = capsys.readouterr().err
    assert "policy.pt is TorchScript: expected torch" in said
    line = said.split('python -c "')[1].split('"')[0]
    assert "torch.onnx.export" in line and ast.parse(line)
