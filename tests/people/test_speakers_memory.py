"""A speaker whose run goes on knows what was said before: it counts against the budget, and is not said again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    Outcome,
    Segment,
    Step,
)
from robot_rlhf.people.speaker import TEACHING, SimulatedSpeaker
from tests.people.test_speaker import STEADY, Watched, said

SPAN = Segment("practice-000000", 0, 1)


def tell(speaker: SimulatedSpeaker, texts: list[str], outcome: Outcome = Outcome.TIME_LIMIT) -> None:
    """What was recorded of some episodes in which this was said."""
    for number, text in enumerate(texts):
        memory, meta = speaker.memory, EpisodeMeta(f"e{number}", "t", EpisodeKind.PRACTICE, number, "p", "r")
        memory.on_episode_start(meta, Watched(STEADY).place.guard.observe())
        memory.on_event(Feedback(FeedbackKind.CORRECTION, "speaker", 1.0, SPAN, text=text))
        memory.on_episode_end(EpisodeEnd(meta.id, outcome, 3))


@pytest.mark.parametrize(("before", "left"), [(0, 2), (1, 1), (2, 0), (3, 0)])
def test_what_was_said_before_counts_against_the_budget(before: int, left: int) -> None:
    watched = Watched(replace(STEADY, budget=2))
    tell(watched.speaker, ["grasp the cube"] * before)
    assert watched.speaker.sentences == before
    assert watched.speaker.words == 3 * before
    assert len(said(watched.watch(400))) == left


@pytest.mark.parametrize("before", [0, 3])
def test_what_hands_drove_before_counts_against_their_budget(before: int) -> None:
    watched = Watched(STEADY)
    seen = watched.place.guard.observe()
    rest = Action(np.zeros(watched.place.spec.action.size, np.float32))
    step = Step(0, seen, rest, rest, Driver.POLICY, 0.0, False, False, 0, "", seen)
    for driver, spoken in [(Driver.HUMAN, "")] * before + [(Driver.HUMAN, "e/0"), (Driver.POLICY, "")]:
        watched.speaker.memory.on_step(replace(step, driver=driver, spoken=spoken))
    assert watched.speaker.driven == pytest.approx(before * watched.place.spec.control_period)


def test_a_recording_makes_nobody_speak_up() -> None:
    watched = Watched(TEACHING)
    tell(watched.speaker, ["up", "down", "left"])
    assert watched.speaker.sentences == 3
    assert said(watched.watch(3)), "but at once in the next episode: the last one went wrong"


@pytest.mark.parametrize("known", [False, True])
def test_a_caution_is_said_once(known: bool) -> None:
    watched = Watched(TEACHING, task="push")
    caution = watched.speaker._caution
    assert caution is not None
    if known:
        payload = {"sentence": "e/0", "by": "grammar", "doing": "rule", "meanings": [caution.to_json()]}
        event = Feedback(FeedbackKind.MEANING, "speaker", 1.0, SPAN, text="keep away", payload=payload)
        watched.speaker.memory.on_event(event)
    tell(watched.speaker, ["up"], Outcome.FAILURE)
    assert (watched.speaker._meant(watched.place.guard.observe()) == caution) is not known
