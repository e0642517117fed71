"""Kill the processes of whole runs, end them, and fill their disk, again and again; count what is lost.

    python -m benchmarks.run_crash --times 20 --out benchmarks/results/run_crash.jsonl

Each row is one scenario: a mode, whose process is hit, and how: `kill` (SIGKILL), `end` (SIGTERM), `full` (the disk
takes no more: a file system of its own where one may be mounted, else a limit on the size of a file). The run is
resumed, or goes on by itself where only a child was hit, until it was hit so many times. A reader follows the journal
while the run writes it; lost steps are those that it was told and that cannot be read afterwards. A summary is true if
its counts are those of the journal. On a full disk a run must end by itself with one line that names its folder, and
start nothing again. `same`: two copies of a killed synchronous run, resumed, must write equal files and
weights.

Runs begin as forks of this process, so that libraries are loaded once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.journal_fuzz import heard
from robot_rlhf.apps import cli
from robot_rlhf.datatypes import Step
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.reader import JournalTail, read_journal, replay_into
from robot_rlhf.runtime.tally import Tally

PATIENCE = 240.0
"""Seconds for a run to write its next steps, or to end: the machine may be busy."""
ROOM = 50_000
"""Bytes that a disk which is about to be full still takes."""
PERIOD = 0.05
COMMON = ["--quiet", "--task", "reach", "--steps", "100000", "--demonstrations", "1", "--video-episodes", "0"]
COMMON += ["--checkpoint-every", "25", "--evaluation.every", "1000000", "--evaluation.final-episodes", "1"]
COMMON += ["--asynchronous.restarts", "1000"]
MODES = {
    "synchronous": [],
    "asynchronous": ["--mode", "asynchronous"],
    "parallel": ["--mode", "parallel", "--arms", "2"],
    "session": ["--operator", "simulated", "--console.port", "0"],
}
CHILDREN = {
    "learner": "robot_rlhf.run.links.learner",
    "arm": "robot_rlhf.run.practice.arm",
    "console": "robot_rlhf.console",
}
"""Whose process, and what of its command line tells it."""
SCENARIOS = [
    *((mode, "robot", how) for mode in ("synchronous", "asynchronous", "parallel") for how in ("kill", "end", "full")),
    *(("session", "robot", how) for how in ("kill", "end", "full")),
    ("asynchronous", "learner", "kill"),
    ("parallel", "learner", "kill"),
    ("parallel", "arm", "kill"),
    ("session", "learner", "kill"),
    ("session", "console", "kill"),
    ("synchronous", "robot", "same"),
]


@dataclass
class Row:
    """What one scenario gave."""

    mode: str
    who: str
    how: str
    times: int = 0
    told: int = 0
    """Steps that a reader had been told before the last hit."""
    lost: int = 0
    broken_off: int = 0
    """Warnings of the journal: ends of files that were not closed."""
    untrue: int = 0
    """Summaries whose counts are not the journal's."""
    problems: list[str] = field(default_factory=list[str])
    seconds: float = 0.0


class Run:
    """One run's folder, and the process that works in it."""

    def __init__(self, parent: Path, mode: str) -> None:
        self.path = parent / "run"
        self.mode = mode
        self.pid = 0
        self.code = 0
        self._log = parent.with_name(f"{parent.name}.log")

    def begin(self) -> None:
        command = "session" if self.mode == "session" else "train"
        fresh = [*MODES[self.mode], *COMMON, "--out", str(self.path.parent), "--name", "run"]
        resumed = ["--quiet", "--resume", str(self.path)]
        arguments = [command, *(resumed if (self.path / "config.yaml").exists() else fresh)]
        self.pid = os.fork()
        if self.pid == 0:
            self._become(arguments)

    def _become(self, arguments: list[str]) -> None:
        try:
            os.setsid()
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os._exit(cli.main(arguments))
        finally:
            os._exit(99)

    def ended(self) -> int | None:
        """The exit code, once the process has ended; negative for a signal."""
        if self.pid:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return None
            self.pid = 0
            self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def child(self, who: str) -> int:
        """The process of one of its children; 0 where there is none."""
        try:
            tasks = Path(f"/proc/{self.pid}/task").glob("*/children")  # a thread starts them again
            children = [pid for task in tasks for pid in task.read_text().split()]
            lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") for pid in children}
        except OSError:
            return 0
        return next((pid for pid, line in lines.items() if CHILDREN[who].encode() in line), 0)

    def words(self) -> list[str]:
        """The lines of all its lives."""
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    def last_words(self) -> str:
        return next((line for line in reversed(self.words()) if line.strip()), "")

    def stop(self) -> None:
        if self.pid:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


