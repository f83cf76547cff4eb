"""The process that checks a policy: what it refuses in time and memory, in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from core_values import A1, LIMITS
from onnx import helper
from policy_models import HEIGHT, from_height

from safe_locomotion.bench.policy_networks import GraphBuilder
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy import loader
from safe_locomotion.policy.check_process import MEMORY
from safe_locomotion.policy.file import seal, write_policy
from safe_locomotion.policy.latency import LATENCY_MAX_MS, LONGEST_S, STEPS, require_quick, step_ms
from safe_locomotion.policy.loader import PROCESSOR_S, PolicyLoader

SIDE = 2896  #: of a square with almost as many numbers as one tensor may have
TENSORS = 60


def deep() -> onnx.ModelProto:
    """A valid model whose step takes several milliseconds: sixty layers of 700."""
    b = GraphBuilder(np.random.default_rng(0))
    x = b.linear("observation", "x", 1, 700)
    b.weight("w", 700, 700)
    for k in range(60):
        b.nodes.append(helper.make_node("MatMul", [x, "w"], [f"y{k}"]))
        x = b.apply("Tanh", f"y{k}", f"x{k}")
    b.linear(x, "action", 700, 12)
    return b.model({"observation": (1, 1)}, {"action": (1, 12)})


def hungry() -> onnx.ModelProto:
    """A model that needs 2 GB, because sixty of the largest tensors live at the same time."""
    b = GraphBuilder(np.random.default_rng(0))
    for name, *shape in (("column", SIDE, 1), ("row", 1, SIDE), ("out", 1, 12)):
        b.weight(name, *shape)
    b.nodes += [
        helper.make_node("MatMul", ["column", "observation"], ["tall"]),
        helper.make_node("MatMul", ["tall", "row"], ["square"]),
    ]
    for k in range(TENSORS):
        b.weight(f"shift{k}", 1)
        b.nodes.append(helper.make_node("Add", ["square", f"shift{k}"], [f"t{k}"]))
    b.nodes += [
        helper.make_node("Sum", [f"t{k}" for k in range(TENSORS)], ["all"]),
        helper.make_node("ReduceMean", ["all"], ["mean"], axes=[0, 1], keepdims=1),
        helper.make_node("MatMul", ["mean", "out"], ["action"]),
    ]
    return b.model({"observation": (1, 1)}, {"action": (1, 12)})


def load(folder: Path, name: str) -> object:
    """What the loader makes of a policy in this folder."""
    return PolicyLoader(A1, LIMITS, [folder]).load(name)


def test_a_quick_policy_is_loaded(tmp_path: Path) -> None:
    """The bounds leave room for an ordinary one."""
    write_policy(from_height(), HEIGHT, tmp_path / "quick.onnx")
    assert load(tmp_path, "quick") is not None


def test_a_policy_whose_step_takes_too_long_is_refused(tmp_path: Path) -> None:
    """Its seal is valid, its answers are the recorded ones, and it would delay every tick."""
    write_policy(deep(), HEIGHT, tmp_path / "slow.onnx")
    with pytest.raises(PolicyRefusedError, match=r"latency: expected a median of at most 0\.5 ms"):
        load(tmp_path, "slow")


def test_a_policy_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """The process that checks it hits its own bound, and the control loop never runs it."""
    good = tmp_path / "hungry.onnx"
    write_policy(from_height(), HEIGHT, good)
    model = onnx.load(good)
    model.graph.CopyFrom(hungry().graph)
    del model.metadata_props[-1]  # the seal
    good.write_bytes(seal(model.SerializeToString()))
    with pytest.raises(PolicyRefusedError, match="runs in 1 GiB, found more") as refused:
        load(tmp_path, "hungry")
    assert "\n" not in str(refused.value)


def test_the_check_has_bounds_of_its_own() -> None:
    """Memory and processor time, for which the kernel stands."""
    program = (
        "from safe_locomotion.policy.check_process import bound_resources; bound_resources();"
        "import resource as r; print(*r.getrlimit(r.RLIMIT_DATA), *r.getrlimit(r.RLIMIT_CPU))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert [int(word) for word in said.stdout.split()] == [MEMORY] * 2 + [PROCESSOR_S] * 2


@pytest.mark.parametrize("number", ["SIGXCPU", "SIGKILL"])
def test_a_check_that_the_kernel_ends_is_a_refusal(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of its processor time the check says nothing itself."""
    program = f"import os, signal; os.kill(os.getpid(), signal.{number})"
    (tmp_path / "ended_check.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loader, "MODULE", "ended_check")
    with pytest.raises(PolicyRefusedError, match="at most 20 s of processor time, found more"):
        load(tmp_path, "any")


class Clock:
    """A clock that each step advances."""

    def __init__(self, *steps_s: float) -> None:
        self.now = 100.0
        self.steps = 0
        self._steps_s = steps_s

    def __call__(self) -> float:
        return self.now

    def step(self) -> None:
        self.now += self._steps_s[self.steps % len(self._steps_s)]
        self.steps += 1


@pytest.mark.parametrize(
    ("steps_ms", "median_ms"), [((0.5,), 0.5), ((0.1, 0.1, 9.0), 0.1), ((9.0, 9.0, 0.1), 9.0)]
)
def test_the_time_of_a_step_is_the_median_of_some(
    steps_ms: tuple[float, ...], median_ms: float
) -> None:
    """After one that warms up; a step that is slow now and then does not count."""
    clock = Clock(*(1e-3 * ms for ms in steps_ms))
    assert step_ms(clock.step, clock) == pytest.approx(median_ms)
    assert clock.steps <= STEPS + 1


def test_a_very_slow_policy_is_measured_once() -> None:
    """The check does not wait for two hundred of its steps."""
    clock = Clock(LONGEST_S)
    assert step_ms(clock.step, clock) == pytest.approx(1e3 * LONGEST_S)
    assert clock.steps == 2


@pytest.mark.parametrize(("ms", "passes"), [(LATENCY_MAX_MS, True), (1.01 * LATENCY_MAX_MS, False)])
def test_the_bound_is_inside(ms: float, passes: bool) -> None:
    """A median at the bound passes, one above it does not."""
    clock = Clock(1e-3 * ms - 1e-12)
    if passes:
        require_quick(clock.step, clock)
        return
    with pytest.raises(PolicyRefusedError, match="latency"):
        require_quick(clock.step, clock)
