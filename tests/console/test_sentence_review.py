"""Going through a session, a person sees what was understood, corrects it, and what is learned from follows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.console.pages.clips import episode_json, row_json
from robot_rlhf.console.pages.review import judgement, saying
from robot_rlhf.console.readings import MOST_CHOICES, Reading, readings
from robot_rlhf.console.recording import Recording
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.journal.labels import LabelWriter, read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.meaning import READINGS, Meaning
from tests.journal.sessions import make_episode, make_spec, tell
from tests.journal.test_labels import Told
from tests.waits import until

ROOT = Path(__file__).parents[2]
SPEC = make_spec({"front": (24, 32)})
EPISODE = "practice-000001"
LEFT, RIGHT = Meaning("left", 0.02), Meaning("right", 0.02, confidence=0.6)
WRONG = Reading(f"{EPISODE}/0", "nudge", (LEFT,), "grammar", nearest=(RIGHT,))
RULE = Reading(f"{EPISODE}/1", "rule", (Meaning("rule", rule="slower", thing="glass"),), "grammar")


def said(text: str, start: int, reading: Reading | None = None) -> list[Feedback]:
    span = Segment(EPISODE, start, 4)
    events = [Feedback(FeedbackKind.CORRECTION, "Anna", 90.0 + start, span, text=text)]
    if reading is not None:
        payload = reading.to_payload()
        events.append(Feedback(FeedbackKind.MEANING, "Anna", 90.5 + start, span, text=text, payload=payload))
    return events


def record(folder: Path) -> Path:
    with JournalWriter(folder, SPEC) as writer:
        tell(writer, make_episode(SPEC, 1, 12, name=EPISODE))
        tell(writer, make_episode(SPEC, 3, 12, name="practice-000002"))
        tell(writer, replace(make_episode(SPEC, 4, 12, name="practice-000003"), events=()))
        told = [*said("the other way", 3, WRONG), *said("slower near the glass", 5, RULE), *said("hm", 8)]
        for event in told:
            writer.on_event(event)
    return folder


def sentences(recording: Recording) -> list[dict[str, Any]]:
    recording.refresh()
    listed = episode_json(recording, 0)["events"]
    assert not [event for event in listed if event["kind"] == "meaning"]
    return [event for event in listed if event["kind"] == "correction" and event["author"] == "Anna"]


def test_a_sentence_is_listed_once_with_what_it_means(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path))
    wrong, rule, unread = sentences(recording)
    assert (wrong["text"], wrong["start"], wrong["sentence"]["words"]) == ("the other way", 3, "nudging left 2 cm")
    assert (wrong["sentence"]["by"], wrong["sentence"]["undone"], wrong["sentence"]["before"]) == ("grammar", False, [])
    assert [n["words"] for n in wrong["sentence"]["nearest"]] == ["right 2 cm"]
    assert rule["sentence"]["words"] == "rule: slower near glass"
    assert unread["sentence"] is None
    assert "glass" in recording.things


def test_a_correction_and_a_taking_back_are_events_behind_what_was_recorded(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path))
    recording.refresh()
    first = (tmp_path / "000.mcap").read_bytes()
    meant = {"do": "meant", "episode": 0, "sentence": WRONG.sentence, "meaning": RIGHT.to_json()}
    with LabelWriter(tmp_path) as sink:
        sink.give(judgement(recording, meant, "Ben", 5.0))
        sink.give(judgement(recording, {"do": "not_meant", "episode": 0, "sentence": RULE.sentence}, "Ben", 6.0))
    assert (tmp_path / "000.mcap").read_bytes() == first
    wrong, rule, _ = sentences(recording)
    assert (wrong["sentence"]["words"], wrong["sentence"]["by"]) == ("for what was: right 2 cm", "Ben")
    assert wrong["sentence"]["before"] == ["grammar: nudging left 2 cm"]
    assert (rule["sentence"]["undone"], rule["sentence"]["words"]) == (True, "rule: slower near glass")
    labels = read_labels(tmp_path)
    assert list(labels.meanings) == [WRONG.sentence], "what was taken back means nothing"
    assert labels.meanings[WRONG.sentence].payload["meanings"] == [{"reading": "right", "amount": 0.02}]
    again = {"do": "meant", "episode": 0, "sentence": RULE.sentence, "meaning": {"reading": "good"}}
    recording.refresh()
    assert judgement(recording, again, "Ben", 7.0).payload["doing"] == "praise", "and may be given one again"


def test_who_learns_is_told_all_of_it_in_order_at_the_next_start(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path))
    recording.refresh()
    meant = {"do": "meant", "episode": 0, "sentence": WRONG.sentence, "meaning": RIGHT.to_json()}
    with LabelWriter(tmp_path) as sink:
        sink.give(judgement(recording, meant, "Ben", 5.0))
        sink.give(judgement(recording, {"do": "not_meant", "episode": 0, "sentence": RULE.sentence}, "Ben", 6.0))
    heard: list[Feedback] = []

    class Listener(Told):
        def on_event(self, event: Any) -> None:
            if isinstance(event, Feedback) and event.kind is FeedbackKind.MEANING:
                heard.append(event)

    replay_into(tmp_path, Listener())
    assert [(f.payload["sentence"][-1], f.payload["doing"], f.author) for f in heard] == [
        ("0", "nudge", "Anna"),
        ("1", "rule", "Anna"),
        ("0", "label", "Ben"),
        ("1", "undone", "Ben"),
    ]
    assert heard[2].span == heard[0].span
    assert [Reading.of_payload(f.payload) for f in heard][:2] == [WRONG, RULE]


@pytest.mark.parametrize(
    "asked",
    [
        {"do": "meant", "episode": 0},
        {"do": "meant", "episode": 0, "sentence": "nowhere/0", "meaning": {"reading": "left"}},
        {"do": "meant", "episode": 1, "sentence": WRONG.sentence, "meaning": {"reading": "left"}},
        {"do": "meant", "episode": 0, "sentence": "", "meaning": {"reading": "left"}},
        {"do": "meant", "episode": 0, "sentence": [WRONG.sentence], "meaning": {"reading": "left"}},
        {"do": "meant", "episode": 0, "sentence": WRONG.sentence},
        {"do": "meant", "episode": 0, "sentence": WRONG.sentence, "meaning": {"reading": "sideways"}},
        {"do": "meant", "episode": 0, "sentence": WRONG.sentence, "meaning": {"reading": "left", "amount": 99}},
        {"do": "not_meant", "episode": 0, "sentence": "nowhere/0"},
    ],
)
def test_malformed_requests_are_refused(tmp_path: Path, asked: dict[str, Any]) -> None:
    recording = Recording(record(tmp_path))
    recording.refresh()
    with pytest.raises(RobotRlhfError):
        judgement(recording, asked, "Ben", 5.0)


def test_what_may_be_chosen_is_bounded_and_has_each_thing() -> None:
    for things in ((), ("cube",), ("cube", "bowl"), tuple(f"thing_{i}" for i in range(40))):
        offered = readings(things)
        assert len(offered) == len(set(offered)) <= MOST_CHOICES
        assert {m.reading for m in offered} <= set(READINGS) - {"stop", "retry", "undo", "unknown"}
        assert {m.thing for m in offered if m.thing} <= set(things)
    assert Meaning("goal", skill="put_in", thing="cube", place="bowl") in readings(("cube", "bowl"))
    assert all(saying({"do": what}) for what in ("meant", "not_meant"))


# -- in the browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("session") / "journal")


@pytest.fixture(scope="module")
def page(browser: Any, journal: Path) -> Iterator[Any]:
    pytest.importorskip("nicegui", reason="the console needs the extra 'console'")
    command = [sys.executable, "-m", "tests.console.recorded_pages", str(journal)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, "the server did not start"
            opened = browser.new_page(viewport={"width": 1366, "height": 768})
            opened.set_default_timeout(120_000)
            errors: list[str] = []
            opened.on("pageerror", lambda error: errors.append(str(error)))
            opened.goto(f"http://127.0.0.1:{port}/review")
            opened.wait_for_function("window.review_page && window.review_page.state().number !== null")
            opened.locator(".review-row[data-number='0']").click()
            opened.wait_for_selector(".review-meant")
            yield opened
            opened.close()
            assert errors == []
        finally:
            server.terminate()


def test_the_timeline_shows_what_was_understood_and_a_person_corrects_it(page: Any, journal: Path) -> None:
    flags = page.locator(".review-lane[data-lane='events'] .review-flag[data-kind='correction']")
    assert flags.all_inner_texts()[-3:] == [
        "“the other way” → nudging left 2 cm",
        "“slower near the glass” → rule: slower near glass",
        "“hm”",
    ]
    assert page.locator(".review-meant").count() == 2, "what nobody read has no meaning to correct"
    choice = page.locator(".review-meant select").first
    assert choice.locator("option").all_inner_texts()[:3] == ["left 2 cm", "right 2 cm", "left"]
    choice.select_option(label="right 2 cm")
    page.wait_for_selector("text=Its meaning is corrected")
    page.wait_for_selector(".review-event:has-text('for what was: right 2 cm')")
    until(lambda: WRONG.sentence in (found := read_labels(journal).meanings) and found[WRONG.sentence].author != "Anna")
    page.locator(".review-meant button").nth(1).click()
    page.wait_for_selector(".review-flag[data-undone='true']")
    assert page.locator(".review-meant button").nth(1).is_disabled()
    assert RULE.sentence not in read_labels(journal).meanings


def test_episodes_say_how_many_sentences_they_have(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path))
    assert [row["sentences"] for row in map(row_json, recording.rows())] == []
    recording.refresh()
    assert [row["sentences"] for row in map(row_json, recording.rows())] == [4, 1, 0]


def test_only_episodes_with_sentences_are_listed_where_that_is_asked(page: Any) -> None:
    assert page.locator(".review-row").count() == 3
    assert "4 said" in page.locator(".review-row[data-number='0']").inner_text()
    page.locator("[aria-label='Sentences']").select_option(label="With sentences (2)")
    assert page.locator(".review-row").count() == 2
    page.locator("[aria-label='Sentences']").select_option("")
    assert page.locator(".review-row").count() == 3


def test_while_a_recording_is_read_the_page_says_so(page: Any, browser: Any) -> None:
    other = browser.new_page()
    try:
        held: list[Any] = []
        other.route("**/clips/episodes.json*", lambda route: held.append(route))
        other.goto(page.url)
        other.wait_for_selector(".review-empty:has-text('Reading the recording')")
        until(lambda: other.evaluate("1") == 1 and bool(held))
        empty = '{"version": 1, "problem": "", "cameras": [], "period": 0.05, "readings": [], "episodes": []}'
        held[0].fulfill(status=200, content_type="application/json", body=empty)
        other.wait_for_selector(".review-empty:has-text('Nothing is recorded yet')")
    finally:
        other.close()
