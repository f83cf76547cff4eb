"""What importers usually get wrong about a policy, as functions on its contract.

Each function here changes one property of a contract and leaves the network alone. Applied to a
right contract it makes a usual error. Applied to a wrong one it may be what mends it. The functions
name properties of contracts alone, so every layout of an importer works with them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from safe_locomotion.config import load_config
from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.contract import STATE_RATE_HZ, PolicyContract
from safe_locomotion.policy.file import check_fit
from safe_locomotion.policy.refusal import Numbers
from safe_locomotion.policy.term import CHOSEN, ObservationTerm
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import JOINT_KINDS, N_JOINTS

LEG_ORDERS = (
    ("FR", "FL", "RR", "RL"),
    ("FL", "FR", "RL", "RR"),
    ("FL", "FR", "RR", "RL"),
    ("FR", "FL", "RL", "RR"),
    ("FL", "RL", "FR", "RR"),
)
"""Orders of legs: of Unitree's SDK, of Isaac Gym, and of other simulators."""

MIRRORED: Mapping[str, Callable[[str], bool]] = {
    "hips": lambda joint: joint.endswith("hip"),
    "hips of the right legs": lambda joint: joint.endswith("hip") and joint[1] == "R",
    "hips of the rear legs": lambda joint: joint.endswith("hip") and joint[0] == "R",
    "thighs and calves": lambda joint: not joint.endswith("hip"),
}
"""Joints whose positive direction differs between public models, by the names of the groups."""

GAINS = ((20.0, 0.5), (25.0, 0.5), (30.0, 1.0), (40.0, 1.0))
"""Stiffness [Nm/rad] and damping [Nm s/rad] of public trainings of this class of robots."""

OBSERVATION_SCALES: Mapping[str, Mapping[str, Numbers]] = {
    "legged_gym": {
        "base_velocity": (2.0,) * 3,
        "base_angular_velocity": (0.25,) * 3,
        "velocity_command": (2.0, 2.0, 0.25),
        "joint_velocity": (0.05,) * N_JOINTS,
    },
    "mjlab": {"base_angular_velocity": (0.2,) * 3, "joint_velocity": (0.05,) * N_JOINTS},
    "none": {},
}
"""Scales by term of public trainings; 1 for the terms that are not named."""

POSES: Mapping[str, Mapping[str, float]] = {
    "legged_gym": {"hip": 0.1, "front_thigh": 0.8, "rear_thigh": 1.0, "calf": -1.5},
    "zero": {"hip": 0.0, "front_thigh": 0.0, "rear_thigh": 0.0, "calf": 0.0},
}
"""Default poses of public trainings [rad]; hips turn outwards."""

JOINT_TERMS = ("joint_position", "joint_velocity", "previous_action", "earlier_action")
RATES = (50, 100)  #: of public trainings [Hz]
TERM_ORDERS = ("after the gravity", "last")
"""Places of the velocity command among the terms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One changed property of a contract.

    Attributes:
        kind: the property, such as `joint order`.
        name: what it was changed to.
        contract: with the change.
    """

    kind: str
    name: str
    contract: PolicyContract


Variants = Iterator[tuple[str, PolicyContract]]


def joint_orders(c: PolicyContract) -> Variants:
    """Other joint orders: leg by leg, or grouped by type as in Isaac Lab.

    Values of joints first go with their names, as where a layout knows them by name. Then they
    stay in their places, as where the file lists them in the network's order.
    """
    if c.joint is None:
        return
    for by_name in (True, False):
        how = "" if by_name else ", values in their places"
        for legs in LEG_ORDERS:
            by_leg = tuple(f"{leg}_{kind}" for leg in legs for kind in JOINT_KINDS)
            by_type = tuple(f"{leg}_{kind}" for kind in JOINT_KINDS for leg in legs)
            named = " ".join(legs)
            yield f"by leg, {named}{how}", with_joint_order(c, by_leg, by_name=by_name)
            yield f"by type, {named}{how}", with_joint_order(c, by_type, by_name=by_name)


def with_joint_order(
    c: PolicyContract, order: tuple[str, ...], *, by_name: bool = True
) -> PolicyContract:
    """The contract of a joint policy with another order of the joints.

    Args:
        c: of a joint policy.
        order: of the joints.
        by_name: pose, gains and scales go with their joints; else they keep their places.
    """
    if not by_name:
        return replace(c, joint_order=order)
    at = [c.joint_order.index(joint) for joint in order]

    def moved(values: Numbers) -> Numbers:
        return tuple(values[i] for i in at)

    def moved_bounds(values: Numbers | None) -> Numbers | None:
        return None if values is None else moved(values)

    assert c.joint is not None
    joint = replace(
        c.joint,
        scale=moved(c.joint.scale),
        kp=moved(c.joint.kp),
        kd=moved(c.joint.kd),
        lower=moved_bounds(c.joint.lower),
        upper=moved_bounds(c.joint.upper),
    )
    terms = tuple(
        replace(
            term,
            scale=moved(term.scale),
            lower=moved_bounds(term.lower),
            upper=moved_bounds(term.upper),
        )
        if term.name in JOINT_TERMS
        else term
        for term in c.observation
    )
    return replace(
        c, joint_order=order, default_pose=moved(c.default_pose), joint=joint, observation=terms
    )


