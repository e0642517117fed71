"""`robot-rlhf label` as it is used: who answers, what the journal keeps, and what ends it."""

from __future__ import annotations

import builtins
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.label_report import agreement, contradictions
from robot_rlhf.apps.terminal import EndedByPersonError, TerminalPerson, strip
from robot_rlhf.conformance import LabelerConformance
from robot_rlhf.datatypes import Feedback, Segment
from robot_rlhf.feedback.comparisons import preference
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.ports import Labeler
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig
from robot_rlhf.run.recordings import Recording, build_seen
from robot_rlhf.run.reward_features import features_facts, inputs_of
from robot_rlhf.runtime.clips import read_clips
from tests.journal.sessions import make_episode, make_spec, tell
from tests.models.chat_server import Json, Play, said, serving
from tests.rewards.recorded_clips import EpisodeClips, episode

SPEC = make_spec({"front": (16, 20)})
EPISODES = 6
PAIRS = EPISODES * (EPISODES - 1) // 2


def write(folder: Path, *, cameras: bool = True) -> Path:
    """Episodes of one clip of 10 steps each, with arbitrary gold rewards."""
    spec = SPEC if cameras else make_spec()
    with JournalWriter(folder, spec) as writer:
        for seed in range(EPISODES):
            tell(writer, replace(make_episode(spec, seed, 10 + seed), instructions=("lift",) * (10 + seed), events=()))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sessions") / "session")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no line is wrapped."""
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture
def session(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "session"))


def labels_of(session: Path) -> list[Feedback]:
    return list(read_clips(session).comparisons)


def keys(labels: list[Feedback]) -> list[frozenset[Segment | None]]:
    return [frozenset((f.span, f.other)) for f in labels]


def label(session: Path, *argv: str) -> int:
    return main(["label", str(session), *argv])


