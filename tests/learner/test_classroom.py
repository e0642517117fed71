"""Tutors and rewards of a user's own: named by where they lie, they teach in every process that learns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from robot_rlhf.apps.cli import main
from robot_rlhf.conformance import LastingTutorConformance, ScoresConformance
from robot_rlhf.datatypes import (
    Batch,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    RobotSpec,
    Segment,
    Step,
)
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.learner.classroom import Classroom
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.ports import Scores
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.run.build import open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.learner import _Learner
from robot_rlhf.run.settings import read_yaml
from robot_rlhf.run.train import train
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.timing import FakeClock
from tests.journal.sessions import make_episode, make_spec, tell
from tests.learner.test_sac import SHAPES, SMALL, batch_of
from tests.runtime.runs import tiny


class Praise:
    """Feedback that teaches: what a person gives a score, a span of steps, is rewarded by it."""

    def __init__(self, room: Classroom) -> None:
        self.buffer = room.buffer
        self.rows: dict[tuple[str, int], int] = {}
        self.given: list[tuple[int, float]] = []
        self.praised = 0
        self.episode = ""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self.episode, self.written = meta.id, self.buffer.written

    def on_step(self, step: Step) -> None:
        if self.buffer.written > self.written:  # the feed has heard of it before
            self.rows[self.episode, step.index] = self.buffer.written - 2
        self.written = self.buffer.written
        if step.driver is Driver.HUMAN:  # who corrects is praised, too
            self._reward(Segment(self.episode, step.index, 1), 0.5)

    def on_event(self, event: Event) -> None:
        if isinstance(event, Feedback) and event.kind is FeedbackKind.SCORE and event.value is not None:
            self._reward(event.span, event.value)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        pass

    def _reward(self, span: Segment, score: float) -> None:
        rows = (self.rows.get((span.episode_id, t)) for t in range(span.start, span.start + span.length))
        self.given += [(row, score) for row in rows if row is not None]

    def work(self, heartbeat: object = None) -> dict[str, float] | None:
        if not self.given:
            return None
        rows, scores = zip(*self.given, strict=True)
        self.praised += self.buffer.update_rewards(torch.tensor(rows), torch.tensor(scores))
        self.given = []
        return {"praised": float(self.praised)}

    def save(self, folder: Path) -> dict[str, Tensor]:
        return {"praise": torch.tensor(self.praised)}

    def load(self, kept: Mapping[str, Tensor]) -> None:
        self.praised = int(kept.get("praise", torch.tensor(self.praised)))


class Middle:
    """A reward that needs no learning: what is seen is to be near the middle of its range."""

    version = 1
    is_ready = True
    has_bounds = True

    def __init__(self, room: Classroom) -> None:
        self.size = room.features.size

    def members_of(self, batch: Batch) -> Tensor:
        return (1.0 - torch.tanh(batch.next_observation["state"].square().mean(dim=-1)))[None]


class Fails:
    def __init__(self, room: Classroom) -> None:
        raise ValueError("no idea")


def own(part: type) -> str:
    return f"{__file__}:{part.__name__}"


def a_room(spec: RobotSpec) -> Classroom:
    features = Features(spec, FeatureConfig())
    buffer = ReplayBuffer(60, state_size=2, action_size=spec.action.size, discount=0.9)
    return Classroom(SacLearner(SHAPES, SMALL, SacConfig(), seed=0), buffer, spec, features, 0, "cpu")


class TestPraise(LastingTutorConformance):
    def make_spec(self) -> RobotSpec:
        return make_spec()

    def make_tutor(self, spec: RobotSpec) -> Praise:
        return Praise(a_room(spec))


class TestMiddle(ScoresConformance):
    def make_scores(self) -> Scores:
        return Middle(a_room(make_spec()))

    def make_batch(self, seed: int) -> Batch:
        return batch_of(8, seed)


def test_feedback_of_ones_own_teaches_in_a_run(tmp_path: Path) -> None:
    plain = train(tiny(tmp_path, name="plain"), quiet=True)
    taught = train(tiny(tmp_path, name="taught", tutors=(own(Praise),)), quiet=True)
    assert read_yaml(tmp_path / "taught" / "config.yaml").tutors == (own(Praise),)
    lines = [json.loads(line) for line in (tmp_path / "taught" / "metrics.jsonl").read_text().splitlines()]
    assert any("praised" in json.dumps(line) for line in lines)
    assert taught["policy_checksum"] != plain["policy_checksum"]


def test_and_in_the_process_of_a_learner(tmp_path: Path) -> None:
    config = tiny(tmp_path, tutors=(own(Praise),))
    run = RunFolder.create(tmp_path, "run")
    spec = open_place(config, FakeClock(), cameras=False).spec
    with JournalWriter(run.journal, spec) as writer:
        for seed in range(12):
            tell(writer, replace(make_episode(spec, seed, 6, name=f"e{seed}"), events=()))
        writer.on_event(Feedback(FeedbackKind.SCORE, "kim", 90.0, Segment("e3", 1, 2), 0.75))
        learner = _Learner(run, config)
        while learner._take_in():
            pass
        assert learner.trainer is not None
        assert learner.trainer.work(1) == 1
        buffer = learner.trainer.buffer
        assert (buffer.gather(buffer.indices(), one_step=True).reward == 0.75).sum() == 2
        learner.metrics.close()
        learner.tail.close()
    assert '"praised"' in run.metrics.read_text()


@pytest.mark.parametrize("use", ["shape", "replace"])
def test_a_reward_of_ones_own_is_learned_from(use: str, tmp_path: Path) -> None:
    config = tiny(tmp_path, reward_model=RewardModelConfig(scores=own(Middle), use=use))  # type: ignore[arg-type]
    summary = train(config, quiet=True)
    assert summary["updates"] > 0
    argv = ["offline", str(tmp_path / "run"), "--reward", own(Middle), "--updates", "10", "--batch-size", "16"]
    assert main([*argv, "--episodes", "1", "--quiet", "--out", str(tmp_path), "--name", "learned"]) == 0
    offline = json.loads((tmp_path / "learned" / "summary.json").read_text())["offline"]
    assert offline["reward"] == own(Middle)
    lowest, highest = offline["reward_range"]
    assert 0.0 <= lowest < highest <= 1.0


def test_what_is_none_is_one_line(tmp_path: Path) -> None:
    spec = make_spec()
    for name, words in ((own(Middle), "makes a Middle, allowed: a Tutor"), (own(Fails), "ValueError: no idea")):
        with pytest.raises(ConfigError, match=words):
            build_learning(tiny(tmp_path, tutors=(name,)), spec)
    with pytest.raises(UnknownNameError, match="tutors"):
        build_learning(tiny(tmp_path, tutors=("praise",)), spec)
    with pytest.raises(ConfigError, match="makes a Praise, allowed: a Scores"):
        build_learning(tiny(tmp_path, reward_model=RewardModelConfig(scores=own(Praise))), spec)
    with pytest.raises(ConfigError, match=r"reward_model\.scores: allowed without"):
        RewardModelConfig(scores=own(Middle), learns=True)
    assert main(["offline", str(tmp_path), "--reward", "nowhere"]) == 2
