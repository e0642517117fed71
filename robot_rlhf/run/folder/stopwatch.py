"""How long a run took, over all the sessions it was resumed in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robot_rlhf.errors import ConfigError
from robot_rlhf.run.results.report import write_json


class Stopwatch:
    """Wall time, and the part of it that was training: demonstrations, practice and learning without evaluations."""

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._path = path
        self._began = time.monotonic()
        self._training_since: float | None = None
        self._wall = self._training = 0.0
        if resumed and path.exists():
            try:
                earlier = json.loads(path.read_text(encoding="utf-8"))
                self._wall, self._training = float(earlier["wall_s"]), float(earlier["train_s"])
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{path}: not what a run writes ({error!r}); remove it to count anew") from error

    def begin_training(self) -> None:
        """From now on, time counts as training."""
        self._training_since = time.monotonic()

    def end_training(self) -> None:
        """From now on, it does not."""
        if self._training_since is not None:
            self._training += time.monotonic() - self._training_since
        self._training_since = None

    @contextmanager
    def outside_training(self) -> Iterator[None]:
        """What happens inside does not count as training."""
        was_training = self._training_since is not None
        self.end_training()
        yield
        if was_training:
            self.begin_training()

    def times(self) -> dict[str, float]:
        """wall_s and train_s until now."""
        now = time.monotonic()
        running = 0.0 if self._training_since is None else now - self._training_since
        return {"wall_s": round(self._wall + now - self._began, 1), "train_s": round(self._training + running, 1)}

    def save(self) -> None:
        """Keep them for a resumed run."""
        write_json(self._path, self.times())