def digest(step: Step) -> tuple[Any, ...]:
    return step.index, step.action.values.tobytes(), step.next_observation.stamp


class Follower:
    """Reads the journal while it is written, and knows which steps it was told."""

    def __init__(self, run: Run) -> None:
        self._journal = run.path / "journal"
        self._tails: dict[Path, JournalTail] = {}
        self.told: Counter[tuple[Any, ...]] = Counter()

    def look(self) -> int:
        """Read what is new; returns the number of all steps told."""
        for file in journal_files(self._journal) if self._journal.exists() else []:
            tail = self._tails.setdefault(file, JournalTail(file, pictures=False, warns=False))
            self.told.update((file.name, *digest(r)) for r in tail.poll() if isinstance(r, Step))
        return self.told.total()

    def lost(self) -> int:
        """Steps told that are not read back."""
        there: Counter[tuple[Any, ...]] = Counter()
        for file in journal_files(self._journal):
            there.update((file.name, *digest(r)) for r in read_journal(file, pictures=False) if isinstance(r, Step))
        return (self.told - there).total()


def check_summary(run: Run, row: Row) -> None:
    """Compare the counts of a summary with the journal."""
    try:
        summary = json.loads((run.path / "summary.json").read_text())
    except OSError:
        row.problems.append("no summary")
        return
    tally = Tally(PERIOD)
    replay_into(run.path / "journal", tally, pictures=False)
    names = ("demonstrations", "demonstration_steps", "human_steps")
    pairs = {"env_steps": tally.steps, **{name: getattr(tally, name) for name in names}}
    wrong = {name: (summary[name], value) for name, value in pairs.items() if summary[name] != value}
    row.untrue += bool(wrong)
    if wrong:
        row.problems.append(f"summary, journal: {wrong}")


def check_full(run: Run, row: Row, said: Sequence[str]) -> None:
    """Look at how a run has ended on a full disk, and at what it said there."""
    errors = [line for line in said if not line.startswith("robot-rlhf: warning:")]
    told = len(errors) == 1 and errors[0].startswith("robot-rlhf: error:") and str(run.path) in errors[0]
    if run.code != 2 or not told:
        row.problems.append(f"full disk: exit code {run.code}: {errors}")
    row.problems += [line for line in said if "starting it again" in line]


def hit(run: Run, row: Row, follower: Follower, moments: random.Random) -> None:
    """Let the run write some steps, then do to it what the scenario says."""
    if run.pid == 0:
        run.begin()
    goal = follower.look() + moments.randint(3, 60)
    wait(lambda: follower.look() >= goal or run.ended() is not None, "the next steps")
    if run.ended() is not None:
        row.problems.append(f"ended by itself with exit code {run.code}: {run.last_words()}")
        return
    if row.how == "full":
        said = len(run.words())
        fill(run, moments.randint(0, ROOM))
        wait(lambda: follower.look() < 0 or run.ended() is not None, "a full disk")
        check_full(run, row, run.words()[said:])
        return
    if row.who != "robot":
        wait(lambda: run.child(row.who) > 0, f"a {row.who}")
        os.kill(run.child(row.who), signal.SIGKILL)
        return
    os.kill(run.pid, signal.SIGKILL if row.how == "kill" else signal.SIGTERM)
    wait(lambda: run.ended() is not None, "the end")
    if row.how == "end":
        if run.code != 130:
            row.problems.append(f"SIGTERM: exit code {run.code}: {run.last_words()}")
        check_summary(run, row)


