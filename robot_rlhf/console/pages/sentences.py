"""What was said, on the operator's page: heard, what is done about it, learned; asking back, taking back, and rules."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from robot_rlhf.console.pages import parts
from robot_rlhf.console.pages.learning import number
from robot_rlhf.console.readings import ADVISES
from robot_rlhf.console.sentences import Said
from robot_rlhf.datatypes import Feedback
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.meaning import FROM_PRIOR, Meaning
from robot_rlhf.timing import MonotonicClock

if TYPE_CHECKING:
    from robot_rlhf.console.desk import Desk, Sent, Visitor
    from robot_rlhf.console.history import History
    from robot_rlhf.console.shared import Console

SHOWN = 8
"""Sentences on the page."""
CHIPS, FEWER = 6, 4
"""Sentences offered to send by a click: before anything was said, and beside what was."""
AGAIN = 1
"""Of these, so many that were said before, where there are examples."""
OFFERED = 3
"""Readings offered where one has to ask."""
CHIP_LENGTH = 48
"""Longer sentences are in the history of the field only."""
REMEMBERED = 200
"""Sentences among which those are looked for that were sent."""
ON_ITS_WAY, AT_THE_END = "on its way", "recorded as the session ends"
NOT_READ = "Recorded with the steps it is about. This run does nothing on it: to teach, drive and judge."
DOES = "The robot does what it understands. No learner takes words in this run."
LEARNS = "The robot does what it understands, and learns from it."


class SentencePanel:
    """The part of one page that is about sentences."""

    def __init__(self, console: Console, visitor: Visitor, do: Callable[[Callable[[], None]], None]) -> None:
        """Args: do: calls a function, and tells the person in words why it was refused."""
        self._console = console
        self._visitor = visitor
        self._do = do

    def build(self) -> None:
        """Build it into the present element."""
        parts.fixed("", "c-dim d-note", 'id="d-note"')
        parts.fixed("", "d-chips", 'id="d-rules" aria-label="Rules that hold"')
        parts.fixed("", "d-chips", 'id="d-chips"')
        parts.fixed("", "d-said", 'id="d-said" aria-label="What was said, newest first"')
        ui.on("drive-sentence", self._on_sentence)

    def _on_sentence(self, event: GenericEventArguments) -> None:
        asked: Any = event.args

        def act() -> None:
            name = asked.get("sentence") if isinstance(asked, dict) else None
            said = self._console.history.sentence(name) if isinstance(name, str) else None
            now = MonotonicClock().now()
            self._console.sink_for(self._visitor).give(answer(said, asked, self._visitor.name, now))

        self._do(act)


def answer(said: Said | None, asked: Mapping[str, Any], author: str, now: float) -> Feedback:
    """The event that a click on a sentence becomes.

    Args:
        said: the sentence that was clicked.
        asked: 'do' is 'undo', or 'choose' with 'meaning', one of those that were offered.
        author: who clicked.
        now: clock time, seconds.

    Raises:
        InvalidValueError, UnknownNameError: no such sentence, or nothing of it to take back or to choose any more.
    """
    reading = None if said is None else said.reading
    if said is None or reading is None:
        raise InvalidValueError("sentence", "one that is not known", "a sentence that stands on the page")
    what = asked.get("do")
    if what == "undo":
        if not said.can_be_undone:
            raise InvalidValueError("taking back", reading.words, "a sentence about which something is done")
        return said.event(reading.undone(author), author, now)
    if what != "choose":
        raise InvalidValueError("do", reprlib.repr(what), "'undo' or 'choose'")
    chosen = Meaning.of_json(asked.get("meaning"))
    if not reading.asks or chosen not in reading.nearest:
        raise InvalidValueError("meaning", chosen.words, "one that is offered, while nobody has chosen")
    return said.event(reading.chosen(chosen, author), author, now)


# -- what people see -----------------------------------------------------------------------------------------------


def sentences_state(console: Console, desk: Desk, status: Mapping[str, Any]) -> dict[str, Any]:
    """What sentences.js paints.

    Args:
        status: what the session says of itself: 'listens', whether sentences are read; 'learns_words'; and 'uptake',
            sentence name to the part of it that is learned, 0 to 1.
    """
    history = console.history
    listens = status.get("listens") is True or history.understands
    learns = status.get("learns_words") is True
    newest = history.said(REMEMBERED)
    shown = newest[:SHOWN]
    words = AT_THE_END if status.get("stage") == "ended" else ON_ITS_WAY
    unclear = {each.text for each in shown if each.reading is not None and each.reading.asks}
    said = [text for text in desk.sentences if text not in unclear]
    return {
        "note": NOT_READ if not listens else DOES if not learns else "" if shown else LEARNS,
        "chips": chips(said, console.settings.examples if listens else ()),
        "sentences": [
            {**sentence_json(each, status, console.settings.things), **takes_back(each, history)} for each in shown
        ],
        "sent": [
            {"text": each.text, "author": each.author, "state": "sent", "words": words, "name": ""}
            for each in reversed(unheard(desk.sent, newest))
        ],
        "spoken": desk.spoken,
        "count": history.sentences,
        "rules": [rule_json(each, console.settings.things) for each in history.rules()],
    }


def unheard(sent: Iterable[Sent], heard: Sequence[Said]) -> list[Sent]:
    """What was sent, and not yet heard: the robot waits for something, or goes to its start.

    Args:
        sent: in the order in which they were sent, which is that in which they are heard.
        heard: what was recorded last, newest first.
    """
    coming = list(reversed(heard))
    waiting: list[Sent] = []
    for each in sent:
        place = next((n for n, said in enumerate(coming) if said.text == each.text and said.stamp >= each.at), None)
        if place is None:
            waiting.append(each)
        else:
            coming, waiting = coming[place + 1 :], []
    return waiting


def chips(said: list[str], examples: tuple[str, ...] = ()) -> list[str]:
    """What can be sent by one click: what was said last and is short, then what fits the task; without repeats."""
    short = [text for text in dict.fromkeys(said) if len(text) <= CHIP_LENGTH]
    offered = dict.fromkeys((*short[: AGAIN if examples else FEWER], *examples))
    return list(offered)[: FEWER if said else CHIPS]


def sentence_json(said: Said, status: Mapping[str, Any], things: Mapping[str, str]) -> dict[str, Any]:
    """One sentence, in plain words. Args: things: what people call each thing, by its name."""
    reading = said.reading
    asks = reading is not None and reading.asks
    state = "heard" if reading is None else "ask" if asks else "undone" if said.taken_back else reading.doing
    return {
        "name": said.name,
        "text": said.text,
        "author": said.author,
        "state": state,
        "words": "" if reading is None else reading.called(things).words,
        "learned": learned(said, status),
        "choices": choices(reading.nearest[:OFFERED], reading.called(things).nearest)
        if reading is not None and asks
        else [],
        "undo": said.can_be_undone,
    }


def takes_back(said: Said, history: History) -> dict[str, str]:
    """Which sentence it takes back, where it is one that does."""
    undone = None if said.reading is None else history.sentence(said.reading.undoes)
    return {} if undone is None else {"words": f"takes back “{undone.text[:CHIP_LENGTH]}”"}


def rule_json(said: Said, things: Mapping[str, str]) -> dict[str, Any]:
    """A rule that stands."""
    meanings = () if said.reading is None else said.reading.called(things).meanings
    words = ", then ".join(meaning.words.removeprefix("rule: ") for meaning in meanings) or said.text
    told_before = said.reading is not None and said.reading.why == FROM_PRIOR
    return {"name": said.name, "words": f"{words} ({FROM_PRIOR})" if told_before else words, "text": said.text}


def choices(meanings: Sequence[Meaning], called: Sequence[Meaning] = ()) -> list[dict[str, Any]]:
    """What it may have meant: words, and the meaning as it comes back. Args: called: the same as people say it."""
    said = called or meanings
    return [{"words": s.words, "meaning": m.to_json()} for m, s in zip(meanings, said, strict=False)]


def learned(said: Said, status: Mapping[str, Any]) -> str:
    """How much of it the policy has taken up, in words; empty where nobody learns from it."""
    if said.reading is None or said.reading.asks or said.taken_back:
        return ""
    told = status.get("uptake")
    uptake = number(told.get(said.name)) if isinstance(told, Mapping) else math.nan
    if not math.isnan(uptake):
        return f"learned {100 * min(1.0, max(0.0, uptake)):.0f} %"
    return "learning…" if status.get("learns_words") is True and said.reading.doing in ADVISES else ""
