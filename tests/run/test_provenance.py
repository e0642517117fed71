"""The commit of the program that a run was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from robot_rlhf.run.folder.provenance import SOURCE, source_commit


def git(where: Path, *words: str) -> str:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", "-C", str(where), *who, *words], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_the_program_lies_where_its_project_file_is() -> None:
    assert (SOURCE / "pyproject.toml").is_file()


def test_the_commit_is_told_with_changes_and_nothing_outside_a_repository(tmp_path: Path) -> None:
    assert source_commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("a = 1\n", encoding="utf-8")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "--quiet", "-m", "Begin")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert source_commit(tmp_path) == commit
    (tmp_path / "a.py").write_text("a = 2\n", encoding="utf-8")
    assert source_commit(tmp_path) == f"{commit}+changes"
