"""Read a recorded episode into arrays, and say what happened in it.

python examples/read_an_episode.py EPISODE
"""

import sys
from pathlib import Path

import numpy as np

from safe_locomotion.recording.reader import read_episode

record = read_episode(Path(sys.argv[1]))
states = record.states
verdicts = record.verdicts
walking = verdicts.walking
speed = np.linalg.norm(record.estimates.velocity[:, :2], axis=1)

print(f"{record.info.robot} under {record.info.policy}, {record.duration:.1f} s")
print(f"joint positions {states.q.shape}, joint torques {states.tau.shape}")
print(f"mean speed {speed.mean():.2f} m/s, largest torque {np.abs(states.tau).max():.1f} Nm")
print(f"recovery drove {verdicts.recovery[walking].mean():.1%} of the walk")
for name, margin in zip(verdicts.components, verdicts.margins.T, strict=True):
    print(f"  smallest margin of {name}: {np.nanmin(margin):.2f}")
