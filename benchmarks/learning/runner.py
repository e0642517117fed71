"""Does runs in processes of their own, in order, until all are done; whatever is killed is merely missing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from benchmarks.learning.cases import Case
from benchmarks.learning.rows import ROOT, Era, Row, TakenError

TAKEN = 75
"""Exit code of a process whose run another process does (EX_TEMPFAIL)."""
FAILED = 1
COMMAND = (sys.executable, "-m", "benchmarks.learning")


class Runner:
    """Starts the runs that have no row yet, a number of them at a time."""

    def __init__(
        self,
        era: Era,
        *,
        processes: int = 1,
        budget_hours: float | None = None,
        retry: bool = False,
        command: Sequence[str] = COMMAND,
        commit: str | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """
        Args:
            budget_hours: after these no further run is begun; those that have begun are done.
            retry: do also what failed before.
            command: starts a process for one run, with 'one', its era's folders and the case behind it.
            commit: of the program, for the rows of processes that end without a word.
        """
        self._era = era
        self._processes = processes
        self._until = time.monotonic() + 3600.0 * budget_hours if budget_hours is not None else None
        self._retry = retry
        self._command = command
        self._commit = commit
        self._say = say
        self._alive: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._ending = False

    def run(self, wanted: Sequence[Case]) -> bool:
        """Do what is missing; returns whether everything has its row now. Interrupted, it ends what it started."""
        waiting = deque(case for case in wanted if self._is_missing(case))
        self._say(f"{len(wanted)} runs, {len(waiting)} of them to do, {self._processes} at a time")
        deferred: set[Case] = set()
        running: dict[Future[int], Case] = {}
        with ThreadPoolExecutor(self._processes) as pool:
            try:
                while waiting or running:
                    while len(running) < self._processes and (case := self._next(waiting, running)) is not None:
                        running[pool.submit(self._do, case)] = case
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        case = running.pop(future)
                        if future.result() == TAKEN and case not in deferred:  # it may merely have been looked at
                            deferred.add(case)
                            waiting.append(case)
            finally:
                self._end_all()
        missing = [case.name for case in wanted if self._era.row(case) is None]
        if missing:
            self._say(f"{len(missing)} runs have no row: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}")
        return not missing

    def _is_missing(self, case: Case) -> bool:
        return self._era.row(case) is None and (self._retry or not self._era.failed(case))

    def _next(self, waiting: deque[Case], running: dict[Future[int], Case]) -> Case | None:
        """Take the first run that can begin; None where none can, or time is up."""
        if self._until is not None and time.monotonic() >= self._until:
            waiting.clear()
            return None
        for case in list(waiting):
            needs = case.needs
            if needs is None or self._era.row(needs) is not None:
                waiting.remove(case)
                if self._era.row(case) is None:
                    return case
            elif needs not in waiting and needs not in running.values():  # it failed, or somebody else does it
                waiting.remove(case)
                self._say(f"{case.name}: left out, {needs.name} has no row")
        return None

    def _do(self, case: Case) -> int:
        """Do one run in a process; returns its exit code."""
        begun = time.monotonic()
        command = [*self._command, "one", str(self._era.rows), str(self._era.runs), case.to_json()]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self._lock:
            if self._ending:
                return TAKEN
            # Its stdin is open for as long as this process lives: by its end it learns that it is alone. In a session
            # of its own no Ctrl-C meant for this process reaches it.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                env=environment,
                cwd=ROOT,
                start_new_session=True,
            )
            self._alive.add(process)
        assert process.stderr is not None
        last_words = process.stderr.read()
        code = process.wait()
        with self._lock:
            self._alive.discard(process)
            ending = self._ending
        if not ending:
            self._tell(case, code, time.monotonic() - begun, last_words)
        return code

    def _tell(self, case: Case, code: int, seconds: float, last_words: str) -> None:
        minutes = f"{seconds / 60:.1f} min"
        if code == 0:
            final = (self._era.row(case) or {})["final"]
            self._say(f"{case.name}: {final['successes']} of {final['episodes']} in {minutes}")
        elif code == TAKEN:
            self._say(f"{case.name}: done by another process")
        elif code < 0:
            self._say(f"{case.name}: killed by signal {-code} after {minutes}; the next start does it again")
        else:
            if not self._era.failed(case):
                self._era.write_failure(case, self._commit, RuntimeError(f"exit code {code}: {last_words[-4000:]}"))
            self._say(
                f"{case.name}: FAILED after {minutes}: {last_words.strip().splitlines()[-1:]}; --retry tries again"
            )

    def _end_all(self) -> None:
        with self._lock:
            self._ending = True
            for process in self._alive:
                process.kill()


def do_one(era: Era, case: Case, measure: Callable[[Case, Path], Row], commit: str | None) -> int:
    """Do one run in this process and write its row, or why there is none; returns the exit code.

    Args:
        measure: does the run in the folder given.
        commit: of the program.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with era.claimed(case):
            if era.row(case) is not None:
                return TAKEN
            era.write(case, measure(case, era.runs))
    except TakenError:
        return TAKEN
    except Exception as error:  # whatever it is, it is told in the row of the failure
        era.write_failure(case, commit, error)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    return 0


def _end_with_parent() -> None:
    """End at once when stdin ends, as it does when the process that started this one is gone."""
    while os.read(0, 1024):
        pass
    os._exit(FAILED)
