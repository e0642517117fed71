"""What a crash, a full disk or a foreign file may leave behind: what was whole is read, the rest is named."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from benchmarks.journal_crash import crash
from robot_rlhf.datatypes import Step
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.format import LIBRARY
from robot_rlhf.journal.reader import JournalTail, episodes, journal_spec, read_journal
from robot_rlhf.journal.writer import JournalWriter
from tests.disks import full_at
from tests.journal.sessions import make_episode, make_spec, make_steps, plain, tell


def write_small(folder: Path) -> Path:
    spec = make_spec({"front": (2, 3)})
    with JournalWriter(folder, spec) as writer:
        tell(writer, make_episode(spec, 5, 2))
    return writer.path


def test_truncated_at_every_byte(tmp_path: Path) -> None:
    whole = write_small(tmp_path / "whole").read_bytes()
    complete = [plain(record) for record in read_journal(tmp_path / "whole")]
    # Where each record becomes whole, found by feeding a growing file once.
    cut = tmp_path / "cut" / "000.mcap"
    cut.parent.mkdir()
    grown: list[object] = []
    counts = [0] * (len(whole) + 1)
    with JournalTail(cut) as tail, cut.open("wb", buffering=0) as file:
        for size in range(len(whole)):
            file.write(whole[size : size + 1])
            grown += [plain(record) for record in tail.poll()]
            counts[size + 1] = len(grown)
    assert grown == complete
    # A reader that comes after the cut finds exactly the same; every byte near record ends, every 23rd elsewhere.
    edges = {i for i in range(1, len(whole)) if counts[i] != counts[i - 1]}
    near = {edge + d for edge in edges for d in (-1, 0, 1)}
    for size in sorted(near | set(range(0, len(whole), 23))):
        cut.write_bytes(whole[:size])
        assert [plain(record) for record in read_journal(cut)] == complete[: counts[size]], size


def test_a_tail_reads_what_a_full_read_gives(tmp_path: Path) -> None:
    """Random growth of two files, the first broken off in the middle of a record."""
    first = write_small(tmp_path / "source").read_bytes()[:-1200]
    second = write_small(tmp_path / "source").read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(5):
        folder = tmp_path / f"grown{trial}"
        with JournalTail(folder) as tail:
            got = [plain(r) for r in tail.poll()]
            assert got == []
            folder.mkdir()
            for name, data in (("000.mcap", first), ("001.mcap", second)):
                with (folder / name).open("wb", buffering=0) as file:
                    position = 0
                    while position < len(data):
                        step = int(rng.integers(1, 3000))
                        file.write(data[position : position + step])
                        position += step
                        got += [plain(r) for r in tail.poll()]
            assert got == [plain(r) for r in read_journal(folder)]
            assert tail.topics["/robot_rlhf/step"] == sum(kind == "Step" for kind, _ in got)


def test_a_new_run_is_readable_behind_a_broken_one(tmp_path: Path) -> None:
    path = write_small(tmp_path)
    os.truncate(path, path.stat().st_size // 2)
    write_small(tmp_path)
    assert [(len(e), e.end is None) for e in episodes(tmp_path)][-1] == (2, False)


@pytest.mark.parametrize("after", [0.0, 0.13, 0.4])
def test_kill_9_loses_no_acknowledged_step(tmp_path: Path, after: float) -> None:
    result = crash(tmp_path / "journal", after)
    assert result.acknowledged > 0
    assert result.lost == 0
    assert result.equal


def test_full_disk(tmp_path: Path) -> None:
    spec = make_spec()
    steps = list(make_steps(spec, np.random.default_rng(0), 100))
    writer = JournalWriter(tmp_path, spec).open()
    writer.on_episode_start(make_episode(spec, 0, 1).meta, steps[0].observation)
    written: list[Step] = []

    def write_on() -> None:
        for step in steps:
            writer.on_step(step)
            written.append(step)

    with full_at(60_000), pytest.raises(JournalError, match=r"000\.mcap: cannot append .*File too large"):
        write_on()
    with pytest.raises(JournalError, match="cannot append"):
        writer.on_step(steps[len(written)])
    writer.close()
    assert 0 < len(written) < len(steps)
    with JournalWriter(tmp_path, spec) as again:
        tell(again, make_episode(spec, 1, 2))
    assert [len(episode) for episode in episodes(tmp_path)] == [len(written), 2]
    assert plain([r for r in read_journal(tmp_path) if isinstance(r, Step)][: len(written)]) == plain(written)


def test_a_disk_that_is_full_as_an_episode_begins_is_named_at_its_end(tmp_path: Path) -> None:
    """The end of an episode that never began hid the reason."""
    episode = make_episode(make_spec(), 0, 1)
    assert episode.end is not None
    (step,) = episode.steps()
    writer = JournalWriter(tmp_path, make_spec()).open()
    with full_at(0), pytest.raises(JournalError, match=r"000\.mcap: cannot append .*File too large"):
        writer.on_episode_start(episode.meta, step.observation)
    with pytest.raises(JournalError, match=r"000\.mcap: cannot append .*File too large"):
        writer.on_step(step)
    with pytest.raises(JournalError, match=r"000\.mcap: cannot append .*File too large"):
        writer.on_episode_end(episode.end)
    writer.close()


def test_no_space_left_on_device(tmp_path: Path) -> None:
    """The same on a real full file system, where one may be mounted."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    try:
        spec = make_spec()
        writer = JournalWriter(tmp_path / "journal", spec).open()
        with pytest.raises(JournalError, match="No space left on device"):
            tell(writer, make_episode(spec, 0, 300))
        writer.close()
        assert sum(len(episode) for episode in episodes(tmp_path / "journal")) > 10
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_read_only_folder() -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(JournalError, match=r"cannot create the journal file: Permission denied"):
                JournalWriter(folder, make_spec()).open()
            with pytest.raises(JournalError, match=r"cannot make the journal folder: Permission denied"):
                JournalWriter(Path(folder) / "new", make_spec()).open()
        finally:
            if root:
                os.seteuid(0)
            Path(folder).chmod(0o755)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = write_small(tmp_path)
    path.write_bytes(path.read_bytes().replace(LIBRARY.encode(), b"robot_rlhf journal 9", 1))
    with pytest.raises(JournalError, match=r"000\.mcap: journal version 9; supported: .*'robot_rlhf journal 2'"):
        list(read_journal(tmp_path))
    with pytest.raises(JournalError, match="version 9"), JournalTail(tmp_path) as tail:
        tail.poll()


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "000.mcap"
    path.write_text("hello, world")
    with pytest.raises(JournalError, match=r"000\.mcap: not an MCAP file, expected a journal 'robot_rlhf journal 2'"):
        list(read_journal(tmp_path))
    small = write_small(tmp_path / "other")
    path.write_bytes(small.read_bytes().replace(LIBRARY.encode(), b"some other library 1", 1))
    with pytest.raises(JournalError, match="written by 'some other library 1', not a journal"):
        list(read_journal(tmp_path))