def joint_signs(c: PolicyContract) -> Variants:
    """Joints that count in the other direction, in observation and action."""
    if c.joint is None:
        return
    for name, is_mirrored in MIRRORED.items():
        signs = tuple(-1.0 if is_mirrored(joint) else 1.0 for joint in c.joint_order)
        terms = tuple(
            _signed(term, signs) if term.name in ("joint_position", "joint_velocity") else term
            for term in c.observation
        )
        scale = tuple(sign * x for sign, x in zip(signs, c.joint.scale, strict=True))
        yield name, replace(c, joint=replace(c.joint, scale=scale), observation=terms)


def action_scales(c: PolicyContract) -> Variants:
    """Another scale of the action: half, twice, 0.25 rad or 1 rad."""
    if c.joint is not None:
        scale = c.joint.scale
        for factor in (0.5, 2.0):
            changed = tuple(factor * x for x in scale)
            yield f"x {factor:g}", replace(c, joint=replace(c.joint, scale=changed))
        for value in (0.25, 1.0):
            changed = tuple(value if x > 0.0 else -value for x in scale)
            yield f"{value:g} rad", replace(c, joint=replace(c.joint, scale=changed))
    if c.gait is not None:
        for factor in (0.5, 2.0):
            terms = tuple(
                replace(term, scale=tuple(factor * x for x in term.scale)) for term in c.gait.terms
            )
            yield f"x {factor:g}", replace(c, gait=replace(c.gait, terms=terms))


def gains(c: PolicyContract) -> Variants:
    """Half and twice the gains, and those of public trainings."""
    if c.joint is None:
        return
    for factor in (0.5, 2.0):
        kp = tuple(factor * x for x in c.joint.kp)
        kd = tuple(factor * x for x in c.joint.kd)
        yield f"x {factor:g}", replace(c, joint=replace(c.joint, kp=kp, kd=kd))
    for stiffness, damping in GAINS:
        joint = replace(c.joint, kp=(stiffness,) * N_JOINTS, kd=(damping,) * N_JOINTS)
        yield f"kp {stiffness:g}, kd {damping:g}", replace(c, joint=joint)


def observation_scales(c: PolicyContract) -> Variants:
    """Scales of public trainings, for all terms and for single ones."""
    for name, scales in OBSERVATION_SCALES.items():
        terms = tuple(_scaled(term, scales.get(term.name)) for term in c.observation)
        yield f"of {name}" if scales else "all 1", replace(c, observation=terms)
    for key, scale in OBSERVATION_SCALES["legged_gym"].items():
        for name, factors in (("of legged_gym", scale), ("1", None)):
            terms = tuple(
                _scaled(term, factors) if term.name == key else term for term in c.observation
            )
            yield f"{key} {name}", replace(c, observation=terms)


def observation_signs(c: PolicyContract) -> Variants:
    """Gravity that points up, and commands that count to the right."""
    for name, key, signs in (
        ("gravity upwards", "projected_gravity", (-1.0, -1.0, -1.0)),
        ("sideways command to the right", "velocity_command", (1.0, -1.0, 1.0)),
        ("turning command to the right", "velocity_command", (1.0, 1.0, -1.0)),
    ):
        terms = tuple(_signed(term, signs) if term.name == key else term for term in c.observation)
        yield name, replace(c, observation=terms)


def term_orders(c: PolicyContract) -> Variants:
    """The velocity command in the places that it has in public trainings."""
    command = [term for term in c.observation if term.name == "velocity_command"]
    others = [term for term in c.observation if term.name != "velocity_command"]
    names = [term.name for term in others]
    if not command:
        return
    yield "command last", replace(c, observation=(*others, *command))
    if "projected_gravity" in names:
        at = names.index("projected_gravity") + 1
        terms = (*others[:at], *command, *others[at:])
        yield "command after gravity", replace(c, observation=terms)
        swapped = (*others[: at - 1], *command, *others[at - 1 :])
        yield "command before gravity", replace(c, observation=swapped)


