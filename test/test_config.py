"""Configuration: the shipped file is valid; unknown, missing, mistyped or infinite is an error."""

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from core_values import A1, CONFIG_FILE

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import robot_names

Document = dict[str, Any]


DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
SHIPPED: Document = yaml.safe_load(CONFIG_FILE.read_text())
#: Parts of the shipped file by how Python shows them, in which True is not 1.0.
TEXTS = {repr(part): yaml.dump(dict([part]), Dumper=DUMPER) for part in SHIPPED.items()}


def parameters(content: Document, node: str) -> Document:
    return dict.__getitem__(content[f"{node}_node"], "ros__parameters")  # type: ignore[no-any-return]


def load(tmp_path: Path, change: Callable[[Document], object]) -> StackConfig:
    """Load the shipped file after `change` edited it."""
    content = deepcopy(SHIPPED)
    change(content)
    path = tmp_path / "robot.yaml"
    texts = (
        TEXTS.get(repr(part)) or yaml.dump(dict([part]), Dumper=DUMPER) for part in content.items()
    )
    path.write_text("".join(texts))
    return load_config(path)


def refusal(tmp_path: Path, change: Callable[[Document], object]) -> ConfigurationError | None:
    """Why the edited file is refused; None if it is accepted."""
    try:
        load(tmp_path, change)
    except ConfigurationError as error:
        return error
    return None


def leaves(content: Any, *path: str) -> list[tuple[str, ...]]:
    """Paths of all values of a nested mapping."""
    if not isinstance(content, dict):
        return [path]
    return [leaf for key, value in content.items() for leaf in leaves(value, *path, key)]


LEAVES = leaves(SHIPPED)
WORDS = (
    "name",
    "recovery_policy",
    "ros__parameters",
    "lock_memory",
    "freeze_garbage",
    "capture",
    "foot_sensors",
    "later_contacts",
)
NUMBERS = [leaf for leaf in LEAVES if leaf[-1] not in WORDS]


def at(content: Document, path: tuple[str, ...]) -> Document:
    for key in path[:-1]:
        content = content[key]
    return content


def plain(value: Any) -> Any:
    return (
        {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        if is_dataclass(value)
        else value
    )


@pytest.mark.parametrize("robot", [path.stem for path in CONFIG_FILE.parent.glob("*.yaml")])
def test_shipped_files_are_read_value_by_value(robot: str) -> None:
    """Each number of the file is in the configuration under its own path and builds a pipeline."""
    config = load_config(robot)
    content = yaml.safe_load((CONFIG_FILE.parent / f"{robot}.yaml").read_text())
    for leaf in leaves(content):
        value: Any = plain(config)
        for key in (leaf[0].removesuffix("_node"), *leaf[2:]):
            value = value[key]
        expected = at(content, leaf)[leaf[-1]]
        if leaf[-1] != "ros__parameters":
            assert value == (tuple(expected) if isinstance(expected, list) else expected)
    assert robot in robot_names()


def test_a_pipeline_comes_out_of_the_shipped_file() -> None:
    """Every stage accepts its part."""
    Pipeline(A1, load_config("a1"))


def test_every_missing_value_is_named(tmp_path: Path) -> None:
    """Values without a default in the code are all needed; the message has the key and the file."""
    for leaf in LEAVES:
        error = refusal(tmp_path, lambda content, leaf=leaf: at(content, leaf).pop(leaf[-1]))
        if error is None:
            optional = leaf[0] == "estimator_node" or leaf[-1] == "later_contacts"
            assert leaf[2] in ("swing", "solver") or optional, leaf
        else:
            assert leaf[-1] in str(error) and str(tmp_path / "robot.yaml") in str(error), leaf


def test_safety_limits_and_gains_have_no_defaults(tmp_path: Path) -> None:
    """Leaving out any number of the bridge stops the start-up."""
    numbers = [leaf for leaf in LEAVES if leaf[0] == "bridge_node"]
    assert len(numbers) > 25
    for leaf in numbers:
        error = refusal(tmp_path, lambda content, leaf=leaf: at(content, leaf).pop(leaf[-1]))
        assert f"missing {leaf[-1]}" in str(error), leaf


def test_every_misspelt_key_is_named_with_the_valid_ones(tmp_path: Path) -> None:
    """Next to any key, one more with a typo."""
    for leaf in LEAVES:
        error = refusal(
            tmp_path, lambda content, leaf=leaf: at(content, leaf).update({f"{leaf[-1]}x": 1.0})
        )
        assert isinstance(error, UnknownNameError), leaf
        assert re.search(f"unknown .*'{leaf[-1]}x'; choose one of: .*{leaf[-1]}", str(error)), leaf


def test_an_unknown_node_is_named_with_the_valid_ones(tmp_path: Path) -> None:
    """A section nobody reads is a typo."""
    with pytest.raises(
        UnknownNameError,
        match=r"unknown node in .* 'brigde_node'; choose one of: bridge_node, estimator_node,",
    ):
        load(tmp_path, lambda content: content.update(brigde_node={}))


@pytest.mark.parametrize("value", ["1.0", True, [1.0]])
def test_every_value_of_the_wrong_type_is_named(tmp_path: Path, value: object) -> None:
    """A quoted number, a boolean or a list in place of a number: where, and what was found."""
    for leaf in NUMBERS:
        if leaf[-1] != "weights" or value != [1.0]:
            error = refusal(
                tmp_path, lambda content, leaf=leaf: at(content, leaf).update({leaf[-1]: value})
            )
            assert leaf[-1] in str(error), leaf


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_every_number_must_be_finite(tmp_path: Path, value: float) -> None:
    """Also within a list: an infinite limit is no limit."""
    for leaf in NUMBERS:
        wanted = [value] * 12 if leaf[-1] == "weights" else value
        error = refusal(
            tmp_path,
            lambda content, leaf=leaf, wanted=wanted: at(content, leaf).update({leaf[-1]: wanted}),
        )
        assert f"{leaf[-1]}: must be finite" in str(error), leaf


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("bridge_node.gains.crossfade_time", 0.0, "crossfade_time: must be positive"),
        ("bridge_node.gains.sit_time", -1.0, "sit_time: must be positive"),
        ("bridge_node.gains.stand_time", 0.0, "stand_time: must be positive"),
        ("bridge_node.gains.fold_time", 0.0, "fold_time: must be positive"),
        ("bridge_node.limits.damping", 0.0, "damping: must be positive and at most kd_max"),
        ("bridge_node.limits.damping", 9.0, "damping: must be positive and at most kd_max"),
        ("policy_node.gait.frequency", 0.0, "frequency: must be positive"),
        ("policy_node.gait.swing_ratio", 1.0, "swing_ratio: must lie between 0 and 1"),
        (
            "supervisor_node.recovery.fast_swing_ratio",
            0.0,
            "fast_swing_ratio: must lie between 0 and 1",
        ),
        ("policy_node.period_ns", 0, "policy_node: period_ns: must be positive"),
        ("mpc_node.period_ns", -4, "mpc_node: period_ns: must be positive"),
    ],
)
def test_numbers_that_would_divide_by_zero_are_refused(
    tmp_path: Path, path: str, value: float, message: str
) -> None:
    """At start-up and by name, not in the control loop."""
    node, *rest = path.split(".")
    leaf = (node, "ros__parameters", *rest)
    with pytest.raises(ConfigurationError, match=message):
        load(tmp_path, lambda content: at(content, leaf).update({leaf[-1]: value}))


