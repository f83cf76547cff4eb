"""A view of a message says what ROS reads from the same bytes."""

from array import array
from dataclasses import asdict, replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Transform, Twist, Wrench
from random_values import (
    random_estimate,
    random_low_state,
    random_plan,
    random_proposal,
    random_verdict,
)
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray, String

from safe_locomotion.messages import encode
from safe_locomotion.nodes import conversions, decisions, views
from safe_locomotion.nodes.conversions import MalformedMessageError

VIEWS = (views.RowsView, views.ArrayView, views.PlanView)


def viewed(data, message_type):
    """A view of a message whose kind was seen before."""
    views.read(data, message_type)
    view = views.read(data, message_type)
    assert isinstance(view, VIEWS)
    return view


def same(a, b):
    """Equal dataclasses, bit for bit."""
    assert type(a) is type(b)
    np.testing.assert_equal(asdict(a), asdict(b))


@pytest.mark.parametrize("seed", range(4))
def test_a_view_says_what_the_message_says(seed):
    """This holds for sensors, estimate, verdicts, proposals of both kinds, and plans."""
    plan_bytes = encode.PlanBytes()
    state = random_low_state(seed)
    joint = seed % 2 == 0
    cases = [
        (
            encode.state_estimate(random_estimate(seed)),
            Float64MultiArray,
            conversions.estimate_from,
        ),
        (encode.low_state(state), Float64MultiArray, conversions.low_state_from),
        (encode.verdict(random_verdict(seed, joint)), JointState, decisions.verdict_from),
        (
            encode.verdict(replace(random_verdict(seed, joint), predicted=None)),
            JointState,
            decisions.verdict_from,
        ),
        (
            encode.proposal(random_proposal(seed, "joint" if joint else "gait")),
            JointState,
            decisions.proposal_from,
        ),
        (plan_bytes(random_plan(seed)), MultiDOFJointState, decisions.plan_from),
    ]
    for data, message_type, convert in cases:
        same(convert(viewed(data, message_type)), convert(deserialize_message(data, message_type)))


def test_numbers_of_a_view_are_aligned_and_its_own():
    """Its arrays are aligned and writeable, and writing into them changes no message."""
    data = encode.state_estimate(random_estimate(1))
    estimate = conversions.estimate_from(viewed(data, Float64MultiArray))
    assert estimate.q.flags.aligned and estimate.q.flags.writeable
    estimate.q[:] = 0.0
    assert conversions.estimate_from(viewed(data, Float64MultiArray)).q.any()


@pytest.mark.parametrize(
    ("message", "convert"),
    [
        (JointState(name=["a", "b"], position=[1.0]), decisions.verdict_from),
        (JointState(name=["a", "b"], position=[1.0, 2.0], velocity=[1.0]), decisions.verdict_from),
        (
            JointState(name=["a", "b"], position=[1.0, 2.0], effort=[1.0, 3.0]),
            decisions.proposal_from,
        ),
        (JointState(name=["a"]), decisions.verdict_from),
        (JointState(name=["mode/WALK", "policy"]), decisions.feedback_from),
        (JointState(name=["mode", "policy/learner"]), decisions.feedback_from),
        (Float64MultiArray(data=[1.0, 2.0]), conversions.estimate_from),
        (Float64MultiArray(data=[1.0, 2.0]), conversions.low_state_from),
        (
            MultiDOFJointState(
                joint_names=["FR/stance"], transforms=[Transform()], twist=[Twist()]
            ),
            decisions.plan_from,
        ),
        (
            MultiDOFJointState(
                joint_names=["x"], transforms=[Transform()], twist=[Twist()], wrench=[Wrench()]
            ),
            decisions.plan_from,
        ),
    ],
)
def test_malformed_messages_are_refused(message, convert):
    """Wrong lengths, foreign layouts and foreign names are refused the first time and later."""
    data = serialize_message(message)
    for _ in range(3):
        with pytest.raises(MalformedMessageError):
            convert(views.read(data, type(message)))


@pytest.mark.parametrize("end", [0, 3, 4, 11, 12, 40, 300, -200, -9, -1])
def test_a_message_that_ends_early_is_refused(end):
    """No view reads behind its end, and ROS refuses the message too."""
    for data, message_type in (
        (encode.verdict(random_verdict(3, True)), JointState),
        (encode.state_estimate(random_estimate(3)), Float64MultiArray),
        (encode.low_state(random_low_state(3)), Float64MultiArray),
        (encode.PlanBytes()(random_plan(3)), MultiDOFJointState),
    ):
        viewed(data, message_type)
        with pytest.raises(MalformedMessageError, match="bytes that are no"):
            views.read(data[:end], message_type)


def test_many_layouts_are_forgotten_again():
    """New reasons without end do not fill the memory, and known messages still read the same."""
    v = random_verdict(5, False)
    for k in range(2 * views.KNOWN):
        views.read(encode.verdict(replace(v, reasons=(f"reason_{k}",))), JointState)
    assert views.remembered() <= 2 * views.KNOWN
    data = encode.verdict(v)
    same(
        decisions.verdict_from(viewed(data, JointState)),
        decisions.verdict_from(deserialize_message(data, JointState)),
    )


def test_types_without_a_view_are_read_too():
    """A type without a view is read as a ROS message."""
    assert views.read(serialize_message(String(data="stand")), String).data == "stand"


@pytest.mark.parametrize(
    "since", [(np.inf, 0.0), (np.nan, 0.0), (0.0, -1.0), (0.0, 1e9), (-1.0, 0.0)]
)
def test_a_verdict_without_a_valid_stamp_of_its_mode_is_refused(since):
    """Seconds and nanoseconds of the mode are checked like those of an estimate."""
    message = deserialize_message(encode.verdict(random_verdict(1, False)), JointState)
    message.position[1:3] = array("d", since)
    with pytest.raises(MalformedMessageError, match="no valid stamp"):
        decisions.verdict_from(message)


def test_a_long_message_is_read_and_not_remembered():
    """Foreign messages of megabytes cannot fill the memory with their beginnings."""
    before = views.remembered()
    names = [f"{k:04d}" for k in range(views.LONGEST_LEARNT // 8)]
    data = serialize_message(JointState(name=names, position=[0.0] * len(names)))
    assert views.read(data, JointState).name == names
    assert views.remembered() == before
