"""Stages of the control cycle and their alternatives, to be timed on a recorded walk."""

from collections.abc import Callable
from typing import Any

import numpy as np

from safe_locomotion.bench.recording import Recording, Tick
from safe_locomotion.bench.safety import safety_stages
from safe_locomotion.bench.timing import Call, Stage
from safe_locomotion.control.locomotion import LocomotionController
from safe_locomotion.estimation.estimator import StateEstimator
from safe_locomotion.pipeline import Pipeline, make_supervisor
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.types import Array


def core_stages(recording: Recording) -> list[Stage]:
    """Stages of the control cycle; they run on every tick, and walking ticks are timed."""
    r = recording
    ticks = recording.ticks
    walking = recording.walking.tolist()
    from_tick: list[tuple[str, str, Callable[[], Call]]] = [
        ("estimator", "LowState to estimate", lambda: _estimator(r)),
        ("supervisor", "estimate to verdict", lambda: _supervisor(r)),
        (
            "locomotion",
            "estimate and verdict to stance plan: gait, footholds, reference and MPC",
            lambda: _locomotion(r),
        ),
        (
            "leg_control",
            "LowState, verdict and plan to gated motor command",
            lambda: _leg_control(r),
        ),
        (
            "pipeline",
            "LowState to motor command, all stages; the MPC is due on every second",
            lambda: _pipeline(r),
        ),
    ]
    stages = [
        Stage(name=name, what=what, make=make, items=ticks, counted=walking)
        for name, what, make in from_tick
    ]
    return stages + safety_stages(recording)


def _estimator(r: Recording) -> Call:
    estimator = StateEstimator(r.robot, r.config.estimator)
    return lambda tick: estimator.update(tick.state)


def _supervisor(r: Recording) -> Call:
    supervisor = make_supervisor(r.robot, r.config)

    def update(tick: Tick) -> None:
        for name in tick.requests:
            supervisor.request(name)
        supervisor.update(tick.cycle.estimate, tick.cycle.proposal, tick.command)

    return update


def _locomotion(r: Recording) -> Call:
    c = r.config.mpc
    locomotion = LocomotionController(r.robot, c.locomotion, c.swing, c.solver)

    def update(tick: Tick) -> None:
        locomotion.update(tick.cycle.estimate, tick.cycle.verdict)

    return update


def _leg_control(r: Recording) -> Call:
    stage = CommandStage(r.robot, r.config.bridge.gains, r.config.bridge.limits)
    return lambda tick: stage.update(tick.state, tick.cycle.verdict, tick.cycle.plan)


def _pipeline(r: Recording) -> Call:
    pipeline = Pipeline(r.robot, r.config)

    def step(tick: Tick) -> None:
        for name in tick.requests:
            pipeline.supervisor.request(name)
        pipeline.step(tick.state, tick.command)

    return step


def comparison_stages(recording: Recording) -> tuple[list[Stage], dict[str, str]]:
    """The complementary estimator and both codecs.

    Returns:
        The stages, and {name: reason} of those whose package is not installed.
    """
    stages = []
    missing = dict[str, str]()
    for build, names in (
        (_complementary, ("estimator_complementary",)),
        (_codecs, ("codec_read", "codec_write")),
        (_sdk_codecs, ("codec_read_sdk", "codec_write_sdk")),
    ):
        try:
            stages += build(recording)
        except ImportError as error:
            missing |= {name: f"needs {error.name}, which is not installed" for name in names}
    return stages, missing


def swing_reading(recording: Recording) -> Array:
    """(4,) reading of each foot sensor in the air [N], from the walk itself.

    It is an advantage for an estimator that cannot learn this reading.
    """
    forces = np.array([tick.state.foot_force for tick in recording.walking_ticks])
    return np.asarray(np.percentile(forces, 15.0, axis=0))


def _complementary(r: Recording) -> list[Stage]:
    from safe_locomotion.bench.estimator_alternatives import ComplementaryEstimator

    zero = swing_reading(r)

    def make() -> Call:
        estimator = ComplementaryEstimator(r.robot, foot_zero=zero)
        return lambda tick: estimator.update(tick.state)

    what = (
        "IMU orientation, leg odometry, fixed gains and one contact threshold,"
        " baseline of `estimator`"
    )
    return [
        Stage(
            name="estimator_complementary",
            what=what,
            make=make,
            items=r.ticks,
            counted=r.walking.tolist(),
        )
    ]


def _codecs(r: Recording) -> list[Stage]:
    from safe_locomotion.backends.sdk2_codec import LowCommandCodec, LowStateCodec

    def reader() -> Call:
        codec = LowStateCodec()

        def read(raw: bytes) -> None:
            codec.load(raw)
            codec.state(0)

        return read

    return [
        Stage(
            name="codec_read",
            what="bytes of LowState_ to LowState, checksum tested",
            make=reader,
            items=_state_bytes(r),
        ),
        Stage(
            name="codec_write",
            what="LowCommand to bytes of LowCmd_ with checksum",
            make=lambda: LowCommandCodec().encode,
            items=_commands(r),
        ),
    ]


def _sdk_codecs(r: Recording) -> list[Stage]:
    from safe_locomotion.bench.sdk_codec import GenericCodec

    few = 500  # the SDK's codec is slow
    what = "the SDK's own serialiser and checksum"
    return [
        Stage(
            name="codec_read_sdk",
            what=what,
            make=lambda: GenericCodec().read,
            items=_state_bytes(r)[:few],
        ),
        Stage(
            name="codec_write_sdk",
            what=what,
            make=lambda: GenericCodec().write,
            items=_commands(r)[:few],
        ),
    ]


def _state_bytes(r: Recording) -> list[bytes]:
    from safe_locomotion.backends.sdk2_codec import LowStateCodec

    codec = LowStateCodec()
    return [codec.encode(tick.state) for tick in r.walking_ticks]


def _commands(r: Recording) -> list[Any]:
    return [tick.cycle.command for tick in r.walking_ticks]
