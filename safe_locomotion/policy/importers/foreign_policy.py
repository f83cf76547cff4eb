"""A policy of another project as ours: its network, its contract, and where each value comes from.

Options of the user take precedence over files, and files over what a layout always says. What
nobody says is refused: nothing is guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from safe_locomotion.policy.action import JointAction
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.history import source_index
from safe_locomotion.policy.importers import (
    isaac_lab,
    legged_gym,
    mjlab,
    rl_sar,
    rsl_rl,
    unitree_rl_lab,
    walk_these_ways,
)
from safe_locomotion.policy.importers.layout import LAYOUTS, ImportOptions, Layout
from safe_locomotion.policy.importers.network_file import Tensors, join, metadata
from safe_locomotion.policy.importers.term_names import clipped
from safe_locomotion.policy.refusal import refuse
from safe_locomotion.policy.term import NOW, ObservationHistory, ObservationTerm

#: Option of each value that a contract needs.
OPTIONS = {
    "rate_hz": "--rate",
    "order": "--order",
    "terms": "--terms",
    "default_pose": "--pose",
    "scale": "--scale",
    "kp": "--kp",
    "kd": "--kd",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignPolicy:
    """A policy of another project in our terms.

    Attributes:
        model: one network.
        contract: without recorded pairs.
        sources: where each value comes from, by its name.
    """

    model: onnx.ModelProto
    contract: PolicyContract
    sources: dict[str, str]


def detect_layout(model: onnx.ModelProto) -> str:
    """The layout of a model that holds it in its metadata.

    Raises:
        PolicyRefusedError: the file does not say its layout; the message lists the layouts.
    """
    if "joint_names" in metadata(model):
        return "mjlab"
    listed = ", ".join(f"{name} ({what})" for name, what in LAYOUTS.items())
    raise refuse("layout of a file without metadata", f"--layout out of {listed}", "none")


def import_foreign(
    model: onnx.ModelProto,
    layout: str,
    options: ImportOptions,
    *,
    config: Path | None = None,
    encoder: onnx.ModelProto | None = None,
) -> ForeignPolicy:
    """A policy of another project as ours.

    Args:
        model: the network, or the actor where there is an encoder; changed in place.
        layout: key of `LAYOUTS`.
        options: of the user.
        config: file of settings; which one depends on the layout.
        encoder: a network whose output the actor reads behind the observation.

    Raises:
        PolicyRefusedError: nobody says what is needed, or no contract can express it.
    """
    width = _observation_width(model, encoder)
    found = _read(layout, width, metadata(model), config, options)
    if config is not None:
        _check_rate(found, options, config)
    values = {key: _chosen(key, found, options) for key in OPTIONS}
    missing = [option for key, option in OPTIONS.items() if values[key] is None]
    if missing:
        raise refuse(f"layout {layout}", ", ".join(missing), "none, and the file does not say it")
    terms, history = _observation(found, options)
    size = sum(term.size for term in terms)
    if size != width:
        names = ", ".join(f"{term.name} {term.size}" for term in terms)
        expected = f"the {width} numbers that the network reads"
        if width > size and width % size == 0 and options.frames is None:
            expected += f" (perhaps --history {width // size})"
        raise refuse("observation", expected, f"{size}: {names}")
    if encoder is not None:
        model = join(encoder, model, width, newest_frame(terms, history))
    contract = _contract(Tensors(model), layout, found, options, values, terms, history)
    return ForeignPolicy(model=model, contract=contract, sources=_sources(found, options))


def _check_rate(found: Layout, options: ImportOptions, config: Path) -> None:
    """Refuse another rate than that of the training's own file: no flight may tell half of it.

    Raises:
        PolicyRefusedError: option and file contradict each other.
    """
    said = found.rate_hz
    if said is not None and options.rate_hz not in (None, said):
        raise refuse("--rate", f"{said} Hz as in {config.name}, or no option", options.rate_hz)


def newest_frame(terms: Sequence[ObservationTerm], history: ObservationHistory | None) -> list[int]:
    """Places of the newest frame in the observation, in the order of the terms."""
    width = sum(term.width for term in terms)
    if history is None:
        return list(range(width))
    index = source_index(terms, history).tolist()
    newest = [place for place, source in enumerate(index) if source < width]
    if len(newest) != width:
        raise refuse("history", "the newest frame once", f"{len(newest)} numbers of it")
    return newest


def _observation_width(model: onnx.ModelProto, encoder: onnx.ModelProto | None) -> int:
    ends = Tensors(model)
    if encoder is None:
        return ends.observation_width
    first = Tensors(encoder)
    return max(first.observation_width, ends.observation_width - first.action_width)


def _read(
    layout: str, width: int, said: dict[str, str], config: Path | None, options: ImportOptions
) -> Layout:
    readers = {
        "isaaclab": lambda: isaac_lab.read(width, config, options),
        "unitree_rl_lab": lambda: unitree_rl_lab.read(config),
        "rl_sar": lambda: rl_sar.read(config),
        "legged_gym": lambda: legged_gym.read(width, options),
        "walk_these_ways": lambda: walk_these_ways.read(config, options),
        "mjlab": lambda: mjlab.read(said),
        "rsl_rl": rsl_rl.read,
    }
    if layout not in readers:
        raise refuse("layout", f"one of {', '.join(LAYOUTS)}", repr(layout))
    return readers[layout]()


def _chosen(key: str, found: Layout, options: ImportOptions) -> Any:
    given = getattr(options, key)
    return getattr(found, key) if given is None else given


def _observation(
    found: Layout, options: ImportOptions
) -> tuple[tuple[ObservationTerm, ...], ObservationHistory | None]:
    """Terms and history of the observation, with the options of the user."""
    terms = options.terms or found.terms or ()
    history = options.history or found.history
    if options.frames is not None and options.frames > 1:
        if any(term.ages != NOW for term in terms):
            raise refuse("--history", "none: the file says it", options.frames)
        if history is None:
            raise refuse("--history", "--history-order too", "none")
        terms = tuple(replace(term, ages=mjlab.past(options.frames)) for term in terms)
    unknown = set(options.term_scales) - {term.name for term in terms}
    if unknown:
        known = ", ".join(term.name for term in terms)
        raise refuse("--obs-scale", f"terms out of {known}", ", ".join(sorted(unknown)))
    terms = tuple(_scaled(term, options) for term in terms)
    plain = all(term.ages == NOW for term in terms)
    return terms, None if plain else history


def _scaled(term: ObservationTerm, options: ImportOptions) -> ObservationTerm:
    factors = options.term_scales.get(term.name)
    if factors is not None:
        term = replace(term, scale=factors if len(factors) > 1 else factors * term.width)
    return term if options.observation_clip is None else clipped(term, options.observation_clip)


def _contract(
    tensors: Tensors,
    layout: str,
    found: Layout,
    options: ImportOptions,
    values: dict[str, Any],
    terms: tuple[ObservationTerm, ...],
    history: ObservationHistory | None,
) -> PolicyContract:
    return PolicyContract(
        name=options.name,
        kind="joint",
        robot=options.robot,
        rate_hz=values["rate_hz"],
        observation=terms,
        joint_order=values["order"],
        default_pose=values["default_pose"],
        action_limit=options.action_limit,
        origin=options.origin,
        joint=JointAction(
            scale=values["scale"],
            kp=values["kp"],
            kd=values["kd"],
            clip=found.clip if options.clip is None else options.clip,
            lower=found.lower,
            upper=found.upper,
        ),
        recurrent=tensors.recurrent,
        observation_input=tensors.observation,
        action_output=tensors.action,
        history=history,
        clock=found.clock,
        layout=layout,
    )


def _sources(found: Layout, options: ImportOptions) -> dict[str, str]:
    """Where each value comes from: an option, the file or the layout."""
    return {
        key: found.sources.get(key, found.source) if getattr(options, key) is None else option
        for key, option in OPTIONS.items()
    }
