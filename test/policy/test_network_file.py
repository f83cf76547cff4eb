"""Two networks become one: it answers as they do one after the other, memories included."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from foreign_policies import model
from onnx import helper

from safe_locomotion.errors import PolicyRefusedError
from safe_locomotion.policy.importers.foreign_policy import newest_frame
from safe_locomotion.policy.importers.network_file import Tensors, join
from safe_locomotion.policy.network import open_session
from safe_locomotion.policy.term import ObservationHistory, observation_term

RNG = np.random.default_rng(0)
FRAME = 4
TERMS = (
    observation_term("base_height", ages=(2, 1, 0)),
    observation_term("base_velocity", ages=(2, 1, 0)),
)


def leaky(inputs: int, outputs: int) -> onnx.ModelProto:
    """A layer with a memory: h' = tanh(W x + h), and the output is h'. Names are rsl_rl's."""
    weights = {"w": RNG.normal(size=(inputs, outputs))}
    nodes = [
        helper.make_node("MatMul", ["obs", "w"], ["x"]),
        helper.make_node("Add", ["x", "h_in"], ["y"]),
        helper.make_node("Tanh", ["y"], ["h_out"]),
        helper.make_node("Identity", ["h_out"], ["actions"]),
    ]
    state = (1, outputs)
    return model(
        nodes,
        weights,
        {"obs": (1, inputs), "h_in": state},
        {"actions": (1, outputs), "h_out": state},
    )


def answers(network: onnx.ModelProto, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a network with memories, step by step."""
    ends = Tensors(network)
    session = open_session(network.SerializeToString())
    names = [ends.action, *(pair.output for pair in ends.recurrent)]
    state = {pair.input: np.zeros(pair.shape, dtype=np.float32) for pair in ends.recurrent}
    found = []
    for row in rows:
        action, *left = session.run(names, {ends.observation: row, **state})
        state = dict(zip(state, left, strict=True))
        found.append(action)
    return found


@pytest.mark.parametrize("order", ["term", "frame"])
@pytest.mark.parametrize(("encoder_frames", "actor_frames"), [(3, 3), (3, 1), (1, 3), (1, 1)])
def test_a_joined_network_answers_as_both_do(
    order: str, encoder_frames: int, actor_frames: int
) -> None:
    """Each part reads all frames or the newest one; both remember."""
    width = 3 * FRAME
    history = ObservationHistory(order=order, start="zero")  # type: ignore[arg-type]
    newest = newest_frame(TERMS, history)
    expected_places = [2, *range(9, 12)] if order == "term" else [8, 9, 10, 11]
    assert newest == expected_places
    encoder = leaky(encoder_frames * FRAME, 2)
    actor = leaky(actor_frames * FRAME + 2, 5)
    rows = [RNG.normal(size=(1, width)).astype(np.float32) for _ in range(6)]

    def view(row: np.ndarray, frames: int) -> np.ndarray:
        return row if frames == 3 else row[:, newest]

    if encoder_frames == actor_frames == 1:
        newest = list(range(FRAME))
        rows = [row[:, :FRAME] for row in rows]
        width = FRAME
    codes = answers(encoder, [view(row, encoder_frames) for row in rows])
    seen = [view(row, actor_frames) for row in rows]
    behind = [np.concatenate(pair, axis=1) for pair in zip(seen, codes, strict=True)]
    expected = answers(actor, behind)
    joined = join(encoder, actor, width, newest)
    onnx.checker.check_model(joined)
    assert len(Tensors(joined).recurrent) == 2
    np.testing.assert_allclose(answers(joined, rows), expected, atol=1e-6)


def test_networks_that_do_not_fit_are_not_joined() -> None:
    """The actor must read an observation and the code behind it; operators have one version."""
    with pytest.raises(PolicyRefusedError, match="inputs of 12 or 4 numbers"):
        join(leaky(12, 2), leaky(13, 5), 12, range(4))
    with pytest.raises(PolicyRefusedError, match="inputs of 12 or 4 numbers"):
        join(leaky(11, 2), leaky(14, 5), 12, range(4))
    older = leaky(12, 2)
    older.opset_import[0].version = 14
    with pytest.raises(PolicyRefusedError, match="the same version"):
        join(older, leaky(14, 5), 12, range(4))


def test_a_history_without_its_newest_frame_has_none_to_give() -> None:
    """An actor cannot read a newest frame that is not there."""
    terms = [observation_term("base_height", ages=(2, 1))]
    with pytest.raises(PolicyRefusedError, match="the newest frame once"):
        newest_frame(terms, ObservationHistory(order="term", start="zero"))
