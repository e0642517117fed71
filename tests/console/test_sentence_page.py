"""What is said, in a real browser: heard, done, learned; asked back, taken back; rules; and who may answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from robot_rlhf.datatypes import Feedback, FeedbackKind
from robot_rlhf.journal.reader import read_journal
from tests.console.fake_session import FakeSession
from tests.console.test_screens import COVERED, OUT_OF_REACH, STOPS
from tests.waits import until

EVIL = "<img src=x onerror='window.evil=1'> that"


@pytest.fixture(scope="module")
def session(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSession]:
    with FakeSession(tmp_path_factory.mktemp("session") / "journal", size=64, time_limit=4000) as session:
        yield session


def come_in(browser: Any, session: FakeSession) -> Any:
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    page.set_default_timeout(120_000)
    page.goto(session.open_address, timeout=120_000)
    page.wait_for_selector("#drive:not([data-look=lost])")
    return page


@pytest.fixture(scope="module")
def operator(browser: Any, session: FakeSession) -> Any:
    page = come_in(browser, session)
    page.wait_for_selector("#drive[data-seat='1']")
    page.wait_for_function("window.console_rlhf.ready")
    until(lambda: bool(session.situation(0.0).episode))
    return page


def say(page: Any, text: str) -> Any:
    """Type a sentence; returns its line on the page once it has been read."""
    before = page.evaluate("console_drive_state.sentences.map((s) => s.name)")
    send(page, text)
    read = "([t, before]) => console_drive_state.sentences.find((s) => s.text === t && !before.includes(s.name))?.name"
    name = page.wait_for_function(read, arg=[text.strip(), before]).json_value()
    line = page.locator(f".d-sentence[data-name='{name}']")
    line.locator(".d-does").wait_for()
    assert text[:100] in line.inner_text()
    return line


def send(page: Any, text: str) -> None:
    page.fill("#d-text", text)
    page.press("#d-text", "Enter")


def wait_state(line: Any, state: str) -> None:
    until(lambda: line.get_attribute("data-state") == state)


def meanings(session: FakeSession) -> list[Feedback]:
    told = (r for r in read_journal(session.journal.folder) if isinstance(r, Feedback))
    return [f for f in told if f.kind is FeedbackKind.MEANING]


def test_at_first_it_offers_what_fits_the_task(operator: Any) -> None:
    operator.wait_for_selector("#d-chips .d-chip")
    assert operator.locator("#d-chips .d-chip").all_inner_texts() == ["above the cube", "a bit to the left"]
    assert "does what it understands" in operator.inner_text("#d-note")
    assert operator.inner_text("#d-said") == "Nothing said yet."
    operator.click("#d-chips .d-chip >> text=above the cube")
    line = operator.locator(".d-sentence:not([data-state=sent])", has_text="above the cube")
    line.locator(".d-does").wait_for()
    assert "above the cube" in line.locator(".d-does").inner_text()


def test_heard_then_done_then_learned(operator: Any, session: FakeSession) -> None:
    line = say(operator, "a bit to the left")
    assert "nudging left 2 cm" in line.inner_text()
    assert line.locator(".d-learned").count() == 0, "nobody learns words"
    name = meanings(session)[-1].payload["sentence"]
    session.uptake = {}
    line.locator(".d-learned", has_text="learning…").wait_for()
    session.uptake = {name: 0.71}
    line.locator(".d-learned", has_text="learned 71 %").wait_for()
    operator.reload()  # nothing of it is kept by the page alone
    operator.wait_for_selector("#drive[data-seat='1']")
    operator.wait_for_function("window.console_rlhf.ready")
    line.locator(".d-learned", has_text="learned 71 %").wait_for()
    session.uptake = None


def test_the_banner_says_when_words_drive(operator: Any) -> None:
    there = operator.evaluate("console_drive_state.count")
    send(operator, "a bit to the left")
    operator.wait_for_function("document.getElementById('d-words').textContent === 'YOUR WORDS DRIVE'")
    operator.wait_for_function("document.getElementById('d-sub').textContent.startsWith('“a bit to the left”')")
    assert operator.get_attribute("#drive", "data-look") == "you"
    operator.evaluate("window.dispatchEvent(new Event('blur'))")  # nobody's hands are on: it is not paused for that
    operator.wait_for_selector("#drive[data-look=policy]")
    assert operator.evaluate("console_drive_state.count") == there + 1


def test_not_understood_it_asks_and_a_click_answers(operator: Any, session: FakeSession) -> None:
    line = say(operator, EVIL)
    wait_state(line, "ask")
    assert "Not understood: no word of it says where to" in line.inner_text()
    assert line.locator(".d-choices .d-chip").all_inner_texts() == ["left 2 cm", "up", "close", "it was nothing"]
    assert operator.evaluate("window.evil === undefined && !document.querySelector('#drive img')")
    line.locator(".d-chip", has_text="up").click()
    wait_state(line, "nudge")
    assert "nudging up" in line.inner_text()
    chosen, settled = meanings(session)[-2:]
    assert (chosen.payload["doing"], chosen.payload["meanings"]) == ("ask", [{"reading": "up"}])
    assert (chosen.text, chosen.span, chosen.payload["by"]) == (EVIL, settled.span, chosen.author)
    assert any(human and chosen in human.feedback for _, human in session.inputs), "it arrived as the person's input"


def test_a_long_sentence_leaves_room_for_others(operator: Any) -> None:
    line = say(operator, "very " * 300)
    assert line.bounding_box()["height"] < 150
    assert len(line.get_attribute("title")) > 1400
    line.locator(".d-nothing").click()
    wait_state(line, "undone")


def test_it_was_nothing(operator: Any, session: FakeSession) -> None:
    line = say(operator, "hm hm")
    line.locator(".d-chip", has_text="it was nothing").click()
    wait_state(line, "undone")
    assert line.locator(".d-choices").count() == 0
    assert meanings(session)[-1].payload["meanings"] == []


def test_z_takes_back_the_newest_and_then_the_one_before(operator: Any, session: FakeSession) -> None:
    first = say(operator, "well done")
    second = say(operator, "above the cube")
    before = len(meanings(session))
    operator.keyboard.press("z")
    operator.keyboard.press("z")
    wait_state(second, "undone")
    wait_state(first, "undone")
    assert "line-through" in second.locator("b").evaluate("(e) => getComputedStyle(e).textDecoration")
    undone = meanings(session)[before:]
    assert [(f.payload["doing"], f.text) for f in undone] == [("undone", "above the cube"), ("undone", "well done")]
    assert not any(human and human.buttons for _, human in session.inputs), "Z presses nothing else"


def test_z_means_what_was_said_last_also_before_it_has_been_read(operator: Any, session: FakeSession) -> None:
    first = say(operator, "well done")
    there = operator.evaluate("console_drive_state.spoken")
    send(operator, "a bit to the left")
    operator.wait_for_function("(n) => console_drive_state.spoken > n", arg=there)
    operator.keyboard.press("z")
    until(lambda: meanings(session)[-1].payload["doing"] == "undone")
    assert meanings(session)[-1].text == "a bit to the left"
    assert first.get_attribute("data-state") == "praise"


def test_a_button_takes_back_its_own_sentence(operator: Any) -> None:
    line, other = say(operator, "a bit to the left"), say(operator, "well done")
    line.locator(".d-take-back").click()
    wait_state(line, "undone")
    assert other.get_attribute("data-state") == "praise"


def test_a_rule_stands_over_reloads_until_it_is_switched_off(operator: Any, browser: Any, session: FakeSession) -> None:
    say(operator, "slower near the glass")
    for text in ("well done", "above the cube") * 4:  # so that it is no longer among the lines shown
        say(operator, text)
    operator.reload()
    operator.wait_for_selector("#drive[data-seat='1']")
    rule = operator.locator("#d-rules .d-rule")
    rule.wait_for()
    assert "slower near the glass" in rule.inner_text()
    assert operator.locator(".d-sentence", has_text="slower near the glass").count() == 0
    watcher = come_in(browser, session)
    watcher.wait_for_function("document.querySelector('#d-rules .d-rule')?.disabled")
    watcher.evaluate("window.emitEvent('drive-sentence', {sentence: 'ep-0001/0', do: 'undo'})")
    watcher.wait_for_selector("text=has the seat: you may")
    watcher.evaluate("window.emitEvent('drive-sentence', {sentence: ['no'], do: 'undo'})")
    watcher.wait_for_selector("text=one that is not known")
    watcher.context.close()
    before = len(meanings(session))
    rule.click()
    rule.wait_for(state="detached")
    assert [f.payload["doing"] for f in meanings(session)[before:]] == ["undone"]


def test_what_the_robot_has_not_heard_yet_is_on_its_way(operator: Any, session: FakeSession) -> None:
    session.hears = False
    try:
        for text in ("well done", "above the cube", "a bit to the left"):
            send(operator, text)
        coming = operator.locator(".d-sentence[data-state=sent]")
        until(lambda: coming.count() == 3)
        line = operator.locator(".d-sentence").first
        assert all("on its way" in each for each in coming.all_inner_texts())
        assert coming.locator("b").all_inner_texts() == ["“a bit to the left”", "“above the cube”", "“well done”"]
    finally:
        session.hears = True
    wait_state(line, "nudge")
    assert operator.locator(".d-sentence[data-state=sent]").count() == 0
    assert operator.locator(".d-sentence b").all_inner_texts()[:3] == [
        "“a bit to the left”",
        "“above the cube”",
        "“well done”",
    ]


def test_a_run_that_understands_nothing_promises_nothing(operator: Any, session: FakeSession) -> None:
    session.listens = False
    try:
        send(operator, "to nobody")
        line = operator.locator(".d-sentence:not([data-state=sent])", has_text="to nobody")
        line.wait_for()
        assert line.get_attribute("data-state") == "heard"
        assert line.locator(".d-take-back, .d-does").count() == 0
    finally:
        session.listens = True


@pytest.mark.parametrize("size", [(1366, 768), (390, 844), (1024, 768), (820, 1180), (1920, 1080)])
def test_all_of_it_fits_the_screen(operator: Any, size: tuple[int, int]) -> None:
    if not operator.locator("#d-rules .d-rule").count():
        say(operator, "slower near the glass")
        say(operator, "where nobody knows to go")
        operator.wait_for_selector("#d-rules .d-rule")
    operator.set_viewport_size({"width": size[0], "height": size[1]})
    operator.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = operator.evaluate(COVERED, STOPS)
    if size[0] > 700:  # on a telephone the page scrolls
        found += operator.evaluate(OUT_OF_REACH)
    assert found == []
    operator.evaluate("document.querySelector('#d-said').scrollIntoView({block: 'center'})")
    high, wide = operator.evaluate(
        """() => { const e = document.getElementById('d-said'), first = e.firstElementChild.getBoundingClientRect();
          const box = e.getBoundingClientRect();
          return [Math.min(first.bottom, box.bottom, innerHeight) - Math.max(first.top, 0), box.width]; }"""
    )
    assert high >= 40, "the newest sentence, and what it asks, is in sight"
    assert wide >= 220
