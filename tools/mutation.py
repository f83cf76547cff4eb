"""Changes the code of safety modules one spot at a time and names the changes that no test notices.

    tools/mutation.py MODULE[=TEST,TEST...] ...

MODULE is a file of the package without its ending, `modes` or `nodes/health`; its tests are those below, else test/test_MODULE.py.
Runs mutmut on a copy in build/mutation/MODULE, one module after the other. What is known, also of a run that was interrupted, lies
in build/mutation/MODULE.txt; the next run goes on from there: what a test noticed stays noticed, the rest is judged again. Remove
build/mutation to begin anew. What survives must be in docs/mutation.md, with the reason why it is no mistake.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutation"
MODULES = ("trigger_set", "reachability", "supervisor", "modes", "limits", "rate_limit")
#: Small tests first of all: each change is judged by those of them that run the changed function.
TESTS = {
    "limits": ("test/test_limits.py", "test/test_limits_settings.py", "test/test_limits_steps.py", "test/test_robot_watch.py"),
    "modes": ("test/test_modes.py", "test/test_hazards.py"),
    "reachability": ("test/test_reachability_traces.py",),
    "supervisor": (
        *("test/test_supervisor.py", "test/test_supervisor_fallen.py", "test/test_supervisor_hazards.py"),
        "test/test_supervisor_verdict.py",
    ),
    "trigger_set": ("test/test_trigger_set.py", "test/test_mean_roll_rate.py"),
}
#: Searches by hypothesis, which cost more than all others together and notice nothing that those do not.
LEFT_OUT = {
    "modes": ("test/test_hazards.py::test_one_more_hazard_never_gives_a_more_permissive_verdict",),
    "trigger_set": ("test/test_trigger_set.py::test_arrays_of_states_are_judged_like_single_ones",),
}
COPIED = ("safe_locomotion", "test", "config", "models", "resource")
SETTINGS = """
[tool.mutmut]
source_paths = ["safe_locomotion"]
only_mutate = ["safe_locomotion/{module}.py"]
also_copy = ["config", "models", "resource"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly"]
pytest_add_cli_args_test_selection = [{tests}]
use_setproctitle = false
"""
SHOW = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[2:]:
    print(name, get_diff_for_mutant(name, path=sys.argv[1]), sep="\\n", end="\\n\\n")
"""
NOTICED = (1, 3)  #: exit status of pytest under a change


def tests_of(argument: str) -> tuple[str, list[str]]:
    """Module, and what pytest shall run for it."""
    module, _, given = argument.partition("=")
    if not (ROOT / "safe_locomotion" / f"{module}.py").is_file():
        sys.exit(f"no module {module}")
    folder, _, name = module.rpartition("/")
    tests = given.split(",") if given else TESTS.get(module, (str(Path("test", folder, f"test_{name}.py")),))
    return module, [*tests, *(f"--deselect={test}" for test in LEFT_OUT.get(module, ()))]


def copied(module: str, tests: list[str]) -> Path:
    """Folder in which the module is changed, brought up to date."""
    folder = BUILD / module.replace("/", ".")
    shutil.rmtree(folder / "mutants" / "test", ignore_errors=True)
    for name in COPIED:
        if name != "safe_locomotion":
            shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    settings = SETTINGS.format(module=module, tests=", ".join(f'"{test}"' for test in tests))
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)
    return folder


def results(folder: Path, module: str) -> dict[str, int | None]:
    """What pytest said to each change; None: not judged yet."""
    file = folder / "mutants" / "safe_locomotion" / f"{module}.py.meta"
    return dict(json.loads(file.read_text())["exit_code_by_key"]) if file.is_file() else {}


def judge_again(folder: Path, module: str) -> None:
    """Forget every result but that a test noticed the change, and which tests run what: there may be new ones."""
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    file = folder / "mutants" / "safe_locomotion" / f"{module}.py.meta"
    if file.is_file():
        known = json.loads(file.read_text())
        known["exit_code_by_key"] = {k: v if v in NOTICED else None for k, v in known["exit_code_by_key"].items()}
        file.write_text(json.dumps(known))


def report(folder: Path, module: str) -> str:
    """Counts, and what no test noticed."""
    found = results(folder, module)
    lost = [name for name, status in found.items() if status is not None and status not in NOTICED]
    noticed, open_ = (sum(status in which for status in found.values()) for which in (NOTICED, (None,)))
    command = [sys.executable, "-c", SHOW, f"safe_locomotion/{module}.py", *lost]
    shown = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True).stdout
    counts = f"{module}: {len(found)} changes, {noticed} noticed, {len(lost)} not, {open_} not judged"
    (BUILD / f"{folder.name}.txt").write_text(f"{counts}\n\n{shown}")
    return counts


def mutate(module: str, tests: list[str]) -> int:
    """Judge every change of one module; whatever ends this, what is known is written down."""
    folder = copied(module, tests)
    judge_again(folder, module)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run([mutmut, "run", "--max-children", "1"], cwd=folder, env=environment, check=False).returncode
    finally:
        print(f"\n{report(folder, module)}, see {BUILD / f'{folder.name}.txt'}", flush=True)


def main() -> int:
    """Judge the changes of each module; the exit status is the worst of mutmut."""
    return max(mutate(*tests_of(argument)) for argument in sys.argv[1:] or MODULES)


if __name__ == "__main__":
    sys.exit(main())