def previous_actions(c: PolicyContract) -> Variants:
    """The previous action after its scale, in radians, and before it."""
    if c.joint is None:
        return
    for name, scale in (("scaled", c.joint.scale), ("not scaled", (1.0,) * N_JOINTS)):
        terms = tuple(
            _scaled(term, scale) if term.name in ("previous_action", "earlier_action") else term
            for term in c.observation
        )
        yield name, replace(c, observation=terms)


def histories(c: PolicyContract) -> Variants:
    """Other orders of the frames, and other frames before the first one."""
    h = c.history
    if h is None:
        return
    yield "newest first", replace(c, observation=_aged(c, newest_first=True))
    yield "oldest first", replace(c, observation=_aged(c, newest_first=False))
    yield "term by term", replace(c, history=replace(h, order="term"))
    if len({term.ages for term in c.observation}) == 1:
        yield "frame by frame", replace(c, history=replace(h, order="frame"))
    yield "copies before the first frame", replace(c, history=replace(h, start="repeat"))
    yield "zeros before the first frame", replace(c, history=replace(h, start="zero"))


def _aged(c: PolicyContract, *, newest_first: bool) -> tuple[ObservationTerm, ...]:
    return tuple(
        replace(term, ages=tuple(sorted(term.ages, reverse=not newest_first)))
        for term in c.observation
    )


def rates(c: PolicyContract) -> Variants:
    """Half and twice the rate, and those of public trainings."""
    for rate in sorted({c.rate_hz // 2, 2 * c.rate_hz, *RATES}):
        if rate > 0 and STATE_RATE_HZ % rate == 0:
            yield f"{rate} Hz", replace(c, rate_hz=rate)


def default_poses(c: PolicyContract) -> Variants:
    """The robot's own standing pose, and those of public trainings."""
    if c.joint is None:
        return
    stand = load_robot(c.robot).q_stand[c.to_policy]
    yield "standing pose", replace(c, default_pose=tuple(stand.tolist()))
    for name, angles in POSES.items():
        pose = tuple(_angle(joint, angles) for joint in c.joint_order)
        yield f"of {name}" if name != "zero" else name, replace(c, default_pose=pose)


PERMUTATIONS: Mapping[str, Callable[[PolicyContract], Variants]] = {
    "joint order": joint_orders,
    "joint sign": joint_signs,
    "order of the observation": term_orders,
    "observation scale": observation_scales,
    "action scale": action_scales,
    "gains": gains,
    "default pose": default_poses,
    "sign of the observation": observation_signs,
    "previous action": previous_actions,
    "history": histories,
    "control rate": rates,
}
"""Permutations by the property that they change, in the order in which they are tried."""


def changes(contract: PolicyContract, kinds: Sequence[str] | None = None) -> list[Change]:
    """Every single change of a contract that makes another one, which still fits its robot.

    Args:
        contract: to be changed.
        kinds: keys of `PERMUTATIONS`; all of them when not given.
    """
    robot = load_robot(contract.robot)
    limits = load_config(contract.robot).bridge.limits
    seen = [contract]
    found = []
    for kind in PERMUTATIONS if kinds is None else kinds:
        for name, changed in PERMUTATIONS[kind](contract):
            if changed in seen:
                continue
            seen.append(changed)
            try:
                check_fit(changed, robot, limits)
            except PolicyRefusedError:
                continue
            found.append(Change(kind=kind, name=name, contract=changed))
    return found


def _signed(term: ObservationTerm, signs: Numbers) -> ObservationTerm:
    """A term whose numbers count in these directions."""

    def signed(values: Numbers) -> Numbers:
        return tuple(sign * x for sign, x in zip(signs, values, strict=True))

    if term.lower is None or term.upper is None:
        return replace(term, scale=signed(term.scale))
    ends = list(zip(signed(term.lower), signed(term.upper), strict=True))
    return replace(
        term,
        scale=signed(term.scale),
        lower=tuple(min(pair) for pair in ends),
        upper=tuple(max(pair) for pair in ends),
    )


def _scaled(term: ObservationTerm, scale: Numbers | None) -> ObservationTerm:
    """A term with this scale; with 1 for None. What the contract chooses itself stays."""
    if term.name in CHOSEN:
        return term
    return replace(term, scale=scale or (1.0,) * term.width)


def _angle(joint: str, angles: Mapping[str, Any]) -> float:
    """Angle of a joint in a pose [rad]."""
    leg, _, kind = joint.partition("_")
    if kind == "hip":
        return float(angles["hip"] if leg.endswith("L") else -angles["hip"])
    if kind == "calf":
        return float(angles["calf"])
    return float(angles["front_thigh" if leg.startswith("F") else "rear_thigh"])
