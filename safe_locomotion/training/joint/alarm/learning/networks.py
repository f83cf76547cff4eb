"""Networks of ALARM as in table III of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from safe_locomotion.training.joint.alarm.learning.settings import N_IMPLICIT, Settings
from safe_locomotion.training.joint.alarm.learning.variants import Variant
from safe_locomotion.training.joint.alarm.learning.windows import Split
from safe_locomotion.training.joint.alarm.learning.world import (
    N_ACTIONS,
    N_COSTS,
    N_EXPLICIT,
    N_OBSERVED,
)

COST_BIAS = -4.0  #: of the cost heads: softplus then begins at 0.018 and not at 0.69
LAST_LAYER = 0.1  #: factor on the first weights of the actor's last layer; actions begin near 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Widths:
    """Numbers in each input and latent.

    Attributes:
        observed: in o_t.
        explicit: of the explicit states that the student estimates.
        implicit: of the implicit latent; 0 without one.
        full: in the full state s_t.
    """

    observed: int = N_OBSERVED
    explicit: int = N_EXPLICIT
    implicit: int = N_IMPLICIT
    full: int

    @property
    def row(self) -> int:
        """Numbers in a row: observation, explicit states, full state."""
        return self.observed + N_EXPLICIT + self.full

    @property
    def latent(self) -> int:
        """Numbers in (e_t, i_t)."""
        return self.explicit + self.implicit


def widths_of(variant: Variant, full: int) -> Widths:
    """Widths of the networks of a variant."""
    implicit = 0 if variant.implicit == "none" else N_IMPLICIT
    return Widths(explicit=variant.explicit, implicit=implicit, full=full)


def mlp(inputs: int, layers: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers with ELU between them."""
    sizes = [inputs, *layers]
    parts: list[nn.Module] = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), nn.ELU()]
    return nn.Sequential(*parts, nn.Linear(sizes[-1], outputs))


class MemoryNetwork(nn.Module):
    """An LSTM followed by an MLP; the MLP alone where there is no memory.

    Attributes:
        cells: of the LSTM; 0 without memory.
    """

    def __init__(self, inputs: int, outputs: int, settings: Settings, *, memory: bool) -> None:
        super().__init__()
        self.cells = settings.hidden if memory else 0
        self.lstm = nn.LSTM(inputs, settings.hidden) if memory else None
        self.mlp = mlp(settings.hidden if memory else inputs, settings.layers, outputs)

    def memory_of(self, robots: int, device: torch.device | str) -> Tensor:
        """Memory (2, robots, cells) of new episodes: hidden state and cell state."""
        return torch.zeros(2, robots, self.cells, device=device)

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (n, out) for inputs (n, in), and the memory after this step."""
        if self.lstm is None:
            return self.mlp(x), memory
        out, (h, c) = self.lstm(x[None], (memory[:1].contiguous(), memory[1:].contiguous()))
        return self.mlp(out[0]), torch.cat((h, c))

    def window(self, x: Tensor, memory: Tensor, split: Split) -> Tensor:
        """Outputs (T, M, out) for windows (T, M, in) that begin with this memory (2, M, cells)."""
        if self.lstm is None:
            return self.mlp(x)
        first = (split.memory(memory[:1]), split.memory(memory[1:]))
        out, _ = self.lstm(split.pieces(x), first)
        return self.mlp(split.window(out))


class Critic(nn.Module):
    """Multi-head critic V_phi: the value of the reward, and one of each cost, which is positive."""

    def __init__(self, widths: Widths, settings: Settings, *, memory: bool) -> None:
        super().__init__()
        self.net = MemoryNetwork(widths.full, 1 + N_COSTS, settings, memory=memory)
        with torch.no_grad():
            self.net.mlp[-1].bias[1:] = COST_BIAS

    def step(self, full: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Values (n, 6) of full states (n, S), and the memory after this step."""
        out, memory = self.net.step(full, memory)
        return self.heads(out), memory

    def window(self, full: Tensor, memory: Tensor, split: Split) -> Tensor:
        """Values (T, M, 6) of windows of full states."""
        return self.heads(self.net.window(full, memory, split))

    @staticmethod
    def heads(out: Tensor) -> Tensor:
        """The reward's value as it is, those of the costs through softplus."""
        return torch.cat((out[..., :1], nn.functional.softplus(out[..., 1:])), dim=-1)


class Networks(nn.Module):
    """All networks of one variant.

    Attributes:
        teacher: E_theta_t, full state to implicit latent; None without a teacher.
        student: E_theta_s, observations to (e^, i^); for a variational code also its log variance.
        decoder: D_theta_d, (e, i, o, a) to the next observation; None without one.
        actor: pi_theta, (o, e, i) to the mean action. The last action is part of o.
        log_deviation: (12,) of the actions.
        critic: V_phi.
    """

    def __init__(self, variant: Variant, widths: Widths, settings: Settings) -> None:
        super().__init__()
        w = widths
        self.widths = w
        taught = variant.implicit == "teacher"
        coded = w.implicit if variant.implicit == "context" else 0
        self.teacher = mlp(w.full, settings.layers, w.implicit) if taught else None
        self.student = MemoryNetwork(w.observed, w.latent + coded, settings, memory=True)
        self.decoder = (
            mlp(w.latent + w.observed + N_ACTIONS, settings.layers, w.observed)
            if variant.decoder
            else None
        )
        self.actor = MemoryNetwork(
            w.observed + w.latent, N_ACTIONS, settings, memory=variant.memory
        )
        with torch.no_grad():
            self.actor.mlp[-1].weight.mul_(LAST_LAYER)
        deviation = torch.full((N_ACTIONS,), settings.deviation)
        self.log_deviation = nn.Parameter(deviation.log())
        self.critic = Critic(w, settings, memory=variant.memory)

    def implicit_of(self, full: Tensor) -> Tensor:
        """Latents i (..., I) of the teacher; zeros without one."""
        if self.teacher is None:
            return full.new_zeros(*full.shape[:-1], self.widths.implicit)
        return self.teacher(full)

    def observed(self, rows: Tensor) -> Tensor:
        """o_t in rows."""
        return rows[..., : self.widths.observed]

    def explicit(self, rows: Tensor) -> Tensor:
        """The explicit states in rows that the student estimates."""
        first = self.widths.observed
        return rows[..., first : first + self.widths.explicit]

    def full(self, rows: Tensor) -> Tensor:
        """s_t in rows."""
        return rows[..., self.widths.row - self.widths.full :]

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by what trains them; the gradient of each part is clipped apart."""
        teacher = [] if self.teacher is None else list(self.teacher.parameters())
        decoder = [] if self.decoder is None else list(self.decoder.parameters())
        return {
            "actor": [*self.actor.parameters(), self.log_deviation],
            "critic": list(self.critic.parameters()),
            "teacher": teacher,
            "regression": [*self.student.parameters(), *decoder],
        }
