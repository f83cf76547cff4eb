"""The fixed-layout codec against the SDK's own serialiser and checksum."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("unitree_sdk2py")
from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowCmd_, unitree_go_msg_dds__LowState_
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_, SportModeState_
from unitree_sdk2py.utils.crc import CRC

from safe_locomotion.backends.backend import POS_STOP, VEL_STOP
from safe_locomotion.backends.sdk2_codec import (
    MODE_FOC,
    LowCommandCodec,
    LowStateCodec,
    Truth,
    TruthCodec,
)
from safe_locomotion.backends.sdk2_messages import crc32_words
from safe_locomotion.types import LowCommand, LowState

N_MESSAGES = 60


def random_command(rng: np.random.Generator) -> LowCommand:
    q, dq, tau, kp, kd = rng.normal(scale=20.0, size=(5, 12)).astype(np.float32).astype(np.float64)
    return LowCommand(stamp_ns=0, q=q, dq=dq, tau=tau, kp=kp, kd=kd)


def random_state(rng: np.random.Generator) -> LowState:
    def floats(n: int) -> np.ndarray:
        return rng.normal(size=n).astype(np.float32).astype(np.float64)

    return LowState(
        stamp_ns=0,
        tick=int(rng.integers(2**32)),
        quaternion_wxyz=floats(4),
        gyro=floats(3),
        accelerometer=floats(3),
        q=floats(12),
        dq=floats(12),
        tau=floats(12),
        foot_force=rng.integers(-32768, 32768, 4).astype(float),
        temperature=rng.integers(0, 128, 12).astype(float),
        voltage=float(np.float32(rng.uniform(20, 30))),
        remote=rng.bytes(40),
    )


def fill_randomly(message: object, rng: np.random.Generator) -> None:
    """Make every number of an SDK message random; its packer takes 8 and 16 bit as signed."""
    for name, value in vars(message).items():
        annotation = str(type(message).__annotations__[name])
        if hasattr(value, "__dict__"):
            fill_randomly(value, rng)
        elif isinstance(value, list) and hasattr(value[0], "__dict__"):
            for item in value:
                fill_randomly(item, rng)
        else:
            n = len(value) if isinstance(value, list) else 1
            numbers = [draw(annotation, rng) for _ in range(n)]
            setattr(message, name, numbers if isinstance(value, list) else numbers[0])


def draw(annotation: str, rng: np.random.Generator) -> float | int:
    if "float32" in annotation:
        return float(np.float32(rng.normal(scale=10.0)))
    for kind, low, high in (("int16", -(2**15), 2**15), ("int32", -(2**31), 2**31)):
        if f"'{kind}'" in annotation:
            return int(rng.integers(low, high))
    for kind, high in (("uint8", 128), ("uint16", 2**15), ("uint32", 2**32)):
        if f"'{kind}'" in annotation:
            return int(rng.integers(high))
    raise AssertionError(annotation)


def shift_register(words: list[int]) -> int:
    """CRC-32/MPEG-2 bit by bit, as the vendor's C code computes it."""
    register = 0xFFFFFFFF
    for word in words:
        for bit in range(31, -1, -1):
            high = register >> 31
            register = register << 1 & 0xFFFFFFFF
            if high != word >> bit & 1:
                register ^= 0x04C11DB7
    return register


CHECK_STRING = np.frombuffer(b"123456789012", ">u4").tolist()


@pytest.mark.parametrize("words", [[0], [0xFFFFFFFF], [0x01020304, 0xA0B0C0D0], CHECK_STRING])
def test_checksum_is_a_shift_register(words: list[int]) -> None:
    """crc32_words equals the CRC that is computed bit by bit."""
    assert crc32_words(np.array(words, np.uint32)) == shift_register(words)


def test_command_bytes_are_the_serialisers() -> None:
    """encode gives the same bytes as the SDK's serialiser with the SDK's CRC."""
    for seed in range(N_MESSAGES):
        rng = np.random.default_rng(seed)
        command = random_command(rng)
        tick = int(rng.integers(2**32))
        message = unitree_go_msg_dds__LowCmd_()
        message.head = [0xFE, 0xEF]
        message.level_flag = 0xFF
        message.reserve = tick
        for slot, motor in enumerate(message.motor_cmd):
            motor.mode = MODE_FOC
            motor.q = POS_STOP
            motor.dq = VEL_STOP
            if slot < 12:
                motor.q = float(command.q[slot])
                motor.dq = float(command.dq[slot])
                motor.tau = float(command.tau[slot])
                motor.kp = float(command.kp[slot])
                motor.kd = float(command.kd[slot])
        message.crc = CRC().Crc(message)
        assert LowCommandCodec().encode(command, tick) == message.serialize()


