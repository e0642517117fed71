"""A run in which nobody demonstrates and nobody corrects is slow to learn, not broken."""

from __future__ import annotations

from pathlib import Path

from robot_rlhf.run.train import train
from tests.runtime.runs import tiny


def test_no_demonstrations_and_nobody_there(tmp_path: Path) -> None:
    summary = train(tiny(tmp_path, demonstrations=0, operator="absent"), quiet=True)
    assert summary["hands_on_seconds"] == 0.0
    assert summary["at_machine_seconds"] == 0.0
    assert summary["updates"] > 0
    assert summary["eval_episodes"] == 3
