"""Rules that were set in what a run begins with: they stand, are listed, and can be switched off."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from robot_rlhf.apps.record import RecordOptions, record
from robot_rlhf.console.pages.sentences import answer, rule_json
from robot_rlhf.console.recording import Recording
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.learner.words_config import WordsConfig
from robot_rlhf.meaning import Meaning
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.inline import InlineLink
from robot_rlhf.run.practice.robot import RobotPractice
from robot_rlhf.run.ring import open_ring
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.run.train import new_folder
from tests.runtime.runs import tiny

AWAY = Meaning("rule", rule="keep_away", thing="target")


def told(sentence: str, doing: str, *meanings: Meaning) -> Feedback:
    payload = {"sentence": sentence, "by": "grammar", "doing": doing, "meanings": [each.to_json() for each in meanings]}
    span = Segment("demonstration-000000", 0, 4)
    return Feedback(FeedbackKind.MEANING, "Ada", 1.0, span, text="keep away from the target", payload=payload)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """A run that begins with a recording in which three rules were set, and two of them taken back."""
    prior = tmp_path / "prior"
    record(RecordOptions(prior, task="reach", demonstrations=1, seed=7))
    with LabelWriter(prior) as writer:
        for number in range(3):
            writer.give(told(f"demonstration-000000/{number}", "rule", AWAY))
        writer.give(told("demonstration-000000/0", "undone"))
    with LabelWriter(prior) as review:
        review.give(told("demonstration-000000/2", "undone"))
    return tiny(tmp_path, prior=(prior,), demonstrations=0, steps=0, words=WordsConfig(rule_weight=1.0))


def begun(config: TrainConfig, *, resumed: bool, off: bool = False) -> tuple[list[str], bool]:
    """Sentences whose rules stand, and whether any is taught. Args: off: switch off what stands."""
    folder = RunFolder(config.out / "run") if resumed else new_folder(config)
    practice = open_ring(folder, config, resumed=resumed, quiet=True).practice
    assert isinstance(practice, RobotPractice)
    with ExitStack() as stack:
        practice.open(stack)
        standing, link = practice.actor.listening.standing, practice.link
        assert isinstance(link, InlineLink)
        if off:
            for event in said_of(folder):
                practice.session.station.audience.on_event(event)
        assert practice.tally.sentences == 0, "nobody has said anything here"
        words = next(each for each in link._trainer.tutors if type(each).__name__ == "Words")
        return [one.sentence for one in standing.rules.standing], bool(words.rules)  # type: ignore[attr-defined]  it has


def said_of(folder: RunFolder) -> list[Feedback]:
    """Clicks on every rule that the page lists."""
    recording = Recording(folder.journal)
    recording.refresh()
    rules = recording._sentences.rules
    assert [rule_json(each, {})["words"] for each in rules] == ["keep away from target (from the prior)"]
    return [answer(each, {"do": "undo"}, "Bob", 2.0) for each in rules]


def test_rules_of_a_prior_stand_are_listed_and_can_be_switched_off(config: TrainConfig) -> None:
    name = "prior 0:demonstration-000000/1"
    assert begun(config, resumed=False) == ([name], True)
    assert begun(config, resumed=True) == ([name], True)
    assert begun(config, resumed=True, off=True) == ([], False)
    assert begun(config, resumed=True) == ([], False), "nor are they set again"
