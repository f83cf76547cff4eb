"""Changes the code of safety modules one spot at a time and names the changes that no test notices.

    tools/mutation.py MODULE[=TEST,TEST...] ...

MODULE is a file of the package without its ending, `modes` or `nodes/health`; its tests are those below, else test/test_MODULE.py.
Runs mutmut on a copy in build/mutation; what survives must be in docs/mutation.md, with the reason why it is no mistake.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build" / "mutation"
TESTS = {
    "limits": ("test/test_limits.py", "test/test_robot_watch.py"),
    "modes": ("test/test_modes.py", "test/test_hazards.py"),
}
COPIED = ("safe_locomotion", "test", "config", "models", "resource")
SETTINGS = """
[tool.mutmut]
source_paths = ["safe_locomotion"]
only_mutate = [{modules}]
also_copy = ["config", "models", "resource"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly"]
pytest_add_cli_args_test_selection = [{tests}]
use_setproctitle = false
"""


def plan(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Files to change and tests to run."""
    modules, tests = [], []
    for argument in arguments:
        module, _, given = argument.partition("=")
        file = f"safe_locomotion/{module}.py"
        if not (ROOT / file).is_file():
            sys.exit(f"no module {file}")
        folder, _, name = module.rpartition("/")
        modules.append(file)
        tests += given.split(",") if given else TESTS.get(module, (str(Path("test", folder, f"test_{name}.py")),))
    return modules, tests


def quoted(names: list[str]) -> str:
    """Items of a TOML list."""
    return ", ".join(f'"{name}"' for name in names)


def main() -> int:
    """Run mutmut and show what survived; the exit status is that of mutmut."""
    modules, tests = plan(sys.argv[1:] or ["modes", "limits", "rate_limit"])
    shutil.rmtree(COPY, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (ROOT / "pyproject.toml").read_text() + SETTINGS.format(modules=quoted(modules), tests=quoted(tests))
    (COPY / "pyproject.toml").write_text(settings)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    status = subprocess.run([mutmut, "run"], cwd=COPY, env=environment, check=False).returncode
    subprocess.run([mutmut, "results"], cwd=COPY, env=environment, check=False)
    return status


if __name__ == "__main__":
    sys.exit(main())
