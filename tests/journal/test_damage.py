"""Whatever happens to the bytes of a journal: the same records come out, or it is said where they end and why."""

from __future__ import annotations

import logging
import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.journal_fuzz import (
    INSIDE,
    SAMPLE,
    TAILS,
    Damage,
    Source,
    count,
    cut_and_garbage,
    cut_and_zeros,
    doubled,
    flip,
    heard,
    lost,
    outcome,
    small_journal,
    source,
    sources,
    swapped,
)
from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import Step
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.reader import JournalTail, episodes, read_journal, replay_into
from robot_rlhf.journal.seal import SEAL_SIZE
from robot_rlhf.journal.shared import WRITER, SharedTail
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, plain, tell

QUICK, LONG = 25, 1500
NAMES = ["sealed", "sealed, open", "version 1", "version 1, open"]


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    return {origin.name: origin for origin in sources(tmp_path_factory.mktemp("origin"))}


def check_law(origin: Source, damage: Damage, trials: int, path: Path) -> Counter[str]:
    found = count(origin, damage, trials, np.random.default_rng(11), path)
    assert found["silent"] == 0
    if origin.closed and damage in (flip, swapped, doubled, lost):
        assert found["broken off"] == 0  # a file that was closed has no tail to lose
    if damage is cut_and_zeros:
        assert found["error"] == 0
    assert found.total() == trials
    return found


@pytest.mark.parametrize("damage", [*INSIDE, *TAILS])
@pytest.mark.parametrize("name", NAMES[:3])
def test_damage_is_named_or_harmless(origins: dict[str, Source], name: str, damage: Damage, tmp_path: Path) -> None:
    check_law(origins[name], damage, QUICK, tmp_path / "000.mcap")


@pytest.mark.parametrize("damage", TAILS)
def test_tails_of_an_open_file_without_seals(origins: dict[str, Source], damage: Damage, tmp_path: Path) -> None:
    """Changes inside such a file cannot all be told: nothing in it has a checksum, and reading it says so."""
    check_law(origins[NAMES[3]], damage, QUICK, tmp_path / "000.mcap")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("damage", [*INSIDE, *TAILS])
@pytest.mark.parametrize("name", NAMES[:3])
def test_much_damage(origins: dict[str, Source], name: str, damage: Damage, tmp_path: Path) -> None:
    check_law(origins[name], damage, LONG, tmp_path / "000.mcap")


def test_a_bit_of_every_region(origins: dict[str, Source], tmp_path: Path) -> None:
    """Header, metadata, schemas, channels, messages, seals, end of the data: an error; summary: nothing."""
    origin = origins["sealed"]
    end = origin.data.rindex(struct.pack("<BQ", 0x0F, 4))
    for place in [*range(0, 80), *range(80, end, 487), *range(end - SEAL_SIZE, end), *range(end, len(origin.data), 61)]:
        data = bytearray(origin.data)
        data[place] ^= 1 << (place % 8)
        got = outcome(origin, bytes(data), tmp_path / "000.mcap")
        assert got in (("error",) if place < end else ("harmless", "broken off", "error")), place
    assert outcome(origin, origin.data, tmp_path / "000.mcap") == "harmless"


def test_zeros_from_any_byte_of_the_beginning_on(origins: dict[str, Source], tmp_path: Path) -> None:
    """A power cut right behind the file's birth does not lock up the runs before it."""
    origin = origins["sealed, open"]
    for size in range(120):
        assert outcome(origin, origin.data[:size] + bytes(4096), tmp_path / "000.mcap") == "broken off", size


# -- what was seen -----------------------------------------------------------------------------------------------------


