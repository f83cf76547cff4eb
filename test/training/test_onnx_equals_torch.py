"""A policy exported from torch answers on board as in torch, with memories and normaliser."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from core_values import A1, LIMITS, estimate
from policy_models import joint_contract

from safe_locomotion.policy.contract import RecurrentTensor
from safe_locomotion.policy.file import load_policy, pack, write_policy
from safe_locomotion.policy.network import Network
from safe_locomotion.policy.observation import Observer
from safe_locomotion.types import VelocityCommand

torch = pytest.importorskip("torch")

HIDDEN = 64
MEMORIES = tuple(
    RecurrentTensor(input=f"{k}_in", output=f"{k}_out", shape=(1, 1, HIDDEN)) for k in "hc"
)


class Recurrent(torch.nn.Module):
    """Normaliser, LSTM and MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.linspace(-1.0, 1.0, 45)
        self.deviation = torch.linspace(0.5, 2.0, 45)
        self.lstm = torch.nn.LSTM(45, HIDDEN)
        self.head = torch.nn.Sequential(
            torch.nn.Linear(HIDDEN, 32), torch.nn.ELU(), torch.nn.Linear(32, 12)
        )

    def forward(self, x, h, c):  # type: ignore[no-untyped-def]
        y, (h, c) = self.lstm(((x - self.mean) / self.deviation).unsqueeze(0), (h, c))
        return self.head(y.squeeze(0)), h, c


class FeedForward(torch.nn.Module):
    """Normaliser and two tanh layers."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.linspace(-1.0, 1.0, 45)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(45, 64),
            torch.nn.Tanh(),
            torch.nn.Linear(64, 64),
            torch.nn.Tanh(),
            torch.nn.Linear(64, 12),
        )

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.layers(x - self.mean)


def exported(module: torch.nn.Module, path: Path, *, recurrent: bool) -> onnx.ModelProto:
    """The model from torch's own exporter, with tensors named as in the contract."""
    zeros = [torch.zeros(1, 45), *([torch.zeros(1, 1, HIDDEN)] * (2 if recurrent else 0))]
    names = ["h", "c"] if recurrent else []
    torch.onnx.export(
        module,
        tuple(zeros),
        str(path),
        input_names=["observation", *(f"{k}_in" for k in names)],
        output_names=["action", *(f"{k}_out" for k in names)],
        opset_version=17,
        dynamo=False,
    )
    return onnx.load(str(path))


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Fix the seed of the weights, and use one thread."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recurrent", [False, True])
def test_random_observations_give_the_same_actions(recurrent: bool, tmp_path: Path) -> None:
    """They agree within 1e-5 over 200 steps in sequence."""
    module = (Recurrent() if recurrent else FeedForward()).eval()
    contract = joint_contract(recurrent=MEMORIES if recurrent else ())
    data, _ = pack(exported(module, tmp_path / "m.onnx", recurrent=recurrent), contract)
    network = Network(contract, data)
    memory = [torch.zeros(1, 1, HIDDEN)] * (2 if recurrent else 0)
    with torch.no_grad():
        for row in np.random.default_rng(0).normal(size=(200, 45)).astype(np.float32):
            network.observation[0] = row
            answer = module(torch.from_numpy(row[None]), *memory)
            action, *memory = answer if recurrent else (answer,)
            np.testing.assert_allclose(network.step()[0], action[0].numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_targets_on_board_are_those_of_torch(tmp_path: Path) -> None:
    """File, parity, observation, network and targets agree over 20 steps.

    The last action is fed back.
    """
    module = Recurrent().eval()
    contract = joint_contract(recurrent=MEMORIES)
    write_policy(
        exported(module, tmp_path / "m.onnx", recurrent=True), contract, tmp_path / "p.onnx"
    )
    policy = load_policy("p", A1, LIMITS, [tmp_path])
    observer = Observer(contract)
    rng = np.random.default_rng(1)
    command = VelocityCommand(vx=0.5)
    action = np.zeros(12, dtype=np.float32)
    memory = [torch.zeros(1, 1, HIDDEN)] * 2
    with torch.no_grad():
        for _ in range(20):
            e = estimate(q=A1.q_stand + 0.1 * rng.normal(size=12), dq=rng.normal(size=12))
            row = observer.write(e, command, action.tolist())
            answer, *memory = module(torch.from_numpy(row.copy()), *memory)
            action = answer[0].numpy()
            np.testing.assert_allclose(
                policy.act(e, command).joints.q, A1.q_stand + 0.25 * action, atol=1e-5
            )