def scenario(row: Row, times: int, folder: Path, moments: random.Random) -> None:
    """One run that is hit again and again."""
    run = Run(folder, row.mode)
    mounted = row.how == "full" and mount(folder, "size=64m")
    follower = Follower(run)
    with heard() as warnings:
        try:
            for _ in range(times):
                hit(run, row, follower, moments)
                row.times += 1
                row.told = follower.look()
                row.lost += follower.lost() if run.pid == 0 else 0
                if mounted:
                    mount(folder, "remount,size=64m")
            if run.pid:
                goal = follower.look() + 5  # it goes on after the last hit
                wait(lambda: follower.look() >= goal, "steps after the last hit")
                os.kill(run.pid, signal.SIGTERM)
                wait(lambda: run.ended() is not None, "the end")
                check_summary(run, row)
                row.told = follower.look()
                row.lost += follower.lost()
        except (TimeoutError, JournalError) as error:
            row.problems.append(f"{type(error).__name__}: {error}; {run.last_words()}")
        finally:
            run.stop()
            row.broken_off = len({text.split(":")[0] for text in warnings})
            if mounted:
                subprocess.run(["umount", "-l", str(folder)], check=True)


def mount(folder: Path, options: str) -> bool:
    """Make the folder a disk of its own, or change it; whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def fill(run: Run, room: int) -> None:
    """Let the disk of a run take so many bytes more."""
    disk = run.path.parent
    if disk.is_mount():

        def shrunk() -> bool:  # refused where the run has written more since it was asked how much that is
            state = os.statvfs(disk)
            return mount(disk, f"remount,size={(state.f_blocks - state.f_bfree) * state.f_frsize + room}")

        wait(shrunk, "a smaller disk")
    else:
        newest = journal_files(run.path / "journal")[-1].stat().st_size
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (newest + room, resource.RLIM_INFINITY))


def same(row: Row, times: int, folder: Path, moments: random.Random) -> None:
    """Resume two copies of a killed synchronous run: they must write the same."""
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        run = Run(place, row.mode)
        follower = Follower(run)
        hit(run, Row(row.mode, row.who, "kill"), follower, moments)
        ends: list[tuple[bytes, Any]] = []
        for copy in ("a", "b"):
            again = Run(place / copy, row.mode)
            shutil.copytree(run.path, again.path)
            config = (again.path / "config.yaml").read_text()
            (again.path / "config.yaml").write_text(config.replace("steps: 100000", f"steps: {follower.look() + 60}"))
            again.begin()
            wait(lambda again=again: again.ended() is not None, "the end of a resumed copy")
            written = b"".join(file.read_bytes() for file in journal_files(again.path / "journal"))
            summary = json.loads((again.path / "summary.json").read_text())
            ends.append((written, [summary["policy_checksum"], summary["env_steps"], summary["updates"]]))
            check_summary(again, row)
        row.times += 1
        row.told += follower.look()
        if ends[0] != ends[1]:
            row.problems.append(f"resumed twice from the same: {ends[0][1]}, {ends[1][1]}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=[], help="scenarios as mode-who-how; all when left out")
    parser.add_argument("--out", type=Path, help="file to which each row is appended")
    arguments = parser.parse_args(argv)
    for module in ("apps.train_command", "apps.session", "run.ring"):
        importlib.import_module(f"robot_rlhf.{module}")
    failed = False
    for mode, who, how in SCENARIOS:
        if arguments.only and f"{mode}-{who}-{how}" not in arguments.only:
            continue
        row, begin = Row(mode, who, how), time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            (same if how == "same" else scenario)(row, arguments.times, Path(folder), random.Random(7))
        row.seconds = round(time.monotonic() - begin, 1)
        failed = failed or bool(row.lost or row.problems)
        print(json.dumps(asdict(row)), flush=True)
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
    sys.exit("steps were lost, or something was not as it should be" if failed else 0)


if __name__ == "__main__":
    main()
