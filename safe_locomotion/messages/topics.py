"""What an episode consists of: the recorded topics, their types and how they are offered.

`FULL_RATE` topics carry each tick, in both graphs. The graph of five processes publishes them anyway; the composed graph packs them
into `recording/ticks` while somebody records, and the recorder writes them under their own names (see `ticks`). The others are
recorded as they come.
"""

from dataclasses import dataclass

JOINT_STATE = "sensor_msgs/msg/JointState"
FLOATS = "std_msgs/msg/Float64MultiArray"


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """One topic of the stack.

    Attributes:
        name: relative, as nodes give it.
        type: ROS type.
        full_rate: carries each tick, so a step between its stamps that is too long is a drop.
        latched: reliable and transient local; the others are best effort, depth 1, but for commands and diagnostics.
        reliable: of a publisher that is not latched.
    """

    name: str
    type: str
    full_rate: bool = False
    latched: bool = False
    reliable: bool = False


INFO = "episode/info"
"""std_msgs/String: JSON of `episode.EpisodeInfo`, the first message and, with the reason of the end, the last."""
TICKS = "recording/ticks"
"""std_msgs/UInt8MultiArray: full-rate messages of the composed graph, packed; not in the file."""

TOPICS = (
    Topic(name="joint_states", type=JOINT_STATE, full_rate=True),
    Topic(name="imu/data", type="sensor_msgs/msg/Imu", full_rate=True),
    Topic(name="state_estimate", type=FLOATS, full_rate=True),
    Topic(name="safety/verdict", type=JOINT_STATE, full_rate=True, latched=True),
    Topic(name="policy/proposal", type=JOINT_STATE, full_rate=True),
    Topic(name="policy/step", type=FLOATS, full_rate=True),
    Topic(name="mpc/plan", type="sensor_msgs/msg/MultiDOFJointState", full_rate=True),
    Topic(name="low_command", type=JOINT_STATE, full_rate=True),
    Topic(name="cmd_vel", type="geometry_msgs/msg/TwistStamped", reliable=True),
    Topic(name="odom", type="nav_msgs/msg/Odometry"),
    Topic(name="safety/hazards", type=JOINT_STATE, latched=True),
    Topic(name="battery_state", type="sensor_msgs/msg/BatteryState"),
    Topic(name="diagnostics", type="diagnostic_msgs/msg/DiagnosticArray", reliable=True),
)
BY_NAME = {topic.name: topic for topic in TOPICS}
EACH_TICK = ("joint_states", "imu/data", "state_estimate", "safety/verdict")
"""Topics with a message on every LowState; the other full-rate ones have their own periods."""
