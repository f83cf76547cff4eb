"""Friction that the MPCs of many robots may count on: `control.friction` as Warp functions."""

from dataclasses import fields
from typing import Any

import warp as wp

from safe_locomotion.control.friction import SlipParameters
from safe_locomotion.training.gait.world.arrays import Array1, Array2, LegVectors3
from safe_locomotion.types import N_LEGS


@wp.struct
class SlipRules:
    """Numbers of `control.friction.SlipParameters`, and the friction of ground without slip."""

    speed: float
    after: float
    mu_min: float
    fall_time: float
    rise_rate: float
    nominal: float


@wp.struct
class SlipWatch:
    """What is remembered of loaded feet.

    Attributes:
        mu: (B,) friction that the MPC may count on.
        last: (B, 4) where each foot was on the last tick, in odom [m].
        loaded: (B, 4) 1 for a foot that pushed and felt the ground then.
        sliding: (B, 4) for how long it has been sliding [s].
    """

    mu: Array1
    last: LegVectors3
    loaded: Array2
    sliding: Array2


def slip_rules(parameters: SlipParameters, mu: float) -> Any:
    """The numbers of these parameters for kernels, with the configured friction `mu`."""
    rules = SlipRules()
    for field in fields(SlipParameters):
        setattr(rules, field.name, getattr(parameters, field.name))
    rules.mu_min = min(mu, parameters.mu_min)
    rules.nominal = mu
    return rules


def slip_watch(mu: Any) -> Any:
    """A watch over robots with the frictions `mu` (B,), which it writes."""
    watch = SlipWatch()
    shape = (mu.shape[0], N_LEGS)
    watch.mu = mu
    watch.last = wp.zeros(shape, dtype=wp.vec3, device=mu.device)
    watch.loaded = wp.zeros(shape, dtype=float, device=mu.device)
    watch.sliding = wp.zeros(shape, dtype=float, device=mu.device)
    return watch


@wp.func
def restart_watch(watch: SlipWatch, robot: int, rules: SlipRules) -> None:
    """Forget where the feet of one robot were, and trust the ground again."""
    watch.mu[robot] = rules.nominal
    for leg in range(4):
        watch.loaded[robot, leg] = 0.0
        watch.sliding[robot, leg] = 0.0


@wp.func
def watch_foot(
    watch: SlipWatch,
    robot: int,
    leg: int,
    at: wp.vec3,
    loaded: bool,
    elapsed: float,
    rules: SlipRules,
) -> None:
    """Take where a foot is; the part of `SlipWatch.update` that looks at one foot.

    Args:
        watch: all feet.
        robot, leg: which one.
        at: foot centre in odom [m].
        loaded: it pushes and feels the ground.
        elapsed: since the last tick [s].
        rules: when it slides.
    """
    last = watch.last[robot, leg]
    way = wp.length(wp.vec2(at[0] - last[0], at[1] - last[1]))
    known = watch.loaded[robot, leg] > 0.5 and loaded and elapsed > 0.0
    slides = known and way > rules.speed * elapsed
    watch.sliding[robot, leg] = wp.where(slides, watch.sliding[robot, leg] + elapsed, 0.0)
    watch.last[robot, leg] = at
    watch.loaded[robot, leg] = wp.where(loaded, 1.0, 0.0)


@wp.func
def update_friction(watch: SlipWatch, robot: int, elapsed: float, rules: SlipRules) -> None:
    """Lower the friction while a foot slides, raise it otherwise; the rest of the update.

    Args:
        watch: all feet.
        robot: which one.
        elapsed: since the last tick [s].
        rules: how fast the friction falls and rises.
    """
    mu = watch.mu[robot]
    worst = float(0.0)
    for leg in range(4):
        worst = wp.max(worst, watch.sliding[robot, leg])
    if worst > rules.after:
        decay = wp.exp(-elapsed / rules.fall_time)
        watch.mu[robot] = rules.mu_min + (mu - rules.mu_min) * decay
    else:
        watch.mu[robot] = wp.min(rules.nominal, mu + rules.rise_rate * elapsed)
