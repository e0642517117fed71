"""The description beside a journal's files by which `ros2 bag info` and `ros2 bag play` take the folder for a bag."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader

from robot_rlhf.journal.files import journal_files

BAG_INDEX = "metadata.yaml"
_PATIENCE = 2.0
"""Seconds to wait for another writer's description."""
_VERSION = 5
"""Of the description: what rosbag2 of Humble writes, and every later one reads."""


@dataclass(frozen=True)
class _File:
    name: str
    types: dict[str, str]
    """Topic to message type."""
    counts: Counter[str]
    """Messages by topic."""
    start: int
    """Nanoseconds."""
    duration: int


def write_bag_index(folder: Path) -> None:
    """Describe those files that were closed; one that broke off has no summary, and no bag tool reads it.

    The description is replaced in one piece. Nothing is written where no file was closed with messages in it. Of
    several that close their files at once, whoever comes last describes them all.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _wait_for_lock(descriptor)
        described = [found for found in map(_described, journal_files(folder)) if found is not None]
        if described:
            temporary = folder / f".{BAG_INDEX}"
            temporary.write_text(_description(described), encoding="utf-8")
            temporary.replace(folder / BAG_INDEX)
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int) -> None:
    """Raises BlockingIOError when another describes the folder for longer than that takes."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _description(described: Sequence[_File]) -> str:
    types = {topic: kind for file in described for topic, kind in file.types.items()}
    counts = sum((file.counts for file in described), Counter[str]())
    begin = min(file.start for file in described)
    end = max(file.start + file.duration for file in described)
    information: dict[str, Any] = {
        "version": _VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": end - begin},
        "starting_time": {"nanoseconds_since_epoch": begin},
        "message_count": counts.total(),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": kind,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": "",
                },
                "message_count": counts[topic],
            }
            for topic, kind in sorted(types.items())
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.name for file in described],
        "files": [
            {
                "path": file.name,
                "starting_time": {"nanoseconds_since_epoch": file.start},
                "duration": {"nanoseconds": file.duration},
                "message_count": file.counts.total(),
            }
            for file in described
        ],
    }
    return yaml.safe_dump({"rosbag2_bagfile_information": information}, sort_keys=False)


def _described(path: Path) -> _File | None:
    """What a closed file holds for bag tools; None for one that broke off, or holds nothing for them."""
    try:
        with path.open("rb") as file:
            summary = make_reader(file, validate_crcs=True).get_summary()
    except (McapError, OSError, ValueError, struct.error):
        return None
    if summary is None or summary.statistics is None:
        return None
    statistics = summary.statistics
    types = {channel.topic: summary.schemas[channel.schema_id].name for channel in summary.channels.values()}
    counts = Counter(
        {c.topic: n for c in summary.channels.values() if (n := statistics.channel_message_counts.get(c.id, 0))}
    )
    if not counts:
        return None
    start = statistics.message_start_time
    return _File(path.name, types, counts, start, statistics.message_end_time - start)
