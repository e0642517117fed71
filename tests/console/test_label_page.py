"""A person's keys and clicks in a real browser end up in the journal as exactly these events."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from robot_rlhf.datatypes import Feedback, FeedbackKind, Outcome, Segment
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.reader import episodes, read_journal
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell

ROOT = Path(__file__).parents[2]
SPEC = make_spec({"front": (24, 32)})
SERVER = """
import functools, sys
from pathlib import Path
from tests.console import recorded_pages
recorded_pages.Recording = functools.partial(recorded_pages.Recording, values=sys.argv[2])
recorded_pages.main(Path(sys.argv[1]))
"""
EVIL = '<img src=x onerror="window.broken_in=1">'
WITHIN = 120_000.0
"""Milliseconds that anything on a page may take."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session") / "journal"
    with JournalWriter(folder, SPEC) as writer:
        for seed in (1, 3, 4, 6, 7):
            tell(writer, make_episode(SPEC, seed, 12, name=f"practice-{seed:06d}"))
        said = Segment("practice-000007", 3, 4)
        writer.on_event(Feedback(FeedbackKind.CORRECTION, EVIL, 90.0, said, text=EVIL))
    return folder


@pytest.fixture(scope="module")
def values(journal: Path) -> Path:
    """What the critic said of the last episode; one value was not finite."""
    path = journal.with_name("values.jsonl")
    path.write_text(said_of("practice-000007", [round(0.1 * t, 1) if t != 4 else None for t in range(12)]))
    return path


def said_of(episode: str, q: list[float | None]) -> str:
    return json.dumps({"episode": episode, "policy_updates": 3, "q": q, "return": [0.5] * len(q)}) + "\n"


@pytest.fixture(scope="module")
def address(journal: Path, values: Path) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(journal), str(values)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, "the server did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1366, "height": 768})
    opened.set_default_timeout(WITHIN)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.close()
    assert errors == []


def preferences(journal: Path) -> list[Feedback]:
    """The person's, in the order of recording."""
    kept = (r for r in read_journal(journal) if isinstance(r, Feedback) and r.author == "tester")
    return [feedback for feedback in kept if feedback.kind is FeedbackKind.PREFERENCE]


def test_addresses_that_lead_nowhere(address: str) -> None:
    assert fetched(f"{address}/clips/episodes.json") == (200, b'{"')
    assert fetched(f"{address}/clips/0/front/12.jpg") == (200, b"\xff\xd8")
    for path in (
        "0/front/13.jpg",
        "0/front/-1.jpg",
        "0/side/0.jpg",
        "9/front/0.jpg",
        "-1/episode.json",
        "0/front/0-0.clip",
        "0/front/5-9.clip",
        "0/front/0-1001.clip",
        "0/..%2f..%2fjournal/0.jpg",
    ):
        assert fetched(f"{address}/clips/{path}")[0] == 404, path


def fetched(address: str) -> tuple[int, bytes]:
    """Status, and the first two bytes."""
    try:
        with urllib.request.urlopen(address, timeout=120) as answer:
            return answer.status, answer.read(2)
    except urllib.error.HTTPError as error:
        return error.code, b""


def until(page: Any, condition: str) -> None:
    page.wait_for_function(condition, timeout=WITHIN)


def fits(page: Any) -> bool:
    """Nothing to scroll."""
    root = "document.documentElement"
    return page.evaluate(f"{root}.scrollHeight <= innerHeight && {root}.scrollWidth <= innerWidth")


