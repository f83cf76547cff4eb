"""A supervisor that is fed with estimates of a standing robot; tests change one value at a time."""

from dataclasses import replace
from typing import Any

from core_values import A1, START_NS, TICK_NS, TROT, estimate

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.pipeline import make_supervisor
from safe_locomotion.types import Mode, Proposal, VelocityCommand, Verdict

FORWARD = VelocityCommand(vx=0.5)
#: A pronk with almost no stance: nothing carries the body.
NO_SUPPORT = replace(TROT, swing_ratio=0.98, phase_offsets=(0.0, 0.0, 0.0))
#: There is no intervention (test_intervention tests it), and the recovery gait does not speed up.
PLAIN = {"supervisor.intervention.criterion": "off", "supervisor.recovery.hurry_gain": 0.0}
CONFIG = load_config("a1", PLAIN)
#: Conditions of modes count at once (test_modes tests how long they must hold).
AT_ONCE = load_config("a1", {**PLAIN, "supervisor.thresholds.settle_time": 0.0})


class Run:
    """A supervisor fed on consecutive ticks."""

    def __init__(self, config: StackConfig = AT_ONCE) -> None:
        self.supervisor = make_supervisor(A1, config)
        self.stamp_ns = START_NS

    def tick(
        self,
        *,
        proposal: Proposal | None = None,
        command: VelocityCommand = FORWARD,
        **changes: Any,
    ) -> Verdict:
        """One tick; a proposal without a stamp gets the stamp of this tick."""
        self.stamp_ns += TICK_NS
        made = (
            proposal
            if proposal is None or proposal.stamp_ns
            else replace(proposal, stamp_ns=self.stamp_ns)
        )
        return self.supervisor.update(estimate(stamp_ns=self.stamp_ns, **changes), made, command)

    def later(self, ns: int) -> "Run":
        """Lets time pass without ticks; the next one comes `ns` after the last."""
        self.stamp_ns += ns - TICK_NS
        return self

    def until(self, mode: Mode, **changes: Any) -> Verdict:
        """Ticks until `mode`; fails after 10 s of robot time."""
        for _ in range(5000):
            verdict = self.tick(**changes)
            if verdict.mode is mode:
                return verdict
        raise AssertionError(f"never reached {mode.name}")

    def walking(self) -> Verdict:
        assert self.supervisor.request("walk") is None
        return self.until(Mode.WALK)


def gait_proposal(**changes: Any) -> Proposal:
    return Proposal(stamp_ns=0, policy="learner", kind="gait", gait=replace(TROT, **changes))
