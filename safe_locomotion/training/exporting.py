"""Common parts of the exports of gait and joint policies: the ONNX version and the commit."""

import subprocess
from pathlib import Path

# Old enough for every ONNX Runtime that is supported.
OPSET = 17
IR_VERSION = 8


def code_commit() -> str:
    """Commit of the exporting code; "" outside of a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
