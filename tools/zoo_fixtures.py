"""The policies of the zoo for other tools: what the tests build, imported by its own command."""

import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safe_locomotion.cli.main import main as cli
from safe_locomotion.policy.contract import PolicyContract
from safe_locomotion.policy.file import read_policy

HELPERS = Path(__file__).resolve().parents[1] / "test" / "helpers"


@cache
def fixtures() -> dict[str, Any]:
    """Builders of the fixtures, by name."""
    sys.path.insert(0, str(HELPERS))
    try:
        from policy_zoo import ZOO  # noqa: PLC0415
        from torch_zoo import TORCH_ZOO  # noqa: PLC0415
    finally:
        sys.path.remove(str(HELPERS))
    return {**ZOO, **TORCH_ZOO}


@cache
def imported(name: str) -> tuple[PolicyContract, bytes]:
    """Contract and network of a fixture.

    Raises:
        SystemExit: its command refuses it.
    """
    with TemporaryDirectory() as folder:
        fixture = fixtures()[name](Path(folder))
        target = Path(folder) / "mine.onnx"
        words = ["policy", "import", str(fixture.source), str(target), *fixture.words]
        with redirect_stdout(StringIO()):
            refused = cli(words)
        if refused:
            raise SystemExit(f"{name}: not imported")
        return read_policy(target)
