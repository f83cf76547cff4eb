"""Inference with bound memory and with plain run() gives the same actions."""

import numpy as np
import pytest
from policy_models import joint_contract

from safe_locomotion.bench.policies import bound_memory, plain_run
from safe_locomotion.bench.policy_networks import lstm_memories, lstm_pair, mlp
from safe_locomotion.policy.file import pack


@pytest.mark.parametrize("recurrent", [False, True])
def test_both_ways_to_run_answer_the_same(recurrent: bool) -> None:
    """Over 30 steps both ways give the same actions, with and without memories."""
    model = lstm_pair(45, 12) if recurrent else mlp(45, 12)
    data, contract = pack(model, joint_contract(recurrent=lstm_memories() if recurrent else ()))
    bound = bound_memory(data, contract)
    rows = np.random.default_rng(1).normal(size=(30, 1, 45)).astype(np.float32)
    ours = np.array([bound(row).copy() for row in rows])
    plain = plain_run(data, contract)
    np.testing.assert_allclose(ours, np.array([plain(row) for row in rows]), atol=1e-6)
