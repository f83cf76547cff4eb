"""What student, teacher and critic see, as tensors of fixed places.

- The observation (n, 45) has the terms of `joint.observation.OBSERVATION`, without scales:
  angular velocity in base 3 [rad/s], gravity in base 3, command 3 (vx, vy [m/s], wz [rad/s]),
  q - q_stand 12 [rad], dq 12 [rad/s], last action 12. Joints are in the package's order.
- The explicit state (n, 11): velocity of the base in base 3 [m/s], clearance of the soles 4 [m],
  contact of the feet 4 (0 or 1).
- The privileged state (n, 264): the observation without noise 45, the explicit state 11, heights of
  the ground relative to the base 187 [m] (17 forward by 11 to the left), differences 21.
"""

import torch
from torch import Tensor

from safe_locomotion.training.joint.alarm.world.differences import N_DIFFERENCES
from safe_locomotion.training.joint.alarm.world.options import Randomisation
from safe_locomotion.training.joint.alarm.world.random_numbers import RandomNumbers
from safe_locomotion.training.joint.alarm.world.senses import N_HEIGHTS, Truth
from safe_locomotion.training.joint.observation import OBSERVATION, observation_terms
from safe_locomotion.types import N_JOINTS, N_LEGS

N_OBSERVATION = 9 + 3 * N_JOINTS
N_EXPLICIT = 3 + 2 * N_LEGS
N_PRIVILEGED = N_OBSERVATION + N_EXPLICIT + N_HEIGHTS + N_DIFFERENCES
NOISY = {"gyro": 3, "gravity": 3, "q": N_JOINTS, "dq": N_JOINTS}
"""Normal numbers that the noise needs: deviation in `Randomisation`, and width."""
LARGEST = 100.0  #: a larger number comes from a simulation that has diverged
HEIGHT_RANGE = 1.0
"""Heights relative to the standing robot are clipped to plus and minus this [m]."""


class Views:
    """The tensors that a learner reads; `look` fills them.

    Attributes:
        clean: (n, 45) observation without noise.
        noisy: (n, 45) observation.
        explicit: (n, 11).
        privileged: (n, 264).
    """

    def __init__(self, n: int, ranges: Randomisation, enabled: bool, device: str) -> None:
        self._ranges = ranges
        self._enabled = enabled
        self.clean = torch.zeros(n, N_OBSERVATION, device=device)
        self.noisy = torch.zeros(n, N_OBSERVATION, device=device)
        self.explicit = torch.zeros(n, N_EXPLICIT, device=device)
        self.privileged = torch.zeros(n, N_PRIVILEGED, device=device)

    def look(
        self,
        qpos: Tensor,
        qvel: Tensor,
        q_stand: Tensor,
        command: Tensor,
        action: Tensor,
        truth: Truth,
        contact: Tensor,
        height: float,
        differences: Tensor,
    ) -> None:
        """Fill all but the noise; `height` is that of a standing base [m]."""
        terms = observation_terms(qpos, qvel, q_stand, command, action, torch.stack)
        self.clean.copy_(bounded(torch.cat([terms[name] for name in OBSERVATION], dim=1)))
        explicit = torch.cat((truth.velocity, truth.clearance, contact), dim=1)
        self.explicit.copy_(bounded(explicit))
        ground = (truth.ground + height).clamp(-HEIGHT_RANGE, HEIGHT_RANGE)
        parts = (self.clean, self.explicit, bounded(ground), differences)
        self.privileged.copy_(torch.cat(parts, dim=1))

    def add_noise(self, random: RandomNumbers) -> None:
        """Make the noisy observation from the clean one."""
        self.noisy.copy_(self.clean)
        if not self._enabled:
            return
        for name, place in _PLACES.items():
            deviation = getattr(self._ranges, name)
            self.noisy[:, place].add_(random.normal[f"noise_{name}"], alpha=deviation)


def bounded(values: Tensor) -> Tensor:
    """Finite numbers of at most `LARGEST`."""
    return torch.nan_to_num(values, nan=0.0).clamp(-LARGEST, LARGEST)


_PLACES = {
    "gyro": slice(0, 3),
    "gravity": slice(3, 6),
    "q": slice(9, 9 + N_JOINTS),
    "dq": slice(9 + N_JOINTS, 9 + 2 * N_JOINTS),
}
