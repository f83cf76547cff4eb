"""Change the code of safety modules one spot at a time and list the changes that no test notices.

    tools/mutation.py MODULE[=TEST,TEST...] ...

MODULE is a file of the package without its ending, for example `safety/modes` or `nodes/health`.
Its tests are those in `TESTS` below, else test/ROOM/test_FILE.py.

mutmut makes the changes in a copy, build/mutation/ROOM.FILE. The tests are collected and timed
once. Each change is then judged in a process forked from there (`mutation_judge.py`). The results
are in build/mutation/ROOM.FILE.txt, also after an interruption. The next run continues: a noticed
change stays noticed, and all others are judged again. Remove build/mutation to begin anew.

Every change that survives must be in docs/mutation.md, with the reason why it is not a mistake.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mutation_judge import Results

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutation"
MODULES = (
    "backends/robot_link",
    "safety/trigger_set",
    "safety/mean_roll_rate",
    "safety/capture_point",
    "safety/switching_rule",
    "safety/intervention",
    "safety/supervisor",
    "safety/modes",
    "safety/gate",
    "safety/bounds",
    "safety/robot_watch",
    "safety/rate_limit",
)
GATE_TESTS = (
    "test/safety/test_gate.py",
    "test/safety/test_gate_commands.py",
    "test/safety/test_gate_settings.py",
    "test/safety/test_gate_states.py",
    "test/safety/test_gate_steps.py",
)
#: Small tests that notice the same changes as larger ones.
TESTS = {
    "backends/robot_link": (
        "test/backends/test_robot_link.py",
        "test/backends/test_old_states.py",
    ),
    "safety/bounds": (*GATE_TESTS, "test/safety/test_robot_watch.py"),
    "safety/gate": GATE_TESTS,
    "safety/intervention": (
        "test/safety/test_intervention.py",
        "test/safety/test_supervisor_verdict.py",
        "test/safety/test_capture_point.py",
    ),
    "safety/modes": (
        "test/safety/test_modes.py",
        "test/safety/test_hazards.py",
        "test/safety/test_stepping.py",
    ),
    "safety/switching_rule": ("test/safety/test_switching_rule_traces.py",),
    "safety/supervisor": (
        "test/safety/test_supervisor.py",
        "test/safety/test_supervisor_fallen.py",
        "test/safety/test_supervisor_hazards.py",
        "test/safety/test_supervisor_verdict.py",
        "test/safety/test_stepping.py",
    ),
    "safety/trigger_set": (
        "test/safety/test_trigger_set.py",
        "test/safety/test_trigger_state.py",
        "test/safety/test_mean_roll_rate.py",
    ),
}
#: Searches by hypothesis. They cost more than all other tests together and notice nothing more.
LEFT_OUT = {
    "safety/modes": (
        "test/safety/test_hazards.py::test_one_more_hazard_never_gives_a_more_permissive_verdict",
    ),
    "safety/trigger_set": (
        "test/safety/test_trigger_set.py::test_arrays_of_states_are_judged_like_single_ones",
    ),
}
COPIED = ("safe_locomotion", "test", "config", "models", "resource")
SETTINGS = """
[tool.mutmut]
source_paths = ["safe_locomotion"]
only_mutate = ["safe_locomotion/{module}.py"]
also_copy = ["config", "models", "resource"]
use_setproctitle = false
"""
CHANGE = """
from mutmut.__main__ import create_mutants
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
copy_src_dir()
copy_also_copy_files()
create_mutants(1)
"""
SHOW = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[2:]:
    print(name, get_diff_for_mutant(name, path=sys.argv[1]), sep="\\n", end="\\n\\n")
"""


def tests_of(argument: str) -> tuple[str, list[str]]:
    """Module, and the arguments for pytest."""
    module, _, given = argument.partition("=")
    if not (ROOT / "safe_locomotion" / f"{module}.py").is_file():
        sys.exit(f"no module {module}")
    folder, _, name = module.rpartition("/")
    usual = TESTS.get(module, (f"test/{folder}/test_{name}.py",))
    tests = given.split(",") if given else usual
    return module, [*tests, *(f"--deselect={test}" for test in LEFT_OUT.get(module, ()))]


def changed(module: str) -> Path:
    """Folder with an up-to-date copy of the package that contains all changes of mutmut."""
    folder = BUILD / module.replace("/", ".")
    for name in COPIED:
        if name != "safe_locomotion":
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.rmtree(folder / "mutants" / name, ignore_errors=True)
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    (folder / "pyproject.toml").write_text(
        (ROOT / "pyproject.toml").read_text() + SETTINGS.format(module=module)
    )
    (folder / "mutants").mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-c", CHANGE], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return folder


def report(folder: Path, module: str) -> str:
    """Write down the changes that no test noticed; returns the counts."""
    results = Results(folder / "mutants", module)
    lost = results.lost()
    missing = sum(status is None for status in results.of.values())
    command = [sys.executable, "-c", SHOW, f"safe_locomotion/{module}.py", *lost]
    shown = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True).stdout
    noticed = len(results.of) - len(lost) - missing
    counts = (
        f"{module}: {len(results.of)} changes, {noticed} noticed, {len(lost)} not, "
        f"{missing} not judged"
    )
    (BUILD / f"{folder.name}.txt").write_text(f"{counts}\n\n{shown}")
    return counts


def mutate(module: str, tests: list[str]) -> int:
    """Judge every change of one module; the results are written down even after an interruption."""
    folder = changed(module)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(Path(__file__).with_name("mutation_judge.py")), module, *tests]
    try:
        return subprocess.run(
            command, cwd=folder / "mutants", env=environment, check=False
        ).returncode
    finally:
        print(f"\n{report(folder, module)}, see {BUILD / f'{folder.name}.txt'}", flush=True)


def main() -> int:
    """Judge the changes of each module; returns the largest exit status of pytest."""
    return max(mutate(*tests_of(argument)) for argument in sys.argv[1:] or MODULES)


if __name__ == "__main__":
    sys.exit(main())
