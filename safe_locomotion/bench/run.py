"""The whole bench: record a walk, time every stage on it, and judge the time budgets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import inf
from typing import Any

from safe_locomotion.bench import mpc as mpc_bench
from safe_locomotion.bench.estimation import accuracy
from safe_locomotion.bench.machine import describe
from safe_locomotion.bench.paced import PACED, measure_paced
from safe_locomotion.bench.policies import POLICIES, policy_stages
from safe_locomotion.bench.recording import Recording, record
from safe_locomotion.bench.safety import SAFETY
from safe_locomotion.bench.stages import comparison_stages, core_stages, swing_reading
from safe_locomotion.bench.timing import REPLAYS, measure
from safe_locomotion.bench.wire import (
    ECHO,
    ROUND_TRIPS,
    STATES_TO_COMMANDS,
    measure_echo,
    measure_graph,
)
from safe_locomotion.errors import SafeLocomotionError, UnknownNameError
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.robot.centroidal import CentroidalModel

COMPARED = (
    "estimator_complementary",
    "codec_read",
    "codec_write",
    "codec_read_sdk",
    "codec_write_sdk",
)
CORE = ("estimator", "supervisor", "locomotion", "leg_control", "pipeline", *SAFETY)
NAMES = (
    *mpc_bench.SOLVERS,
    *CORE,
    *POLICIES,
    *COMPARED,
    *PACED,
    ECHO,
    *STATES_TO_COMMANDS.values(),
    *ROUND_TRIPS.values(),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Time budget of a stage on a machine with two shared x86-64 cores.

    Attributes:
        p50_ms, p99_ms: largest median and 99th percentile [ms].
        p99_over_p50: largest ratio of both.
    """

    p50_ms: float
    p99_ms: float = inf
    p99_over_p50: float = inf

    def judge(self, stage: Mapping[str, Any]) -> dict[str, Any]:
        """Limits [ms] and whether the figures of a stage meet them; no limit is null."""
        p99_ms = min(self.p99_ms, self.p99_over_p50 * stage["p50_ms"])
        limits = {"p50_ms": self.p50_ms, "p99_ms": None if p99_ms == inf else p99_ms}
        met = stage["p50_ms"] <= self.p50_ms and stage["p99_ms"] <= p99_ms
        return {**limits, "met": bool(met)}


