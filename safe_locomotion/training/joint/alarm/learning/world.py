"""What the learner needs of the world: batched robots whose tensors stay in their place."""

from typing import Any, Protocol

from torch import Tensor

N_OBSERVED = 45  #: numbers in an observation; the last twelve are the previous action
N_EXPLICIT = 11  #: base velocity 3, heights of the feet 4, contacts of the feet 4
N_BASE_VELOCITY = 3  #: of the explicit states
N_ACTIONS = 12
N_COSTS = 5
COSTS = ("joint_position", "joint_velocity", "joint_torque", "collision", "body")


class World(Protocol):
    """n robots on a terrain curriculum. `step` overwrites all tensors in place.

    Attributes:
        observation: (n, 45) o_t with sensor noise, of the new episode where one ended.
        explicit: (n, 11) e_t: base velocity [m/s], heights of the feet [m], contacts of the feet.
        privileged: (n, P) the full state s_t without noise: observation, explicit states, heights
            of the ground, and how the robot differs from others.
        reward: (n,) of the last step.
        costs: (n, 5) of the last step, in the order of `COSTS`.
        ended: (n,) bool: the last step ended an episode.
        timed_out: (n,) bool: it ended because its time was over, not because of what happened.
        terminal_privileged: (n, P) as the ended episode left it; used where `timed_out`.
        level: (n,) of the terrain under each robot.
        reached_highest: (n,) bool, p^mtl of equation 13. It stays once it is true.
        progress: scalar tensors by name: sums over robots and steps since the construction, and
            perhaps the present means `level` and `reached_highest`.
    """

    observation: Tensor
    explicit: Tensor
    privileged: Tensor
    reward: Tensor
    costs: Tensor
    ended: Tensor
    timed_out: Tensor
    terminal_privileged: Tensor
    level: Tensor
    reached_highest: Tensor
    progress: dict[str, Tensor]

    def step(self, action: Tensor) -> None:
        """Let every robot take one policy step with its action (n, 12)."""

    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