def test_state_is_read_as_the_sdk_reads_it() -> None:
    """A random LowState_ of the SDK passes the CRC and is decoded to the same numbers."""
    for seed in range(N_MESSAGES):
        message = unitree_go_msg_dds__LowState_()
        fill_randomly(message, np.random.default_rng(seed))
        message.crc = CRC().Crc(message)
        codec = LowStateCodec()
        assert codec.load(message.serialize()) == message.tick
        state = codec.state(stamp_ns=5)
        motors = message.motor_state[:12]
        assert (
            state.stamp_ns == 5
            and state.tick == message.tick
            and state.remote == bytes(message.wireless_remote)
        )
        np.testing.assert_array_equal(state.quaternion_wxyz, message.imu_state.quaternion)
        np.testing.assert_array_equal(state.gyro, message.imu_state.gyroscope)
        np.testing.assert_array_equal(state.accelerometer, message.imu_state.accelerometer)
        np.testing.assert_array_equal(state.q, [m.q for m in motors])
        np.testing.assert_array_equal(state.dq, [m.dq for m in motors])
        np.testing.assert_array_equal(state.tau, [m.tau_est for m in motors])
        np.testing.assert_array_equal(state.temperature, [m.temperature for m in motors])
        np.testing.assert_array_equal(state.foot_force, message.foot_force)
        assert state.voltage == message.power_v


def test_command_of_the_sdk_is_read() -> None:
    """A random LowCmd_ that keeps the conventions is decoded; its CRC covers every field."""
    for seed in range(N_MESSAGES):
        message = unitree_go_msg_dds__LowCmd_()
        fill_randomly(message, np.random.default_rng(seed))
        message.head = [0xFE, 0xEF]
        message.level_flag = 0xFF
        for motor in message.motor_cmd:
            motor.mode = MODE_FOC
        for motor in message.motor_cmd[12:]:
            motor.tau = 0.0
            motor.kp = 0.0
            motor.kd = 0.0
        message.crc = CRC().Crc(message)
        result = LowCommandCodec().decode(message.serialize())
        assert not isinstance(result, str), result
        command, tick = result
        assert tick == message.reserve
        np.testing.assert_array_equal(command.q, [m.q for m in message.motor_cmd[:12]])
        np.testing.assert_array_equal(command.kd, [m.kd for m in message.motor_cmd[:12]])


def test_state_bytes_survive_the_sdk() -> None:
    """The SDK reads an encoded state, computes the same CRC, serialises it to the same bytes."""
    for seed in range(N_MESSAGES):
        raw = LowStateCodec().encode(random_state(np.random.default_rng(seed)))
        message = LowState_.deserialize(raw)
        assert message.crc == CRC().Crc(message)
        assert message.serialize() == raw


def test_truth_is_what_the_sdk_reads() -> None:
    """The SDK reads an encoded truth as a SportModeState_ and serialises it to the same bytes."""
    truth = Truth(
        stamp_ns=1_500_000_007,
        position=np.array([1.0, 2.0, 0.25]),
        quaternion_wxyz=np.array([0.5, 0.5, -0.5, 0.5]),
        velocity=np.array([0.5, 0.25, 0.0]),
        angular_velocity=np.array([1.0, 2.0, 0.125]),
        foot_force=np.array([1.0, 2.0, 3.0, 4.0]),
    )
    raw = TruthCodec().encode(truth)
    message = SportModeState_.deserialize(raw)
    assert message.serialize() == raw
    assert (message.stamp.sec, message.stamp.nanosec) == (1, 500_000_007)
    assert (list(message.position), list(message.velocity)) == ([1.0, 2.0, 0.25], [0.5, 0.25, 0.0])
    assert (message.body_height, message.yaw_speed, list(message.foot_force)) == (
        0.25,
        0.125,
        [1, 2, 3, 4],
    )
    assert list(message.imu_state.quaternion) == [0.5, 0.5, -0.5, 0.5] and list(
        message.imu_state.gyroscope
    ) == [1.0, 2.0, 0.125]
    assert TruthCodec().decode(raw[:-4]) is None


