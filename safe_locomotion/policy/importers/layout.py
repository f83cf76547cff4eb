"""What a file of another project says, and what its user adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from safe_locomotion.policy.contract import Origin
from safe_locomotion.policy.refusal import Numbers
from safe_locomotion.policy.term import Clock, ObservationHistory, ObservationTerm

#: Layouts, and what each comes from.
LAYOUTS = {
    "isaaclab": "Isaac Lab",
    "unitree_rl_lab": "deploy.yaml",
    "rl_sar": "config.yaml",
    "legged_gym": "Isaac Gym",
    "walk_these_ways": "parameters.pkl",
    "mjlab": "metadata in the file",
    "rsl_rl": "options say all",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """What the user adds to the file; None for the values of the file or layout.

    Attributes:
        name, robot, origin, action_limit: as in the contract.
        rate_hz: policy steps per second.
        order: names of the joints in the network's order.
        kp, kd, scale, default_pose: (12,) in that order.
        clip: bound on the network's output.
        terms: of the observation, in order.
        term_scales: scales of single terms by our names of them.
        frames: of the history; the newest is the last.
        history: order and start of the history.
        observation_clip: bound on each scaled number of the observation.
        behaviour: of walk_these_ways: the commands beyond the velocity.
    """

    name: str
    robot: str
    origin: Origin
    action_limit: float
    rate_hz: int | None = None
    order: tuple[str, ...] | None = None
    kp: Numbers | None = None
    kd: Numbers | None = None
    scale: Numbers | None = None
    default_pose: Numbers | None = None
    clip: float | None = None
    terms: tuple[ObservationTerm, ...] | None = None
    term_scales: Mapping[str, Numbers] = field(default_factory=dict)
    frames: int | None = None
    history: ObservationHistory | None = None
    observation_clip: float | None = None
    behaviour: Numbers | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a file and its layout say; None where they say nothing.

    Attributes:
        order, rate_hz, kp, kd, scale, default_pose, clip, lower, upper: as in the contract.
        terms: of the observation.
        history, clock: of the observation.
        source: where these values come from, in words.
        sources: the same for single values, by their names, where they come from elsewhere.
    """

    source: str
    order: tuple[str, ...] | None = None
    rate_hz: int | None = None
    terms: tuple[ObservationTerm, ...] | None = None
    history: ObservationHistory | None = None
    clock: Clock | None = None
    scale: Numbers | None = None
    kp: Numbers | None = None
    kd: Numbers | None = None
    default_pose: Numbers | None = None
    clip: float | None = None
    lower: Numbers | None = None
    upper: Numbers | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


def in_frames(width: int, sizes: Sequence[int]) -> str:
    """A width, with the option that explains it where it is a multiple of a frame.

    Args:
        width: of an observation.
        sizes: of one frame.
    """
    for size in sizes:
        if width > size and width % size == 0:
            frames = width // size
            return f"{width}, which are {frames} frames of {size}: --history {frames}"
    return str(width)
