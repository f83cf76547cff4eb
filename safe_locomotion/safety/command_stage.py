"""Command stage: leg controller and gate, the last stage before the wire."""

from safe_locomotion.control.leg_control import LegController, LegGains
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import RobotModel
from safe_locomotion.safety.gate import CommandGate
from safe_locomotion.types import LowCommand, LowState, StancePlan, Verdict


class CommandStage:
    """Leg controller whose commands pass the gate."""

    def __init__(self, robot: RobotModel, gains: LegGains, limits: GateLimits) -> None:
        self.gate = CommandGate(robot, limits)
        self._legs = LegController(robot, gains)

    def update(
        self, state: LowState, verdict: Verdict | None, plan: StancePlan | None
    ) -> LowCommand:
        """Gated motor command for this LowState; see `LegController.update`."""
        fault = self.gate.state_fault(state)
        if fault:
            command = self.gate.damping(state, fault)
        else:
            wanted = self._legs.update(state, verdict, plan)
            command = self.gate.filter(state, verdict, plan, wanted)
        if command.reason:
            self._legs.interrupt()
        return command
