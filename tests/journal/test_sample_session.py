"""The sessions kept in datasets/ stay readable: they are what an older version of this program recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import EpisodeKind, Outcome
from robot_rlhf.journal.export import export
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.journal.summary import describe

DATASETS = Path(__file__).parents[2] / "datasets"
SESSION = DATASETS / "sample_session"
WITH_CAMERA = DATASETS / "sample_session_with_camera"


def test_demonstrations_and_a_correction() -> None:
    told = list(episodes(SESSION))
    assert [e.meta.kind for e in told] == [*[EpisodeKind.DEMONSTRATION] * 2, EpisodeKind.PRACTICE]
    assert all(e.meta.task == "pick_cube" and e.end and e.end.outcome is Outcome.SUCCESS for e in told)
    assert all(e.terminated[-1] and not e.terminated[:-1].any() and not e.truncated.any() for e in told)
    assert all(e.by_human.all() and np.isnan(e.proposed).all() for e in told[:2])
    corrected = told[2]
    assert 0 < corrected.by_human.sum() < len(corrected)
    assert np.isfinite(corrected.proposed).all()
    for episode in told:
        cube = episode.observations["scene/cube"]
        assert cube[-1, 2] - cube[0, 2] > 0.07
        assert np.diff(episode.observations["stamp"]) == pytest.approx(journal_spec(SESSION).control_period)
    summary = describe(SESSION)
    assert (summary.total_episodes, summary.broken_off) == (3, 0)
    assert summary.steps == sum(map(len, told)) == summary.topics["/robot_rlhf/step"]


def test_pictures(tmp_path: Path) -> None:
    (episode,) = episodes(WITH_CAMERA)
    pictures = episode.observations["images/front"]
    assert pictures.shape == (len(episode) + 1, 64, 64, 3)
    assert pictures.std() > 10
    assert export(WITH_CAMERA, tmp_path / "dataset", "lerobot").steps == len(episode)


def test_the_sessions_are_small() -> None:
    files = [path for folder in (SESSION, WITH_CAMERA) for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= 1_000_000
