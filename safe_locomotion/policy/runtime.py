"""A loaded policy: observation in, proposal out, through ONNX Runtime on one thread and into memory that is bound once.

Whatever the network says, a proposal holds only numbers in range. An output that is none, or beyond its contract, gives no
proposal but the name of a hazard.
"""

import os
from math import isfinite
from time import sleep
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import GaitAction, JointAction, PolicyContract, refuse
from safe_locomotion.policy.observation import Float32, Observer
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.types import (
    Array,
    Estimate,
    GaitParameters,
    JointTargets,
    Proposal,
    VelocityCommand,
)

NOT_FINITE = "policy_not_finite"  #: hazard: observation or output is not a number
FAILED = "policy_failed"  #: hazard: ONNX Runtime stopped with an error
OUT_OF_RANGE = "policy_out_of_range"  #: hazard: an output beyond the contract's limit, or a target the joint cannot be asked for


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread that never spins: a spinning thread takes its core from the control loop.

    ONNX Runtime copies bytes while it holds the interpreter, 2 ms for a policy of 1.7 MB, but reads a file without it. So the bytes
    become a file in memory.

    Raises:
        PolicyRefusedError: ONNX Runtime does not take the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        with os.fdopen(os.memfd_create("policy"), "wb") as file:
            file.write(model)
            file.flush()
            return onnxruntime.InferenceSession(
                f"/proc/self/fd/{file.fileno()}", options, providers=["CPUExecutionProvider"]
            )
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        raise PolicyRefusedError(
            f"ONNX Runtime refuses the model: {' '.join(str(error).split())[:300]}"
        ) from error


class Network:
    """Runs the network step by step and feeds its memories back.

    The memories lie in two sets of buffers that take turns: what one step writes the next one reads, and nothing is copied.

    Attributes:
        observation: (1, O) input, written by the caller.
        action: (1, A) output of the last step.
    """

    def __init__(
        self, contract: PolicyContract, model: bytes, observation: Float32 | None = None
    ) -> None:
        self._session = open_session(model)
        shape = (1, contract.observation_width)
        self.observation: Float32 = (
            np.zeros(shape, dtype=np.float32) if observation is None else observation
        )
        self.action: Float32 = np.zeros((1, contract.action_width), dtype=np.float32)
        self._memories = [
            [np.zeros(pair.shape, dtype=np.float32) for pair in contract.recurrent]
            for _ in range(2)
        ]
        self._bindings = [
            self._bind(contract, *self._memories),
            self._bind(contract, *reversed(self._memories)),
        ]
        self._turn = 0

    def _bind(
        self, c: PolicyContract, read: list[Float32], write: list[Float32]
    ) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        inputs = {c.observation_input: self.observation} | {
            p.input: x for p, x in zip(c.recurrent, read, strict=True)
        }
        outputs = {c.action_output: self.action} | {
            p.output: x for p, x in zip(c.recurrent, write, strict=True)
        }
        try:
            for bind, arrays in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
                for name, array in arrays.items():
                    bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        except Exception as error:  # see `open_session`
            raise PolicyRefusedError(
                f"the tensors do not fit the model: {' '.join(str(error).split())[:300]}"
            ) from error
        return binding

    def reset(self) -> None:
        """Forget: zero memory."""
        for memories in self._memories:
            for memory in memories:
                memory.fill(0.0)

    def remember(self) -> list[Float32]:
        """Copies of the memories that the next step reads."""
        return [memory.copy() for memory in self._memories[self._turn]]

    def recall(self, memories: list[Float32]) -> None:
        """Let the next step read these."""
        for memory, kept in zip(self._memories[self._turn], memories, strict=True):
            memory[:] = kept

    def step(self) -> Float32:
        """One step on `observation`; the array `action`."""
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self.action

    def sequence(self, observations: NDArray[np.floating], pause: float = 0.0) -> Float32:
        """Actions (n, A) for observations (n, O), from zero memory, with a pause [s] between two steps.

        Raises:
            PolicyRefusedError: the network cannot be run.
        """
        self.reset()
        actions = np.empty((len(observations), self.action.shape[1]), dtype=np.float32)
        try:
            for row, answer in zip(observations, actions, strict=True):
                self.observation[0] = row
                answer[:] = self.step()[0]
                if pause:
                    sleep(pause)
        except Exception as error:  # see `open_session`
            raise PolicyRefusedError(
                f"the network cannot be run: {' '.join(str(error).split())[:300]}"
            ) from error
        finally:
            self.reset()
        return actions


