"""Ask the supervisor about a recorded episode again, with other horizons than it had.

python examples/supervisor_on_recorded_states.py EPISODE
"""

import sys
from pathlib import Path

from safe_locomotion.recording.course import course_figures
from safe_locomotion.recording.reader import read_episode
from safe_locomotion.recording.replay import Side, judge_recorded, moments_of
from safe_locomotion.recording.stage_values import recorded_config, recorded_proposals
from safe_locomotion.robot.models import load_robot
from safe_locomotion.safety.replayed import RecordedProposals

HORIZONS = (0, 10, 20)  # predicted steps of 16 ms

record = read_episode(Path(sys.argv[1]))
robot = load_robot(record.info.robot)
proposals = RecordedProposals(recorded_proposals(record.proposals))
sides = [
    Side(
        config=recorded_config(record, {"supervisor.intervention.horizon": horizon}),
        proposer=proposals,
    )
    for horizon in HORIZONS
]
for horizon, course in zip(HORIZONS, judge_recorded(robot, moments_of(record), sides), strict=True):
    figures = course_figures(course, record.info.start_ns)
    print(f"horizon {horizon:2d}: recovery drives {figures.share:.1%}, in {figures.uses} uses")