BUDGETS = {
    "mpc": Budget(p50_ms=0.20, p99_ms=0.40),
    "estimator": Budget(p50_ms=0.15),
    "policy_mlp": Budget(p50_ms=0.03, p99_over_p50=2.0),
    "policy_lstm": Budget(p50_ms=0.2, p99_over_p50=2.0),
    "trigger": Budget(p50_ms=0.02),
    "rollout_open": Budget(p50_ms=0.3),
    "rollout_closed": Budget(p50_ms=3.0),
    "codec_read": Budget(p50_ms=0.05),
    "codec_write": Budget(p50_ms=0.05),
    "state_to_command_composed": Budget(p50_ms=0.8, p99_ms=2.0),
    "state_to_command_nodes": Budget(p50_ms=4.0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        walk_s: length of the recorded walk [s].
        wire_s: length of each run over the wire [s].
        replays: passes over the recording.
        blocks: paced walks of each row.
    """

    walk_s: float
    wire_s: float
    replays: int
    blocks: int


FULL = Effort(walk_s=6.0, wire_s=8.0, replays=REPLAYS, blocks=2)
QUICK = Effort(walk_s=1.5, wire_s=2.0, replays=2, blocks=1)


def run(
    *,
    effort: Effort = FULL,
    only: Sequence[str] = (),
    robot: str = "a1",
    tell: Callable[[float, str], None] = lambda *_: None,
) -> dict[str, Any]:
    """The report of `safe-locomotion bench`.

    Args:
        only: stages to measure; none means all.
        tell: is called before each part, with the share of the parts that are done and with what
            comes next.

    Returns:
        `machine`; `stages.<name>`, see `timing.figures`; `accuracy.<name>`; `budgets.<name>`:
        limits and whether they are met; `missing`: {name: reason} of wanted stages that could
        not be measured.

    Raises:
        UnknownNameError: `only` names an unknown stage.
    """
    for name in only:
        if name not in NAMES:
            raise UnknownNameError("stage", name, NAMES)
    wanted = tuple(only) or NAMES
    report: dict[str, Any] = {"machine": describe(), "stages": {}, "accuracy": {}, "missing": {}}
    parts = list(_parts(wanted, effort, robot))
    for done, (text, measured) in enumerate(parts):
        tell(done / len(parts), text)
        _merge(report, measured())
    report["budgets"] = {
        name: budget.judge(report["stages"][name])
        for name, budget in BUDGETS.items()
        if name in report["stages"]
    }
    return report


def _parts(
    wanted: Sequence[str], effort: Effort, robot: str
) -> Iterator[tuple[str, Callable[[], Mapping[str, Any]]]]:
    """What is done, and the functions that do it, in their order."""
    recorded = cache(lambda: record(robot=robot, seconds=effort.walk_s))

    def walk() -> dict[str, Any]:
        recorded()
        return {}

    def replayed(part: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        return part(recorded(), wanted, effort)

    if set(wanted) & {*mpc_bench.SOLVERS, *CORE, *POLICIES, *COMPARED, *PACED}:
        yield "Walking the simulated robot.", walk
        for part in (_stages, _mpc, _accuracy, _paced):
            yield part.__doc__ or "", partial(replayed, part)
    if ECHO in wanted:
        yield "Measuring the wire alone.", partial(_over_wire, [ECHO], measure_echo, robot)
    for graph, state_to_command in STATES_TO_COMMANDS.items():
        names = [name for name in (state_to_command, ROUND_TRIPS[graph]) if name in wanted]
        if names:
            measured = partial(_over_wire, names, measure_graph, graph, robot, effort.wire_s)
            yield f"Walking over the wire, graph {graph}.", measured


def _stages(recording: Recording, wanted: Sequence[str], effort: Effort) -> dict[str, Any]:
    """Timing the stages."""
    compared, missing = comparison_stages(recording)
    policies = policy_stages(recording) if set(wanted) & set(POLICIES) else []
    stages = (*core_stages(recording), *policies, *compared)
    return {
        "stages": measure([stage for stage in stages if stage.name in wanted], effort.replays),
        "missing": {name: why for name, why in missing.items() if name in wanted},
    }


def _mpc(recording: Recording, wanted: Sequence[str], effort: Effort) -> dict[str, Any]:
    """Timing the MPC beside other solvers."""
    names = tuple(name for name in mpc_bench.SOLVERS if name in wanted)
    if not names:
        return {}
    model = CentroidalModel(mass=recording.robot.mass, inertia=recording.robot.inertia)
    problems = recording.problems
    parameters = recording.config.mpc.solver
    return mpc_bench.run(
        problems, parameters=parameters, model=model, only=names, replays=effort.replays
    )


def _accuracy(recording: Recording, wanted: Sequence[str], _: Effort) -> dict[str, Any]:
    """Comparing the estimators with the truth."""
    found = {}
    if "estimator" in wanted:
        found["estimator"] = accuracy(
            recording, StateEstimator(recording.robot, recording.config.estimator).update
        )
    if "estimator_complementary" in wanted:
        try:
            from safe_locomotion.bench.estimator_alternatives import ComplementaryEstimator
        except ImportError:
            return {"accuracy": found}
        found["estimator_complementary"] = accuracy(
            recording,
            ComplementaryEstimator(recording.robot, foot_zero=swing_reading(recording)).update,
        )
    return {"accuracy": found}


def _paced(recording: Recording, wanted: Sequence[str], effort: Effort) -> dict[str, Any]:
    """Walking at 500 Hz by the clock, with and without real-time settings."""
    names = [name for name in PACED if name in wanted]
    return _over_wire(names, measure_paced, recording, names, effort.blocks) if names else {}


def _over_wire(
    names: Sequence[str], measure: Callable[..., dict[str, dict[str, Any]]], *arguments: Any
) -> dict[str, Any]:
    try:
        return {
            "stages": {
                name: figures for name, figures in measure(*arguments).items() if name in names
            }
        }
    except (RuntimeError, SafeLocomotionError) as error:
        return {"missing": dict.fromkeys(names, str(error))}


def _merge(report: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, values in part.items():
        report[key] |= values
