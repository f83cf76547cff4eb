"""One foot of the locomotion controller: does it push, where did it lift off, how does it swing."""

from dataclasses import dataclass
from typing import NamedTuple

from safe_locomotion.control.lift import Lift
from safe_locomotion.control.swing import SwingParameters, cycloid, lifted_point
from safe_locomotion.rotations import Vector, clamp, subtract

MOMENT = 1e-6  #: [s] in the air of a foot that has just left the ground


class Swing(NamedTuple):
    """The swing of one foot on one tick.

    Attributes:
        progress: 0 at lift-off, 1 at touchdown.
        duration: of the whole swing [s].
        foothold: foot centre at touchdown, in odom [m].
        lift: of a leg that has left the gait; None for the others.
        under_hip: foot centre on the ground under the hip, in odom [m]; used with `lift` only.
        hip_velocity: of that place [m/s]; used with `lift` only.
    """

    progress: float
    duration: float
    foothold: Vector
    lift: Lift | None = None
    under_hip: Vector = (0.0, 0.0, 0.0)
    hip_velocity: Vector = (0.0, 0.0, 0.0)


class Catch(NamedTuple):
    """The way of a foot from where a joint policy left it to the curve of the gait.

    The foot is on the curve at touchdown.

    Attributes:
        away: from the curve to the foot at the hand-over [m].
        progress: of the swing at the hand-over.
    """

    away: Vector
    progress: float

    def joined(self, point: Vector, velocity: Vector, swing: Swing) -> tuple[Vector, Vector]:
        """Point and velocity on the way to the curve, which is at `point` with `velocity`."""
        rest = 1.0 - self.progress
        left = clamp((1.0 - swing.progress) / rest, 0.0, 1.0)
        rate = -1.0 / (rest * swing.duration)
        x, y, z = point
        vx, vy, vz = velocity
        ax, ay, az = self.away
        joined = (x + left * ax, y + left * ay, z + left * az)
        return joined, (vx + rate * ax, vy + rate * ay, vz + rate * az)


@dataclass(slots=True)
class Foot:
    """What the controller remembers of one foot from tick to tick.

    Attributes:
        lift_off: where the foot left the ground, in odom [m].
        stance: the foot pushes.
        landed: the foot met the ground before its swing ended.
        lost: the foot should push, but has lost the ground and reaches for it.
        unloaded_time: for how long the foot has found no ground where it should push [s].
        air_time: for how long it has been in the air under a joint policy, 0 on the ground [s].
        ground_time: for how long it has been on the ground under a joint policy, 0 in the air [s].
        caught: the way to its curve after a hand-over in the air, None otherwise.
    """

    lift_off: Vector = (0.0, 0.0, 0.0)
    stance: bool = True
    landed: bool = False
    lost: bool = False
    unloaded_time: float = 0.0
    air_time: float = 0.0
    ground_time: float = 0.0
    caught: Catch | None = None

    def restart(self, at: Vector) -> None:
        """Start over, standing at a point of odom."""
        self.lift_off = at
        self.stance = True
        self.landed = False
        self.lost = False
        self.unloaded_time = 0.0
        self.caught = None

    def step(
        self,
        at: Vector,
        *,
        scheduled: bool,
        progress: float,
        contact: bool,
        hangs: bool,
        elapsed: float,
        parameters: SwingParameters,
        lifted: bool = False,
    ) -> None:
        """Decide whether the foot pushes on this tick, and remember where it lifts off.

        It pushes when it is scheduled to, or when it met the ground early. A lifted foot does not
        push, even if it touches the ground. A foot that should push
        but finds no ground for a while leaves the MPC and reaches for its foothold. Either the body
        has been thrown off it, or the ground is lower than expected. A foot that slides stays.

        Args:
            at: foot centre in odom [m].
            scheduled: the gait wants the foot on the ground.
            progress: of its swing.
            contact: it carries load.
            hangs: it is away from the ground plane while the robot steps.
            elapsed: since the last tick [s].
            parameters: of the swing.
            lifted: the gait wants the leg held in the air, and it is on its way up or there.
        """
        early = progress >= parameters.early_contact and contact
        self.landed = not scheduled and not lifted and (self.landed or early)
        unloaded = scheduled and not contact and hangs
        self.unloaded_time = self.unloaded_time + elapsed if unloaded else 0.0
        lost = self.unloaded_time > parameters.lost_after
        pushes = (scheduled and not lost) or self.landed
        if (self.stance and not pushes) or (self.lost and not scheduled):
            self.lift_off = at
            self.caught = None
        self.lost = lost
        self.stance = pushes

    def follow(self, at: Vector, *, contact: bool, elapsed: float) -> None:
        """Push when the foot carries load: a joint policy moves the leg."""
        self.stance = contact
        self.landed = False
        self.lost = False
        if contact:
            self.lift_off = at
            self.air_time = 0.0
            self.ground_time = self.ground_time + elapsed
        else:
            self.air_time = self.air_time + max(elapsed, MOMENT)
            self.ground_time = 0.0

    def expect(self, at: Vector, *, scheduled: bool, parameters: SwingParameters) -> None:
        """Count a followed foot as lost if the gait wants it down and it is in the air.

        It reaches for the ground from the next tick on, if the MPC drives then.
        """
        missing = scheduled and not self.stance
        self.unloaded_time = parameters.lost_after if missing else 0.0
        if missing:
            self.lift_off = at

    def catch(self, at: Vector, swing: Swing, parameters: SwingParameters) -> None:
        """Remember how far a foot in the air is from the curve that it follows from now on."""
        self.caught = None
        if not self.stance and not self.lost:
            point, _ = self.swing(swing, parameters)
            self.caught = Catch(subtract(at, point), swing.progress)

    def descend(self, swing: Swing, parameters: SwingParameters) -> None:
        """Let a lifted foot that comes down aim at its foothold.

        Should it be lifted again on its way, it goes up from there.
        """
        if swing.lift is not None and not swing.lift.wanted:
            x, y, z = swing.foothold
            self.lift_off = (x, y, z - parameters.depth)

    def swing(self, swing: Swing, parameters: SwingParameters) -> tuple[Vector, Vector]:
        """Point and velocity of a foot in the air, in odom [m, m/s]."""
        p = parameters
        x, y, z = swing.foothold
        if swing.lift is not None:
            share = swing.lift.share
            x, y, z = swing.under_hip
            above = (x, y, z + p.height)
            return lifted_point(self.lift_off, above, share, swing.lift.rate, swing.hip_velocity)
        if self.lost:
            searched = self.unloaded_time - p.lost_after
            end = (x, y, z - p.depth - min(p.search_depth, p.search_speed * searched))
            return cycloid(self.lift_off, end, 0.0, searched / p.search_time, p.search_time)
        end = (x, y, z - p.depth)
        point, velocity = cycloid(self.lift_off, end, p.height, swing.progress, swing.duration)
        if self.caught is None:
            return point, velocity
        return self.caught.joined(point, velocity, swing)
