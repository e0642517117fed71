"""What the critic promised at the steps of recorded episodes, read from the file beside the journal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EpisodeValues:
    """What the critic promised at each step of an episode, and what followed; None where it was not finite."""

    q: tuple[float | None, ...]
    """Q(s, a) of the executed action. One per step."""
    returns: tuple[float | None, ...]
    """Discounted return from each step on. One per step."""
    updates: int
    """Those the critic had behind it."""


class ValuesFile:
    """The critic's values by episode, from a file of JSON lines; read when first asked for, then by what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self._read = 0
        """Bytes: when last looked at, and of whole lines taken in."""
        self._values: dict[str, EpisodeValues] = {}

    def has_changed(self) -> bool:
        """Whether it has grown, or shrunk, since this was asked last."""
        size = self._size()
        changed, self._seen = size != self._seen, size
        return changed

    def of(self, episode: str) -> EpisodeValues | None:
        """The last that was said of an episode."""
        size = self._size()
        if size < self._read:  # another file
            self._read = 0
            self._values.clear()
        if size > self._read:
            self._read_on()
        return self._values.get(episode)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _read_on(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return
        whole = new.rfind(b"\n") + 1  # what stands behind is being written, or was cut by a crash
        for line in new[:whole].splitlines():
            try:
                row = json.loads(line)
                q, returns = _numbers(row["q"]), _numbers(row["return"])
                if len(q) == len(returns):
                    self._values[str(row["episode"])] = EpisodeValues(q, returns, int(row["policy_updates"]))
            except (ValueError, KeyError, TypeError, OverflowError):
                continue
        self._read += whole


def _numbers(values: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(None if v is None or not math.isfinite(v) else float(v) for v in values)
