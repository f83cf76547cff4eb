"""The messages made by template are ROS messages, and the recorder reads both kinds."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from random_values import (
    random_estimate,
    random_low_state,
    random_plan,
    random_proposal,
    random_verdict,
)
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Imu, JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray

from safe_locomotion.messages import cdr, encode
from safe_locomotion.messages.layouts import ESTIMATE_LAYOUT, ESTIMATE_SIZE, JOINT_NAMES
from safe_locomotion.messages.ticks import TickBatch, unpack
from safe_locomotion.nodes import conversions
from safe_locomotion.recording.rows import command_trace, proposal_trace, verdict_trace
from safe_locomotion.recording.stage_values import recorded_proposals
from safe_locomotion.robot.models import robot_file, robot_names
from safe_locomotion.types import LowCommand, Proposal

TYPES = get_typestore(Stores.ROS2_KILTED)


def read_strictly(data, message):
    """The message, as a reader of bags understands it that refuses what is too long."""
    name = type(message).__module__.split(".")[0] + "/msg/" + type(message).__name__
    return TYPES.deserialize_cdr(data, name)


seeds = pytest.mark.parametrize("seed", range(8))


def as_ros_writes(data, message_type):
    """The bytes with which rclpy itself publishes this message."""
    return serialize_message(deserialize_message(data, message_type))


@seeds
def test_templates_are_messages_that_ros_and_bags_read(seed):
    """rclpy reads each template whole, and a strict reader of bags finds nothing behind its end."""
    verdict = random_verdict(seed, seed % 3 == 0)
    plain = replace(verdict, predicted=None, joints=None)
    proposal = random_proposal(seed, ("gait", "joint")[seed % 2])
    fault = Proposal(stamp_ns=7, policy="p", kind="gait", fault="network failed", period_ns=5)
    for data, message_type in (
        (encode.joint_states(random_low_state(seed)), JointState),
        (encode.imu(random_low_state(seed)), Imu),
        (encode.low_state(random_low_state(seed)), Float64MultiArray),
        (encode.foot_forces(random_low_state(seed)), Float64MultiArray),
        (encode.state_estimate(random_estimate(seed)), Float64MultiArray),
        (encode.odometry(random_estimate(seed)), Odometry),
        (encode.verdict(verdict), JointState),
        (encode.verdict(plain), JointState),
        (encode.proposal(proposal), JointState),
        (encode.proposal(fault), JointState),
        (encode.PlanBytes()(random_plan(seed)), MultiDOFJointState),
        (cdr.string_message("grün"), String),
    ):
        message = deserialize_message(data, message_type)
        assert deserialize_message(serialize_message(message), message_type) == message
        assert read_strictly(data, message) is not None


def test_frames_and_names_follow_the_layouts():
    """Frames are those of REP-105, rows have their names, and unused fields are zero."""
    joints = deserialize_message(encode.joint_states(random_low_state(1)), JointState)
    assert joints.name == JOINT_NAMES and joints.header.frame_id == "base_link"
    assert len(joints.position) == len(joints.velocity) == len(joints.effort) == 12
    imu = deserialize_message(encode.imu(random_low_state(1)), Imu)
    assert imu.header.frame_id == "base_link"
    estimate = deserialize_message(encode.state_estimate(random_estimate(1)), Float64MultiArray)
    dimension = estimate.layout.dim[0]
    assert dimension.label == ESTIMATE_LAYOUT and estimate.layout.data_offset == 0
    assert dimension.size == dimension.stride == len(estimate.data) == ESTIMATE_SIZE
    plan = deserialize_message(encode.PlanBytes()(random_plan(1)), MultiDOFJointState)
    assert plan.header.frame_id == "base_link"
    assert all((r.x, r.y, r.z, r.w) == (0.0, 0.0, 0.0, 1.0) for r in rotations(plan))
    assert not any(any((t.angular.x, t.angular.y, t.angular.z)) for t in plan.twist)
    assert not any(any((w.torque.x, w.torque.y, w.torque.z)) for w in plan.wrench)


def test_covariances_of_the_imu_are_known():
    """REP-145: zeros would say that nothing is known, -1 that there is no such sensor."""
    imu = deserialize_message(encode.imu(random_low_state(1)), Imu)
    for covariance in (
        imu.orientation_covariance,
        imu.angular_velocity_covariance,
        imu.linear_acceleration_covariance,
    ):
        matrix = covariance.reshape(3, 3)
        assert np.array_equal(matrix, np.diag(np.diag(matrix))) and (np.diag(matrix) > 0.0).all()


@pytest.mark.parametrize("robot", robot_names())
def test_names_of_joint_states_are_those_of_the_urdf(robot):
    """So robot_state_publisher and Foxglove move the robot without a mapping of names."""
    joints = ElementTree.parse(robot_file(robot, ".urdf")).iter("joint")
    moving = {joint.get("name") for joint in joints if joint.get("type") != "fixed"}
    assert moving == set(JOINT_NAMES)


@seeds
def test_foot_forces_travel_by_themselves(seed):
    """They are stamped numbers in the order of the legs, and no joints."""
    state = random_low_state(seed)
    message = deserialize_message(encode.foot_forces(state), Float64MultiArray)
    assert message.layout.dim[0].label == "stamp_s:1 stamp_ns:1 FR:1 FL:1 RR:1 RL:1"
    assert np.array_equal(message.data[2:], state.foot_force)
    assert cdr.float_array_stamp(encode.foot_forces(state)) == state.stamp_ns


def rotations(plan):
    """Of the feet's transforms."""
    return [transform.rotation for transform in plan.transforms]


