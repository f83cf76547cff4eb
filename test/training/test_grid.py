"""The runs of the paper's figures: how many, by whom, under which supervisor."""

from collections import Counter
from itertools import pairwise

import pytest

from safe_locomotion.config import load_config
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.training.gait.grid import LEARNERS, PAPER_TASKS, Run, runs_of

CONFIGURED = load_config("a1").supervisor


def test_the_papers_grid_has_130_runs() -> None:
    """Figure 3 has 100 runs; figure 4 shares those of the catwalk and adds 30."""
    assert len(runs_of(["fig3"], 5)) == 100
    runs = runs_of(["fig3", "fig4a", "fig4b"], 5)
    assert len(runs) == len(set(runs)) == 130
    assert Counter(run.seed for run in runs) == dict.fromkeys(range(5), 26)
    tasks = Counter(run.task for run in runs)
    assert tasks == {"catwalk": 55, "efficient": 25, "two_leg": 25, "pacing": 25}
    assert set(tasks) == set(PAPER_TASKS)


def test_equal_learners_lie_together_and_in_them_equal_tasks() -> None:
    """Slices of the runs are enough to address a learner, and a task within it."""
    runs = runs_of(["fig3", "fig4a", "beyond"], 2)
    order = [LEARNERS.index(run.learner) for run in runs]
    assert order == sorted(order)
    blocks = [(run.learner, run.task) for run in runs]
    changes = sum(a != b for a, b in pairwise(blocks))
    assert changes == len(set(blocks)) - 1


def test_the_papers_supervisor_measures_raw() -> None:
    """Ours under the paper's settings: its box, raw measures, no capture point."""
    run = Run(task="catwalk", learner="ours", horizon=15, trigger_set="c2")
    supervisor = run.supervisor(CONFIGURED)
    measures = supervisor.trigger_set
    assert (measures.use, measures.roll_rate, measures.attitude) == ("c2", "raw", "vertical")
    assert (measures.height, measures.lookahead) == ("odom", 0.0)
    rule = supervisor.intervention
    assert (rule.criterion, rule.horizon, rule.capture) == ("reachability", 15, False)


def test_own_measures_are_those_of_the_configuration() -> None:
    """They differ from the configured supervisor in nothing that was not asked for."""
    run = Run(task="catwalk", learner="ours", measures="own")
    assert run.supervisor(CONFIGURED) == CONFIGURED


@pytest.mark.parametrize("learner", ["trpo", "trpo_n", "pcpo", "p3o", "recovery_rl"])
def test_nobody_takes_over_from_the_other_learners(learner) -> None:
    """The supervisor is off; another rule may decide in its place."""
    rule = Run(task="pacing", learner=learner).supervisor(CONFIGURED).intervention
    assert (rule.criterion, rule.horizon) == ("off", 0)


def test_unknown_names_and_numbers_are_refused() -> None:
    """Errors name the choices."""
    with pytest.raises(UnknownNameError, match="recovery_rl"):
        Run(task="catwalk", learner="sac")
    with pytest.raises(UnknownNameError, match="efficient"):
        Run(task="moonwalk", learner="ours")
    with pytest.raises(UnknownNameError, match="fig4a"):
        runs_of(["fig9"], 1)
    with pytest.raises(ConfigurationError, match="at least one seed"):
        runs_of(["fig3"], 0)
    with pytest.raises(ConfigurationError, match="must not be negative"):
        Run(task="catwalk", learner="ours", horizon=-1)
