"""A disk that takes no more is told from other faults and named, and what was there before stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from robot_rlhf.disk import is_full, replace_text, saving_last, writing
from robot_rlhf.errors import CheckpointError, ConfigError, DiskFullError
from robot_rlhf.policy.tensor_file import write_checkpoint
from robot_rlhf.run.folder.lock import locked
from robot_rlhf.run.folder.run_folder import append_json, read_json_lines
from robot_rlhf.run.settings import defaults_for, read_yaml, write_yaml
from tests.disks import full_at


def test_a_full_disk_is_known_by_its_cause(tmp_path: Path) -> None:
    with full_at(0), pytest.raises(CheckpointError) as caught:
        write_checkpoint(tmp_path / "weights", {}, {})
    assert is_full(caught.value)
    assert is_full(OSError(errno.EDQUOT, "quota"))
    assert not is_full(OSError(errno.EACCES, "no"))
    assert not is_full(CheckpointError("altered"))


def test_the_file_is_named_where_the_system_names_none(tmp_path: Path) -> None:
    def fail(*details: object) -> None:
        with writing(tmp_path / "it"):
            raise OSError(*details)

    for details, name in (((errno.ENOSPC, "full"), "it"), ((errno.ENOENT, "none", str(tmp_path / "other")), "other")):
        with pytest.raises(OSError) as caught:  # its name is what is looked at
            fail(*details)
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(OSError, match=r"^closed$"):
        fail("closed")


@pytest.mark.parametrize("reason", [OSError(errno.ENOSPC, "full"), DiskFullError("the learner: full")])
def test_what_met_the_full_disk_first_is_told(reason: Exception) -> None:
    def end(why: Exception, then: Exception) -> None:
        try:
            raise why
        finally:
            with saving_last():
                raise then

    for then in (OSError(errno.ENOSPC, "seconds.json"), OSError(errno.EACCES, "seconds.json"), ConfigError("odd")):
        with pytest.raises(Exception) as caught:  # which it is, is looked at
            end(reason, then)
        assert caught.value is (reason if is_full(then) else then)
    with pytest.raises(OSError, match="later"):
        end(ConfigError("first"), OSError(errno.ENOSPC, "later"))


def test_lines_and_locks_say_which_file_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_json(path, {"a": 1})
    for write in (lambda: append_json(path, {"a": 2}), lambda: locked(path, "it").__enter__()):
        with full_at(0), pytest.raises(OSError, match="File too large") as caught:
            write()
        assert caught.value.filename == str(path)
        append_json(path, {"a": 3})
    assert {"a": 3} in read_json_lines(path)


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "it.txt"
    replace_text(path, "before")
    with full_at(3), pytest.raises(OSError, match="File too large") as caught:
        replace_text(path, "after")
    assert caught.value.filename == str(path)
    assert path.read_text() == "before"


def test_settings_survive_a_full_disk(tmp_path: Path) -> None:
    path, config = tmp_path / "config.yaml", defaults_for("reach")
    write_yaml(config, path)
    with full_at(100), pytest.raises(OSError, match="File too large"):
        write_yaml(config, path)
    assert read_yaml(path) == config
