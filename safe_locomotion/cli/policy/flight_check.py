"""The flight of `safe-locomotion policy check --fly`, and the search for the likeliest error."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from safe_locomotion.cli.policy.check import CheckedStep
from safe_locomotion.cli.progress import progress
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.types import VelocityCommand

if TYPE_CHECKING:
    from safe_locomotion.evaluation.flight.flight import Flight
    from safe_locomotion.evaluation.flight.judgement import Judgement
    from safe_locomotion.evaluation.flight.search import Trial

MOST_PROCESSES = 2  #: of the search


def fly_over_course(contract: PolicyContract, model: bytes) -> "tuple[Flight, Judgement]":
    """Fly a policy over the course of the flight check, with a bar, and judge the flight."""
    from safe_locomotion.evaluation.flight.course import COURSE, length
    from safe_locomotion.evaluation.flight.flight import fly
    from safe_locomotion.evaluation.flight.judgement import judge

    with progress("flies", length(COURSE)) as tell:
        flight = fly(contract, model, COURSE, tell=tell)
    return flight, judge(flight, len(COURSE))


def rate_step(contract: PolicyContract, model: bytes, flight: "Flight") -> CheckedStep:
    """Fly a policy at higher rates where its own one is doubted, and say whether one is better.

    Args:
        contract: of the policy.
        model: ONNX.
        flight: over the whole course, which it passed.
    """
    from safe_locomotion.evaluation.flight.course import COURSE, length
    from safe_locomotion.evaluation.flight.rate import better_rate, faster, is_doubtful

    text = f"{contract.rate_hz} Hz; roughness {_number(flight.roughness)}"
    if not is_doubtful(flight):
        return CheckedStep(name="rate", passed=True, text=text)
    with progress("flies at other rates", length(COURSE) * len(faster(contract))) as tell:
        better = better_rate(contract, model, COURSE, flight, tell)
    if better is None:
        text += ", as at half a rate, but no higher rate walks better"
        return CheckedStep(name="rate", passed=True, text=text)
    other = better.flight
    text += (
        f", as at half a rate. At {better.rate_hz} Hz it is {_number(other.roughness)}, and the"
        f" robot rolls and pitches at {_number(other.tilt_rate)} instead of"
        f" {_number(flight.tilt_rate)} rad/s. Import it again with --rate {better.rate_hz}, or with"
        " the file of settings that says its rate."
    )
    return CheckedStep(name="rate", passed=False, text=text)


def flight_table(flight: "Flight") -> Table:
    """One row for each segment of a flight."""
    table = Table(box=None)
    for heading in ("command", "vx, vy [m/s], wz [rad/s]"):
        table.add_column(escape(heading), no_wrap=True)
    for heading in ("off by [m/s]", "[rad/s]", "drove [%]"):
        table.add_column(escape(heading), justify="right", no_wrap=True)
    for found in flight.followed:
        table.add_row(
            found.segment,
            _words(found.command),
            _number(found.velocity_error),
            _number(found.turn_error),
            f"{100.0 * found.driven:.0f}",
        )
    return table


def search(contract: PolicyContract, model: bytes, out: Console) -> None:
    """Try the usual errors of imports, and print which one the policy most likely has.

    Ctrl-C ends the search; the trials so far count.
    """
    from safe_locomotion.evaluation.flight.permutations import changes
    from safe_locomotion.evaluation.flight.search import attempts, best

    tried = changes(contract)
    out.print(f"tries {len(tried)} usual errors of imports, one at a time; Ctrl-C ends this")
    trials: list[Trial | None] = []
    processes = min(MOST_PROCESSES, os.cpu_count() or 1)
    try:
        with progress("tries", len(tried)) as tell:
            for trial in attempts(model, tried, processes):
                trials.append(trial)
                tell(len(trials))
    except KeyboardInterrupt:
        out.print(f"ended after {len(trials)} of {len(tried)}")
    walk = best(trials)
    for trial in walk[:5]:
        out.print(escape(f"  {trial.change.kind}, {trial.change.name}: {trial.judgement.line}"))
    out.print(escape(_answer(model, walk)), soft_wrap=True)


def _answer(model: bytes, walk: "Sequence[Trial]") -> str:
    """The likeliest error, in one line."""
    from safe_locomotion.evaluation.flight.search import confirm

    for trial in confirm(model, walk):
        if trial.judgement.flies:
            change = trial.change
            return (
                f"likeliest error: {change.kind}; with {change.name!r} it"
                f" {trial.judgement.line}. Import it again with that."
            )
    if walk:
        kinds = ", ".join(dict.fromkeys(trial.change.kind for trial in walk))
        return f"likeliest error: {kinds}, but no single change follows the whole course"
    return (
        "no single change makes it walk: two properties are wrong, or it does not walk in"
        " this simulator; see docs/flight_check.md"
    )


def _words(command: VelocityCommand) -> str:
    return f"{command.vx:g}, {command.vy:g}, {command.wz:g}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value >= 0.0 else "-"
