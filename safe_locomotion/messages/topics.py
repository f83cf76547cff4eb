"""The recorded topics of an episode, their types and their quality of service.

Full-rate topics carry each tick, in both graphs. The graph of five processes publishes them anyway.
The composed graph packs them into `recording/ticks` while a recorder listens, and the recorder
writes them under their own names (see `ticks`). The other topics are recorded as they come.
"""

from dataclasses import dataclass

JOINT_STATE = "sensor_msgs/msg/JointState"
FLOATS = "std_msgs/msg/Float64MultiArray"


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """One topic of the stack.

    Attributes:
        name: relative, as in the nodes.
        type: ROS type.
        full_rate: whether it carries each tick, so that too long a step between stamps is a drop.
        latched: whether it is reliable and transient local; the others are best effort, depth 1.
        reliable: whether it is reliable without being latched.
        made: whether the recorder makes it for displays, instead of taking it.
    """

    name: str
    type: str
    full_rate: bool = False
    latched: bool = False
    reliable: bool = False
    made: bool = False


INFO = "episode/info"
"""std_msgs/String: JSON of `episode.EpisodeInfo`, the first message of an episode and the last.

The last one has the reason of the end.
"""
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
    Topic(name="battery_state", type="sensor_msgs/msg/BatteryState", reliable=True),
    Topic(name="diagnostics", type="diagnostic_msgs/msg/DiagnosticArray", reliable=True),
    Topic(name="foot_forces", type=FLOATS, full_rate=True),
    Topic(name="safety/markers", type="visualization_msgs/msg/MarkerArray", reliable=True),
    Topic(name="safety/view", type="diagnostic_msgs/msg/DiagnosticArray", reliable=True),
    Topic(name="tf", type="tf2_msgs/msg/TFMessage", reliable=True, made=True),
    Topic(name="robot_description", type="std_msgs/msg/String", latched=True, made=True),
)
BY_NAME = {topic.name: topic for topic in TOPICS}
EACH_TICK = ("joint_states", "imu/data", "state_estimate", "safety/verdict")
"""Topics with a message on every LowState; the other full-rate ones have their own periods."""
