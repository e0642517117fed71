"""Whatever a run opens to practise, to be measured and to be filmed in is closed in the end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.apps.evaluate import EvaluateOptions, evaluate_run
from robot_rlhf.run.build import evaluation_station
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.run.train import train
from robot_rlhf_sim.place import SimPlace
from tests.runtime.runs import tiny


@pytest.fixture
def still_open(monkeypatch: pytest.MonkeyPatch) -> list[SimPlace]:
    """The simulated places that were opened and not closed yet."""
    places: list[SimPlace] = []
    init, close = SimPlace.__init__, SimPlace.close

    def opened(self: SimPlace, *given: Any) -> None:
        init(self, *given)
        places.append(self)

    def closed(self: SimPlace) -> None:
        close(self)
        places[:] = [place for place in places if place is not self]

    monkeypatch.setattr(SimPlace, "__init__", opened)
    monkeypatch.setattr(SimPlace, "close", closed)
    return places


def test_of_a_whole_run_that_is_measured_and_filmed(tmp_path: Path, still_open: list[SimPlace]) -> None:
    train(tiny(tmp_path, video_episodes=1), quiet=True)
    assert len((tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()) >= 2
    assert not still_open
    evaluate_run(EvaluateOptions(tmp_path / "run", episodes=1, video=True))
    assert not still_open


def test_also_when_measuring_fails(still_open: list[SimPlace]) -> None:
    with suppress(ZeroDivisionError), evaluation_station(defaults_for("reach")):
        assert len(still_open) == 1
        raise ZeroDivisionError
    assert not still_open
