"""A full disk ends a run once, whoever of it meets the disk first, with a line that names the file."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from robot_rlhf.background import Background
from robot_rlhf.errors import LinkError
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.train import train
from tests.disks import is_full_for
from tests.runtime.runs import tiny

THE_LEARNER_SAYS = r"^the learner: .*/run/(exchange|checkpoints|metrics|tensorboard|values).*File too large"
HELD_BY = {"learner": "learner.lock", "arm": "arm-0.lock"}
"""The lock whose file says which process it is."""


@pytest.mark.parametrize(
    ("mode", "who", "named"),
    [
        ("parallel", "learner", THE_LEARNER_SAYS),
        ("asynchronous", "learner", THE_LEARNER_SAYS),
        pytest.param(
            *("parallel", "arm", r"^arm 0: .*/run/journal/\d+\.mcap: cannot append .*File too large.* stay readable"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_run_ends_and_nothing_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str, who: str, named: str
) -> None:
    run = RunFolder(tmp_path / "run")
    config = tiny(
        tmp_path,
        mode=mode,
        arms=2 if mode == "parallel" else 1,
        demonstrations=2 if mode == "parallel" else 1,
        steps=100_000,
    )
    config = replace(config, asynchronous=replace(config.asynchronous, restarts=1))
    filled: set[int] = set()

    def fill() -> bool:
        """For each such process as soon as there are steps: of those that are started again, too."""
        lock = run.exchange / HELD_BY[who]
        holder = re.match(r"process (\d+) ", lock.read_text()) if lock.exists() else None
        pid = int(holder[1]) if holder else os.getpid()  # which holds it, too, before the learner begins
        recorded = any(file.stat().st_size > 5_000 for file in run.journal.glob("*.mcap"))
        if recorded and pid != os.getpid() and pid not in filled:
            is_full_for(pid)
            filled.add(pid)
        return True

    filler = Background("filler", fill, 0.01)
    filler.start()
    try:
        with pytest.raises(LinkError, match=named):
            train(config, quiet=True)
    finally:
        filler.close()
    assert len(filled) == 1
    assert "starting it again" not in caplog.text
