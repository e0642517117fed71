"""Damage journal files in many ways and count what reading them gives: harmless, named, silent.

    python -m benchmarks.journal_fuzz --trials 500

Every trial damages a copy of a file and reads it. Harmless: every record comes out as it was. Named: an error that says
where, or a beginning of the records with a warning that says where it ends. Silent is everything else, and must be 0.
"""

from __future__ import annotations

import argparse
import logging
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mcap.opcode import Opcode

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.blocks import HEAD
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.journal.seal import SEAL
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, plain, tell

SAMPLE = Path(__file__).parents[1] / "datasets" / "sample_session" / "000.mcap"
"""A closed file of version 1."""

Damage = Callable[[bytes, list[int], np.random.Generator], bytes]
"""(file, where its blocks end, rng) -> the damaged file."""


def flip(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """One bit."""
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def hole(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """A stretch of zeros, of the size of a sector or a page."""
    size = int(rng.choice((16, 512, 4096)))
    start = int(rng.integers(len(data)))
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]


def garbage(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """A stretch of random bytes."""
    size = int(rng.choice((2, 16, 512, 4096)))
    start = int(rng.integers(len(data)))
    return data[:start] + rng.bytes(len(data[start : start + size])) + data[start + size :]


def swapped(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """Two blocks in each other's place."""
    i, j = sorted(rng.choice(len(ends) - 1, 2, replace=False).tolist())
    first, second = data[ends[i] : ends[i + 1]], data[ends[j] : ends[j + 1]]
    return data[: ends[i]] + second + data[ends[i + 1] : ends[j]] + first + data[ends[j + 1] :]


def doubled(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """A block twice."""
    i = int(rng.integers(len(ends) - 1))
    return data[: ends[i + 1]] + data[ends[i] : ends[i + 1]] + data[ends[i + 1] :]


def lost(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """A block left out."""
    i = int(rng.integers(len(ends) - 1))
    return data[: ends[i]] + data[ends[i + 1] :]


def moved_sector(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """512 bytes that lie where others of the same file were."""
    here, there = (512 * int(rng.integers(len(data) // 512)) for _ in range(2))
    return data[:here] + data[there : there + 512] + data[here + 512 :]


def cut(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """Nothing behind a byte."""
    return data[: int(rng.integers(len(data)))]


def cut_and_zeros(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """Zeros behind a byte, as a power cut leaves them."""
    return cut(data, ends, rng) + bytes(int(rng.choice((1, 512, 4096, 65536))))


def cut_and_garbage(data: bytes, ends: list[int], rng: np.random.Generator) -> bytes:
    """What another file left on the disk, behind a byte."""
    return cut(data, ends, rng) + rng.bytes(int(rng.choice((1, 512, 4096, 65536))))


INSIDE: tuple[Damage, ...] = (flip, hole, garbage, swapped, doubled, lost, moved_sector)
TAILS: tuple[Damage, ...] = (cut, cut_and_zeros, cut_and_garbage)


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Warnings of the journal while this is open."""
    logger, handler = logging.getLogger("robot_rlhf.journal"), _Heard()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


@dataclass(frozen=True)
class Source:
    """A file to damage, and what it says."""

    name: str
    data: bytes
    records: list[Any]
    ends: list[int]
    """Where the blocks end that can be swapped."""
    closed: bool


def source(name: str, path: Path, *, closed: bool = True) -> Source:
    """Args: closed: False takes away the end of the data and the summary behind it."""
    data = path.read_bytes()
    ends, end_of_data = _walk(data)
    with heard():
        records = [plain(record) for record in read_journal(path)]
    return Source(name, data if closed else data[:end_of_data], records, ends, closed)


def _walk(data: bytes) -> tuple[list[int], int]:
    """Where blocks, or records of a file without seals, end; and where the data do."""
    position, ends, sealed = 8, list[int](), False
    while True:
        opcode, length = HEAD.unpack_from(data, position)
        if opcode == Opcode.DATA_END:
            return ends, position
        position += HEAD.size + length
        if opcode == SEAL and not sealed:
            sealed, ends = True, []
        if opcode == SEAL or not sealed:
            ends.append(position)


def outcome(source: Source, data: bytes, path: Path) -> str:
    """Read a damaged file: 'harmless', 'error', 'broken off' or 'silent'."""
    path.write_bytes(data)
    with heard() as warnings:
        try:
            got = [plain(record) for record in read_journal(path)]
        except JournalError as error:
            return "error" if str(path) in str(error) else "silent"
    if got == source.records:
        return "harmless"
    told = any(str(path) in text and "was not closed" in text for text in warnings)
    return "broken off" if told and got == source.records[: len(got)] else "silent"


def small_journal(folder: Path, episodes: int = 3, steps: int = 8) -> Path:
    """A journal of today's format with pictures in it."""
    spec = make_spec({"front": (6, 4)})
    with JournalWriter(folder, spec) as writer:
        for i in range(episodes):
            tell(writer, make_episode(spec, i, steps))
    return writer.path


def sources(folder: Path) -> list[Source]:
    """Today's format and version 1, closed and not."""
    path = small_journal(folder)
    return [
        source("sealed", path),
        source("sealed, open", path, closed=False),
        source("version 1", SAMPLE),
        source("version 1, open", SAMPLE, closed=False),
    ]


def count(source: Source, damage: Damage, trials: int, rng: np.random.Generator, path: Path) -> Counter[str]:
    """What `trials` damaged copies give."""
    found: Counter[str] = Counter()
    for _ in range(trials):
        data = damage(source.data, source.ends, rng)
        found["no change" if data == source.data else outcome(source, data, path)] += 1
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(arguments.seed)
    print(f"python {platform.python_version()}, {arguments.trials} trials per row, seed {arguments.seed}")
    print(f"{'file':16} {'damage':16} {'harmless':>8} {'error':>6} {'broken off':>10} {'silent':>6} {'s':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for origin in sources(Path(folder) / "journal"):
            for damage in (*INSIDE, *TAILS):
                begin = time.monotonic()
                found = count(origin, damage, arguments.trials, rng, Path(folder) / "000.mcap")
                print(
                    f"{origin.name:16} {damage.__name__:16} {found['harmless'] + found['no change']:8d} "
                    f"{found['error']:6d} {found['broken off']:10d} {found['silent']:6d} "
                    f"{time.monotonic() - begin:6.1f}"
                )


if __name__ == "__main__":
    main()