def check_parity(contract: PolicyContract, network: Network, pause: float = 0.0) -> float:
    """Largest difference between the network's answers here and the recorded ones.

    Raises:
        PolicyRefusedError: there are no recorded pairs, or the difference is beyond their tolerance.
    """
    if contract.parity is None:
        raise refuse("parity", "recorded pairs", "none")
    observations = np.array(contract.parity.observations, dtype=np.float32)
    answers = network.sequence(observations, pause)
    error = float(np.max(np.abs(answers - np.array(contract.parity.actions))))
    if not error <= contract.parity.tolerance:
        raise refuse(
            "parity",
            f"recorded actions within {contract.parity.tolerance:g}",
            f"a difference of {error:.3g}",
        )
    return error


class JointInterpreter:
    """Joint targets from the output of a joint policy: q = default_pose + scale a, in SDK order.

    A target may lie outside the joint's range by tau_max / kp at most: further out it asks for more than the peak torque with the
    joint at its end stop already, which no controller means. Within that margin it is set to the end of the range: the bridge's
    gate takes none outside.
    """

    def __init__(self, contract: PolicyContract, action: JointAction, robot: RobotModel) -> None:
        back = np.argsort(contract.to_policy)
        self._back = back
        self._default, self._scale = (
            np.array(x)[back] for x in (contract.default_pose, action.scale)
        )
        self._kp, self._kd = (np.array(x)[back] for x in (action.kp, action.kd))
        for array in (self._kp, self._kd):
            array.setflags(write=False)
        self._q_min = robot.q_min
        self._q_max = robot.q_max
        margin = robot.tau_max / self._kp
        self._lower = robot.q_min - margin
        self._upper = robot.q_max + margin
        self.gait: GaitParameters | None = None

    def reset(self) -> None:
        """Nothing is kept."""

    def remember(self) -> None:
        """Nothing is kept."""

    def recall(self, kept: Any) -> None:
        """Nothing is kept."""

    def read(self, action: Array) -> JointTargets | None:
        """Targets of an action (12,) in the policy's order; None when one is out of range."""
        q = action[self._back]
        q *= self._scale
        q += self._default
        if not ((self._lower <= q) & (q <= self._upper)).all():
            return None
        np.maximum(q, self._q_min, out=q)
        np.minimum(q, self._q_max, out=q)
        return JointTargets(q=q, kp=self._kp, kd=self._kd)


class GaitInterpreter:
    """Gait parameters from the output of a gait policy, which it integrates within the contract's bounds.

    Attributes:
        gait: parameters in force.
    """

    def __init__(self, action: GaitAction) -> None:
        self._terms = action.terms
        self.reset()

    def reset(self) -> None:
        """Back to the nominal gait."""
        self._values = {term.name: term.nominal for term in self._terms}
        self.gait: GaitParameters | None = self._parameters()

    def remember(self) -> dict[str, tuple[float, ...]]:
        """What `recall` needs to go on from here."""
        return dict(self._values)

    def recall(self, kept: dict[str, tuple[float, ...]]) -> None:
        """Go on from there."""
        self._values = dict(kept)
        self.gait = self._parameters()

    def read(self, action: Array) -> GaitParameters | None:
        """Parameters after one more action (9,) within +-clip."""
        u = action.tolist()
        at = 0
        for t in self._terms:
            part = u[at : at + t.width]
            at = at + t.width
            start = t.nominal if t.name == "foot_y" else self._values[t.name]
            moved = [x + k * v for x, k, v in zip(start, t.scale, part, strict=True)]
            if t.name == "phase_offsets":
                bounded = (
                    x % 1.0 % 1.0 for x in moved
                )  # twice: a tiny negative number gives exactly 1 first
            else:
                bounded = (
                    min(hi, max(lo, x)) for lo, x, hi in zip(t.lower, moved, t.upper, strict=True)
                )
            self._values[t.name] = tuple(bounded)
        self.gait = self._parameters()
        return self.gait

    def _parameters(self) -> GaitParameters:
        v = self._values
        offsets = v["phase_offsets"]
        feet = v["foot_y"]
        return GaitParameters(
            frequency=v["frequency"][0],
            swing_ratio=v["swing_ratio"][0],
            phase_offsets=(offsets[0], offsets[1], offsets[2]),
            foot_y=(feet[0], feet[1], feet[2], feet[3]),
        )


