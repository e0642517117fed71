"""Scalars for TensorBoard, appended at once and in the calling thread.

The writers that come with TensorBoard append in a thread of their own, which dies of a full disk with a traceback.
"""

from __future__ import annotations

import io
import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[attr-defined]  # generated code
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import hparams, scalar

from robot_rlhf.disk import writing

FORMAT = "brain.Event:2"

_numbers = itertools.count()


class EventFile:
    """A file of events; its name is one that TensorBoard finds."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError, with its name, when it cannot be made, as does whatever is added."""
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab", buffering=0)
        self._append(Event(wall_time=time.time(), file_version=FORMAT))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name at a practice step."""
        self._add([scalar(name, value) for name, value in values.items()], step)

    def add_settings(self, settings: Mapping[str, bool | float | str], result: Mapping[str, float]) -> None:
        """What TensorBoard's page of hyperparameters shows of a run."""
        for summary in hparams(dict(settings), dict(result)):
            self._add([summary], 0)
        self.add(0, result)

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._file.close()

    def _add(self, summaries: Iterable[Any], step: int) -> None:
        merged = Summary(value=[value for summary in summaries for value in summary.value])
        self._append(Event(wall_time=time.time(), step=step, summary=merged))

    def _append(self, event: Event) -> None:
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        left = record.getbuffer()
        with writing(self.path):
            while left:
                left = left[self._file.write(left) :]
