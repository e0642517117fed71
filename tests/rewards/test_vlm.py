"""The model as a labeler: what it is shown and asked, how its words are read, and what its nonsense does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.conformance import LabelerConformance
from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, LabelerError, RenderError, UnknownNameError
from robot_rlhf.models.chat import Part, ReplayedChat, Reply, Transcript
from robot_rlhf.models.endpoint import ChatEndpoint, EndpointConfig, RefusedError
from robot_rlhf.ports import Labeler
from robot_rlhf.rewards.labelers.vlm import VlmLabeler, last_word, moments_of, order_frames
from robot_rlhf.timing import FakeClock
from tests.models.chat_server import Json, Play, said, serving
from tests.rewards.recorded_clips import EpisodeClips, episode

A, B = Segment("a", 2, 3), Segment("b", 0, 4)
CLIPS = EpisodeClips(episode("a", seed=1), episode("b", seed=2), episode("c", seed=3))


class Answers:
    """A chat that answers from a list, or by a function of the question; keeps the questions."""

    model = "fake"

    def __init__(self, *answers: str | Exception | Callable[[Sequence[Part]], str]) -> None:
        self._answers = list(answers)
        self.asked: list[list[Part]] = []

    def ask(self, parts: Sequence[Part]) -> Reply:
        self.asked.append(list(parts))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer if isinstance(answer, str) else answer(parts))


def words(question: list[Part]) -> str:
    return " ".join(part for part in question if isinstance(part, str))


def pictures(question: list[Part]) -> list[np.ndarray]:
    return [part for part in question if not isinstance(part, str)]


def test_looks_first_and_answers_by_its_own_words() -> None:
    chat = Answers("In LEFT the cube lies; in RIGHT it is held.", "RIGHT holds it.\nRIGHT")
    assert VlmLabeler(chat, CLIPS).compare(A, B) == "right"
    look, decide = chat.asked
    assert "lift the cube" in words(look)
    shown = pictures(look)
    np.testing.assert_array_equal(shown[0], CLIPS.frames(A, "front")[-1])
    np.testing.assert_array_equal(shown[1], CLIPS.frames(B, "front")[-1])
    assert len(shown) == 2
    places = [i for i, part in enumerate(look) if not isinstance(part, str)]
    assert [look[i - 1] for i in places] == ["LEFT:", "RIGHT:"]
    assert not pictures(decide), "the second question is about words alone"
    assert "In LEFT the cube lies; in RIGHT it is held." in words(decide)
    assert "lift the cube" in words(decide)


def test_several_moments_and_another_goal() -> None:
    chat = Answers("...", "LEFT")
    assert VlmLabeler(chat, CLIPS, moments=3, goal="push {it} away").compare(A, B) == "left"
    shown = pictures(chat.asked[0])
    assert len(shown) == 6
    np.testing.assert_array_equal(shown[:3], CLIPS.frames(A, "front")[[0, 2, 3]])
    np.testing.assert_array_equal(shown[3:], CLIPS.frames(B, "front")[[0, 2, 4]])
    assert "push {it} away" in words(chat.asked[0])
    assert "push {it} away" in words(chat.asked[1])
    assert moments_of(5, 1).tolist() == [4]
    assert moments_of(2, 4).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("LEFT", "left"),
        ("because ...\n\nright", "right"),
        ("**Equal.**", "equal"),
        ("Answer: LEFT", "left"),
        ("Final answer: 'RIGHT'\n", "right"),
        ("UNSURE", "skip"),
        ("LEFT is better than RIGHT", "skip"),
        ("LEFT\nI hope this helps!", "skip"),
        ("LEFT or RIGHT", "skip"),
        ("links", "skip"),
        ("0", "skip"),
        ("\n\n  \n", "skip"),
    ],
)
def test_only_the_last_line_counts(answer: str, read: str) -> None:
    labeler = VlmLabeler(Answers("seen", answer), CLIPS)
    assert labeler.compare(A, B) == read
    assert labeler.unclear == (read == "skip" and answer != "UNSURE")


def test_an_empty_report_is_not_asked_about() -> None:
    chat = Answers(" \n")
    assert VlmLabeler(chat, CLIPS).compare(A, B) == "skip"
    assert len(chat.asked) == 1


def test_the_same_pictures_are_not_paid_for() -> None:
    chat = Answers("LEFT")
    alike = EpisodeClips(episode("a", seed=1), episode("b", seed=1))
    labeler = VlmLabeler(chat, alike)
    assert labeler.compare(Segment("a", 0, 4), Segment("b", 0, 4)) == "skip"
    assert labeler.compare(Segment("a", 0, 4), Segment("b", 2, 2)) == "skip"
    assert not chat.asked


def test_two_tasks_are_not_compared() -> None:
    chat = Answers("LEFT")
    other = replace(episode("b", seed=2), instructions=("push the cube",) * 10)
    clips = EpisodeClips(episode("a", seed=1), other)
    assert VlmLabeler(chat, clips).compare(A, B) == "skip"
    assert not chat.asked
    assert VlmLabeler(Answers("seen", "LEFT"), clips, goal="touch the cube").compare(A, B) == "left"


def test_judges() -> None:
    chat = Answers("It is held.\nYES", "NO", "UNSURE", "perhaps")
    labeler = VlmLabeler(chat, CLIPS, moments=2)
    assert [labeler.judge(A) for _ in range(4)] == [1.0, 0.0, None, None]
    assert labeler.unclear == 1
    np.testing.assert_array_equal(pictures(chat.asked[0]), CLIPS.frames(A, "front")[[0, 3]])


def test_a_refused_pair_is_skipped_and_a_refusing_endpoint_ends_it() -> None:
    no = RefusedError("picture too small")
    labeler = VlmLabeler(Answers(no, no, "seen", "LEFT", no, no, no, "LEFT"), CLIPS)
    assert [labeler.compare(A, B) for _ in range(5)] == ["skip", "skip", "left", "skip", "skip"]
    with pytest.raises(RefusedError):
        labeler.compare(A, B)
    with pytest.raises(LabelerError, match="gone"):
        VlmLabeler(Answers(LabelerError("gone")), CLIPS).compare(A, B)


def test_pictures_are_needed() -> None:
    blind = replace(episode("a"), observations={"stamp": np.arange(11.0)})
    labeler = VlmLabeler(Answers("LEFT"), EpisodeClips(blind), goal="lift")
    with pytest.raises(RenderError, match="episode a has no pictures; record with --cameras front"):
        labeler.compare(Segment("a", 0, 3), Segment("a", 4, 3))
    with pytest.raises(UnknownNameError, match=r"camera 'frnt'\. Did you mean 'front'"):
        VlmLabeler(Answers("LEFT"), CLIPS, camera="frnt").judge(A)
    with pytest.raises(ConfigError, match="moments: got 0"):
        VlmLabeler(Answers("LEFT"), CLIPS, moments=0)


def test_over_http_recorded_and_replayed(tmp_path: Path) -> None:
    """A model with a taste in pictures of its own, that is busy now and then."""

    def picky(number: int, asked: Json) -> Play:
        if number % 5 == 3:
            return Play(b"busy", 503)
        content = asked["messages"][0]["content"]
        urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
        if not urls:
            report = content[0]["text"]
            return said(f"So be it.\n{'LEFT' if 'left has more' in report else 'RIGHT'}")
        return said("left has more" if urls[0] > urls[1] else "right has more")

    transcript = tmp_path / "transcript.jsonl"
    pairs = [(A, B), (B, A), (Segment("c", 0, 3), A), (B, Segment("c", 1, 2))]
    with serving(script=picky) as server:
        chat = Transcript(ChatEndpoint(EndpointConfig(url=server.url, model="m"), FakeClock()), transcript)
        answers = [VlmLabeler(chat, CLIPS).compare(*pair) for pair in pairs]
    assert {answers[0], answers[1]} == {"left", "right"}
    replayed = VlmLabeler(ReplayedChat(transcript), CLIPS)
    assert [replayed.compare(*pair) for pair in pairs] == answers
    assert replayed.author == "vlm m"
    with pytest.raises(LabelerError, match="not in the transcript"):
        replayed.compare(Segment("c", 3, 3), Segment("a", 5, 2))


def test_words_of_an_answer() -> None:
    assert last_word("LEFT", ["left"]) == "left"
    assert last_word("", ["left"]) is None


class TestVlmLabeler(LabelerConformance):
    even_handed = False

    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        cycle = ["LEFT", "hm", "EQUAL", "YES", "RIGHT", "UNSURE", "", "NO"] * 20
        return VlmLabeler(Answers(*cycle), CLIPS), [A, B, Segment("c", 1, 4)]


# -- progress by ordering ---------------------------------------------------------------------------------------------

FRAMES = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 4 * 4 * 3).reshape(25, 4, 4, 3)
"""Frames that get brighter."""


def value_order(progress: np.ndarray) -> float:
    """Spearman's correlation with time of what is known, without ties."""
    ranks = np.argsort(np.argsort(progress))
    return float(np.corrcoef(ranks, np.arange(len(progress)))[0, 1])


