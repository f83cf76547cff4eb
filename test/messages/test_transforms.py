"""A TFMessage by template is what a strict reader of ROS messages reads."""

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from safe_locomotion.messages.transforms import TransformBytes

TYPES = get_typestore(Stores.ROS2_KILTED)
KIND = "tf2_msgs/msg/TFMessage"
FRAMES = [("odom", "base_link"), ("a", "bb"), ("abc", "d" * 9), ("x" * 17, "yz")]


@pytest.mark.parametrize("count", range(1, len(FRAMES) + 1))
def test_a_reader_finds_frames_and_numbers(count: int) -> None:
    """This holds for names of any length, and nothing is left behind the end."""
    rng = np.random.default_rng(count)
    pack = TransformBytes(FRAMES[:count])
    for stamp_ns in (0, 1_700_000_000_123_456_789):
        position = rng.normal(size=(count, 3))
        turn = rng.normal(size=(count, 4))
        data = pack(stamp_ns, position, turn)
        message = TYPES.deserialize_cdr(data, KIND)
        assert bytes(TYPES.serialize_cdr(message, KIND)) == data
        for transform, frames, place, wxyz in zip(
            message.transforms, FRAMES, position, turn, strict=False
        ):
            stamp = transform.header.stamp
            assert stamp.sec * 10**9 + stamp.nanosec == stamp_ns
            assert (transform.header.frame_id, transform.child_frame_id) == frames
            t = transform.transform.translation
            r = transform.transform.rotation
            assert [t.x, t.y, t.z] == place.tolist()
            assert [r.w, r.x, r.y, r.z] == wxyz.tolist()
