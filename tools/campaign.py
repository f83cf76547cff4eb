"""Attack the running stack at random for a while, and print a table of what came of it.

usage: campaign.py --minutes M --seed S [--parts PART,...] [--only WORD,...] [--output FILE]

Real processes and the real wire run; the robot is simulated and waits for its answers. The
campaign ends by itself, stops what it started, and removes its folders. Exit status 0 says that
nothing failed. It shares nothing with other runs but the cores, so it can run beside them.
"""

import argparse
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
from campaign_attacks import Attack
from campaign_faults import clock_library
from campaign_list import attacks
from campaign_soak import slopes
from campaign_world import LET_GO_MS, Kind, NoWalkError, World, wait_for_none

from safe_locomotion.errors import SafeLocomotionError

ROOT = Path(__file__).resolve().parents[1]
HELPERS = str(ROOT / "test/helpers")
KINDS: tuple[Kind, ...] = ("composed", "nodes", "clock")
WATCHERS = {"composed": ("viewer", "recorder"), "nodes": (), "clock": ()}
SHARES = {"attacks": 0.65, "messages": 0.08, "bags": 0.07, "soak": 0.2}  #: of the time
NODES = (
    *("bridge", "estimator", "policy", "supervisor", "mpc", "composed", "monitor", "viewer"),
    *("recorder of topics", "recorder of ticks"),
)
MUTANTS = 1000  #: of each subscription, and of bags, in one run
PER_WORLD = 20  #: attacks before the stack is started anew
MOST_FAILED_STARTS = 3  #: in a row; then the attacks end
LONGEST_RUN_S = 300.0  #: of a program with mutants


@dataclass(kw_only=True)
class Row:
    """What came of one kind of attack.

    Attributes:
        count: how often it was tried.
        damped_ms: time to damping of each time that it damped [ms of robot time].
        walked: how often the robot walked on.
        failures: what went wrong, with the number of the try.
    """

    count: int = 0
    damped_ms: list[int] = field(default_factory=list)
    walked: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, attack: Attack, damped_ms: int | None, remark: str, world: World) -> None:
        """Judge one try."""
        self.count += 1
        if damped_ms is None:
            self.walked += 1
        else:
            self.damped_ms.append(damped_ms)
        bound = attack.bound_ms
        if bound is not None and (damped_ms is None or damped_ms > bound):
            self.fail(f"damped after {damped_ms} ms, bound {bound} ms")
        if attack.walks and damped_ms is not None:
            self.fail(f"did not walk on ({world.mode}, {', '.join(world.operator.reasons)})")
        if remark:
            self.fail(remark)
        if world.old:
            self.fail(f"moved on a command {world.oldest_ms:.0f} ms old")
            world.old = 0

    def fail(self, why: str) -> None:
        """Note a failure of the newest try."""
        self.failures.append(f"{self.count}: {why}")

    def cells(self) -> tuple[str, ...]:
        """Cells of the table."""
        slowest = f"{max(self.damped_ms)} ms" if self.damped_ms else ""
        failed = f"{len(self.failures)}: {'; '.join(self.failures[:2])}" if self.failures else "0"
        return (str(self.count), slowest, str(self.walked or ""), failed)


