"""The page on which a person compares two clips: which of the two is better?"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui import events, run, ui

from robot_rlhf.console.pages.theme import version
from robot_rlhf.console.questions import LENGTHS, STRATEGIES, Question, Questions
from robot_rlhf.console.recording import LabelSink, Recording
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.timing import MonotonicClock

log = logging.getLogger(__name__)


def build_label_page(
    recording: Recording, sink: LabelSink, *, author: Callable[[], str], seed: int | None = None
) -> None:
    """Build the page into the present NiceGUI page; below a header of 44 px it fills the window.

    The page needs /static and the routes of `register_clip_routes`.

    Args:
        recording: what clips are taken from.
        sink: takes the answers.
        author: says who answers, as the events name them; asked at each answer.
        seed: of the choice of pairs; None: another one for each visit.
    """
    rng = np.random.default_rng(seed)
    questions = Questions(recording, rng, author=author, now=MonotonicClock().now)
    page = _LabelPage(recording, sink, questions)
    ui.add_head_html(f'<link rel="stylesheet" href="/static/label.css?{version("label.css")}">')
    ui.add_body_html(f'<script src="/static/clips.js?{version("clips.js")}"></script>')
    ui.add_body_html(f'<script src="/static/label.js?{version("label.js")}"></script>')
    ui.element("div").props('id="label-root"').classes("label-root")
    ui.on("label_do", page.do)


class _LabelPage:
    """The server's side of one visit."""

    def __init__(self, recording: Recording, sink: LabelSink, questions: Questions) -> None:
        self._recording = recording
        self._sink = sink
        self._questions = questions
        self._one_by_one = asyncio.Lock()

    async def do(self, event: events.GenericEventArguments) -> None:
        """What the script asks for: 'ready', 'answer', 'undo' or 'choose'."""
        asked: Any = event.args
        if not isinstance(asked, dict):
            return
        async with self._one_by_one:
            try:
                await run.io_bound(self._recording.refresh)
                self._act(asked)
            except (RobotRlhfError, KeyError, TypeError, ValueError) as error:
                log.warning("label page: %s", error)
                ui.notify(_words(error), type="negative", position="top")
            shown = await run.io_bound(self._shown)
            ui.run_javascript(f"window.label_page.show({json.dumps(shown)})")

    def _act(self, asked: dict[str, Any]) -> None:
        what = asked.get("do")
        if what == "answer":
            feedback = self._questions.answer(int(asked["number"]), str(asked["answer"]))
            if feedback is not None:
                self._sink.give(feedback)
                self._questions.accept()
        elif what == "undo":
            feedback = self._questions.withdrawal()
            if feedback is not None:
                self._sink.give(feedback)
                self._questions.take_back()
        elif what == "choose":
            self._questions.choose(str(asked["strategy"]), int(asked["length"]))

    def _shown(self) -> dict[str, Any]:
        asked = self._questions.now_and_next()
        return {
            "now": self._clips(asked[0]) if asked else None,
            "next": self._clips(asked[1]) if len(asked) > 1 else None,
            "answered": self._questions.answered,
            "labels": len(self._recording.labels.preferences),
            "strategy": self._questions.strategy,
            "strategies": STRATEGIES,
            "length": self._questions.length,
            "lengths": LENGTHS,
            "cameras": self._recording.cameras,
            "period": self._recording.control_period,
            "problem": self._recording.problem,
        }

    def _clips(self, question: Question) -> dict[str, Any]:
        sides: dict[str, Any] = {"number": question.number}
        for side, segment in (("left", question.left), ("right", question.right)):
            instructions = self._recording.instructions(segment.episode_id)
            said = [text for first, text in instructions if first <= segment.start]
            sides[side] = {
                "episode": self._recording.row(segment.episode_id).number,
                "id": segment.episode_id,
                "start": segment.start,
                "length": segment.length,
                "instruction": said[-1] if said else "",
                "path": self._recording.tool_path(segment),
            }
        return sides


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, RobotRlhfError) else "the browser asked for something unknown: reload it"
