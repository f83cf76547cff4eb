"""Messages carry the core's values bit for bit, through rclpy's own serialiser."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from random_values import (
    random_estimate,
    random_low_state,
    random_plan,
    random_proposal,
    random_verdict,
)
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState, MultiDOFJointState

from safe_locomotion.messages import encode
from safe_locomotion.messages.encode import PlanBytes
from safe_locomotion.messages.layouts import GAIT, LOW_STATE_SIZE
from safe_locomotion.messages.layouts import VERDICT as VERDICT_ROWS
from safe_locomotion.nodes import conversions as c
from safe_locomotion.nodes import decisions as d
from safe_locomotion.rotations import matrix_from_quaternion
from safe_locomotion.types import NANOSECONDS, Feedback, Mode, Proposal, VelocityCommand


def over_the_wire(data, message_type=JointState):
    """What rclpy makes of the bytes that a node publishes."""
    return deserialize_message(data, message_type)


def verdict_message(verdict):
    """A verdict as it arrives."""
    return over_the_wire(encode.verdict(verdict))


def odometry_message(estimate):
    """An odometry as it arrives."""
    return over_the_wire(encode.odometry(estimate), Odometry)


def proposal_message(proposal):
    """A proposal as it arrives."""
    return over_the_wire(encode.proposal(proposal))


def estimate_message(estimate):
    """An estimate as it arrives."""
    return over_the_wire(encode.state_estimate(estimate), c.Float64MultiArray)


def state_message(state):
    """A LowState as it arrives."""
    return over_the_wire(encode.low_state(state), c.Float64MultiArray)


def assert_same_bits(a, b, skip=()):
    """Equal types, shapes and bits, field by field."""
    assert type(a) is type(b)
    for field in fields(a):
        if field.name in skip:
            continue
        x = getattr(a, field.name)
        y = getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes(), (
                field.name
            )
        elif isinstance(x, float):
            assert np.float64(x).tobytes() == np.float64(y).tobytes(), field.name
        elif hasattr(x, "__dataclass_fields__"):
            assert_same_bits(x, y)
        else:
            assert x == y and type(x) is type(y), field.name


seeds = pytest.mark.parametrize("seed", range(20))


@seeds
def test_low_state_round_trip(seed):
    """low_state gives back every number that it carries."""
    state = random_low_state(seed)
    back = c.low_state_from(state_message(state))
    assert_same_bits(state, back, skip=("tick", "temperature", "voltage", "remote"))


@seeds
def test_estimate_round_trip(seed):
    """state_estimate gives back the whole Estimate."""
    estimate = random_estimate(seed)
    assert_same_bits(estimate, c.estimate_from(estimate_message(estimate)))


@seeds
@pytest.mark.parametrize("kind", ["gait", "joint"])
def test_proposal_round_trip(seed, kind):
    """policy/proposal gives back either kind of proposal."""
    proposal = random_proposal(seed, kind)
    assert_same_bits(proposal, d.proposal_from(proposal_message(proposal)))


def test_an_empty_proposal_is_none_and_keeps_its_stamp():
    """A learner can say that it has nothing to propose on a tick."""
    empty = JointState(header=c.header(1_700_000_000_123_456_789))
    message = over_the_wire(serialize_message(empty))
    assert d.proposal_from(message) is None and c.stamp_of(message) == 1_700_000_000_123_456_789


@seeds
@pytest.mark.parametrize("with_joints", [False, True])
def test_verdict_round_trip(seed, with_joints):
    """safety/verdict gives back mode, gait, command, joint targets, margins and reasons."""
    verdict = random_verdict(seed, with_joints)
    assert_same_bits(verdict, d.verdict_from(verdict_message(verdict)))


@seeds
def test_plan_round_trip(seed):
    """mpc/plan gives back forces, targets and flags."""
    plan = random_plan(seed)
    message = over_the_wire(PlanBytes()(plan), MultiDOFJointState)
    assert_same_bits(plan, d.plan_from(message))


@given(st.integers(min_value=0, max_value=(2**31 - 1) * NANOSECONDS))
@settings(max_examples=200, deadline=None)
def test_stamps_are_exact(stamp_ns):
    """Any stamp survives a header and the estimate's array to the nanosecond."""
    proposal = replace(random_proposal(0, "gait"), stamp_ns=stamp_ns)
    assert c.stamp_of(proposal_message(proposal)) == stamp_ns
    estimate = replace(random_estimate(0), stamp_ns=stamp_ns)
    assert c.estimate_from(estimate_message(estimate)).stamp_ns == stamp_ns


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 5e-324])
def test_special_values_are_not_repaired(value):
    """NaN, infinities, negative zero and denormals arrive as they were sent."""
    verdict = replace(random_verdict(0, False), command=VelocityCommand(vx=value))
    assert_same_bits(verdict, d.verdict_from(verdict_message(verdict)))
    estimate = replace(random_estimate(0), position=np.full(3, value))
    assert_same_bits(estimate, c.estimate_from(estimate_message(estimate)))


