"""A learner's process that is started again learns from what is not deleted today, whatever was said in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_rlhf.datatypes import EpisodeKind, Event, Feedback, FeedbackKind, Outcome, Segment
from robot_rlhf.episode import Episode
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.run.build import open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.learner import _Learner
from robot_rlhf.timing import FakeClock
from tests.journal.sessions import make_episode, tell
from tests.runtime.runs import tiny


def discard(name: str, value: float) -> Feedback:
    return Feedback(FeedbackKind.DISCARD, "kim", 90.0, Segment(name, 0, 1), value)


def held(learner: _Learner) -> list[list[float]]:
    """The actions that can be sampled, in the order of recording."""
    assert learner.trainer is not None
    buffer = learner.trainer.buffer
    return buffer.gather(buffer.indices()).action.tolist() if len(buffer) else []


def actions(*told: Episode) -> list[list[float]]:
    return [step.action.values.tolist() for episode in told for step in episode.steps()]


def test_what_was_restored_is_there_again_and_what_was_deleted_is_not(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    run = RunFolder.create(tmp_path, "run")
    spec = open_place(config, FakeClock(), cameras=False).spec

    def episode(name: str, seed: int, outcome: Outcome, kind: str = "practice", continues: str = "") -> Episode:
        made = make_episode(spec, seed, 3, name=name)
        assert made.end is not None
        meta = replace(made.meta, kind=EpisodeKind(kind), continues=continues)
        driver = np.zeros(3, np.int8)
        return replace(made, meta=meta, events=(), driver=driver, end=replace(made.end, outcome=outcome))

    shown = episode("demonstration-0", 1, Outcome.SUCCESS, "demonstration")
    a, more = episode("a", 2, Outcome.PAUSED), episode("a+01", 3, Outcome.SUCCESS, continues="a")
    b, c = episode("b", 4, Outcome.TIME_LIMIT), episode("c", 5, Outcome.FAILURE)

    def take_in(learner: _Learner) -> None:
        while learner._take_in():
            pass

    def started() -> _Learner:
        learner = _Learner(run, config)
        take_in(learner)
        return learner

    def record(writer: JournalWriter, told: Sequence[Episode | Event]) -> None:
        for item in told:
            if isinstance(item, Episode):
                tell(writer, item)
            else:
                writer.on_event(item)

    with JournalWriter(run.journal, spec) as writer:
        record(writer, [shown, a, more, b])
        first = started()
        assert held(first) == actions(shown, a, more, b)
        record(writer, [discard("a", 1.0), discard("b", 1.0), c])
        take_in(first)
        assert held(first) == actions(shown, c)
        record(writer, [discard("a+01", 0.0), discard("demonstration-0", 1.0)])
        take_in(first)
        assert held(first) == actions(c), "what was restored comes back with the next start"
        second = started()
        assert held(second) == actions(a, more, c)
        assert (second.demonstrations, first.demonstrations) == (1, 1), "the robot asks for no other one"
        record(writer, [discard("a", 1.0)])
        take_in(second)
        assert held(second) == actions(c)
    for learner in (first, second):
        learner.metrics.close()
        learner.tail.close()
