"""How a run was started, each time: command line, versions, and the commit of the program where there is one."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

import robot_rlhf
from robot_rlhf.run.build import software_versions
from robot_rlhf.run.folder.run_folder import RunFolder, append_json

SOURCE = Path(robot_rlhf.__file__).parents[1]
"""Where the program lies; a git repository where it was not installed from a wheel."""
DEADLINE = 5.0
"""Seconds that git may take."""


def note_invocation(folder: RunFolder, *, resumed: bool) -> None:
    """Append a line to invocations.jsonl."""
    append_json(
        folder.invocations,
        {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "resumed": resumed,
            "versions": software_versions(),
            "commit": source_commit(),
        },
    )


def source_commit(source: Path = SOURCE) -> str | None:
    """Hash of the program's commit, with '+changes' where files differ from it; None outside its own repository."""
    if not (source / ".git").exists():
        return None
    try:
        commit = _git(source, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(source, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(source: Path, *words: str) -> str:
    command = ["git", "-C", str(source), *words]
    done = subprocess.run(
        command, capture_output=True, timeout=DEADLINE, check=True, encoding="utf-8", errors="replace"
    )
    return done.stdout.strip()
