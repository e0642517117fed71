"""Pictures scored when an episode is over: the rows are those of the policy's replay, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rlhf.conformance import sample_meta, sample_steps
from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Segment,
)
from robot_rlhf.errors import RenderError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.runtime import episode_scores
from robot_rlhf.runtime.episode_scores import EpisodeScores
from tests.journal.sessions import make_spec

SPEC = make_spec({"front": (4, 6)})


def brightness(pictures: np.ndarray, heartbeat: Any = None) -> np.ndarray:
    return pictures.reshape(len(pictures), -1).mean(axis=1, keepdims=True).astype(np.float32)


def seen(observation: Observation) -> dict[str, np.ndarray]:
    return {"state": brightness(observation.images["front"][None])[0]}


class Rig:
    """A replay whose policy sees how bright pictures are, and whose other block is told when an episode is over."""

    def __init__(self, score: Any = brightness, capacity: int = 200, camera: str = "front") -> None:
        self.batches: list[int] = []

        def noting(pictures: np.ndarray, heartbeat: Any) -> np.ndarray:
            self.batches.append(len(pictures))
            return score(pictures, heartbeat)

        self.buffer = ReplayBuffer(capacity, state_size=1, action_size=SPEC.action.size, discount=0.9)
        self.buffer.add_block("scores", state_size=1)
        self.scores = EpisodeScores(ReplayFeed(self.buffer, seen), "scores", noting, camera)

    def live(self, number: int, count: int = 5, outcome: Outcome | None = Outcome.SUCCESS, **meta: Any) -> None:
        """One episode; outcome None never ends it."""
        steps = sample_steps(SPEC, count, number)
        told = replace(sample_meta(number), **meta)
        self.scores.on_episode_start(told, steps[0].observation)
        for step in steps:
            self.scores.on_step(step)
        if outcome is not None:
            self.scores.on_episode_end(EpisodeEnd(told.id, outcome, count))

    def check(self, transitions: int) -> None:
        """All transitions were shown to the block, each with its own observations."""
        index = self.buffer.indices()
        assert len(index) == transitions
        assert self.buffer.indices(block="scores").tolist() == index.tolist()
        want, got = (self.buffer.gather(index, one_step=True, block=block) for block in ("policy", "scores"))
        np.testing.assert_allclose(got.next_observation["state"], want.next_observation["state"])
        np.testing.assert_allclose(got.observation["state"], want.observation["state"])
        assert got.discount.tolist() == want.discount.tolist()


def deleted(name: str) -> Feedback:
    return Feedback(FeedbackKind.DISCARD, "ada", 0.0, Segment(name, 0, 1), 1.0)


def test_an_episode_is_one_batch_and_waits_until_it_is_over() -> None:
    rig = Rig()
    rig.live(0, count=7, outcome=None)
    rig.scores.work()
    assert rig.scores.scored == 0
    assert len(rig.buffer) == 7
    assert len(rig.buffer.indices(block="scores")) == 0
    rig.scores.on_episode_end(EpisodeEnd(sample_meta(0).id, Outcome.TIME_LIMIT, 7))
    rig.scores.work()
    assert rig.scores.scored == 8
    assert rig.batches == [8]
    rig.check(7)


def test_rows_have_the_same_numbers_whatever_happens() -> None:
    rig = Rig()
    rig.live(0)
    rig.live(1, outcome=Outcome.DISCARDED)
    rig.live(2, kind=EpisodeKind.EVALUATION)
    rig.live(3, kind=EpisodeKind.DEMONSTRATION, outcome=Outcome.TIME_LIMIT)
    rig.scores.on_event(deleted(sample_meta(0).id))
    rig.live(4, kind=EpisodeKind.DEMONSTRATION)
    rig.scores.work()
    rig.live(5, outcome=None)  # never ends
    rig.live(6)
    rig.scores.on_event(deleted(sample_meta(5).id))
    rig.live(7, outcome=None)
    rig.scores.finish()
    rig.check(3 * 5)
    assert rig.batches == [6] * 7, "evaluation is not looked at"


def test_a_ring_that_wraps_holds_the_same_rows() -> None:
    rig = Rig(capacity=16)
    for number in range(9):
        rig.live(number)
    rig.scores.work()
    rig.check(13)


def test_what_is_told_while_it_scores_keeps_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The learner's heartbeat reads on in the journal."""
    numbers = iter(range(1, 4))

    def slow(pictures: np.ndarray, heartbeat: Any) -> np.ndarray:
        heartbeat()
        return brightness(pictures)

    rig = Rig(slow)
    rig.live(0, outcome=None)

    def beat() -> None:
        for number in numbers:
            rig.live(number)
            return

    rig.scores.on_episode_end(EpisodeEnd(sample_meta(0).id, Outcome.SUCCESS, 5))
    monkeypatch.setattr(episode_scores, "AT_ONCE", 1)
    rig.scores.work(beat)
    rig.live(9)
    rig.scores.work(beat)
    rig.scores.work()
    rig.check(5 * 5)


def test_waiting_pictures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode_scores, "AT_ONCE", 20)
    rig = Rig()
    for number in range(10):
        rig.live(number)
        assert sum(map(len, rig.scores._over)) <= 20
    assert len(rig.batches) >= 8
    rig.scores.work()
    rig.check(50)


def test_a_missing_picture_is_named() -> None:
    rig = Rig(camera="wrist")
    rig.live(0)
    with pytest.raises(RenderError, match="has pictures of front, not of 'wrist'"):
        rig.scores.work()
