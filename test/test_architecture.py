"""The architecture picture is drawn from the code as it is now."""

import importlib.util
from types import ModuleType

import pytest
from places import ROOT

from safe_locomotion.runtime.stack import NODE_NAMES

TOOL = ROOT / "tools/architecture.py"


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("architecture", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOL.parent)
        spec.loader.exec_module(module)
    return module


def test_the_picture_in_the_repository_is_the_one_of_this_code(architecture: ModuleType) -> None:
    """Otherwise: python tools/architecture.py."""
    assert architecture.OUTPUT.read_text() == architecture.picture()


def test_every_topic_of_the_control_path_has_a_sender_and_a_taker(architecture: ModuleType) -> None:
    """Every topic that a node takes is sent by another node or by the operator."""
    topics = architecture.topics()
    assert {"joint_states", "state_estimate", "safety/verdict", "mpc/plan", "cmd_vel"} <= {
        topic.name for topic in topics
    }
    for topic in topics:
        assert topic.senders and topic.takers, topic
        assert topic.kind and topic.rate, topic


def test_the_thread_runs_every_stage_once(architecture: ModuleType) -> None:
    """From LowState to LowCmd through all five nodes."""
    steps = " ".join(architecture.thread())
    assert steps.startswith("read LowState") and "write LowCmd" in steps
    assert all(steps.count(name) == 1 for name in NODE_NAMES if name != "bridge")


def test_every_room_imports_rooms_below_it(architecture: ModuleType) -> None:
    """The rows of the picture go from the top of the package down, without a circle."""
    imports = architecture.imports()
    rooms = list(imports)
    for place, room in enumerate(rooms):
        assert set(imports[room][0]) <= set(rooms[place + 1 :])
    assert "rclpy" in imports["nodes"][1] and "mujoco" in imports["sim"][1]
    assert len(rooms) <= 30
