"""What TensorBoard reads of a run, and that a full disk fails where it is written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robot_rlhf.run.folder.event_file import EventFile
from tests.disks import full_at


def test_tensorboard_reads_it_while_it_is_written(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "tensorboard")
    file.add(3, {"learner/loss": 0.5, "learner/gap": -1.0})
    file.add(7, {"learner/loss": 0.25})
    file.add_settings({"task": "reach", "seed": 3, "deep": True}, {"result/success_rate": 0.75})
    read = EventAccumulator(str(file.path.parent))
    read.Reload()
    losses = [(event.step, event.value) for event in read.Scalars("learner/loss")]
    assert losses == [(3, 0.5), (7, 0.25)]
    assert [event.value for event in read.Scalars("learner/gap")] == [-1.0]
    assert [event.value for event in read.Scalars("result/success_rate")] == [0.75]
    assert set(read.summary_metadata) >= {"_hparams_/experiment", "_hparams_/session_start_info"}
    file.close()
    file.close()


def test_two_of_one_process_are_two_files(tmp_path: Path) -> None:
    assert EventFile(tmp_path).path != EventFile(tmp_path).path


def test_a_full_disk_fails_here_and_by_name(tmp_path: Path) -> None:
    before = threading.active_count()
    file = EventFile(tmp_path)
    with full_at(file.path.stat().st_size + 5), pytest.raises(OSError, match="File too large") as caught:
        file.add(1, {"learner/loss": 0.5})
    assert caught.value.filename == str(file.path)
    assert threading.active_count() == before
    file.close()
