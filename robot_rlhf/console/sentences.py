"""What people said in a session, and what became of each sentence: heard, done, taken back."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot_rlhf.console.readings import UNDONE, Reading
from robot_rlhf.console.wire import whole_letters
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import InvalidValueError, UnknownNameError
from robot_rlhf.facts import Thing
from robot_rlhf.meaning import LEAVES_NO_TRACE

log = logging.getLogger(__name__)

UNREAD = 50
"""Sentences that nobody has read yet, among which the one of a reading is looked for."""


@dataclass(frozen=True)
class Said:
    """One sentence, and how it is read today."""

    text: str
    author: str
    span: Segment
    """The steps it is about."""
    stamp: float
    reading: Reading | None = None
    """None while nobody has read it, and where nobody does."""
    before: tuple[Reading, ...] = ()
    """Readings that no longer stand, oldest first."""

    @property
    def name(self) -> str:
        """As its readings name it; empty while there is none."""
        return "" if self.reading is None else self.reading.sentence

    @property
    def taken_back(self) -> bool:
        return self.reading is not None and self.reading.doing == UNDONE

    @property
    def can_be_undone(self) -> bool:
        """There is something to take back."""
        return self.reading is not None and self.reading.doing not in (UNDONE, "undo", "button", "nothing")

    @property
    def spoken_of(self) -> Reading | None:
        """How it was read before it was taken back, else how it is."""
        return self.before[-1] if self.taken_back and self.before else self.reading

    def event(self, reading: Reading, author: str, now: float) -> Feedback:
        """The event by which somebody reads it otherwise. Args: now: clock time, seconds."""
        return Feedback(FeedbackKind.MEANING, author, now, self.span, text=self.text, payload=reading.to_payload())


class Sentences:
    """Every sentence of a session, told event by event in the order of recording; of its readings the last stands."""

    def __init__(self) -> None:
        self._all: list[Said] = []
        self._counts: Counter[str] = Counter()
        """Episode to the number of sentences about it."""
        self._places: dict[str, int] = {}
        """Name of a sentence to its place among all."""
        self._rules: dict[str, None] = {}
        """Names of the sentences that are rules today."""

    def __len__(self) -> int:
        return len(self._all)

    def add(self, event: Feedback) -> None:
        """Take in what was recorded next; a reading that cannot be understood is passed over, like all else."""
        event = replace(event, text=whole_letters(event.text))  # pages are sent it
        if event.kind is FeedbackKind.CORRECTION:
            self._note(event)
        elif event.kind is FeedbackKind.MEANING:
            try:
                reading = Reading.of_payload(event.payload)
            except (InvalidValueError, UnknownNameError) as error:
                log.warning("a recorded meaning is passed over: %s", error)
                return
            self._read(event, reading)
            if reading.undoes and (other := self.of(reading.undoes)) is not None and not other.taken_back:
                self._stand(self._places[reading.undoes], Reading(reading.undoes, UNDONE, by=event.author))

    def _note(self, event: Feedback) -> None:
        self._all.append(Said(event.text, event.author, event.span, event.stamp))
        self._counts[event.span.episode_id] += 1

    def _read(self, event: Feedback, reading: Reading) -> None:
        place = self._places.get(reading.sentence)
        if place is None:
            place = self._unread(event)
            if place is None:
                place = len(self._all)
                self._note(event)
            self._places[reading.sentence] = place
        self._stand(place, reading)

    def _unread(self, event: Feedback) -> int | None:
        """The place of the sentence that a first reading is of: the newest of these words about these steps."""
        for place in range(len(self._all) - 1, max(-1, len(self._all) - 1 - UNREAD), -1):
            said = self._all[place]
            if said.reading is None and (said.text, said.span) == (event.text, event.span):
                return place
        return None

    def _stand(self, place: int, reading: Reading) -> None:
        said = self._all[place]
        before = said.before if said.reading is None else (*said.before, said.reading)
        self._all[place] = replace(said, reading=reading, before=before[-8:])
        self._rules.pop(reading.sentence, None)
        if reading.doing not in LEAVES_NO_TRACE and any(meaning.rule for meaning in reading.meanings):
            self._rules[reading.sentence] = None

    # -- what is asked for -------------------------------------------------------------------------------------------

    def of(self, name: str) -> Said | None:
        """The sentence of this name; None where there is none."""
        place = self._places.get(name)
        return None if place is None else self._all[place]

    def newest(self, count: int) -> tuple[Said, ...]:
        """The last ones, newest first."""
        return tuple(reversed(self._all[-count:])) if count > 0 else ()

    def about(self, episode_id: str) -> tuple[Said, ...]:
        """Those about an episode, in the order in which they were said."""
        return tuple(said for said in self._all if said.span.episode_id == episode_id)

    def count_about(self, episode_id: str) -> int:
        """How many are about an episode."""
        return self._counts[episode_id]

    @property
    def rules(self) -> tuple[Said, ...]:
        """Those that are rules which stand, in the order in which they began to."""
        return tuple(self._all[self._places[name]] for name in self._rules)

    @property
    def read(self) -> bool:
        """Whether anybody read any."""
        return bool(self._places)

    @property
    def things(self) -> tuple[str, ...]:
        """Names of the things that any reading speaks of, in the order in which they were spoken of."""
        meanings = (m for s in self._all for r in (*s.before, s.reading) if r is not None for m in r.meanings)
        return tuple(dict.fromkeys(name for m in meanings for name in (m.thing, m.place) if name))


def examples(things: Sequence[Thing]) -> tuple[str, ...]:
    """Sentences to try on these things, in English: what to do with them first, a little motion last."""
    if not things:
        return (*_ALWAYS, "a bit up", "slower")
    held = next((thing.called for thing in things if thing.graspable), "")
    first = held or things[0].called
    said = [f"above {first}"]
    if held:
        said = [f"above {held}", f"down on {held}", "close", "lift it"]
    elif len(things) > 1:
        said = [f"behind {first}", f"push {first} to {things[1].called}"]
    for thing in things:
        if "bowl" in thing.name and held:
            said.append(f"put it in {thing.called}")
        elif "handle" in thing.name:
            said.append(f"pull {thing.called}")
        elif thing.name in _FRAGILE:
            said.append(f"slower near {thing.called}")
    return (*said[: MOST_EXAMPLES - len(_ALWAYS)], *_ALWAYS)


MOST_EXAMPLES = 6
_ALWAYS = ("a bit to the left",)
_FRAGILE = ("glass", "lamp")
