"""The policy command: ls, info and check."""

from pathlib import Path

import pytest
from policy_models import gait_contract, joint_contract

from safe_locomotion.bench.policy_networks import (
    lstm_memories,
    lstm_pair,
    mlp,
)
from safe_locomotion.cli.main import main
from safe_locomotion.policy.file import write_policy


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
    rows = {
        line.split()[0].rstrip(":"): line
        for line in capsys.readouterr().out.splitlines()
        if line.split()
    }
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
