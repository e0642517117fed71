"""What a run tells the page of its sentences."""

from __future__ import annotations

from dataclasses import replace

from robot_rlhf.console.wire import Status, decode, encode
from robot_rlhf.language.settings import LanguageConfig
from robot_rlhf.run.live.live_console import UPTAKES, words_of
from robot_rlhf.run.settings import defaults_for

CONFIG = defaults_for("reach")


def test_it_learns_from_words_where_there_is_a_learner_that_is_to() -> None:
    told = words_of(CONFIG, {"practice-000001/0": 0.71234})
    assert (told["learns_words"], told["uptake"]) == (True, {"practice-000001/0": 0.712})
    assert words_of(CONFIG, {})["learns_words"]
    assert not words_of(CONFIG, None)["learns_words"]
    assert told["listens"]
    deaf = words_of(replace(CONFIG, language=LanguageConfig(interpreter="deaf")), None)
    assert (deaf["listens"], deaf["learns_words"], deaf["uptake"]) == (False, False, {})
    assert not words_of(replace(CONFIG, words=replace(CONFIG.words, teaches=False)), {})["learns_words"]


def test_of_many_sentences_the_newest_are_told_and_fit_a_packet() -> None:
    told = words_of(CONFIG, {f"practice-{n:06d}+{n:02d}/{n}": 0.5 for n in range(10_000)})
    assert len(told["uptake"]) == UPTAKES
    assert "practice-009999+9999/9999" in told["uptake"]
    assert decode(encode(Status(told))) == Status(told)