@pytest.mark.parametrize("section", ["policy_node.gait", "supervisor_node.recovery"])
def test_an_unknown_gait_names_the_choices(tmp_path: Path, section: str) -> None:
    """In both places in which a gait is named."""
    node, key = section.split(".")
    with pytest.raises(
        UnknownNameError,
        match=r"unknown gait 'gallop'; choose one of: bound, pace, pronk, trot, walk",
    ):
        load(tmp_path, lambda content: content[node]["ros__parameters"][key].update(name="gallop"))


def test_an_unknown_robot_names_the_choices() -> None:
    """By name, not by path."""
    with pytest.raises(UnknownNameError, match=r"unknown robot 'b1'; choose one of: .*a1"):
        load_config("b1")


@pytest.mark.parametrize(
    "content", ["", "- 1\n", "3\n", "a: [\n", "bridge_node: 3\n", "bridge_node:\n"]
)
def test_a_file_that_is_no_parameter_file_is_named(tmp_path: Path, content: str) -> None:
    """Empty, a list, a number, broken YAML, a node without parameters."""
    path = tmp_path / "robot.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"robot\.yaml"):
        load_config(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, not text."""
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    for name in ("missing.yaml", "folder.yaml", "binary.yaml"):
        with pytest.raises(ConfigurationError, match=f"{name}: cannot be read"):
            load_config(tmp_path / name)


def test_overrides_change_one_value() -> None:
    """Dotted keys, also for values that the file leaves to their default; everything else stays."""
    changed = load_config("a1", {"mpc.locomotion.body_height": 0.25, "estimator.max_step": 0.1})
    assert (changed.mpc.locomotion.body_height, changed.estimator.max_step) == (0.25, 0.1)
    before = plain(load_config("a1"))
    after = plain(changed)
    after["mpc"]["locomotion"]["body_height"] = before["mpc"]["locomotion"]["body_height"]
    after["estimator"]["max_step"] = before["estimator"]["max_step"]
    assert after == before


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "mpc.locomotion.body_hight",
            0.25,
            "unknown key .*'body_hight'; choose one of: body_height",
        ),
        (
            "mcp.locomotion.body_height",
            0.25,
            "unknown key .*'mcp'; choose one of: bridge, estimator, policy",
        ),
        ("mpc", 3, "expected keys and values, found 3"),
        ("mpc.period_ns.x", 3, "override mpc.period_ns.x: period_ns is a value"),
        ("policy.gait.name.x", 3, "override policy.gait.name.x: name is a value"),
        ("mpc.locomotion.body_height", "high", "body_height"),
        ("mpc.locomotion.body_height", float("nan"), "body_height: must be finite"),
    ],
)
def test_wrong_overrides_are_named(key: str, value: object, message: str) -> None:
    """As strictly as the file."""
    with pytest.raises(ConfigurationError, match=message):
        load_config("a1", {key: value})


@pytest.mark.parametrize("digits", [400, 4300, 4301, 5000, 100_000])
def test_a_number_that_is_too_long_is_refused_in_one_line(tmp_path: Path, digits: int) -> None:
    """Python itself gives up above 4,300 digits, and no double holds one of 400."""
    text = CONFIG_FILE.read_text()
    path = tmp_path / "robot.yaml"
    path.write_text(re.sub(r"(body_height: )[0-9.]+", r"\g<1>" + "9" * digits, text, count=1))
    assert path.read_text() != text
    with pytest.raises(ConfigurationError, match=r"must be finite|cannot be read") as refused:
        load_config(path)
    assert len(str(refused.value)) < 400


def test_a_file_of_brackets_is_refused(tmp_path: Path) -> None:
    """Nesting without end is no configuration."""
    path = tmp_path / "robot.yaml"
    path.write_text("[" * 20_000)
    with pytest.raises(ConfigurationError):
        load_config(path)
