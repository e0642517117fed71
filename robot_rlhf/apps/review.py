"""`robot-rlhf review`: the console on a recorded session: look through it, label it, compare clips."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from robot_rlhf.apps.command import parse
from robot_rlhf.console.process import new_token
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.journal.reader import JournalTail, check_journal
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.live.live_console import serve
from robot_rlhf.run.live.open_page import open_page
from robot_rlhf.run.settings import ConsoleConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReviewOptions:
    """Look through a recorded session in the browser: scrub, label, mark, delete, compare."""

    recording: tyro.conf.Positional[Path]
    """A run's folder, or a journal's."""
    console: Annotated[ConsoleConfig, tyro.conf.arg(name="")] = field(default_factory=ConsoleConfig)


def run(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    options = parse(ReviewOptions, "review", argv)
    inner = options.recording / "journal"
    journal = check_journal(inner if inner.is_dir() else options.recording)
    with JournalTail(journal) as tail:
        tail.poll(1 << 20)
        spec = tail.spec
    settings = ConsoleSettings(
        journal=str(journal),
        token=new_token(),
        values=values_of(journal),
        title=options.recording.resolve().name,
        cameras={} if spec is None else spec.cameras,
        action_names=() if spec is None else spec.action.names,
        action_scale=() if spec is None else tuple(spec.action.scale.tolist()),
        action_frame="base" if spec is None else spec.action.frame,
        control_period=0.05 if spec is None else spec.control_period,
    )
    with _log_file() as log_file, serve(options.console, settings, None, log_file) as process:
        sys.stdout.write(f"review: {process.address}\nCtrl-C ends it.\n")
        sys.stdout.flush()
        if options.console.open_browser:
            open_page(process.address, journal.parent)
        process.wait()
    return 0


@contextmanager
def _log_file() -> Iterator[Path]:
    """Where the console's process may complain; of a name that nobody can prepare, and gone if it did not."""
    descriptor, name = tempfile.mkstemp(prefix="robot-rlhf-review-", suffix=".log")
    os.close(descriptor)
    file = Path(name)
    try:
        yield file
    finally:
        if file.stat().st_size == 0:
            file.unlink()
        else:
            log.warning("the console's log: %s", file)


def values_of(journal: Path) -> str:
    """The file of the critic's values beside a journal; empty where the journal is not a run's."""
    run = RunFolder(journal.resolve().parent)
    return str(run.values) if run.journal == journal.resolve() and run.config.is_file() else ""
