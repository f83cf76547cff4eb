"""Random values of every dataclass that travels, for tests."""

import numpy as np

from safe_locomotion.types import (
    Estimate,
    GaitParameters,
    JointTargets,
    LowState,
    Mode,
    Proposal,
    StancePlan,
    VelocityCommand,
    Verdict,
)


def stamp(rng):
    """A time of this decade [ns]."""
    return 1_700_000_000_000_000_000 + int(rng.integers(0, 10**15))


def unit(v):
    """Vector of length one."""
    return v / np.sqrt(v @ v)


def covariance(rng):
    """Symmetric positive definite (3, 3)."""
    a = rng.normal(size=(3, 3))
    return a @ a.T


def random_low_state(seed):
    """LowState of random numbers."""
    rng = np.random.default_rng(seed)
    return LowState(
        stamp_ns=stamp(rng),
        tick=int(rng.integers(0, 2**32)),
        quaternion_wxyz=unit(rng.normal(size=4)),
        gyro=rng.normal(size=3),
        accelerometer=rng.normal(size=3),
        q=rng.normal(size=12),
        dq=rng.normal(size=12),
        tau=rng.normal(size=12),
        foot_force=rng.normal(size=4),
        temperature=rng.uniform(20, 60, size=12),
        voltage=24.0,
    )


def random_estimate(seed):
    """Estimate of random numbers."""
    rng = np.random.default_rng(seed)
    return Estimate(
        stamp_ns=stamp(rng),
        position=rng.normal(size=3),
        quaternion_wxyz=unit(rng.normal(size=4)),
        velocity=rng.normal(size=3),
        angular_velocity=rng.normal(size=3),
        position_covariance=covariance(rng),
        velocity_covariance=covariance(rng),
        q=rng.normal(size=12),
        dq=rng.normal(size=12),
        contact=rng.random(4) < 0.5,
        ground_normal=unit(rng.normal(size=3)),
        ground_height=float(rng.normal()),
        diverged=bool(rng.random() < 0.5),
    )


def random_gait(rng):
    """Gait parameters in plausible ranges."""
    return GaitParameters(
        frequency=float(rng.uniform(1, 4)),
        swing_ratio=float(rng.random()),
        phase_offsets=tuple(rng.random(3).tolist()),
        foot_y=tuple(rng.normal(size=4).tolist()),
        lifted=tuple((rng.permutation(4) < rng.integers(0, 3)).tolist()),
    )


def random_joints(rng):
    """Joint targets of random numbers."""
    return JointTargets(q=rng.normal(size=12), kp=rng.uniform(0, 100, 12), kd=rng.uniform(0, 5, 12))


def random_proposal(seed, kind):
    """Proposal of either kind."""
    rng = np.random.default_rng(seed)
    part = {"gait": random_gait(rng)} if kind == "gait" else {"joints": random_joints(rng)}
    return Proposal(stamp_ns=stamp(rng), policy=f"trot/{seed}", kind=kind, **part)


def random_verdict(seed, with_joints):
    """Verdict with or without joint targets."""
    rng = np.random.default_rng(seed)
    return Verdict(
        stamp_ns=stamp(rng),
        mode=Mode(int(rng.integers(0, 8))),
        mode_since_ns=stamp(rng),
        active=("learner", "recovery")[int(rng.integers(0, 2))],
        gait=random_gait(rng),
        command=VelocityCommand(
            vx=float(rng.normal()), vy=float(rng.normal()), wz=float(rng.normal())
        ),
        joints=random_joints(rng) if with_joints else None,
        margins=(("height", float(rng.normal())), ("roll", float(rng.normal()))),
        predicted=rng.normal(size=(int(rng.integers(2, 52)), 12)) if seed % 2 else None,
        reasons=("cmd_vel_stale", "tilt")[: int(rng.integers(0, 3))],
    )


def random_plan(seed):
    """Stance plan of random numbers."""
    rng = np.random.default_rng(seed)
    return StancePlan(
        stamp_ns=stamp(rng),
        stance=rng.random(4) < 0.5,
        force=rng.normal(size=(4, 3)),
        foot_position=rng.normal(size=(4, 3)),
        foot_velocity=rng.normal(size=(4, 3)),
        solved=bool(rng.random() < 0.5),
    )
