"""Runs in which somebody of the user's own says what is wanted, or stands before the guard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.reader import episodes
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.train import train

OWN = """
import numpy as np
from robot_rlhf.datatypes import Assignment, Action

class Goal:
    context_sizes = {"goal": 3}
    def __init__(self, place):
        self.place = place
    def reset(self, rng):
        pass
    def asked(self, observation):
        return Assignment("touch it", {"goal": np.asarray(observation.scene["target"][:3], np.float32)})

class Slow:
    def __init__(self, place):
        self.most = 0.5
    def reset(self):
        pass
    def filter(self, observation, action, driver):
        return Action(np.clip(action.values, -self.most, self.most))

class Nothing:
    def __init__(self, place):
        pass
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return str(file)


def settings(out: Path, **changes: Any) -> TrainConfig:
    base = defaults_for("reach")
    evaluation = replace(base.evaluation, every=0, final_episodes=2)
    trainer = replace(base.trainer, warm_start_updates=20, warm_critic_updates=5, start_after=10)
    config = replace(base, out=out, demonstrations=1, steps=30, evaluation=evaluation, trainer=trainer, name="run")
    return replace(config, video_episodes=0, **changes)


def test_a_policy_looks_at_what_a_director_of_ones_own_says(own: str, tmp_path: Path) -> None:
    features = replace(defaults_for("reach").features, context={"goal": 3})
    summary = train(settings(tmp_path, director=f"{own}:Goal", features=features), quiet=True)
    assert summary["updates"] > 0
    recorded = list(episodes(tmp_path / "run" / "journal"))
    for episode in recorded:
        assert set(episode.instructions) == {"touch it"}
        assert episode.context["goal"].shape == (len(episode.executed), 3)
        np.testing.assert_array_equal(
            episode.context["goal"], episode.observations["scene/target"][: len(episode.executed), :3]
        )
    without = train(settings(tmp_path / "without", director=f"{own}:Goal"), quiet=True)
    assert summary["policy_checksum"] != without["policy_checksum"]


def test_a_shield_of_ones_own_stands_before_the_guard_whoever_drives(own: str, tmp_path: Path) -> None:
    train(settings(tmp_path, shield=f"{own}:Slow"), quiet=True)
    recorded = list(episodes(tmp_path / "run" / "journal"))
    assert {episode.meta.kind for episode in recorded} == {EpisodeKind.DEMONSTRATION, EpisodeKind.PRACTICE}
    assert max(np.abs(episode.executed).max() for episode in recorded) <= 0.5 + 1e-6


def test_what_is_none_and_what_nobody_says_is_named_before_anything_is_recorded(own: str, tmp_path: Path) -> None:
    features = replace(defaults_for("reach").features, context={"goal": 2})
    for changes, said in (
        ({"director": f"{own}:Nothing"}, "director .*Nothing.*allowed: a Director"),
        ({"shield": f"{own}:Missing"}, "shield .*has no 'Missing'"),
        ({"features": features}, "features.context: goal of 2 numbers: nobody says it"),
        ({"features": features, "director": f"{own}:Goal"}, "the director says 3 numbers"),
    ):
        with pytest.raises(ConfigError, match=said):
            train(settings(tmp_path / "runs", **changes), quiet=True)
        assert not list((tmp_path / "runs").glob("*"))
