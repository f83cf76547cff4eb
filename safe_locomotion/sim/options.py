"""Options of a simulated robot, checked once."""

from dataclasses import dataclass, field
from math import isfinite, pi, radians

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.sim.sensors import SensorNoise
from safe_locomotion.sim.terrain_names import tile_of

STARTS = {"belly": 0.0, "back": pi, "left": -0.5 * pi, "right": 0.5 * pi}
"""How a robot may lie at the start, as its roll angle [rad].

On its left side the left legs are below.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationOptions:
    """Options of `SimulatedRobot`.

    Attributes:
        robot: folder under `models/robots`.
        seed: of sensor noise, sensor biases and terrain. Equal seeds and commands give equal
            trajectories.
        terrain: flat, slope, stairs or rough, or a tile of ALARM such as `up_stairs:6`.
        slope: inclination of the slope [rad].
        roughness: height of the highest bump of the rough ground [m].
        step: height of a stair [m].
        friction: sliding friction between robot and ground; 0.8 is rubber on dry concrete.
        payload: mass fixed to the trunk [kg].
        payload_offset: its place in base [m]; the default is the middle of the back.
        motor_delay_ms: from the arrival of a command to its first effect on the torque, rounded to
            whole milliseconds.
        start: how the robot lies at the start, a key of `STARTS`.
        noise: sensor errors; None gives ideal sensors.
        visuals: keep the shapes that are only looked at. Pictures need them; they cost 15 % of the
            physics time.
    """

    robot: str = "a1"
    seed: int = 0
    terrain: str = "flat"
    slope: float = radians(15.0)
    roughness: float = 0.05
    step: float = 0.06
    friction: float = 0.8
    payload: float = 0.0
    payload_offset: tuple[float, float, float] = (0.0, 0.0, 0.08)
    motor_delay_ms: float = 0.0
    start: str = "belly"
    noise: SensorNoise | None = field(default_factory=SensorNoise)
    visuals: bool = False

    def __post_init__(self) -> None:
        """Refuse values without a physical meaning, NaN included."""
        ranges = {
            "slope": (0.0, radians(45.0)),
            "roughness": (0.0, 0.5),
            "step": (0.0, 0.5),
            "friction": (0.01, 5.0),
            "payload": (0.0, 50.0),
            "motor_delay_ms": (0.0, 100.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(
                    f"simulation option {name} = {value} lies outside [{low:.4g}, {high:.4g}]"
                )
        tile_of(self.terrain)
        if self.start not in STARTS:
            raise UnknownNameError("start", self.start, STARTS)
        if self.seed < 0:
            raise ConfigurationError(f"simulation option seed = {self.seed} must not be negative")
        if not all(isfinite(x) for x in self.payload_offset):
            raise ConfigurationError(
                f"simulation option payload_offset = {self.payload_offset} must be finite"
            )