def looks(parts: Sequence[Part]) -> str:
    """Says how bright each frame is."""
    shown = [part for part in parts if not isinstance(part, str)][1:]
    return "\n".join(f"Frame {i}: {picture.mean() / 2.5:.1f} %" for i, picture in enumerate(shown, 1))


def counts_up(parts: Sequence[Part]) -> str:
    """Looks at nothing."""
    count = sum(not isinstance(part, str) for part in parts) - 1
    return "\n".join(f"Frame {i}: {100 * i / count:.1f} %" for i in range(1, count + 1))


def test_who_looks_orders_the_frames() -> None:
    progress = order_frames(Answers(looks), FRAMES, "shine", np.random.default_rng(0))
    np.testing.assert_allclose(progress, np.arange(25) * 4, atol=0.05)
    assert value_order(progress) == pytest.approx(1)


def test_who_counts_up_scores_nothing() -> None:
    rng = np.random.default_rng(0)
    scores = [value_order(order_frames(Answers(counts_up), FRAMES, "shine", rng)[1:]) for _ in range(200)]
    assert abs(np.mean(scores)) < 0.05


def test_the_frames_are_shuffled_and_the_first_is_given() -> None:
    chat = Answers(looks)
    order_frames(chat, FRAMES, "to shine", np.random.default_rng(0))
    shown = [int(picture.mean()) // 10 for picture in pictures(chat.asked[0])]
    assert shown[0] == 0
    assert sorted(shown) == list(range(25))
    assert shown != list(range(25))
    assert "to shine" in words(chat.asked[0])
    assert re.search("frames 1 to 24", words(chat.asked[0]))


def test_what_a_model_leaves_out() -> None:
    def half(parts: Sequence[Part]) -> str:
        return "Sure!\n" + "\n".join(looks(parts).splitlines()[:14]) + "\nFrame 99: 5 %\nFrame 20: 900 %"

    progress = order_frames(Answers(half), FRAMES, "shine", np.random.default_rng(0))
    assert np.isfinite(progress).sum() == 1 + 15
    assert np.nanmax(progress) == 100
    with pytest.raises(LabelerError, match="gave a percentage to 0 of 24 frames"):
        order_frames(Answers("I cannot help with that."), FRAMES, "shine", np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="at least 2"):
        order_frames(Answers(looks), FRAMES[:1], "shine", np.random.default_rng(0))