@seeds
def test_reader_reads_what_ros_serialises(seed):
    """Verdicts of different layouts come back row by row, in the order of their stamps."""
    verdicts = [random_verdict(seed * 100 + k, k % 2 == 0) for k in range(9)]
    trace = verdict_trace([as_ros_writes(encode.verdict(v), JointState) for v in verdicts])
    predicted = dict(zip(trace.predicted_at.tolist(), trace.predicted, strict=True))
    for k, v in enumerate(sorted(verdicts, key=lambda v: v.stamp_ns)):
        assert (trace.stamp_ns[k], trace.mode[k], trace.mode_since_ns[k]) == (
            v.stamp_ns,
            v.mode,
            v.mode_since_ns,
        )
        assert trace.learner[k] == (v.active == "learner")
        assert tuple(trace.command[k]) == (v.command.vx, v.command.vy, v.command.wz)
        g = v.gait
        assert tuple(trace.gait[k]) == (g.frequency, g.swing_ratio, *g.phase_offsets, *g.foot_y)
        assert tuple(trace.lifted[k]) == g.lifted
        assert dict(zip(trace.components, trace.margins[k], strict=True)) == dict(v.margins)
        assert {
            name for name, on in zip(trace.hazards, trace.reasons[k], strict=True) if on
        } == set(v.reasons)
        if v.joints is not None:
            assert np.array_equal(trace.joints[k], (v.joints.q, v.joints.kp, v.joints.kd))
        else:
            assert np.isnan(trace.joints[k]).all()
        assert (k in predicted) == (v.predicted is not None)
        if v.predicted is not None:
            assert np.array_equal(predicted[k], v.predicted)


def test_proposals_of_any_kind():
    """Gait, joint and failed proposals come back; a message that proposes nothing is left out."""
    a = replace(random_proposal(1, "gait"), stamp_ns=10)
    b = replace(random_proposal(2, "joint"), stamp_ns=20)
    c = Proposal(stamp_ns=30, policy="x", kind="gait", fault="not finite", period_ns=8)
    data = [as_ros_writes(encode.proposal(p), JointState) for p in (a, b, c)]
    trace = proposal_trace([*data, serialize_message(JointState(header=conversions.header(40)))])
    assert trace.stamp_ns.tolist() == [10, 20, 30]
    assert [trace.policies[k] for k in trace.policy] == [a.policy, b.policy, "x"]
    assert trace.fault == ("", "", "not finite") and trace.period_ns.tolist() == [0, 0, 8]
    assert trace.gait[0, 0] == a.gait.frequency and np.array_equal(trace.joints[1, 0], b.joints.q)
    assert tuple(trace.lifted[0]) == a.gait.lifted and not trace.lifted[1:].any()
    assert np.isnan(trace.gait[1:]).all() and np.isnan(trace.joints[[0, 2]]).all()


