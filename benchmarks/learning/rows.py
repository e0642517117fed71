"""The results: one file per run, whole or not there, in the folder of its era."""

from __future__ import annotations

import fcntl
import json
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.learning.cases import Case
from benchmarks.learning.first_era import as_now, is_of_first_era
from robot_rlhf.disk import replace_text
from robot_rlhf.errors import ConfigError

Row = dict[str, Any]
"""What is known of one run."""

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "learning"
RUNS = ROOT / "runs" / "benchmark"
ERA = "2026-11-29"
"""Rows that are compared with each other lie in one folder. When the learner has changed so much that older rows say
nothing about it, a new era begins: a new name here, or --era."""


class TakenError(Exception):
    """Another process does this run."""


class Era:
    """The rows, and the runs' folders, of one era."""

    def __init__(self, name: str = ERA, *, results: Path = RESULTS, runs: Path = RUNS) -> None:
        self.name = name
        self.rows = results / name
        self.failures = self.rows / "failed"
        self.runs = runs / name

    @property
    def others(self) -> list[Era]:
        """The eras before and after, by name."""
        names = sorted(path.name for path in self.rows.parent.iterdir() if path.is_dir() and path.name != self.name)
        return [Era(name, results=self.rows.parent, runs=self.runs.parent) for name in names]

    def row(self, case: Case) -> Row | None:
        """What was measured; None where nothing was yet.

        Raises:
            ConfigError: the row of that name is of other settings.
        """
        path = self.rows / f"{case.name}.json"
        if not path.exists():
            return None
        row: Row = json.loads(path.read_text(encoding="utf-8"))
        if tuple(row["settings"]) != case.settings:
            raise ConfigError(
                f"{path.name}: has settings {row['settings']}, asked for are {list(case.settings)}; "
                "allowed: another --variant, or another --era"
            )
        return row

    def all_rows(self) -> Iterator[Row]:
        """Every row, by name; a file that is being written, or was left half-written, is none."""
        for path in sorted(self.rows.glob("*.json")):
            row: Row = json.loads(path.read_text(encoding="utf-8"))
            yield as_now(row) if is_of_first_era(row) else row

    def all_failures(self) -> Iterator[Row]:
        """What failed and was not done since, by name."""
        for path in sorted(self.failures.glob("*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))

    def write(self, case: Case, row: Row) -> None:
        """Write a row, whole or not at all; an earlier failure of the run is forgotten."""
        self.rows.mkdir(parents=True, exist_ok=True)
        _write(self.rows / f"{case.name}.json", row)
        (self.failures / f"{case.name}.json").unlink(missing_ok=True)

    def failed(self, case: Case) -> bool:
        """The run was tried and failed."""
        return (self.failures / f"{case.name}.json").exists()

    def write_failure(self, case: Case, commit: str | None, error: BaseException) -> None:
        """Keep why a run failed; paths are told from the project's root."""
        self.failures.mkdir(parents=True, exist_ok=True)
        text, why = "".join(traceback.format_exception(error)), repr(error)
        for place in (ROOT, Path(sys.prefix).resolve()):
            text, why = (told.replace(f"{place}/", "") for told in (text, why))
        row = {"name": case.name, "settings": list(case.settings), "commit": commit, "error": why, "traceback": text}
        _write(self.failures / f"{case.name}.json", row)

    @contextmanager
    def claimed(self, case: Case) -> Generator[None]:
        """Within the block no other process does this run. The lock ends with the process, however that ends.

        Raises:
            TakenError: another process does it now.
        """
        with self._lock(case).open("a") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TakenError(case.name) from error
            yield

    def running(self, case: Case) -> bool:
        """A process does this run now."""
        try:
            with self.claimed(case):
                return False
        except TakenError:
            return True

    def _lock(self, case: Case) -> Path:
        folder = self.runs / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{case.name}.lock"


def _write(path: Path, row: Row) -> None:
    """One line per name, so that a row can be read, and is not a thousand lines."""
    lines = [f" {json.dumps(name)}: {json.dumps(row[name], sort_keys=True)}" for name in sorted(row)]
    replace_text(path, "{\n" + ",\n".join(lines) + "\n}\n")
