"""The network of a policy file in ONNX Runtime: on one thread, in memory that is bound once."""

import os
from time import sleep

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from safe_locomotion.errors import PolicyRefusedError, one_line
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.refusal import refuse

Float32 = NDArray[np.float32]


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread that never spins.

    A spinning thread would take its core from the control loop. ONNX Runtime holds the interpreter
    while it copies bytes (2 ms for a policy of 1.7 MB), but not while it reads a file. So the bytes
    become a file in memory.

    Raises:
        PolicyRefusedError: ONNX Runtime does not accept the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
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
        message = f"ONNX Runtime refuses the model: {one_line(error, 300)}"
        raise PolicyRefusedError(message) from error


class Network:
    """Runs the network step by step, and gives each step the memories of the last one.

    The memories lie in two sets of buffers that take turns. The next step reads what one step
    wrote, and nothing is copied.

    Attributes:
        observation: (1, O) input, which the caller writes.
        action: (1, A) output of the last step.
        estimate: (1, W) estimate of the last step; (1, 0) without one.
    """

    def __init__(
        self, contract: PolicyContract, model: bytes, observation: Float32 | None = None
    ) -> None:
        """Open a session and bind its memory.

        Args:
            contract: names and shapes of the tensors.
            model: ONNX.
            observation: (1, O) array to use as the input; a new one when not given.

        Raises:
            PolicyRefusedError: the model does not run, or its tensors are not those of `contract`.
        """
        self._session = open_session(model)
        shape = (1, contract.observation_width)
        self.observation: Float32 = (
            np.zeros(shape, dtype=np.float32) if observation is None else observation
        )
        self.action: Float32 = np.zeros((1, contract.action_width), dtype=np.float32)
        width = 0 if contract.estimate is None else contract.estimate.width
        self.estimate: Float32 = np.zeros((1, width), dtype=np.float32)
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
        if c.estimate is not None:
            outputs[c.estimate.output] = self.estimate
        try:
            for bind, arrays in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
                for name, array in arrays.items():
                    bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        except Exception as error:  # see `open_session`
            message = f"the tensors do not fit the model: {one_line(error, 300)}"
            raise PolicyRefusedError(message) from error
        return binding

    def reset(self) -> None:
        """Set the memory to zero."""
        for memories in self._memories:
            for memory in memories:
                memory.fill(0.0)

    def remember(self) -> list[Float32]:
        """Copies of the memories that the next step reads."""
        return [memory.copy() for memory in self._memories[self._turn]]

    def recall(self, memories: list[Float32]) -> None:
        """Let the next step read these memories."""
        for memory, kept in zip(self._memories[self._turn], memories, strict=True):
            memory[:] = kept

    def step(self) -> Float32:
        """Run one step on `observation`; returns the array `action`."""
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self.action

    def sequence(self, observations: NDArray[np.floating], pause: float = 0.0) -> Float32:
        """Actions (n, A) for observations (n, O), from zero memory.

        Args:
            observations: (n, O).
            pause: between two steps [s].

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
            message = f"the network cannot be run: {one_line(error, 300)}"
            raise PolicyRefusedError(message) from error
        finally:
            self.reset()
        return actions


def check_parity(contract: PolicyContract, network: Network, pause: float = 0.0) -> float:
    """Largest difference between the network's answers here and the recorded ones.

    Args:
        contract: with the recorded pairs.
        network: to be checked.
        pause: between two steps [s].

    Raises:
        PolicyRefusedError: there are no recorded pairs, or the difference exceeds their tolerance.
    """
    if contract.parity is None:
        raise refuse("parity", "recorded pairs", "none")
    observations = np.array(contract.parity.observations, dtype=np.float32)
    answers = network.sequence(observations, pause)
    error = float(np.max(np.abs(answers - np.array(contract.parity.actions))))
    if not error <= contract.parity.tolerance:
        expected = f"recorded actions within {contract.parity.tolerance:g}"
        raise refuse("parity", expected, f"a difference of {error:.3g}")
    return error
