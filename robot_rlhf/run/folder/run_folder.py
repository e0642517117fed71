"""The folder of a run: where everything of it lies."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.disk import writing
from robot_rlhf.errors import CheckpointError, ConfigError, JournalError
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.tail import first_task
from robot_rlhf.run.folder.event_file import EventFile
from robot_rlhf.run.folder.lock import locked
from robot_rlhf.run.start import BEST, NEWEST, chosen_policy
from robot_rlhf.runtime.exchange import AVERAGED, WEIGHTS
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.value_check import EpisodeValues


class RunFolder:
    """config.yaml, journal/, checkpoints/, exchange/, evaluations, metrics and values by line, summary and pictures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.journal = path / "journal"
        self.checkpoints = path / "checkpoints"
        self.latest = self.checkpoints / "learner.safetensors"
        self.policy = path / NEWEST
        self.best = path / BEST
        self.first = self.checkpoints / "first_policy.safetensors"
        self.exchange = path / "exchange"
        self.evaluations = path / "evaluations.jsonl"
        self.metrics = path / "metrics.jsonl"
        self.values = path / "values.jsonl"
        self.summary = path / "summary.json"
        self.seconds = path / "seconds.json"
        self.curves = path / "curves.png"
        self.video = path / "rollouts.mp4"
        self.tensorboard = path / "tensorboard"
        self.invocations = path / "invocations.jsonl"
        self.begun = False
        """Something has happened in it that this process must not take away again."""

    @classmethod
    def create(cls, parent: Path, name: str) -> RunFolder:
        """A new folder; a name that is taken gets a number, so that no run overwrites another.

        Raises:
            ConfigError: the folder cannot be made, or would not lie in the parent's.
        """
        check_name(name)
        for number in range(1, 10_000):
            path = parent / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise ConfigError(f"out {path}: the run's folder cannot be made ({error.strerror})") from error
            run = cls(path)
            run.checkpoints.mkdir()
            run.exchange.mkdir()
            return run
        raise ConfigError(f"out {parent / name}: 9999 runs of that name are there already")

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The folder of an earlier run; raises ConfigError when it is none."""
        run = cls(path)
        if not run.config.is_file():
            raise ConfigError(f"{path}: no run's folder (it has no config.yaml)")
        return run

    def locked(self) -> AbstractContextManager[None]:
        """Hold the run: whoever else would train, teach or drive in it is refused. See lock.locked."""
        return locked(self.exchange / "run.lock", str(self.path))

    @contextmanager
    def kept_once_begun(self) -> Generator[None]:
        """Take a new folder away again when its run fails before anything happened in it."""
        whole = False
        try:
            yield
            whole = True
        finally:
            if not (whole or self.begun):
                shutil.rmtree(self.path, ignore_errors=True)

    def check_resumable(self) -> None:
        """Check that there is something to go on from, and nothing of it is lost.

        Raises:
            ConfigError: nothing was recorded.
            CheckpointError: the learner has learned, but its state is not there: the run would begin to learn anew, and
                what it learned before would be overwritten.
        """
        if not journal_files(self.journal):
            raise ConfigError(
                f"{self.path}: nothing was recorded in it to go on from; a run of robot-rlhf offline is not resumed "
                "but learned again, with more --updates or other runs"
            )
        if self.latest.exists():
            return
        learned = next((path.name for path in (self.policy, self.summary) if _tells_of_learning(path)), None)
        if learned is not None:
            raise CheckpointError(
                f"{self.latest}: missing, though the run has learned ({learned} says so); put it back, or learn from "
                f"what was recorded: robot-rlhf offline {shlex.quote(str(self.path))}"
            )

    def check_task(self, *names: str) -> None:
        """Raises ConfigError where settings name another task than the run's episodes, or its summary, are of.

        Args:
            names: what the task may be called; none where nobody knows.
        """
        try:
            done = first_task(self.journal) or _from_summary(self.summary, "task")
        except JournalError:
            return  # whoever reads the journal says what is wrong with it
        if names and done not in (None, *names):
            raise ConfigError(
                f"{self.path}: task: got {names[0]!r}, but the run is of {done!r}; allowed is that, or a new run"
            )

    def weights(self, which: Weights) -> Path:
        """Where a learner in a process of its own publishes its weights, and where the kept ones lie."""
        published = {Weights.NEWEST: self.exchange / WEIGHTS, Weights.AVERAGED: self.exchange / AVERAGED}
        return published.get(which, self.best)

    @property
    def chosen(self) -> Path | None:
        """The policy to measure and to deploy: the best one, else the newest; None while nothing was learned."""
        return chosen_policy(self.path)


def _tells_of_learning(path: Path) -> bool:
    """A policy, or a summary of a run whose learner made updates."""
    if path.suffix != ".json" or not path.exists():
        return path.exists()
    return bool(_from_summary(path, "updates"))


def _from_summary(path: Path, name: str) -> Any:
    """What summary.json says; None where it says nothing, or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError, AttributeError):
        return None


def check_name(name: str) -> None:
    """Raises ConfigError for a run's name that is not the name of one folder."""
    if name in ("", ".", "..") or "/" in name or os.sep in name or "\0" in name:
        raise ConfigError(f"name {name!r}: allowed: the name of one folder, which is made in --out")


class MetricsLog:
    """Scalars over practice steps, to metrics.jsonl and TensorBoard."""

    def __init__(self, run: RunFolder) -> None:
        self._path = run.metrics
        self._events = EventFile(run.tensorboard)

    def __call__(self, step: int, metrics: Mapping[str, float], group: str = "learner") -> None:
        append_json(self._path, {"step": step, "group": group, **metrics})
        self._events.add(step, {f"{group}/{name}": value for name, value in metrics.items()})

    def settings(self, settings: Mapping[str, object], result: Mapping[str, float]) -> None:
        """What TensorBoard's page of hyperparameters compares runs by."""
        plain = {n: v if isinstance(v, bool | int | float | str) else str(v) for n, v in settings.items()}
        self._events.add_settings(plain, result)

    def close(self) -> None:
        """Let go of the file."""
        self._events.close()


def append_values(path: Path, values: EpisodeValues, updates: int) -> None:
    """Append an episode's values to values.jsonl, to 4 digits; null stands for what is not finite.

    Args:
        path: the file.
        values: of the episode.
        updates: those the critic had behind it.
    """
    row = {"episode": values.episode, "policy_updates": updates}
    append_json(path, row | {"q": _rounded(values.q), "return": _rounded(values.returns)})


def _rounded(values: NDArray[np.floating]) -> list[float | None]:
    return [round(value, 4) if math.isfinite(value) else None for value in values.tolist()]


def append_json(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line of JSON, on a line of its own even after a line that a crash cut."""
    with writing(path), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(row).encode() + b"\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line; a last line cut by a crash is passed over. Empty when there is no file."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