def test_damage_is_named(tmp_path: Path) -> None:
    path = write_small(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"driver":"', b'"drover":"', 1))
    with pytest.raises(JournalError, match=r"000\.mcap: damaged at byte \d+, behind step 0 of episode-0005: "):
        list(read_journal(tmp_path))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"no journal files in this folder; allowed: 000\.mcap"):
        list(read_journal(tmp_path))
    with pytest.raises(JournalError, match="no such journal"):
        list(read_journal(tmp_path / "missing"))
    (tmp_path / "000.mcap").touch()
    assert list(read_journal(tmp_path)) == []
    with pytest.raises(JournalError, match="broke off before it described its robot"):
        journal_spec(tmp_path)


def test_ctrl_c_right_behind_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec()
    episode = make_episode(spec, 1, 2)
    first, second = episode.steps()
    real_write = os.write

    def interrupted_write(descriptor: int, data: bytes) -> int:
        real_write(descriptor, data)
        raise KeyboardInterrupt

    assert episode.end is not None
    with JournalWriter(tmp_path, spec) as writer:
        writer.on_episode_start(episode.meta, first.observation)
        writer.on_step(first)
        with monkeypatch.context() as patch:
            patch.setattr("robot_rlhf.journal.mcapfile.os.write", interrupted_write)
            with pytest.raises(KeyboardInterrupt):
                writer.on_step(second)
        writer.on_episode_end(episode.end)
    (read,) = episodes(tmp_path)
    assert len(read) == 2
    assert read.end == episode.end
    with writer.path.open("rb") as file:
        assert list(make_reader(file, validate_crcs=True).iter_messages(topics="/robot_rlhf/step"))