def test_an_oracle_labels_every_pair_once(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(session, "--labeler", "oracle", "--count", "9") == 0
    told = capsys.readouterr().out
    assert "9 of 9 pairs" in told
    assert "9 of 9 (100%" in told
    assert "gold used for audit only, and by the oracle, as asked for" in " ".join(told.replace("│", " ").split())
    assert label(session, "--labeler", "oracle", "--oracle.mistakes", "1", "--count", "20") == 0
    told = capsys.readouterr().out
    assert "6 of 20 pairs" in told
    assert "0 of 6 (0%" in told
    assert "there are no more pairs" in told
    labels = labels_of(session)
    assert len(set(keys(labels))) == len(labels) == PAIRS
    assert [f.author for f in labels] == ["oracle"] * 9 + ["oracle mistakes=1"] * 6
    assert len(read_labels(session).preferences) == PAIRS


def test_a_seed_reproduces(made: Path, tmp_path: Path) -> None:
    told: list[list[tuple[object, ...]]] = []
    for name in "ab":
        copy = Path(shutil.copytree(made, tmp_path / name))
        assert label(copy, "--labeler", "oracle", "--oracle.beta", "0.5", "--count", "8", "--seed", "3") == 0
        told.append([(f.span, f.other, f.value) for f in labels_of(copy)])
    assert told[0] == told[1]


def test_a_budget_is_for_the_journals_life(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for expected in (4, 4):
        assert label(session, "--labeler", "rules", "--factors", "path@0", "--budget", "4") == 0
        assert "the budget of 4 labels by rules path@0 is used up" in capsys.readouterr().out
        assert len(labels_of(session)) == expected
    assert label(session, "--labeler", "oracle", "--budget", "4", "--count", "3") == 0
    assert "used up" not in capsys.readouterr().out
    assert len(labels_of(session)) == 7


@pytest.mark.parametrize("strategy", ["disagreement", "entropy"])
def test_an_ensemble_chooses(session: Path, tmp_path: Path, strategy: str, capsys: pytest.CaptureFixture[str]) -> None:
    recording = Recording.open(session)
    features = build_seen(recording, recording.config)
    model = LearnedReward(
        inputs_of(features, recording.spec, state=True, action=True), RewardConfig(members=3, hidden=(16,)), seed=0
    )
    model.facts = features_facts(recording.config, recording.spec)
    path = tmp_path / "reward.safetensors"
    argv = ["--labeler", "rules", "--strategy", strategy, "--count", "5", "--reward", str(path)]
    model.save(path)
    assert label(session, *argv) == 2
    assert "preference head has not been trained" in capsys.readouterr().err
    model.trained = ("preference",)
    model.save(path)
    assert label(session, *argv) == 0
    assert label(session, *argv) == 0
    labels = labels_of(session)
    assert len(set(keys(labels))) == len(labels) == 10


def test_k_centre_looks_at_the_path(session: Path) -> None:
    assert label(session, "--labeler", "rules", "--strategy", "k_centre", "--count", "6") == 0
    assert len(set(keys(labels_of(session)))) == 6


# -- a person --------------------------------------------------------------------------------------------------------


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> list[str]:
    """What a person types; returns the prompts that they see."""
    waiting, prompts = list(lines), []

    def read(prompt: str = "") -> str:
        prompts.append(prompt)
        line = waiting.pop(0)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr(builtins, "input", read)
    return prompts


def test_a_person_types(session: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = typed(monkeypatch, "l", "", "what", "?", " RIGHT ", "e", "s", "q")
    assert label(session, "--author", "eva") == 0
    assert [f.value for f in labels_of(session)] == [1.0, 0.0, 0.5, None]
    assert {f.author for f in labels_of(session)} == {"eva"}
    assert str(session / "pair.png") in prompts[0]
    assert "the upper is better" in prompts[4]
    assert "1 left, 1 equal, 1 right, 1 skip" in capsys.readouterr().out
    assert not (session / "pair.png").exists()


@pytest.mark.parametrize(("how", "code"), [(KeyboardInterrupt, 130), (EOFError, 0)])
def test_what_was_answered_is_kept(
    session: Path, monkeypatch: pytest.MonkeyPatch, how: type[BaseException], code: int
) -> None:
    typed(monkeypatch, "l", "r", how)
    assert label(session) == code
    assert [f.value for f in labels_of(session)] == [1.0, 0.0]
    typed(monkeypatch, "s", how)
    assert label(session) == code
    labels = labels_of(session)
    assert len(set(keys(labels))) == 3, "a skipped pair and an answered one are not asked again"


def test_the_pictures_of_a_pair(tmp_path: Path) -> None:
    clips = EpisodeClips(episode("a", seed=1), episode("b", seed=2))
    seen: list[np.ndarray] = []
    picture = tmp_path / "pair.png"

    def read(prompt: str) -> str:
        shown = cv2.imread(str(picture))
        assert shown is not None
        seen.append(shown[:, :, ::-1])
        return "e"

    a, b = Segment("a", 0, 10), Segment("b", 2, 5)
    windows: list[np.ndarray] = []
    assert TerminalPerson(clips, picture, read=read, window=windows.append).compare(a, b) == "equal"
    np.testing.assert_array_equal(seen[0], windows[0])
    frames = clips.frames(a, "front")[[0, 2, 4, 6, 8, 10]]
    upper = strip(frames, "")
    np.testing.assert_array_equal(seen[0][20 : len(upper)], upper[20:])
    assert upper.shape == (20 + 128 + 6, 6 * (160 + 6) - 6, 3)
    np.testing.assert_array_equal(upper[20 + 5, 166 : 166 + 160 : 16], frames[1][0])


def test_a_person_judges(tmp_path: Path) -> None:
    answers = iter(["l", "y", "no", "s", "q"])
    person = TerminalPerson(EpisodeClips(episode("a")), tmp_path / "p.png", read=lambda _: next(answers))
    assert [person.judge(Segment("a", 0, 3)) for _ in range(3)] == [1.0, 0.0, None]
    with pytest.raises(EndedByPersonError):
        person.judge(Segment("a", 0, 3))


class TestTerminalPerson(LabelerConformance):
    even_handed = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        answers = iter(["l", "r", "e", "s", "y", "n"] * 20)
        clips = EpisodeClips(episode("a", seed=1), episode("b", seed=2))
        person = TerminalPerson(clips, self.folder / "pair.png", read=lambda _: next(answers))
        return person, [Segment("a", 0, 4), Segment("a", 4, 4), Segment("b", 1, 4)]


# -- a model ---------------------------------------------------------------------------------------------------------


def opinion(number: int, asked: Json) -> Play:
    """Sees nothing, and answers in turn."""
    looks = any(part["type"] == "image_url" for part in asked["messages"][0]["content"])
    return said(f"seen {number}" if looks else ["LEFT", "RIGHT", "EQUAL", "UNSURE", "who knows"][number // 2 % 5])


def test_a_model_labels_and_its_transcript_labels_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    first, again = (Path(shutil.copytree(made, tmp_path / name)) for name in ("first", "again"))
    argv = ["--labeler", "vlm", "--count", "5"]
    with serving(script=opinion) as server:
        assert label(first, *argv, "--vlm.url", server.url, "--vlm.model", "small") == 0
    assert "10 requests" in capsys.readouterr().out
    assert [f.value for f in labels_of(first)] == [1.0, 0.0, 0.5, None, None]
    assert {f.author for f in labels_of(first)} == {"vlm small"}
    transcript = first / "vlm_transcript.jsonl"
    assert len(transcript.read_text().splitlines()) == 10
    assert "sk-secret" not in transcript.read_text()
    assert label(again, *argv, "--replay", str(transcript)) == 0
    assert [(f.span, f.other, f.value, f.author) for f in labels_of(again)] == [
        (f.span, f.other, f.value, f.author) for f in labels_of(first)
    ]
    assert not (again / "vlm_transcript.jsonl").exists()


def test_an_endpoint_that_dies_ends_it_and_nothing_is_lost(
    session: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def dies(number: int, asked: Json) -> Play:
        return opinion(number, asked) if number < 5 else Play(b"gone", 502)

    argv = ["--labeler", "vlm", "--vlm.model", "m", "--vlm.tries", "2", "--vlm.backoff", "0.01", "--count", "9"]
    with serving(script=dies) as server:
        assert label(session, *argv, "--vlm.url", server.url) == 2
    told = capsys.readouterr()
    assert "HTTP 502: 'gone'; given up after 2 tries" in told.err
    assert "2 of 9 pairs" in told.out
    assert [f.value for f in labels_of(session)] == [1.0, 0.0]
    rows = [json.loads(line) for line in (session / "vlm_transcript.jsonl").read_text().splitlines()]
    assert [row["answer"] for row in rows] == ["seen 0", "LEFT", "seen 2", "RIGHT", "seen 4"]
    with serving(script=opinion) as server:
        limits = ["--vlm.max-requests", "3"]
        assert label(session, *argv, "--vlm.url", server.url, *limits) == 2
    assert "cost limit of 3 requests" in capsys.readouterr().err
    assert len(set(keys(labels_of(session)))) == 3


# -- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--count", "0"], "--count: got 0, allowed >= 1"),
        (["--length", "0"], "--length: got 0"),
        (["--length", "90"], "0 clips of 90 steps are no pair; 6 episodes are there, the longest of 15 steps"),
        (["--strategy", "entropy"], "--strategy entropy: needs the ensemble of --reward FILE"),
        (["--reward", "x"], "--reward: not used with --strategy uniform"),
        (["--labeler", "rules", "--factors", "forse"], "unknown factor 'forse'. Did you mean 'force'?"),
        (["--labeler", "rules", "--factors", "lift:cub"], "unknown thing of the scene 'cub'. Did you mean 'cube'?"),
        (["--labeler", "oracle", "--oracle.mistakes", "2"], "mistakes: got 2.0"),
        (["--labeler", "vlm"], "model: got none"),
        (["--labeler", "vlm", "--replay", "nowhere"], "nowhere: no transcript that can be read"),
        (["--camera", "wrist"], "unknown camera 'wrist'. Known: front"),
        (["--labler", "oracle"], "label has no option --labler; did you mean --labeler?"),
    ],
)
def test_a_mistake_is_one_line(made: Path, argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(made.iterdir())
    assert label(made, *argv) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert sorted(made.iterdir()) == before


def test_pictures_and_gold_are_missed_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = write(tmp_path / "blind", cameras=False)
    for labeler in ("terminal", "vlm"):
        assert label(blind, "--labeler", labeler) == 2
        assert "has no pictures; record with --cameras front" in capsys.readouterr().err
    real = tmp_path / "real"
    with JournalWriter(real, SPEC) as writer:
        for seed in range(2):
            made = make_episode(SPEC, seed, 10)
            tell(writer, replace(made, gold_reward=np.zeros(10, np.float32), events=()))
    assert label(real, "--labeler", "oracle") == 2
    assert "records no true reward; the oracle is for simulated sessions" in capsys.readouterr().err
    assert label(real, "--labeler", "rules") == 0
    assert "agree with gold" not in capsys.readouterr().out
    assert label(real / "000.mcap", "--labeler", "rules") == 2
    assert "allowed: the journal's folder" in capsys.readouterr().err


def test_a_session_that_is_being_written_is_left_alone(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with JournalWriter(session, SPEC):
        assert label(session, "--labeler", "rules") == 2
    assert "a session is writing this journal, or a page of review or label; end that first" in capsys.readouterr().err
    assert not labels_of(session)


# -- what is said of it ----------------------------------------------------------------------------------------------


def given(left: str, right: str, answer: str, author: str = "me") -> Feedback:
    return preference((Segment(left, 0, 2), Segment(right, 1, 2)), answer, author, 0.0)


def test_agreement_by_hand() -> None:
    gold = {"a": np.array([1, 2, 3], np.float32), "b": np.array([9, 1, 1], np.float32)}
    # a [0:2] is worth 3, b [1:3] is worth 2.
    answers = ("left", "right", "equal", "skip")
    assert agreement([given("a", "b", answer) for answer in answers], gold) == (1, 2)
    assert agreement([given("a", "z", "left")], gold) == (0, 0)
    even = {"a": np.array([1, 1, 0], np.float32), "b": np.array([0, 1, 1], np.float32)}
    assert agreement([given("a", "b", "left")], even) == (0, 0)


def test_contradictions_are_named() -> None:
    assert not list(contradictions([given("a", "b", "left"), given("a", "b", "left")]))
    (line,) = contradictions([given("a", "b", "left", "eva"), given("a", "b", "right", "oracle")])
    assert line == ("1 pair(s) were labelled both ways; the later label counts: a [0:2] and b [1:3] (eva, then oracle)")
    one, two, three = (Segment(name, 0, 2) for name in "abc")
    round_trip = [preference(pair, "left", "me", 0.0) for pair in ((one, two), (two, three), (three, one))]
    (line,) = contradictions(round_trip)
    assert line == ("1 round(s) of preferences that no reward can explain: a [0:2] > b [0:2] > c [0:2] > a [0:2]")


def test_contradictions_are_shown(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(session, "--labeler", "rules", "--factors", "path@0", "--count", "1") == 0
    (before,) = labels_of(session)
    assert before.other is not None
    with JournalWriter(session, SPEC) as writer:
        writer.on_event(preference((before.span, before.other), "right" if before.value else "left", "eva", 1.0))
    assert label(session, "--labeler", "rules", "--count", "1") == 0
    assert "labelled both ways; the later label counts" in capsys.readouterr().out
