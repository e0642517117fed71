"""The page on which a person goes through a recorded session: scrubs, labels, marks, deletes and restores."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import events, run, ui

from robot_rlhf.console.pages.theme import version
from robot_rlhf.console.recording import LabelSink, Recording
from robot_rlhf.console.sentences import Said
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import InvalidValueError, RobotRlhfError, UnknownNameError
from robot_rlhf.meaning import Meaning
from robot_rlhf.timing import MonotonicClock

log = logging.getLogger(__name__)

SCRIPTS = ("clips.js", "episode_list.js", "episode_chart.js", "review.js")
"""Under /static, in the order of loading: each knows those before it."""
MAX_MARK = 80
"""Characters of a mark's name."""

_VERDICTS: dict[str, tuple[FeedbackKind, float | None]] = {
    "success": (FeedbackKind.SUCCESS, None),
    "failure": (FeedbackKind.FAILURE, None),
    "clear": (FeedbackKind.SUCCESS, 0.0),
    "delete": (FeedbackKind.DISCARD, 1.0),
    "restore": (FeedbackKind.DISCARD, 0.0),
}


def build_review_page(recording: Recording, sink: LabelSink, *, author: Callable[[], str]) -> None:
    """Build the page into the present NiceGUI page; below a header of 44 px it fills the window.

    The page needs /static and the routes of `register_clip_routes`.

    Args:
        recording: what is gone through.
        sink: takes labels and marks.
        author: says who labels, as the events name them; asked at each label.
    """
    page = _ReviewPage(recording, sink, author)
    ui.add_head_html(f'<link rel="stylesheet" href="/static/label.css?{version("label.css")}">')
    for name in SCRIPTS:
        ui.add_body_html(f'<script src="/static/{name}?{version(name)}"></script>')
    ui.element("div").props('id="review-root"').classes("review-root")
    ui.on("review_do", page.do)
    ui.on("review_values", page.tell_values)


class _ReviewPage:
    """The server's side of one visit."""

    def __init__(self, recording: Recording, sink: LabelSink, author: Callable[[], str]) -> None:
        self._recording = recording
        self._sink = sink
        self._author = author
        self._clock = MonotonicClock()

    async def do(self, event: events.GenericEventArguments) -> None:
        """A judgement that the script sends."""
        try:
            feedback = await run.io_bound(judgement, self._recording, event.args, self._author(), self._clock.now())
            if feedback is None:  # the server is ending
                return
            self._sink.give(feedback)
            await run.io_bound(self._recording.refresh)
        except RobotRlhfError as error:
            log.warning("review page: %s", error)
            ui.notify(str(error), type="negative", position="top")
            return
        said = json.dumps(saying(event.args))
        ui.run_javascript(f"window.review_page.kept({said})")

    async def tell_values(self, event: events.GenericEventArguments) -> None:
        """The critic's values of an episode that the script shows."""
        try:
            told = await run.io_bound(values_json, self._recording, event.args)
        except RobotRlhfError as error:
            log.warning("review page: %s", error)
            return
        if told is not None:  # the server is not ending
            ui.run_javascript(f"window.review_page.values({json.dumps(told)})")


def values_json(recording: Recording, asked: Any) -> dict[str, Any]:
    """What the critic said of an episode, for the page.

    Args:
        recording: the session.
        asked: {'episode': number}.

    Returns:
        'episode' as asked; where there are values also 'q' and 'return', one number or null per step, and 'updates'.

    Raises:
        InvalidValueError: the request is malformed, or there is no such episode.
    """
    if not isinstance(asked, dict):
        raise InvalidValueError("request", type(asked).__name__, "an object")
    number = _integer(asked, "episode")
    values = recording.values(number)
    if values is None:
        return {"episode": number}
    return {"episode": number, "q": values.q, "return": values.returns, "updates": values.updates}


def judgement(recording: Recording, asked: Any, author: str, now: float) -> Feedback:
    """The event that a request of the page becomes.

    Args:
        recording: the session.
        asked: {'do': 'success' | 'failure' | 'clear' | 'delete' | 'restore', 'episode': number}, or with 'do' as
            'mark' or 'unmark' also 'start' and 'length' in steps and 'text', with 'do' as 'meant' also 'sentence', its
            name, and 'meaning', with 'do' as 'not_meant' the name.
        author: who asks.
        now: seconds on the clock of the label.

    Raises:
        InvalidValueError, UnknownNameError: the request is malformed, or the episode is still being recorded.
    """
    if not isinstance(asked, dict):
        raise InvalidValueError("request", type(asked).__name__, "an object")
    what = asked.get("do")
    row = recording.row(_integer(asked, "episode"))
    if row.open:
        raise InvalidValueError(f"episode {row.id}", "a label while it is recorded", "a label once it has ended")
    if what in ("mark", "unmark"):
        text = asked.get("text")
        if not isinstance(text, str) or not 0 < len(" ".join(text.split())) <= MAX_MARK:
            raise InvalidValueError("name of the mark", "nothing or too much", f"1 to {MAX_MARK} characters")
        start, length = _integer(asked, "start"), _integer(asked, "length")
        if not (start >= 0 and length >= 1 and start + length <= row.steps):
            raise InvalidValueError("span", f"steps {start} to {start + length}", f"a part of 0 to {row.steps}")
        value = 0.0 if what == "unmark" else None
        # A mark is taken back by the text it was given with, whatever that is.
        name = text if what == "unmark" else " ".join(text.split())
        return Feedback(FeedbackKind.ATTRIBUTE, author, now, Segment(row.id, start, length), value, name)
    if what in ("meant", "not_meant"):
        return _reread(recording.sentences(row.number), asked, author, now)
    if not isinstance(what, str) or what not in _VERDICTS:
        raise UnknownNameError("request", str(what), (*_VERDICTS, "mark", "unmark", "meant", "not_meant"))
    kind, value = _VERDICTS[what]
    return Feedback(kind, author, now, Segment(row.id, 0, row.steps), value)


def _reread(sentences: Sequence[Said], asked: dict[str, Any], author: str, now: float) -> Feedback:
    """What a sentence meant, or that nothing was meant by it."""
    said = next((each for each in sentences if each.name and each.name == asked.get("sentence")), None)
    if said is None or said.reading is None:
        raise InvalidValueError("sentence", "one that is not known", "one about this episode that somebody has read")
    if asked["do"] == "not_meant":
        if said.taken_back:
            raise InvalidValueError("sentence", "one that is taken back", "one that stands")
        return said.event(said.reading.undone(author), author, now)
    return said.event(said.reading.corrected(Meaning.of_json(asked.get("meaning")), author), author, now)


def saying(asked: dict[str, Any]) -> str:
    """What the page tells the person about a kept request."""
    words = {
        "success": "Labelled as a success",
        "failure": "Labelled as a failure",
        "clear": "Label taken back: as it was recorded",
        "delete": "Deleted: left out of training and exports",
        "restore": "Restored",
        "mark": "Marked",
        "unmark": "Mark removed",
        "meant": "Its meaning is corrected",
        "not_meant": "Marked as not meant",
    }
    return words[asked["do"]]


def _integer(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValueError(name, repr(value), "a whole number")
    return value