class Campaign:
    """One campaign.

    Attributes:
        rows: by name of the attack.
        oldest_ms: largest age of a command that moved the motors [ms of robot time].
    """

    def __init__(self, seed: int, only: Sequence[str] = ()) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.rows: dict[str, Row] = {}
        self.oldest_ms = 0.0
        self.worlds = 0
        self.lines: list[str] = []
        self._attacks = [a for a in attacks() if not only or any(w in a.name for w in only)]
        self._tries: Counter[str] = Counter()

    def row(self, name: str) -> Row:
        """The row of this name."""
        return self.rows.setdefault(name, Row())

    def attack_until(self, end: float) -> None:
        """Attack one stack after the other until a time of the monotonic clock.

        Where several in a row do not start, the reason will not go away, and the attacks end.
        """
        kinds = [kind for kind in KINDS if self._due(kind)]
        failed = 0
        for k in itertools.count():
            if monotonic() > end or not kinds:
                return
            tried = sum(self._tries.values())
            self._attack_one_stack(kinds[k % len(kinds)], end)
            failed = 0 if sum(self._tries.values()) > tried else failed + 1
            if failed == MOST_FAILED_STARTS:
                self.row("start of a stack").fail(f"ended after {failed} failed starts in a row")
                return

    def _attack_one_stack(self, kind: Kind, end: float) -> None:
        self.worlds += 1
        seed = self.seed * 1000 + self.worlds
        self.row("start of a stack").count += 1
        with tempfile.TemporaryDirectory(prefix="campaign_") as folder:
            try:
                with World(kind, Path(folder), seed, WATCHERS[kind]) as world:
                    self._attack(world, kind, end)
            except (NoWalkError, SafeLocomotionError, OSError) as error:
                self.row("start of a stack").fail(f"{kind}, seed {seed}: {error}")
        left = wait_for_none()
        if left:
            self.row("start of a stack").fail(f"orphans {left}")

    def _due(self, kind: Kind) -> list[Attack]:
        """Attacks of a kind, those that were tried least first, equal ones in random order."""
        if kind == "clock" and clock_library() is None:
            return []
        possible = [a for a in self._attacks if kind in a.graphs]
        order = self.rng.permutation(len(possible))
        return sorted((possible[k] for k in order), key=lambda a: self._tries[a.name])

    def _attack(self, world: World, kind: Kind, end: float) -> None:
        """Attack a stack `PER_WORLD` times, and then, where it can be, once so that it ends."""
        world.walk()
        last = [attack for attack in self._due(kind) if attack.ends]
        for k in range(PER_WORLD + 1):
            stays = [a for a in self._due(kind) if not a.ends and a.possible(world)]
            due = stays if stays and k < PER_WORLD else last
            if monotonic() > end or not due or not self._try(due[0], world):
                return

    def _try(self, attack: Attack, world: World) -> bool:
        """Judge one attack; whether the robot walks again."""
        self._tries[attack.name] += 1
        row = self.row(attack.name)
        before = set(world.ended())
        damped_ms, remark = attack.do(world, self.rng)
        row.add(attack, damped_ms, remark, world)
        self.oldest_ms = max(self.oldest_ms, world.oldest_ms)
        ended = {n: s for n, s in world.ended().items() if n not in before}
        if attack.ends:
            ended.pop(f"{attack.name.rpartition(' ')[2]}_node", None)
        for name, status in ended.items():
            row.fail(f"{name} ended with status {status}: {_last_words(world, name)}")
        if attack.ends or ended:
            return False
        try:
            world.walk()
        except NoWalkError as error:
            row.fail(f"afterwards {error}")
            return False
        return True

    def run_until(
        self, end: float, name: str, command: Callable[[int], list[str]], each: int
    ) -> None:
        """Run a program with mutants again and again, with another seed each time."""
        k = 0
        while monotonic() < end:
            seed = self.seed * 1000 + k
            k += 1
            patience = min(LONGEST_RUN_S, max(30.0, end - monotonic() + 60.0))
            try:
                done = subprocess.run(
                    [sys.executable, *command(seed)],
                    capture_output=True,
                    text=True,
                    timeout=patience,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, HELPERS])},
                    check=False,
                )
            except subprocess.TimeoutExpired:
                self.row(name).fail(f"seed {seed}: no end within {patience:.0f} s")
                return
            row = self.row(name)
            tables = re.findall(r"\| (\d+) \| \d+ us \|", done.stdout)
            row.count += sum(int(found) for found in tables) or each
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["no word"]
                row.fail(f"seed {seed}: status {done.returncode}: {lines[-1]}")


def _last_words(world: World, name: str) -> str:
    lines = (world.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
    return lines[-1][:150] if lines else "no word"


def fuzz_command(rng: np.random.Generator, count: int, seed: int) -> list[str]:
    """Mutated messages for each subscription of a random node."""
    node = str(rng.choice(NODES))
    return [str(ROOT / "test/helpers/message_fuzz.py"), str(count), str(seed), node]


def bags_command(count: int, seed: int) -> list[str]:
    """Mutated bags for the reader."""
    return [str(ROOT / "test/recording/test_mutated_bags.py"), str(count), str(seed)]


def table(campaign: Campaign) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| attack | tries | slowest damping | walked on | failures |"
    yield "|---|---|---|---|---|"
    for name, row in campaign.rows.items():
        yield f"| {name} | {' | '.join(row.cells())} |"


def run(minutes: float, seed: int, parts: Sequence[str], only: Sequence[str] = ()) -> Campaign:
    """Carry out a campaign of this length, in minutes of the wall clock.

    Args:
        minutes: shared by the parts as `SHARES` says.
        seed: of all random choices.
        parts: some of `SHARES`.
        only: words in the names of attacks; empty for all.
    """
    campaign = Campaign(seed, only)
    start = monotonic()
    scale = 60.0 * minutes / sum(SHARES[part] for part in parts)
    end = start
    rng = campaign.rng
    for part in parts:
        end += scale * SHARES[part]
        if part == "attacks":
            campaign.attack_until(end)
        elif part == "messages":
            campaign.run_until(
                end, "mutated messages", lambda s: fuzz_command(rng, MUTANTS, s), MUTANTS
            )
        elif part == "bags":
            campaign.run_until(end, "mutated bags", lambda s: bags_command(MUTANTS, s), MUTANTS)
        else:
            campaign.lines += slopes(end, seed)
    campaign.lines += [
        f"- {campaign.worlds} stacks, {monotonic() - start:.0f} s, seed {seed}",
        f"- oldest command that moved a motor: {campaign.oldest_ms:.0f} ms (bound {LET_GO_MS} ms)",
        f"- orphans at the end: {len(wait_for_none())}",
    ]
    return campaign


def main() -> int:
    """Run a campaign and print its table; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default=",".join(SHARES), help="some of %(default)s")
    parser.add_argument("--only", default="", help="words in the names of attacks")
    parser.add_argument("--output", type=Path, help="file for the table")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves through every context
    parts = options.parts.split(",")
    if not set(parts) <= set(SHARES):
        parser.error(f"--parts: some of {', '.join(SHARES)}")
    campaign = run(options.minutes, options.seed, parts, [w for w in options.only.split(",") if w])
    text = "\n".join([*table(campaign), "", *campaign.lines]) + "\n"
    sys.stdout.write(text)
    if options.output is not None:
        options.output.write_text(text)
    return int(any(row.failures for row in campaign.rows.values()))


if __name__ == "__main__":
    sys.exit(main())