@seeds
def test_odometry_twist_is_in_base(seed):
    """odom follows REP-105: R twist is the velocity in odom, and so for its covariance."""
    estimate = random_estimate(seed)
    odometry = odometry_message(estimate)
    r = matrix_from_quaternion(estimate.quaternion_wxyz)
    linear = odometry.twist.twist.linear
    np.testing.assert_allclose(r @ [linear.x, linear.y, linear.z], estimate.velocity, atol=1e-12)
    twist_covariance = np.array(odometry.twist.covariance).reshape(6, 6)
    np.testing.assert_allclose(
        r @ twist_covariance[:3, :3] @ r.T, estimate.velocity_covariance, atol=1e-12
    )
    pose = odometry.pose.pose
    assert [pose.position.x, pose.position.y, pose.position.z] == estimate.position.tolist()
    assert [
        pose.orientation.w,
        pose.orientation.x,
        pose.orientation.y,
        pose.orientation.z,
    ] == estimate.quaternion_wxyz.tolist()
    assert odometry.header.frame_id == "odom" and odometry.child_frame_id == "base_link"


def test_a_battery_that_reports_nothing_is_nan():
    """battery_state is NaN where the robot reports nothing, as the message's definition asks."""
    state = random_low_state(0)
    assert c.battery_from(state).voltage == state.voltage
    assert np.isnan(c.battery_from(replace(state, voltage=None)).voltage)


def test_covariances_of_odometry_are_filled():
    """No diagonal entry of odom's covariances is zero, which would claim perfect knowledge."""
    odometry = odometry_message(random_estimate(3))
    for covariance in (odometry.pose.covariance, odometry.twist.covariance):
        assert np.all(np.diag(np.array(covariance).reshape(6, 6)) > 0.0)


def test_twist_and_twist_stamped_are_the_same_command():
    """cmd_vel may be Twist or TwistStamped."""
    command = VelocityCommand(vx=0.3, vy=-0.1, wz=0.7)
    message = c.twist_message(command, 5)
    assert c.velocity_command_from(message) == c.velocity_command_from(message.twist) == command


def renamed(message, index, name):
    """The message with one row renamed."""
    names = list(message.name)
    names[index] = name
    message.name = names
    return message


def valued(message, index, value):
    """The message with one value changed."""
    message.position[index] = value
    return message


def emptied(message, field):
    """The message with one field empty."""
    setattr(message, field, [])
    return message


