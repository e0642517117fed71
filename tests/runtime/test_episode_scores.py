"""Pictures scored when an episode is over: the rows are those of the policy's replay, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

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
from robot_rlhf.ports import Subscriber
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.runtime import episode_scores
from robot_rlhf.runtime.episode_scores import EpisodeScores
from tests.conformance import sample_meta, sample_steps
from tests.journal.sessions import make_spec

SPEC = make_spec({"front": (4, 6)})


def brightness(pictures: np.ndarray, heartbeat: Any = None) -> np.ndarray:
    return pictures.reshape(len(pictures), -1).mean(axis=1, keepdims=True).astype(np.float32)


def seen(observation: Observation) -> dict[str, np.ndarray]:
    return {"state": brightness(observation.images["front"][None])[0]}


class Rig:
    """Two replays of the same: one fed at once, one with scores."""

    def __init__(self, score: Any = brightness, capacity: int = 200) -> None:
        self.batches: list[int] = []

        def noting(pictures: np.ndarray, heartbeat: Any) -> np.ndarray:
            self.batches.append(len(pictures))
            return score(pictures, heartbeat)

        size = {"state_size": 1, "action_size": SPEC.action.size, "discount": 0.9}
        self.now, self.later = (ReplayBuffer(capacity, **size) for _ in range(2))  # type: ignore[arg-type]
        self.scores = EpisodeScores(self.later, noting, "front")
        self.all: list[Subscriber] = [ReplayFeed(self.now, seen), self.scores]

    def live(self, number: int, count: int = 5, outcome: Outcome | None = Outcome.SUCCESS, **meta: Any) -> None:
        """One episode; outcome None never ends it."""
        steps = sample_steps(SPEC, count, number)
        told = replace(sample_meta(number), **meta)
        for listener in self.all:
            listener.on_episode_start(told, steps[0].observation)
            for step in steps:
                listener.on_step(step)
            if outcome is not None:
                listener.on_episode_end(EpisodeEnd(told.id, outcome, count))

    def tell(self, event: Feedback) -> None:
        for listener in self.all:
            listener.on_event(event)

    def check(self) -> None:
        assert self.later.written == self.now.written
        index = self.now.indices()
        assert self.later.indices().tolist() == index.tolist()
        want, got = (b.gather(index, one_step=True) for b in (self.now, self.later))
        np.testing.assert_allclose(got.next_observation["state"], want.next_observation["state"])
        np.testing.assert_allclose(got.observation["state"], want.observation["state"])
        assert got.discount.tolist() == want.discount.tolist()


def deleted(name: str) -> Feedback:
    return Feedback(FeedbackKind.DISCARD, "ada", 0.0, Segment(name, 0, 1), 1.0)


def test_an_episode_is_one_batch_and_waits_until_it_is_over() -> None:
    rig = Rig()
    rig.live(0, count=7, outcome=None)
    assert rig.scores.work() == 0
    assert len(rig.later) == 0
    for listener in rig.all:
        listener.on_episode_end(EpisodeEnd(sample_meta(0).id, Outcome.TIME_LIMIT, 7))
    assert rig.scores.work() == 8
    assert rig.batches == [8]
    rig.check()


def test_rows_have_the_same_numbers_whatever_happens() -> None:
    rig = Rig()
    rig.live(0)
    rig.live(1, outcome=Outcome.DISCARDED)
    rig.live(2, kind=EpisodeKind.EVALUATION)
    rig.live(3, kind=EpisodeKind.DEMONSTRATION, outcome=Outcome.TIME_LIMIT)
    rig.tell(deleted(sample_meta(0).id))
    rig.live(4, kind=EpisodeKind.DEMONSTRATION)
    rig.scores.work()
    rig.live(5, outcome=None)  # never ends
    rig.live(6)
    rig.tell(deleted(sample_meta(5).id))
    rig.live(7, outcome=None)
    rig.scores.finish()
    for buffer in (rig.now, rig.later):
        buffer.end()
    rig.check()
    assert rig.batches == [6] * 7, "evaluation is not looked at"


def test_a_ring_that_wraps_holds_the_same_rows() -> None:
    rig = Rig(capacity=16)
    for number in range(9):
        rig.live(number)
    rig.scores.work()
    rig.check()


def test_what_is_told_while_it_scores_keeps_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The learner's heartbeat reads on in the journal."""
    monkeypatch.setattr(episode_scores, "AT_ONCE", 1)
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

    for listener in rig.all:
        listener.on_episode_end(EpisodeEnd(sample_meta(0).id, Outcome.SUCCESS, 5))
    rig.scores.work(beat)
    rig.live(9)
    rig.scores.work(beat)
    rig.scores.work()
    rig.check()


def test_waiting_pictures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode_scores, "AT_ONCE", 20)
    rig = Rig()
    for number in range(10):
        rig.live(number)
        assert sum(map(len, rig.scores._over)) <= 20
    assert len(rig.batches) >= 8
    rig.scores.work()
    rig.check()


def test_a_missing_picture_is_named() -> None:
    rig = Rig()
    rig.scores = EpisodeScores(rig.later, brightness, "wrist")
    rig.all = [rig.scores]
    rig.live(0)
    with pytest.raises(RenderError, match="has pictures of front, not of 'wrist'"):
        rig.scores.work()
