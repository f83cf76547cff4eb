"""What files of other projects say, value by value, and what of it is refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from core_values import A1
from foreign_policies import BY_KIND, JOINTS, dumped, in_order
from policy_models import ORIGIN
from policy_zoo import TROT, descriptors, isaaclab, lab, parameters, rl_sar, unitree_rl_lab

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.importers import isaac_lab
from safe_locomotion.policy.importers import rl_sar as rl_sar_layout
from safe_locomotion.policy.importers import unitree_rl_lab as unitree_layout
from safe_locomotion.policy.importers import walk_these_ways as walk_layout
from safe_locomotion.policy.importers.foreign_policy import import_foreign
from safe_locomotion.policy.importers.layout import ImportOptions, Layout
from safe_locomotion.policy.importers.plain_files import read_pickle, read_yaml
from safe_locomotion.policy.importers.term_names import scales_from_text, terms_from_text

GAINS = np.arange(20.0, 32.0)


def options(**changes: Any) -> ImportOptions:
    return ImportOptions(name="x", robot="a1", origin=ORIGIN, action_limit=100.0, **changes)


def changed(document: Any, path: str, value: Any) -> Any:
    """The document with one value at a dotted path."""
    *parents, last = path.split(".")
    place = document
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return document


def described(tmp_path: Path, path: str = "scene.dt", value: Any = 0.02) -> Layout:
    """The layout of descriptors with one value changed."""
    document = changed(descriptors(lab(), 0), path, value)
    return isaac_lab.read(45, Path(dumped(tmp_path / "io.yaml", document)), options())


def test_gains_of_descriptors_are_found_by_the_names_of_joints(tmp_path: Path) -> None:
    """The robot lists its joints in another order than the action does."""
    key = "articulations.robot.default_joint_stiffness"
    found = described(tmp_path, key, GAINS.tolist())
    assert found.order == BY_KIND and found.rate_hz == 100
    assert found.kp == tuple(in_order(BY_KIND, GAINS))
    np.testing.assert_allclose(found.default_pose, in_order(BY_KIND, A1.q_stand))


def test_the_rate_of_the_file_holds(tmp_path: Path) -> None:
    """Period and decimation must agree, and an option may repeat the rate, not change it."""
    with pytest.raises(PolicyRefusedError, match=r"the period of 100 Hz.* found 50"):
        described(tmp_path, "scene.dt", 0.02)
    fixture = isaaclab(tmp_path)
    model = onnx.load(fixture.source)
    config = tmp_path / "io.yaml"
    dumped(config, descriptors(lab(), 0))
    for rate in (None, 100):
        given = options(rate_hz=rate)
        found = import_foreign(onnx.load(fixture.source), "isaaclab", given, config=config)
        assert found.contract.rate_hz == 100
    with pytest.raises(PolicyRefusedError, match=r"--rate: expected 100 Hz as in io\.yaml"):
        import_foreign(model, "isaaclab", options(rate_hz=50), config=config)


def test_descriptors_cut_before_they_scale(tmp_path: Path) -> None:
    """A clip of +-5 with the scale 0.2 bounds the scaled numbers at +-1; a history grows old."""
    document = changed(descriptors(lab(), 3), "observations.policy.0.overloads.clip", [-5.0, 5.0])
    document = changed(document, "observations.policy.0.overloads.scale", 0.2)
    found = isaac_lab.read(135, Path(dumped(tmp_path / "io.yaml", document)), options())
    assert found.terms is not None and found.history is not None
    assert (found.terms[0].lower, found.terms[0].upper) == ((-1.0,) * 3, (1.0,) * 3)
    assert found.terms[1].lower is None
    assert found.terms[0].ages == (2, 1, 0)
    assert (found.history.order, found.history.start) == ("term", "repeat")


def test_bounds_of_targets_are_read(tmp_path: Path) -> None:
    """The clip of the action bounds the joint targets."""
    found = described(tmp_path, "actions.0.clip", [[-0.5 * k, 0.5 * k] for k in range(12)])
    assert found.lower is not None and found.upper is not None
    assert (found.lower[11], found.upper[11]) == (-5.5, 5.5)


def test_gains_that_an_actuator_model_hides_are_asked_for(tmp_path: Path) -> None:
    """Zeros in the descriptors are no gains."""
    found = described(tmp_path, "articulations.robot.default_joint_stiffness", [0.0] * 12)
    assert found.kp is None and found.kd is not None


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("actions.0.full_path", "isaaclab.RelativeJointPositionAction", "JointPositionAction"),
        ("actions", [], "actions: expected one action"),
        ("actions.0.offset", 0.0, "offset: expected the default pose"),
        ("actions.0.clip", [[0.0, 1.0]], "expected 12 pairs of bounds, found 1"),
        ("observations.policy.0.name", "height_scan", "expected terms out of"),
        ("observations.policy.0.shape", [4], "shape of base_ang_vel: expected 3"),
        ("observations.policy.3.joint_names", [f"{n}_joint" for n in JOINTS], "order of the act"),
        ("observations.policy.0.overloads.history_length", 500, "ages: expected policy steps"),
        ("observations.policy.0.extras", {"modifiers": [1]}, "modifiers of base_ang_vel"),
        ("observations.policy", {}, "expected a list of terms"),
        ("articulations.robot.joint_names", ["a"], "expected 1 numbers, found 12"),
        ("scene.dt", 0.0, "whole number of Hz"),
        ("scene.dt", float("nan"), "expected finite numbers"),
        ("scene.dt", "soon", "expected finite numbers"),
        ("scene", None, "expected the key 'scene'"),
    ],
)
def test_what_descriptors_cannot_say_is_refused(
    path: str, value: Any, says: str, tmp_path: Path
) -> None:
    """Other actions, unknown terms, other shapes, other orders and missing keys."""
    with pytest.raises(PolicyRefusedError, match=says):
        described(tmp_path, path, value)


def deployed(tmp_path: Path, changes: dict[str, Any]) -> Layout:
    """The layout of a deploy.yaml with some values changed."""
    config = Path(unitree_rl_lab(tmp_path, 2).words[-1])
    document = yaml.safe_load(config.read_text().replace("!!python/object/apply:builtins", "#"))
    for path, value in changes.items():
        changed(document, path, value)
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    return unitree_layout.read(config)


def test_deploy_yaml_has_gains_in_sdk_order(tmp_path: Path) -> None:
    """Gains come in SDK order, the pose in the order of the network."""
    found = deployed(tmp_path, {"stiffness": GAINS.tolist()})
    assert found.order == BY_KIND and found.kp == tuple(in_order(BY_KIND, GAINS))
    np.testing.assert_allclose(found.default_pose, in_order(BY_KIND, A1.q_stand))


def test_deploy_yaml_says_history_command_and_phase(tmp_path: Path) -> None:
    """Whole frames by a switch, the command within its ranges, and the phase as a clock."""
    phase = {"params": {"period": 0.5}, "scale": [1.0, 1.0], "clip": None, "history_length": 2}
    changes = {
        "observations.use_gym_history": True,
        "observations.gait_phase": phase,
        "observations.velocity_commands.clip": None,
        "observations.velocity_commands.scale": [2.0, 2.0, 0.25],
    }
    found = deployed(tmp_path, changes)
    assert found.history is not None and found.history.order == "frame"
    assert found.clock is not None and found.clock.frequency == 2.0
    assert found.clock.offsets == (0.0, 0.25)
    terms = {term.name: term for term in found.terms or ()}
    assert terms["velocity_command"].upper == (2.0, 0.8, 0.25)
    assert terms["clock"].width == 2 and terms["clock"].ages == (1, 0)


def test_deploy_yaml_may_cut_after_the_scale(tmp_path: Path) -> None:
    """With `scale_first` the bounds are those of the scaled numbers."""
    for late, bound in ((False, 20.0), (True, 100.0)):
        found = deployed(tmp_path / str(late), {"observations.scale_first": late})
        assert found.terms is not None and found.terms[0].upper == (bound,) * 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"joint_ids_map": [0] * 12}, "joint_ids_map: expected each of 0..11 once"),
        ({"actions": {"JointVelocityAction": {}}}, "expected JointPositionAction alone"),
        ({"observations.base_ang_vel.scale": [1.0]}, None),
        ({"observations.base_ang_vel.scale": [1.0, 2.0]}, "expected 3 numbers, found 2"),
        ({"observations.keyboard": {"scale": [1.0]}}, "expected terms out of"),
        ({"observations.gait_phase": {"params": {"period": 0.0}}}, "period: expected a positive"),
        ({"commands.base_velocity.ranges.ang_vel_z": [1.0]}, None),
    ],
)
def test_what_deploy_yaml_cannot_say_is_refused(
    changes: dict[str, Any], says: str | None, tmp_path: Path
) -> None:
    """Wrong counts, other actions and other observations; one number counts for all."""
    if says is None:
        assert deployed(tmp_path, changes).terms
        return
    with pytest.raises(PolicyRefusedError, match=says):
        deployed(tmp_path, changes)


def configured(tmp_path: Path, **changes: Any) -> Layout:
    """The layout of a config.yaml of rl_sar with some values changed."""
    config = Path(rl_sar(tmp_path, (0, 2)).words[-1])
    document = yaml.safe_load(config.read_text())
    document["a1/mine"] |= changes
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    return rl_sar_layout.read(config)


def test_rl_sar_lists_ages(tmp_path: Path) -> None:
    """The ages stand in the file, zeros before them; the rate is that of base.yaml."""
    found = configured(tmp_path, observations_history_priority="term")
    assert found.terms is not None and {term.ages for term in found.terms} == {(0, 2)}
    assert found.history is not None
    assert (found.history.order, found.history.start) == ("term", "zero")
    assert (found.rate_hz, found.clip) == (100, 100.0)
    (tmp_path / "rl_sar_2/base.yaml").unlink()
    assert rl_sar_layout.read(tmp_path / "rl_sar_2/mine/config.yaml").rate_hz is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"wheel_indices": [3]}, "wheel_indices: expected none"),
        ({"joint_mapping": [0, 1]}, "joint_mapping: expected each of 0..11 once"),
        ({"observations": ["ang_vel", "phase"]}, "observations: expected terms out of"),
        ({"observations_history_priority": "row"}, "expected time or term"),
        ({"observations_history": [0.5]}, "expected whole numbers"),
        ({"clip_actions_upper": [*[1.0] * 11, 2.0]}, "one bound for all joints"),
        ({"clip_actions_lower": [-1.0] * 12}, "one bound for all joints"),
        ({"rl_kp": [20.0] * 11}, "rl_kp: expected 12 numbers, found 11"),
        ({"rl_kp": None}, "expected the key 'rl_kp'"),
        ({"ang_vel_scale": True}, "ang_vel_scale: expected finite numbers"),
    ],
)
def test_what_rl_sar_cannot_say_is_refused(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    """Wheels, wrong mappings, unknown terms, wrong counts and uneven clips."""
    with pytest.raises(PolicyRefusedError, match=says):
        configured(tmp_path, **changes)


def walked(tmp_path: Path, behaviour: tuple[float, ...] = TROT, **changes: Any) -> Layout:
    """The layout of parameters with some parts changed, which may name a key of a part."""
    document = {"Cfg": parameters()}
    for key, part in changes.items():
        document["Cfg"][key] = {**document["Cfg"].get(key, {}), **part}
    path = tmp_path / "parameters.pkl"
    path.write_bytes(pickle.dumps(document))
    return walk_layout.read(path, options(behaviour=behaviour))


def test_walk_these_ways_by_hand(tmp_path: Path) -> None:
    """Thirty frames, hips at half the scale, the scaled behaviour, and the clock of its gait."""
    found = walked(tmp_path)
    assert found.terms is not None and sum(term.size for term in found.terms) == 30 * 73
    assert found.scale is not None and found.scale[:3] == (0.125, 0.25, 0.25)
    constant = next(term for term in found.terms if term.name == "constant")
    np.testing.assert_allclose(constant.scale[:7], (0.0, 3.0, 0.5, 0.0, 0.0, 0.5, 0.012))
    assert found.clock is not None
    assert (found.clock.frequency, found.clock.offsets) == (3.0, (0.5, 0.0, 0.0, 0.5))
    gait = (0.0, 2.0, 0.1, 0.2, 0.4, *TROT[5:])
    for pacing, middle in ((False, (0.2, 0.4)), (True, (0.4, 0.2))):
        found = walked(tmp_path, gait, commands={"pacing_offset": pacing})
        assert found.clock is not None
        np.testing.assert_allclose(found.clock.offsets, (0.7, *middle, 0.1))


def test_gains_by_parts_of_names(tmp_path: Path) -> None:
    """A key may be a part of the names of joints."""
    found = walked(tmp_path, control={"stiffness": {"hip": 10.0, "thigh": 20.0, "calf": 30.0}})
    assert found.kp == (10.0, 20.0, 30.0) * 4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"env": {"observe_yaw": True}}, "found observe_yaw"),
        ({"terrain": {"measure_heights": True}}, "found heights"),
        ({"env": {"num_observations": 70}}, "num_observations: expected 73, found 70"),
        ({"commands": {"num_commands": 9}}, "--behaviour: expected 6 numbers"),
        ({"control": {"stiffness": {"wheel": 1.0}}}, "a gain of FL_hip"),
    ],
)
def test_what_walk_these_ways_cannot_say_is_refused(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    """Yaw, heights, other widths, another behaviour and joints without gains."""
    with pytest.raises(PolicyRefusedError, match=says):
        walked(tmp_path, **changes)


class Evil:
    """Would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "ran")


