"""What happens to a simulated robot from outside.

It is pushed, somebody holds its remote, it is put back on its feet, or gets a full battery.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.sim.pushes import Push, impulse_in_world, person_pushes
from safe_locomotion.sim.remote_script import Hold, remote_at
from safe_locomotion.sim.robot import SimulatedRobot
from safe_locomotion.sim.sensors import PERIOD

STEADY_TIME = 2.0
"""Pushes wait until a robot that fell has stood for this long [s]; by then it walks again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DisturbanceOptions:
    """What happens to the robot.

    Attributes:
        pushes: on the trunk, in the order of their times.
        person: impulse [N s] and interval [s] of pushes without end, as a person gives them; None
            for none.
        remote: what is held on the remote.
        back_on_feet_after: robot time a fallen robot lies before somebody puts it back on its feet
            [s]; None leaves it to itself.
        battery_change: a nearly empty battery is changed once the motors of the lying robot were
            damped for this long [s]; None never.
        seed: of the person.
    """

    pushes: tuple[Push, ...] = ()
    person: tuple[float, float] | None = None
    remote: tuple[Hold, ...] = ()
    back_on_feet_after: float | None = 1.0
    battery_change: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range, NaN included."""
        _check("back_on_feet_after", self.back_on_feet_after, 0.0, 60.0)
        _check("battery_change", self.battery_change, 0.0, 3600.0)
        if self.person is not None:
            _check("impulse of a person", self.person[0], 0.0, 100.0)
            _check("interval of a person", self.person[1], 0.5, 1e4)


def _check(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ConfigurationError(f"{name} = {value} lies outside [{low:g}, {high:g}]")


class Disturbances:
    """Applies them to a robot, tick by tick.

    Attributes:
        pushed: pushes so far.
        batteries: that were put in.
    """

    def __init__(self, options: DisturbanceOptions, robot: SimulatedRobot) -> None:
        self._options = options
        self._robot = robot
        self._pushes = list(options.pushes)
        self._person: Iterator[Push] | None = None
        if options.person is not None:
            rng = np.random.default_rng(options.seed)
            self._person = person_pushes(*options.person, rng)
        self._push_delay = 0.0
        self._steady_from = 0.0
        self._put_back_at: float | None = None
        self._damped_since: float | None = None
        self._fell = False
        self.pushed = 0
        self.batteries = 0

    def fell(self) -> None:
        """Note that the robot has just fallen."""
        self._fell = True
        if self._options.back_on_feet_after is not None:
            self._put_back_at = self._robot.time_s + self._options.back_on_feet_after

    def update(self, since_stood: float | None) -> None:
        """Apply what happens now. Pushes that are due wait while the robot gets up.

        Args:
            since_stood: robot time since the robot first stood [s]; None before.
        """
        now = self._robot.time_s
        if self._put_back_at is not None and now >= self._put_back_at:
            self._put_back_at = None
            self._robot.carry_to_feet()
        if not self._robot.stands:
            self._steady_from = now + STEADY_TIME
        if self._options.battery_change is not None:
            self._change_battery(now, self._options.battery_change)
        if since_stood is None:
            return
        if self._options.remote:
            self._robot.remote = remote_at(self._options.remote, since_stood)
        if self._fell and now < self._steady_from:
            self._push_delay += PERIOD
            return
        self._push(since_stood)

    def _push(self, since_stood: float) -> None:
        if not self._pushes and self._person is not None:
            self._pushes.append(next(self._person))
        while self._pushes and self._pushes[0].time + self._push_delay <= since_stood:
            self.pushed += 1
            push = self._pushes.pop(0)
            self._robot.push(impulse_in_world(push, self._robot.truth().quaternion_wxyz))

    def _change_battery(self, now: float, patience: float) -> None:
        """Put in a full battery when an empty one has been lying damped for long enough."""
        if not (self._robot.damped and self._robot.battery_low):
            self._damped_since = None
        elif self._damped_since is None:
            self._damped_since = now
        elif now - self._damped_since >= patience:
            self._damped_since = None
            self.batteries += 1
            self._robot.change_battery()