def test_recordings_from_before_lifted_legs_are_read():
    """A gait without rows of lifted legs reads as one that lifts none; others name theirs."""
    proposal = random_proposal(1, "gait")
    gaits = [replace(proposal.gait, lifted=flags) for flags in ((False,) * 4, (True, *[False] * 3))]
    verdicts = [replace(random_verdict(3, False), stamp_ns=k, gait=g) for k, g in enumerate(gaits)]
    old, new = [encode.verdict(v) for v in verdicts]
    assert b"lifted/" not in old and b"lifted/FR" in new
    assert verdict_trace([old, new]).lifted.tolist() == [[False] * 4, [True, *[False] * 3]]
    data = [encode.proposal(replace(proposal, stamp_ns=k, gait=g)) for k, g in enumerate(gaits)]
    trace = proposal_trace(data)
    assert trace.lifted.tolist() == [[False] * 4, [True, *[False] * 3]]
    assert [p.gait for p in recorded_proposals(trace)] == gaits


def test_low_commands():
    """q, dq, tau, gains, reason and latency come back."""
    rng = np.random.default_rng(0)
    commands = [
        LowCommand(
            stamp_ns=k,
            **{name: rng.normal(size=12) for name in ("q", "dq", "tau", "kp", "kd")},
            reason=reason,
        )
        for k, reason in enumerate(("", "stale", "", "hot"))
    ]
    data = [encode.low_command(command, 1e-3 * k) for k, command in enumerate(commands)]
    assert deserialize_message(data[1], JointState).name[-1] == "reason/stale"
    trace = command_trace(data)
    assert trace.reason == ("", "stale", "", "hot") and trace.latency.tolist() == [
        0.0,
        1e-3,
        2e-3,
        3e-3,
    ]
    for name in ("q", "dq", "tau", "kp", "kd"):
        assert np.array_equal(
            getattr(trace, name), [getattr(command, name) for command in commands]
        )


def test_learner_steps():
    """Observation and action travel as one array; a learner without a network has none."""
    p = replace(
        random_proposal(1, "gait"),
        observation=np.arange(3, dtype=np.float32),
        action=np.array([4.0, 5.0]),
    )
    message = deserialize_message(encode.step(p), Float64MultiArray)
    assert message.layout.dim[0].label == "stamp_s:1 stamp_ns:1 observation:3 action:2"
    assert message.data[2:].tolist() == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert encode.step(random_proposal(1, "gait")) is None


def test_a_batch_gives_back_its_messages():
    """Several ticks share a numbered message that ROS can read; a message cut short is refused."""
    batch = TickBatch()
    state = random_low_state(3)
    batch.take()
    sent = [("joint_states", 5, encode.joint_states(state)), ("imu/data", 5, encode.imu(state))]
    for entry in sent:
        batch.add(*entry)
    data = batch.take()
    assert serialize_message(deserialize_message(data, UInt8MultiArray)) == data
    sequence, entries = unpack(data)
    assert sequence == 1 and list(entries) == sent
    with pytest.raises(cdr.DecodingError):
        unpack(data[:-1])
    assert list(unpack(batch.take())[1]) == []


def test_what_ros_serialises_is_read_strictly():
    """The arbitrary bytes that ROS sends behind a JointState are cut off, nothing else is."""
    verdict = random_verdict(2, False)
    verdicts = (verdict, replace(verdict, predicted=np.ones((3, 12))))
    messages = [deserialize_message(encode.verdict(v), JointState) for v in verdicts]
    for message in (
        *messages,
        JointState(name=["a", "hazard"]),
        JointState(),
        JointState(name=["a"], effort=[1.0]),
    ):
        data = cdr.trimmed_joint_state(serialize_message(message))
        assert deserialize_message(data, JointState) == message
        assert read_strictly(data, message) is not None
    for message in (Imu(), MultiDOFJointState(), Odometry()):
        assert read_strictly(serialize_message(message), message) is not None