def test_no_code_of_a_file_runs(tmp_path: Path) -> None:
    """A pickle and a YAML file that would write a file give nothing in its place."""
    ran = tmp_path / "ran"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"x": 1, "evil": Evil(ran)}))
    assert read_pickle(tmp_path / "a.pkl").number("x") == 1.0
    text = f"x: 1\nevil: !!python/object/apply:os.system ['touch {ran}']\n"
    (tmp_path / "a.yaml").write_text(text)
    found = read_yaml(tmp_path / "a.yaml")
    assert found.number("x") == 1.0 and found.get("evil") is None
    assert not ran.exists()
    assert pickle.loads((tmp_path / "a.pkl").read_bytes()) and ran.exists()


@pytest.mark.parametrize("data", [b"", b"\x80", b"[1, 2", b"just text", b"\xff\xfe"])
def test_what_is_no_file_of_settings_is_refused(data: bytes, tmp_path: Path) -> None:
    """Bytes of any kind give one line."""
    path = tmp_path / "a"
    path.write_bytes(data)
    for read in (read_pickle, read_yaml):
        with pytest.raises(PolicyRefusedError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(PolicyRefusedError, match="readable file"):
        read_yaml(tmp_path / "none")


def test_terms_and_scales_on_the_command_line() -> None:
    """Names of any project, one scale or one for each number."""
    text = "ang_vel:0.25,projected_gravity,velocity_commands:2/2/0.25,joint_pos_rel"
    terms = terms_from_text(text)
    assert [term.name for term in terms] == [
        "base_angular_velocity",
        "projected_gravity",
        "velocity_command",
        "joint_position",
    ]
    assert terms[0].scale == (0.25,) * 3 and terms[2].scale == (2.0, 2.0, 0.25)
    assert scales_from_text("dof_vel=0.05,commands=1/2/3") == {
        "joint_velocity": (0.05,),
        "velocity_command": (1.0, 2.0, 3.0),
    }


def test_the_command_stays_within_its_ranges_and_its_clip(tmp_path: Path) -> None:
    """A clip of +-0.3 is narrower than the range of vx, and wider bounds change nothing."""
    found = deployed(tmp_path, {"observations.velocity_commands.clip": [-0.3, 100.0]})
    command = next(term for term in found.terms or () if term.name == "velocity_command")
    assert (command.lower, command.upper) == ((-0.3, -0.3, -0.3), (1.0, 0.4, 1.0))