def test_another_digit_of_an_action(tmp_path: Path) -> None:
    """Both formats: the action was 1.0 and reads 0.0."""
    new = small_journal(tmp_path / "new")
    for path, data in ((new, new.read_bytes()), (tmp_path / "000.mcap", SAMPLE.read_bytes())):
        at = data.index(b'"executed":[', len(data) // 2) + len('"executed":[')
        at += data[at : at + 1] == b"-"
        changed = bytearray(data)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(JournalError, match=r"000\.mcap: damaged .*byte \d+.*robot-rlhf journal salvage"):
            list(read_journal(path))


def test_a_length_beyond_the_file(origins: dict[str, Source], tmp_path: Path) -> None:
    """A bit in the top byte of a record's length is no unfinished tail, and is told without reading on."""
    for name in NAMES[:2]:
        origin = origins[name]
        data = bytearray(origin.data)
        data[origin.ends[4] + 8] ^= 0x40  # of the first record of a block: behind its opcode, 8 bytes of length
        assert outcome(origin, bytes(data), tmp_path / "000.mcap") == "error"
        data = bytearray(origin.data)
        data[origin.ends[4] + 3] ^= 0x40  # 4 MB: beyond the file, and not beyond what a record can be
        assert outcome(origin, bytes(data), tmp_path / "000.mcap") == "error"


def test_a_power_cut_and_what_reads_on(tmp_path: Path) -> None:
    """Zeros or garbage behind a byte: what is before is used, by every reader, and the next run follows."""
    spec = make_spec({"front": (6, 4)})
    journal = tmp_path / "journal"
    path = small_journal(journal, episodes=2)
    whole = path.read_bytes()
    ends = source("", path).ends
    rng = np.random.default_rng(3)
    for damage in (cut_and_zeros, cut_and_garbage):
        path.write_bytes(whole[: ends[16] + 100] + damage(b"x", [], rng))
        before = path.read_bytes()
        with heard() as warnings, JournalWriter(tmp_path / damage.__name__, spec) as again:
            replayed = replay_into(journal, again)
        assert (replayed.episodes, replayed.broken_off) == (2, 1)
        assert len(warnings) == 1
        assert f"{path}: was not closed, what is recorded ends at byte {ends[16]}, behind step" in warnings[0]
        assert "bytes behind it are passed over" in warnings[0]
        assert path.read_bytes() == before
    with JournalWriter(journal, spec) as writer:
        tell(writer, make_episode(spec, 9, 3))
    assert [episode.end is None for episode in episodes(journal)] == [False, True, False]
    assert path.read_bytes() == before


def test_export_of_a_broken_off_journal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = small_journal(tmp_path / "journal")
    path.write_bytes(path.read_bytes()[:-9000] + bytes(4096))
    assert main(["journal", "export", str(path.parent), "--format", "csv", "--out", str(tmp_path / "out.csv")]) == 0
    assert "was not closed" in caplog.text
    assert main(["journal", "info", str(path.parent)]) == 0


# -- while it is being written -----------------------------------------------------------------------------------------


def test_a_live_reader_waits_for_bytes_in_flight(origins: dict[str, Source], tmp_path: Path) -> None:
    """On some file systems a reader sees zeros before the bytes: they become what they are."""
    origin = origins["sealed"]
    path = tmp_path / "000.mcap"
    middle = origin.ends[len(origin.ends) // 2] + 300
    with JournalTail(tmp_path) as tail:
        path.write_bytes(origin.data[:middle] + bytes(5000))
        got = [plain(record) for record in tail.poll()]
        assert [plain(record) for record in tail.poll()] == []
        with path.open("r+b") as file:
            file.seek(middle)
            file.write(origin.data[middle:])
        for _ in range(2):
            got += [plain(record) for record in tail.poll()]
        assert got == origin.records


def test_a_live_reader_stops_at_damage(origins: dict[str, Source], tmp_path: Path) -> None:
    origin = origins["sealed"]
    path = tmp_path / "000.mcap"
    data = bytearray(origin.data)
    data[origin.ends[9] + 200] ^= 1
    grown = [0]

    def follow(tail: JournalTail) -> None:
        while grown[0] < len(data):
            with path.open("ab") as file:
                file.write(data[grown[0] : grown[0] + 3000])
            grown[0] += 3000
            tail.poll()

    with (
        JournalTail(tmp_path) as tail,
        pytest.raises(JournalError, match=rf"damaged at byte {origin.ends[9]}, behind step .* salvage"),
    ):
        follow(tail)
    assert grown[0] < origin.ends[9] + 15_000


def test_a_live_reader_passes_over_a_tail_once_the_next_file_is_there(tmp_path: Path) -> None:
    path = small_journal(tmp_path)
    path.write_bytes(path.read_bytes()[:-9000] + bytes(512))
    spec = make_spec({"front": (6, 4)})
    with heard() as warnings, JournalTail(tmp_path) as tail, SharedTail(tmp_path) as shared:
        steps = sum(isinstance(record, Step) for record in tail.poll())
        told = shared.poll()
        assert not warnings
        with JournalWriter(tmp_path, spec, metadata={WRITER: ""}) as writer:
            tell(writer, make_episode(spec, 30, 2))
        assert sum(isinstance(record, Step) for record in tail.poll()) == 2
        assert len(warnings) == 1
        told += shared.poll()
        assert sum(isinstance(record, Step) for record in told) == steps + 2
        assert len(warnings) == 2


def test_pieces_of_any_size_cost_the_same(tmp_path: Path) -> None:
    """A large record that comes in many pieces is not copied again with each."""
    spec = make_spec({"front": (900, 900)})
    with JournalWriter(tmp_path, spec) as writer:
        tell(writer, make_episode(spec, 0, 1))
    data = writer.path.read_bytes()
    assert len(data) > 4_000_000
    grown = tmp_path / "grown" / "000.mcap"
    grown.parent.mkdir()
    records = 0
    with JournalTail(grown) as tail, grown.open("wb", buffering=0) as file:
        for start in range(0, len(data), 2000):
            file.write(data[start : start + 2000])
            records += len(tail.poll())
    assert records == len(list(read_journal(writer.path)))


def test_ctrl_c_inside_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a block was written: it is taken away, and what follows is whole."""
    spec = make_spec()
    first, second, third = make_episode(spec, 1, 3).steps()
    real_write = os.write

    def half(descriptor: int, data: bytes) -> int:
        real_write(descriptor, bytes(data)[:500])
        raise KeyboardInterrupt

    with JournalWriter(tmp_path, spec) as writer:
        writer.on_episode_start(make_episode(spec, 1, 3).meta, first.observation)
        writer.on_step(first)
        with monkeypatch.context() as patch:
            patch.setattr("robot_rlhf.journal.mcapfile.os.write", half)
            with pytest.raises(KeyboardInterrupt):
                writer.on_step(second)
        writer.on_step(second)
        writer.on_step(third)
    with heard() as warnings:
        read = [record for record in read_journal(tmp_path) if isinstance(record, Step)]
    assert plain(read) == plain([first, second, third])
    assert not warnings


def test_info_says_what_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small_journal(tmp_path)
    whole = path.read_bytes()
    assert main(["journal", "info", str(tmp_path)]) == 0
    assert "1 of 1 closed, and every byte as it was written" in capsys.readouterr().out
    path.write_bytes(whole[:-100] + bytes(100))
    assert main(["journal", "info", str(tmp_path)]) == 0
    assert "its summary does not end as it should" in capsys.readouterr().out
    path.write_bytes(whole[:-9000])
    assert main(["journal", "info", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "0 of 1 closed" in said
    assert "bytes behind it are passed over" in said
    assert "1 episode(s) broken off" in said


def test_warnings_are_no_noise(tmp_path: Path) -> None:
    """A whole journal is read without a word."""
    small_journal(tmp_path)
    with heard() as warnings:
        list(read_journal(tmp_path))
        list(read_journal(SAMPLE))
    assert not warnings
    assert logging.getLogger("robot_rlhf.journal").propagate
