"""Swaps of policies on a walking simulated robot; in lock-step only the times vary."""

from dataclasses import replace
from time import sleep, thread_time_ns

import numpy as np
import pytest

pytest.importorskip("mujoco")

from core_values import A1, LIMITS
from walking_policies import write_gait, write_trot

from safe_locomotion.bench.policy_swaps import Spent, Stopwatch, run_swaps
from safe_locomotion.config import load_config
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.policy.file import load_policy
from safe_locomotion.sim.options import SimulationOptions
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.types import VelocityCommand

TORQUE_STEP = 33.5 * 1.5  # Nm; the gate clamps larger torques at once


def test_gait_and_joint_policies_take_turns_and_the_robot_walks_on(tmp_path) -> None:
    """Ten swaps at random phases: no fall, no refused command, and small torque steps."""
    write_gait(tmp_path / "paces.onnx")
    write_trot(tmp_path / "trots.onnx")
    config = load_config("a1", {"supervisor.intervention.criterion": "off"})
    pipeline = Pipeline(A1, config)
    run = run_swaps(
        SimulatedRobot(SimulationOptions(seed=1)),
        pipeline,
        [
            lambda name=name: load_policy(name, A1, LIMITS, [tmp_path])
            for name in ("trots", "paces")
        ],
        count=10,
        every=(0.55, 0.9),
        command=VelocityCommand(vx=0.4),
        rng=np.random.default_rng(1),
    )
    assert (run.swaps, run.falls, run.rollbacks) == (10, 0, 0)
    assert not run.gate_trips
    assert {"trots", "paces", "", "nominal"} == set(run.drivers)
    assert run.torque_step_handover < TORQUE_STEP


def test_a_late_tick_is_told_by_what_it_waited_for() -> None:
    """A late tick names computing, waiting, a busy core or a stolen one as its reason."""
    with Stopwatch.QUEUE.open("rb", buffering=0) as queue:
        watch = Stopwatch(queue)
        watch.start()
        until = thread_time_ns() + 3_000_000
        while thread_time_ns() < until:
            pass
        computed = watch.stop()
        watch.start()
        sleep(0.003)
        waited = watch.stop()
    assert computed.late_by == "computing" and computed.computing_ms >= 3.0
    assert waited.late_by == "waiting" and waited.waits >= 1
    stolen = Spent(wall_ms=2.5, computing_ms=1.0, no_core_ms=0.0, waits=0)
    assert stolen.late_by == "stolen"
    assert replace(stolen, no_core_ms=0.5, waits=3).late_by == "no_core"
    assert replace(stolen, wall_ms=2.0, computing_ms=1.9).late_by == ""
