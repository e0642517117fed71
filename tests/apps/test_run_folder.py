"""The lines of a run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rlhf.apps.run_folder import RunFolder, append_json, read_json_lines
from robot_rlhf.errors import ConfigError


def test_a_line_cut_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_json(path, {"a": 1})
    append_json(path, {"a": 2})
    path.write_bytes(path.read_bytes()[:-4])
    append_json(path, {"a": 3})
    append_json(path, {"a": 4})
    assert [row["a"] for row in read_json_lines(path)] == [1, 3, 4]


def test_no_file_is_no_lines(tmp_path: Path) -> None:
    assert read_json_lines(tmp_path / "none.jsonl") == []


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "run").path.name for _ in range(3)]
    assert names == ["run", "run-2", "run-3"]


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.yaml"):
        RunFolder.existing(tmp_path)
