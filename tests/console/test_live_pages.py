"""The label and review pages of a live session: STOP is on each, and who only watches deletes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from robot_rlhf.console.desk import NotTheOperatorError, Visitor
from robot_rlhf.console.shared import VisitorSink
from robot_rlhf.console.wire import Press
from robot_rlhf.datatypes import Button, Feedback, FeedbackKind, Phase, Segment
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.run.live.open_page import leading_to
from tests.console.fake_session import FakeSession
from tests.waits import until

if TYPE_CHECKING:
    from robot_rlhf.console.desk import Desk


class Seat:
    """A desk at which Anna sits, or nobody."""

    def __init__(self, operator: Visitor | None) -> None:
        self.operator = operator
        self.given: list[Feedback] = []
        self.give = self.given.append

    def sits(self, visitor: Visitor) -> bool:
        return self.operator is not None and self.operator.id == visitor.id


@pytest.mark.parametrize("kind", list(FeedbackKind))
def test_who_watches_compares_and_marks_and_nothing_else(kind: FeedbackKind) -> None:
    anna, ben = Visitor("a", "Anna"), Visitor("b", "Ben")
    span = Segment("e", 0, 3)
    said = Feedback(kind, "x", 1.0, span, other=span if kind is FeedbackKind.PREFERENCE else None)
    for operator, who in ((anna, "Anna has the seat"), (None, "nobody has the seat")):
        seat = Seat(operator)
        desk: Desk = seat  # pyright: ignore[reportAssignmentType] -- all of it that is asked for
        if kind in (FeedbackKind.PREFERENCE, FeedbackKind.ATTRIBUTE):
            VisitorSink(desk, ben).give(said)
            assert seat.given == [said]
        else:
            with pytest.raises(NotTheOperatorError, match=who):
                VisitorSink(desk, ben).give(said)
            assert seat.given == []
        if operator is not None:
            VisitorSink(desk, anna).give(said)
            assert seat.given[-1] is said


# -- in the browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSession]:
    with FakeSession(tmp_path_factory.mktemp("session") / "journal", size=64, time_limit=30) as session:
        yield session


def come_in(browser: Any, session: FakeSession, path: str) -> Any:
    """A page of a new visitor."""
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{session.address}{path}?token={session.token}", timeout=120_000)  # the first one waits for the process
    return page


@pytest.fixture(scope="module")
def operator(browser: Any, session: FakeSession) -> Any:
    page = come_in(browser, session, "/")
    page.wait_for_selector("#drive[data-seat='1']")
    page.goto("about:blank")  # pictures take their time
    return page


@pytest.fixture(scope="module")
def watcher(browser: Any, session: FakeSession, operator: Any) -> Any:
    return come_in(browser, session, "/label")


def go(page: Any, session: FakeSession, path: str) -> None:
    page.goto(f"{session.address}{path}")
    page.wait_for_function("document.getElementById('c-link').dataset.state === 'live'")


def discards(session: FakeSession) -> list[tuple[str, float | None]]:
    told = (r for r in read_journal(session.journal.folder) if isinstance(r, Feedback))
    return [(f.author, f.value) for f in told if f.kind is FeedbackKind.DISCARD]


@pytest.mark.parametrize("path", ["/label", "/review"])
def test_stop_is_on_every_page_and_everybody_s(watcher: Any, session: FakeSession, path: str) -> None:
    until(lambda: session.phase is Phase.RUNNING)
    go(watcher, session, path)
    look = watcher.evaluate(
        """() => {
          const root = document.documentElement, stop = document.querySelector('#c-stop').getBoundingClientRect();
          const header = document.querySelector('.c-header');
          return {page: [root.scrollWidth, root.scrollHeight],
                  inside: stop.left >= 0 && stop.right <= innerWidth && stop.top >= 0 && stop.bottom <= 44,
                  cut: header.scrollWidth > header.clientWidth || header.scrollHeight > header.clientHeight,
                  colour: getComputedStyle(document.querySelector('#c-stop')).backgroundColor}; }"""
    )
    assert look == {"page": [1366, 768], "inside": True, "cut": False, "colour": "rgb(192, 22, 28)"}
    before = len(session.stops)
    watcher.click("#c-stop")
    until(lambda: session.phase is Phase.STOPPED)
    assert len(session.stops) == before + 1
    watcher.wait_for_selector("text=STOP was sent")
    watcher.keyboard.press(" ")
    watcher.keyboard.press("Enter")
    time.sleep(0.3)
    assert len(session.stops) == before + 1, "a key behind the click presses it no second time"
    session.link._take(Press(Button.RELEASE))
    until(lambda: session.phase is not Phase.STOPPED)
    session.link._take(Press(Button.RESUME))  # where an episode was open it is paused now
    until(lambda: session.phase in (Phase.RUNNING, Phase.RESETTING))


def test_only_the_operator_deletes_and_everybody_marks_under_the_name_of_now(
    operator: Any, watcher: Any, session: FakeSession
) -> None:
    def show(page: Any) -> None:
        go(page, session, "/review")
        page.wait_for_function("document.querySelectorAll('.review-row').length >= 1")
        page.wait_for_function("window.review_page.state().number !== null")
        page.locator(".review-row[data-number='0']").click()
        page.wait_for_function("window.review_page.state().number === 0")

    show(watcher)
    other = watcher.context.new_page()  # the same person's second tab
    other.goto(session.address)
    other.wait_for_selector("#drive[data-seat='0']")
    assert other.locator("[data-press=stop]").count() == 1, "this page has a STOP of its own"
    other.click("#d-person")
    other.fill(".d-menu input", "Ben")
    other.click("[data-press=save-name]")
    other.wait_for_function("document.getElementById('d-person').textContent.includes('Ben')")
    other.close()
    watcher.get_by_role("button", name="Delete").click()
    watcher.wait_for_selector("text=only the operator deletes")
    watcher.keyboard.press("f")
    for key in ("Home", "i", "ArrowRight", "ArrowRight", "o"):
        watcher.keyboard.press(key)
    watcher.fill("[aria-label='Name of the span']", "grasp")
    watcher.keyboard.press("Enter")

    def marks() -> list[tuple[str, str]]:
        told = (r for r in read_journal(session.journal.folder) if isinstance(r, Feedback))
        return [(f.author, f.text) for f in told if f.kind is FeedbackKind.ATTRIBUTE]

    until(lambda: marks() == [("Ben", "grasp")])
    judged = {FeedbackKind.DISCARD, FeedbackKind.FAILURE}
    assert not any(isinstance(r, Feedback) and r.kind in judged for r in read_journal(session.journal.folder))
    show(operator)
    operator.get_by_role("button", name="Delete").click()
    operator.wait_for_function("window.review_page.state().outcome === 'discarded'")
    assert [value for _, value in discards(session)] == [1.0]
    watcher.wait_for_function("window.review_page.state().outcome === 'discarded'")
    operator.get_by_role("button", name="Restore").click()
    until(lambda: [value for _, value in discards(session)] == [1.0, 0.0])


def test_a_file_that_leads_here_opens_the_page(browser: Any, session: FakeSession, tmp_path: Path) -> None:
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    page.set_default_timeout(120_000)
    page.goto(leading_to(session.open_address, tmp_path).as_uri())
    page.wait_for_selector("#drive:not([data-look=lost])", timeout=120_000)
    assert page.url == f"{session.address}/"
    page.context.close()