def test_pairs_are_labelled_by_keys(page: Any, address: str, journal: Path) -> None:
    page.goto(f"{address}/label")
    number = 0

    def next_question() -> Any:
        nonlocal number
        until(page, f"window.label_page && ![null, {number}].includes(label_page.state().number)")
        number = page.evaluate("label_page.state().number")
        return page.locator(".label-caption span").all_inner_texts()

    asked: list[Any] = []
    for key in ("ArrowLeft", "2", "ArrowDown", " "):
        asked.append(next_question())
        page.keyboard.press(key)
    before_undo = next_question()
    assert page.locator(".label-count b").inner_text() == "8", "five of before, three of now"
    until(page, "label_page.state().step >= 2")  # both clips play
    pixel = "document.querySelector('.label-canvas').getContext('2d').getImageData(200, 200, 1, 1).data[3]"
    assert page.evaluate(pixel) == 255
    assert fits(page)
    page.keyboard.press("Backspace")
    again = next_question()
    assert again == asked[3]
    assert again != before_undo
    page.locator(".label-left").click()
    assert next_question() == before_undo
    given = preferences(journal)
    assert [f.value for f in given] == [1.0, 0.0, 0.5, None, None, 1.0]
    for feedback, captions in zip(given, [*asked, asked[3], asked[3]], strict=True):
        assert feedback.other is not None
        for segment, caption in ((feedback.span, captions[0]), (feedback.other, captions[1])):
            assert segment.episode_id in caption
            assert f"steps {segment.start} to {segment.start + segment.length}" in caption
    own = {frozenset((f.span, f.other)): f.value for f in given}
    stand = [f for f in read_labels(journal).preferences if f.author == "tester"]
    assert {frozenset((f.span, f.other)): f.value for f in stand} == own


def test_pairs_are_chosen_otherwise(page: Any, address: str) -> None:
    page.goto(f"{address}/label")
    until(page, "window.label_page && label_page.state().number")
    page.select_option("[aria-label='How pairs are chosen']", "k_centre")
    page.select_option("[aria-label='Length of clips']", "100")
    until(page, "!document.querySelector('.label-nothing').hidden")
    assert "No more pairs" in page.locator(".label-nothing").inner_text()
    assert page.locator(".label-left").is_disabled()
    page.evaluate("() => { window.label_page.show = () => { window.asked_again = true; }; }")
    until(page, "window.asked_again")  # by itself: new episodes may have come
    page.reload()
    assert page.evaluate("label_page.state().number !== null || document.querySelector('.label-left').disabled")
    until(page, "window.label_page && label_page.state().number")
    page.select_option("[aria-label='Length of clips']", "10")
    until(page, "label_page.state().number")
    page.select_option("[aria-label='Camera']", "tool path")
    until(page, "label_page.state().view === 'tool path' && label_page.state().step >= 1")


def opened(page: Any, address: str, number: int) -> None:
    page.goto(f"{address}/review")
    until(page, "window.review_page && review_page.state().number === 4")
    if number != 4:
        page.locator(f".review-row[data-number='{number}']").click()
        until(page, f"review_page.state().number === {number}")


def test_an_outcome_is_changed_deleted_and_restored(page: Any, address: str, journal: Path) -> None:
    ends = {e.meta.id: e.end.outcome for e in episodes(journal, as_recorded=True) if e.end}
    name = "practice-000003"
    opposite = "failure" if ends[name] is Outcome.SUCCESS else "success"
    opened(page, address, 1)
    page.keyboard.press(opposite[0])
    until(page, f"review_page.state().outcome === '{opposite}'")
    assert page.locator(".review-row[data-number='1']").get_attribute("data-outcome") == opposite
    assert read_labels(journal).relabelled == {name: Outcome(opposite)}
    page.get_by_role("button", name="Delete").click()
    until(page, "review_page.state().outcome === 'discarded'")
    assert [e.meta.id for e in episodes(journal)] == [other for other in ends if other != name]
    page.get_by_role("button", name="Restore").click()
    until(page, f"review_page.state().outcome === '{opposite}'")
    page.keyboard.press("c")
    until(page, f"review_page.state().outcome === '{ends[name].value}'")
    labels = read_labels(journal)
    assert (labels.deleted, labels.relabelled) == (frozenset(), {})
    assert {e.meta.id: e.end.outcome for e in episodes(journal) if e.end} == ends
    kept = [r for r in read_journal(journal) if isinstance(r, Feedback) and r.span.episode_id == name]
    said = [(f.kind.value, f.value) for f in kept if f.author == "tester" and f.other is None]
    assert said == [(opposite, None), ("discard", 1.0), ("discard", 0.0), ("success", 0.0)]


