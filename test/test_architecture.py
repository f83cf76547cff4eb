"""The architecture picture is drawn from the code as it is now."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from safe_locomotion.stack import NODE_NAMES

TOOL = Path(__file__).parents[1] / "tools/architecture.py"


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("architecture", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_in_the_repository_is_the_one_of_this_code(architecture: ModuleType) -> None:
    """Otherwise: python tools/architecture.py."""
    assert architecture.OUTPUT.read_text() == architecture.picture()


def test_every_topic_of_the_control_path_has_a_sender_and_a_taker(architecture: ModuleType) -> None:
    """Nothing is sent into the void or waited for in vain: what one node of the five takes, another one or the operator sends."""
    topics = architecture.topics()
    assert {"joint_states", "state_estimate", "safety/verdict", "mpc/plan", "cmd_vel"} <= {topic.name for topic in topics}
    for topic in topics:
        assert topic.senders and topic.takers, topic
        assert topic.kind and topic.rate, topic


def test_the_thread_runs_every_stage_once(architecture: ModuleType) -> None:
    """From LowState to LowCmd through all five nodes."""
    steps = " ".join(architecture.thread())
    assert steps.startswith("read LowState") and "write LowCmd" in steps
    assert all(steps.count(name) == 1 for name in NODE_NAMES if name != "bridge")


def test_imports_point_inwards(architecture: ModuleType) -> None:
    """What the picture shows of the core: it imports none of the folders around it."""
    imports = architecture.imports()
    assert imports["core"][0] == [] and "rclpy" in imports["nodes"][1] and "mujoco" in imports["sim"][1]