def test_state_round_trip() -> None:
    """encode, load and state give the same state, except for the stamp."""
    state = random_state(np.random.default_rng(1))
    codec = LowStateCodec()
    assert codec.load(codec.encode(state)) == state.tick
    back = codec.state(stamp_ns=0)
    for name in (
        "quaternion_wxyz",
        "gyro",
        "accelerometer",
        "q",
        "dq",
        "tau",
        "foot_force",
        "temperature",
    ):
        np.testing.assert_array_equal(getattr(back, name), getattr(state, name))


@pytest.mark.parametrize("name", ["q", "dq", "tau", "kp", "kd"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_nonfinite_is_not_encoded(name: str, value: float) -> None:
    """NaN, infinities and overflow of single precision give no bytes; the next command does."""
    codec = LowCommandCodec()
    good = random_command(np.random.default_rng(0))
    bad = getattr(good, name).copy()
    bad[7] = value
    assert codec.encode(replace(good, **{name: bad})) is None
    assert codec.encode(good) == LowCommandCodec().encode(good)


def test_conventions_of_unused_slots() -> None:
    """Slots 12 to 19 hold PosStopF, VelStopF, no gains, mode 0x01; the frame holds FE EF FF."""
    raw = LowCommandCodec().encode(random_command(np.random.default_rng(0)))
    assert raw is not None and len(raw) == 812
    message = LowCmd_.deserialize(raw)
    assert (list(message.head), message.level_flag) == ([0xFE, 0xEF], 0xFF)
    assert [m.mode for m in message.motor_cmd] == [1] * 20
    for motor in message.motor_cmd[12:]:
        assert (motor.q, motor.dq, motor.tau, motor.kp, motor.kd) == (
            np.float32(2.146e9),
            16000.0,
            0.0,
            0.0,
            0.0,
        )


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("head", lambda m: setattr(m, "head", [0, 0])),
        ("level", lambda m: setattr(m, "level_flag", 0)),
        ("mode", lambda m: setattr(m.motor_cmd[0], "mode", 0)),
        ("mode", lambda m: setattr(m.motor_cmd[19], "mode", 10)),
        ("slots", lambda m: setattr(m.motor_cmd[13], "kp", 5.0)),
        ("nonfinite", lambda m: setattr(m.motor_cmd[4], "q", float("nan"))),
    ],
)
def test_bad_commands_are_named(reason: str, spoil) -> None:
    """A command that breaks one convention, with a right CRC, is rejected with its name."""
    raw = LowCommandCodec().encode(random_command(np.random.default_rng(0)))
    message = LowCmd_.deserialize(raw)
    spoil(message)
    message.crc = CRC().Crc(message)
    assert LowCommandCodec().decode(message.serialize()) == reason


def test_a_flipped_bit_in_any_byte_breaks_the_checksum() -> None:
    """A flipped bit of a field is detected in every byte; one in padding does not matter."""
    codec = LowCommandCodec()
    raw = codec.encode(random_command(np.random.default_rng(0)))
    assert raw is not None
    padding = {4 + 23, *(4 + 24 + 36 * i + 33 + j for i in range(19) for j in range(3)), 4 + 799}
    for at in range(4, 812):
        spoiled = raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :]
        assert (codec.decode(spoiled) == "crc") != (at in padding), at


def test_wrong_sizes_and_byte_order_are_refused() -> None:
    """Short, long and big-endian messages are rejected as `size`."""
    codec = LowCommandCodec()
    raw = codec.encode(random_command(np.random.default_rng(0)))
    assert raw is not None
    for bad in (b"", raw[:-1], raw + b"\0", b"\0\0\0\0" + raw[4:]):
        assert codec.decode(bad) == "size"
        assert LowStateCodec().load(bad) == "size"


@pytest.mark.parametrize("tick", [0, 1, 2**31, 2**32 - 1])
def test_the_tick_is_seen_without_a_load(tick: int) -> None:
    """It is that of the message, whatever its checksum says; another size has none."""
    codec = LowStateCodec()
    raw = codec.encode(replace(random_state(np.random.default_rng(0)), tick=tick))
    assert codec.tick_in(raw) == codec.tick_in(raw[:-1] + bytes([raw[-1] ^ 1])) == tick
    assert codec.load(raw) == tick
    for bad in (raw[:-4], raw + bytes(4), b"\x00\x00" + raw[2:], b""):
        assert codec.tick_in(bad) is None