VERDICT = random_verdict(1, True)
WITH_GAIT = random_proposal(0, "gait")
LIFTING = replace(WITH_GAIT, gait=replace(WITH_GAIT.gait, lifted=(False, True, True, False)))
MALFORMED = {
    "verdict: renamed row": lambda: d.verdict_from(renamed(verdict_message(VERDICT), 0, "mood")),
    "verdict: unknown extra row": lambda: d.verdict_from(
        renamed(verdict_message(VERDICT), 16, "margins/x")
    ),
    "verdict: unknown mode": lambda: d.verdict_from(
        valued(verdict_message(VERDICT), 0, float(max(Mode) + 1))
    ),
    "verdict: mode NaN": lambda: d.verdict_from(valued(verdict_message(VERDICT), 0, float("nan"))),
    "verdict: mode since infinity": lambda: d.verdict_from(
        valued(verdict_message(VERDICT), 1, float("inf"))
    ),
    "verdict: active 0.5": lambda: d.verdict_from(valued(verdict_message(VERDICT), 3, 0.5)),
    "verdict: no gains": lambda: d.verdict_from(emptied(verdict_message(VERDICT), "velocity")),
    "verdict: no values": lambda: d.verdict_from(emptied(verdict_message(VERDICT), "position")),
    "proposal: no policy": lambda: d.proposal_from(
        renamed(proposal_message(random_proposal(0, "gait")), 0, "p")
    ),
    "proposal: renamed joint": lambda: d.proposal_from(
        renamed(proposal_message(random_proposal(0, "joint")), 5, "p")
    ),
    "proposal: policy alone": lambda: d.proposal_from(
        JointState(name=["policy/a"], position=[0.0])
    ),
    "proposal: unknown lifted leg": lambda: d.proposal_from(
        renamed(proposal_message(LIFTING), -1, "lifted/FX")
    ),
    "proposal: lifted leg twice": lambda: d.proposal_from(
        renamed(proposal_message(LIFTING), -1, "lifted/FL")
    ),
    "proposal: lifted NaN": lambda: d.proposal_from(
        valued(proposal_message(LIFTING), -1, float("nan"))
    ),
    "verdict: lifted twice": lambda: d.verdict_from(
        renamed(verdict_message(replace(VERDICT, gait=LIFTING.gait)), 17, "lifted/FL")
    ),
    "verdict: lifted 0": lambda: d.verdict_from(
        valued(verdict_message(replace(VERDICT, gait=LIFTING.gait)), 16, 0.0)
    ),
    "estimate: other layout": lambda: c.estimate_from(
        c.Float64MultiArray(data=[0.0] * c.ESTIMATE_SIZE)
    ),
    "estimate: short": lambda: c.estimate_from(
        c.Float64MultiArray(layout=estimate_message(random_estimate(0)).layout, data=[0.0])
    ),
    "plan: no feet": lambda: d.plan_from(d.MultiDOFJointState()),
    "state: no numbers": lambda: c.low_state_from(c.Float64MultiArray()),
    "state: layout of an estimate": lambda: c.low_state_from(estimate_message(random_estimate(0))),
    "state: no stamp": lambda: c.low_state_from(
        c.Float64MultiArray(
            layout=state_message(random_low_state(0)).layout, data=[float("nan")] * LOW_STATE_SIZE
        )
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_messages_are_refused(case):
    """A message with any other layout is refused by one exception."""
    with pytest.raises(c.MalformedMessageError):
        MALFORMED[case]()


def test_only_lifted_legs_have_rows():
    """A gait without lifted legs has the rows that it had before there were any.

    The rows of lifted legs come behind it.
    """
    plain = replace(WITH_GAIT, gait=replace(WITH_GAIT.gait, lifted=(False,) * 4))
    names = list(proposal_message(plain).name)
    assert names[1:] == GAIT
    assert list(proposal_message(LIFTING).name) == [*names, "lifted/FL", "lifted/RR"]
    message = verdict_message(replace(VERDICT, gait=LIFTING.gait))
    assert list(message.name[:18]) == [*VERDICT_ROWS, "lifted/FL", "lifted/RR"]


def test_held_plans_travel():
    """Flags travel, and arrays that are filled again hold the new plan alone."""
    packed = PlanBytes()
    for seed, solved in ((1, True), (2, False), (3, True)):
        plan = replace(random_plan(seed), solved=solved)
        message = over_the_wire(packed(plan), MultiDOFJointState)
        assert_same_bits(plan, d.plan_from(message))


@pytest.mark.parametrize("kind", ["gait", "joint"])
def test_a_fault_and_the_period_of_a_proposal_travel(kind) -> None:
    """The kind of the learner travels too; there is no gait and no joint target."""
    proposal = Proposal(
        stamp_ns=7, policy="alarm", kind=kind, fault="policy_not_finite", period_ns=10_000_000
    )
    assert d.proposal_from(proposal_message(proposal)) == proposal


def test_feedback_travels_and_anything_else_is_malformed() -> None:
    """It travels in every mode, with and without a driving learner."""
    for mode in Mode:
        for policy in ("", "alarm", "a/b"):
            feedback = Feedback(mode=mode, policy=policy)
            assert d.feedback_from(d.feedback_message(7, feedback)) == feedback
    for names in (
        [],
        ["mode/WALK"],
        ["mode/RUN", "policy/x"],
        ["policy/x", "mode/WALK"],
        ["mode", "policy"],
    ):
        with pytest.raises(c.MalformedMessageError):
            d.feedback_from(JointState(name=names))
