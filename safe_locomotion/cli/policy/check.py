"""The steps of `safe-locomotion policy check`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError, SafeLocomotionError
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import check_fit
from safe_locomotion.policy.latency import LATENCY_MAX_MS
from safe_locomotion.policy.runtime import PolicyRuntime
from safe_locomotion.robot.models import RobotModel, load_robot, robot_names
from safe_locomotion.types import N_JOINTS, Estimate, VelocityCommand

LATENCY_STEPS = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedStep:
    """Result of one step: its name, whether it passed, and what was found."""

    name: str
    passed: bool
    text: str


def check_policy(
    read: Callable[[], tuple[PolicyContract, bytes]], robot: str | None = None
) -> Iterator[CheckedStep]:
    """Check contract, robot, parity and latency of one policy, in this order.

    Without a readable contract the check ends. Without parity the latency is not measured. A
    policy that does not fit the robot is still compared with its recorded pairs.

    Args:
        read: reads contract and network of the file, or raises why this is not possible.
        robot: name of the robot to check for; None for the contract's own.
    """
    try:
        contract, network = read()
    except SafeLocomotionError as error:
        yield CheckedStep(name="contract", passed=False, text=str(error))
        return
    yield CheckedStep(name="contract", passed=True, text=_summary(contract))
    yield _step("robot", lambda: _fit(contract, robot))
    try:
        runtime = PolicyRuntime(
            contract, network, load_robot(_known_robot(contract)), learning=True
        )
    except SafeLocomotionError as error:
        yield CheckedStep(name="parity", passed=False, text=str(error))
        return
    yield CheckedStep(name="parity", passed=True, text=_parity(runtime))
    yield _step("latency", lambda: _latency(runtime))


def _step(name: str, judge: Callable[[], str]) -> CheckedStep:
    """Run a step that returns what it found, or raises why the policy must not fly."""
    try:
        return CheckedStep(name=name, passed=True, text=judge())
    except SafeLocomotionError as error:
        return CheckedStep(name=name, passed=False, text=str(error))


def _summary(c: PolicyContract) -> str:
    memories = "".join(f", {pair.input}{list(pair.shape)} -> {pair.output}" for pair in c.recurrent)
    widths = f"{c.observation_width} numbers in, {c.action_width} out"
    return f"{c.kind}, {c.rate_hz} Hz, {widths}{memories}"


def _fit(contract: PolicyContract, robot: str | None) -> str:
    name = robot or _known_robot(contract)
    check_fit(contract, load_robot(name), load_config(name).bridge.limits)
    return f"{name}; gains, pose and bounds are within its limits"


def _known_robot(contract: PolicyContract) -> str:
    """Name of the contract's robot.

    Raises:
        PolicyRefusedError: the robot is unknown here.
    """
    if contract.robot not in robot_names():
        raise PolicyRefusedError(
            f"robot: expected one of {', '.join(robot_names())}, found {contract.robot!r}"
        )
    return contract.robot


def _parity(runtime: PolicyRuntime) -> str:
    parity = runtime.contract.parity
    assert parity is not None
    text = (
        f"{len(parity.actions)} recorded pairs, largest difference {runtime.parity_error:.1e},"
        f" tolerance {parity.tolerance:g}"
    )
    if runtime.contract.layout:
        text += "; the import recorded them, so they do not show that its layout is right"
    return text


def _latency(runtime: PolicyRuntime) -> str:
    """Times of whole steps, from estimate to proposal, on a standing robot."""
    estimate = _standing(load_robot(runtime.contract.robot))
    command = VelocityCommand(vx=0.3)
    spent = np.empty(LATENCY_STEPS)
    for i in range(LATENCY_STEPS):
        start = perf_counter_ns()
        runtime.act(estimate, command)
        spent[i] = perf_counter_ns() - start
    p50, p99 = np.percentile(spent, (50, 99)) * 1e-6
    text = f"median {p50:.3f} ms, p99 {p99:.3f} ms, from estimate to proposal"
    if not p50 <= LATENCY_MAX_MS:
        raise PolicyRefusedError(f"expected a median of at most {LATENCY_MAX_MS} ms, found {text}")
    return text


def _standing(model: RobotModel) -> Estimate:
    return Estimate(
        stamp_ns=1,
        position=np.array((0.0, 0.0, model.nominal_height)),
        quaternion_wxyz=np.array((1.0, 0.0, 0.0, 0.0)),
        velocity=np.zeros(3),
        angular_velocity=np.zeros(3),
        position_covariance=np.zeros((3, 3)),
        velocity_covariance=np.zeros((3, 3)),
        q=model.q_stand,
        dq=np.zeros(N_JOINTS),
        contact=np.ones(4, dtype=np.bool_),
        ground_normal=np.array((0.0, 0.0, 1.0)),
        ground_height=0.0,
        diverged=False,
    )