class PolicyRuntime:
    """A policy that is ready to act: checked against its recorded pairs and warm.

    Attributes:
        contract: of the policy.
        hazard: why the last `act` gave no proposal: "", `NOT_FINITE`, `OUT_OF_RANGE` or `FAILED`. A memory that took in what is not
            finite stays so until `reset`.
    """

    def __init__(
        self, contract: PolicyContract, model: bytes, robot: RobotModel, pause: float = 0.0
    ) -> None:
        """Load, check parity, and warm up by it.

        Args:
            contract: of the policy.
            model: that the contract belongs to.
            robot: that it is to drive.
            pause: between two steps [s]: beside a control loop, whose ticks wait for the interpreter while a step holds it.

        Raises:
            PolicyRefusedError: another robot, a model that does not run, or answers that are not the recorded ones.
        """
        if contract.robot != robot.name:
            raise refuse("robot", robot.name, contract.robot)
        self.contract = contract
        self._observer = Observer(contract)
        self._network = Network(contract, model, self._observer.vector)
        self._interpreter: JointInterpreter | GaitInterpreter
        self._clip: float | None
        if contract.gait is not None:
            self._interpreter = GaitInterpreter(contract.gait)
            self._clip = contract.gait.clip
        else:
            assert contract.joint is not None
            self._interpreter = JointInterpreter(contract, contract.joint, robot)
            self._clip = contract.joint.clip
        self._limit = contract.action_limit
        self.parity_error = check_parity(contract, self._network, pause)
        self.reset()

    def reset(self) -> None:
        """Zero memory, no previous action, nominal gait: at the start of an episode, a change of mode and a swap."""
        self._network.reset()
        self._interpreter.reset()
        self._previous: list[float] = [0.0] * self.contract.action_width
        self.hazard = ""

    def remember(self) -> tuple[Any, ...]:
        """What `recall` needs to go on from here, whatever is asked in between."""
        return self._network.remember(), self._interpreter.remember(), self._previous, self.hazard

    def recall(self, kept: tuple[Any, ...]) -> None:
        """Go on from where `remember` was called."""
        memories, interpreted, self._previous, self.hazard = kept
        self._network.recall(memories)
        self._interpreter.recall(interpreted)

    def act(self, estimate: Estimate, command: VelocityCommand) -> Proposal | None:
        """The proposal on this estimate; None, and the reason in `hazard`, when there is none that may be used."""
        observation = self._observer.write(
            estimate, command, self._previous, self._interpreter.gait
        )[0]
        if not np.isfinite(observation).all():
            self.hazard = NOT_FINITE
            return None
        try:
            action = self._network.step()[0].astype(np.float64)
        except Exception:  # see `open_session`
            self.hazard = FAILED
            return None
        largest = float(np.abs(action).max())
        if not largest <= self._limit:
            self.hazard = OUT_OF_RANGE if isfinite(largest) else NOT_FINITE
            return None
        if self._clip is not None and largest > self._clip:
            np.clip(action, -self._clip, self._clip, out=action)
        chosen = self._interpreter.read(action)
        if chosen is None:
            self.hazard = OUT_OF_RANGE
            return None
        self.hazard = ""
        self._previous = action.tolist()
        gait = chosen if isinstance(chosen, GaitParameters) else None
        return Proposal(
            stamp_ns=estimate.stamp_ns,
            policy=self.contract.name,
            kind="joint" if gait is None else "gait",
            gait=gait,
            joints=chosen if isinstance(chosen, JointTargets) else None,
            observation=observation.copy(),  # the network reads the next one from the same place
            action=action,
        )