def test_scrubbing_marking_and_recorded_text(page: Any, address: str, journal: Path) -> None:
    opened(page, address, 4)
    for key, step in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("End", 12), ("ArrowLeft", 11), ("Home", 0)):
        page.keyboard.press(key)
        assert page.evaluate("review_page.state().step") == step
    box = page.locator(".review-time canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 3 / 12, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 5 / 12, box["y"] + 80, steps=4)
    page.mouse.up()
    assert page.evaluate("review_page.state().step") == 5
    # What people said is text, whatever they said; it is shown at its steps.
    assert EVIL in page.locator(".review-said").inner_text()
    assert EVIL in page.locator(".review-events").inner_text()
    assert page.evaluate("window.broken_in") is None
    assert page.locator("#review-root img").count() == 0
    page.keyboard.press("i")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("o")
    page.fill("[aria-label='Name of the span']", "grasp sf<b>")  # s and f typed here label nothing
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.review-flag[data-kind=mark]')")
    (mark,) = read_labels(journal).of("practice-000007").spans
    assert (mark.span, mark.text) == (Segment("practice-000007", 5, 2), "grasp sf<b>")
    assert page.locator(".review-flag[data-kind=mark]").inner_text() == "grasp sf<b>"
    assert read_labels(journal).of("practice-000007").outcome is None
    page.locator(".review-remove").click()
    until(page, "!document.querySelector('.review-flag[data-kind=mark]')")
    assert read_labels(journal).of("practice-000007").spans == []
    assert fits(page)


GREEN = """() => {
  const canvas = document.querySelector('.review-time canvas'), probe = document.createElement('canvas');
  const pixels = (of, width, height) => of.getContext('2d').getImageData(0, 0, width, height).data;
  probe.getContext('2d').fillStyle = window.clips.colour('--good');
  probe.getContext('2d').fillRect(0, 0, 1, 1);
  const [r, g, b] = pixels(probe, 1, 1), all = pixels(canvas, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < all.length; i += 4) count += all[i] === r && all[i + 1] === g && all[i + 2] === b;
  return count;
}"""
"""Pixels of the timeline in the colour of the critic's values."""


def test_values_are_drawn_and_told_at_the_cursor(page: Any, address: str, values: Path) -> None:
    opened(page, address, 4)
    until(page, "review_page.state().values")
    words = page.locator(".review-lane-name")
    followed = "dashed: the return that followed, 0.500"
    assert words.inner_text() == f"Q 0.000 · {followed} · 0.0 to 1.1"
    assert page.evaluate(GREEN) > 200
    page.keyboard.press("Shift+ArrowRight")
    assert words.inner_text().startswith(f"Q 1.000 · {followed}")
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert words.inner_text().startswith(f"Q not finite · {followed}")
    page.keyboard.press("ArrowDown")
    until(page, "review_page.state().number === 3 && !review_page.state().values")
    assert words.is_hidden()
    assert page.evaluate(GREEN) == 0
    with values.open("a") as file:  # the learner has come to it
        file.write(said_of("practice-000006", [0.25] * 12))
    until(page, "review_page.state().values")
    assert words.inner_text().startswith(f"Q 0.250 · {followed}")
    assert fits(page)


def test_playing_and_filters(page: Any, address: str) -> None:
    opened(page, address, 4)
    page.keyboard.press(" ")
    until(page, "review_page.state().step === 12 && !review_page.state().playing")  # 0.6 s of recording
    kinds = page.locator("[aria-label='Kind'] option").all_inner_texts()
    assert "Practice (3)" in kinds
    page.select_option("[aria-label='Kind']", "practice")
    shown = page.locator(".review-row").evaluate_all("rows => rows.map(row => row.dataset.number)")
    assert shown == ["4", "2", "0"]
    page.keyboard.press("ArrowDown")
    until(page, "review_page.state().number === 2")
