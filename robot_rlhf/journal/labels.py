"""What people have said about recorded episodes: labels are events appended to the journal, what was recorded stays."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from robot_rlhf.datatypes import EpisodeEnd, Event, Feedback, FeedbackKind, Outcome, Segment, whole_episode
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.tail import JournalTail, check_journal, journal_session
from robot_rlhf.journal.writer import JournalWriter

Pair = tuple[Segment, Segment]

TAKEN_BACK = 0.0
"""Value of a DISCARD, SUCCESS, FAILURE or ATTRIBUTE that takes the same label back."""

_OUTCOMES = {FeedbackKind.SUCCESS: Outcome.SUCCESS, FeedbackKind.FAILURE: Outcome.FAILURE}


def pair_key(left: Segment, right: Segment) -> frozenset[Segment]:
    """The same for a pair shown either way round."""
    return frozenset((left, right))


@dataclass
class EpisodeLabels:
    """What is said today about one episode, or about one part of a paused one."""

    outcome: Outcome | None = None
    """SUCCESS or FAILURE as labelled after the episode; None: as it was recorded."""
    deleted: bool = False
    """Kept of the whole: one part is deleted or restored with all the others."""
    restored: bool = False
    """Kept of the whole: it was taken back that the episode is discarded, also where it was recorded so."""
    spans: list[Feedback] = field(default_factory=list[Feedback])
    """ATTRIBUTE: spans of steps that got a name."""
    corrections: list[Feedback] = field(default_factory=list[Feedback])
    interventions: list[Feedback] = field(default_factory=list[Feedback])
    scores: list[Feedback] = field(default_factory=list[Feedback])
    later: list[Feedback] = field(default_factory=list[Feedback])
    """All feedback that was recorded while the episode was not open, in the order of recording."""

    def outcome_of(self, recorded: Outcome | None) -> Outcome | None:
        """The outcome that counts today. Args: recorded: as it ended; None where the recording broke off."""
        if self.deleted:
            return Outcome.DISCARDED
        return self.outcome or (Outcome.STOPPED if self.restored and recorded is Outcome.DISCARDED else recorded)


class Labels:
    """What the events of a journal say today, told record by record in the order of recording; the last one wins.

    SUCCESS and FAILURE about all steps of an episode label it, when they are recorded after its end (while it runs
    they are part of how it ends); with value 0 they take the label back. DISCARD deletes an episode, with value 0 it
    restores it; of a paused episode any part stands for the whole. ATTRIBUTE marks a span; with value 0 it removes the
    mark of the same span and text. PREFERENCE with value None is a pair that was skipped, or whose label was withdrawn.
    MEANING says what a sentence means, whose name is in its payload; one that names no meaning takes it back.
    """

    def __init__(self) -> None:
        self._episodes: dict[str, EpisodeLabels] = {}
        self._deleted: set[str] = set()
        """Whole episodes."""
        self._restored: set[str] = set()
        """Whole episodes whose deletion was taken back."""
        self._steps: dict[str, int] = {}
        """Steps of the episodes whose end was recorded."""
        self._pairs: dict[frozenset[Segment], Feedback] = {}
        self._meanings: dict[str, Feedback] = {}
        """Name of a sentence to the last that was said of it."""
        self._open: str | None = None
        self.told = 0
        """Feedback events taken in."""

    def of(self, episode_id: str) -> EpisodeLabels:
        """The labels of an episode or a part; empty ones where nobody spoke of it."""
        known = self._episodes.get(episode_id)
        stand = {"deleted": self.is_deleted(episode_id), "restored": self.is_restored(episode_id)}
        return dataclasses.replace(known or EpisodeLabels(), **stand)

    def is_deleted(self, episode_id: str) -> bool:
        """Whether the episode is deleted, or the one that it is a part of."""
        return whole_episode(episode_id) in self._deleted

    def is_restored(self, episode_id: str) -> bool:
        """Whether a deletion of the episode, or of the one that it is a part of, was taken back."""
        return whole_episode(episode_id) in self._restored

    @property
    def deleted(self) -> frozenset[str]:
        """Ids of the deleted episodes; of a paused one that of its first part."""
        return frozenset(self._deleted)

    @property
    def relabelled(self) -> dict[str, Outcome]:
        """Episodes whose outcome was labelled after their end, with that outcome."""
        return {name: labels.outcome for name, labels in self._episodes.items() if labels.outcome is not None}

    @property
    def preferences(self) -> list[Feedback]:
        """The preferences that stand, one per pair, in the order in which the pairs were last labelled."""
        return [feedback for feedback in self._pairs.values() if feedback.value is not None]

    @property
    def skipped(self) -> list[Pair]:
        """Pairs whose last label is none: skipped, or withdrawn."""
        return [(f.span, f.other) for f in self._pairs.values() if f.value is None and f.other is not None]

    @property
    def meanings(self) -> dict[str, Feedback]:
        """What sentences mean today, by name, in the order in which they got their first meaning; not what was taken
        back."""
        return {name: said for name, said in self._meanings.items() if said.payload.get("meanings")}

    def begin_file(self) -> None:
        """Another file begins: an episode that is open in the one before broke off there."""
        self._open = None

    def add(self, record: Record) -> None:
        """Take in the next record; steps may be left out."""
        if isinstance(record, EpisodeStarted):
            self._open = record.meta.id
        elif isinstance(record, EpisodeEnd):
            self._steps[record.id] = record.steps
            self._open = None
        elif isinstance(record, Feedback):
            self._add_feedback(record)

    def _add_feedback(self, feedback: Feedback) -> None:
        self.told += 1
        if feedback.kind is FeedbackKind.PREFERENCE and feedback.other is not None:
            key = pair_key(feedback.span, feedback.other)
            self._pairs.pop(key, None)
            self._pairs[key] = feedback
            return
        labels = self._episodes.setdefault(feedback.span.episode_id, EpisodeLabels())
        over = feedback.span.episode_id != self._open
        if over:
            labels.later.append(feedback)
        kind = feedback.kind
        if kind is FeedbackKind.DISCARD:
            whole, back = whole_episode(feedback.span.episode_id), feedback.value == TAKEN_BACK
            for stand, holds in ((self._deleted, not back), (self._restored, back)):
                (stand.add if holds else stand.discard)(whole)
        elif kind in _OUTCOMES:
            if over and self._whole(feedback.span):
                labels.outcome = None if feedback.value == TAKEN_BACK else _OUTCOMES[kind]
        elif kind is FeedbackKind.ATTRIBUTE:
            same = (feedback.span, feedback.text)
            labels.spans = [f for f in labels.spans if (f.span, f.text) != same]
            if feedback.value != TAKEN_BACK:
                labels.spans.append(feedback)
        elif kind is FeedbackKind.CORRECTION:
            labels.corrections.append(feedback)
        elif kind is FeedbackKind.INTERVENTION:
            labels.interventions.append(feedback)
        elif kind is FeedbackKind.SCORE:
            labels.scores.append(feedback)
        elif kind is FeedbackKind.MEANING and isinstance(name := feedback.payload.get("sentence"), str):
            self._meanings[name] = feedback

    def _whole(self, span: Segment) -> bool:
        """The span is all of its episode; of one that broke off the length is not known here."""
        return span.start == 0 and span.length >= self._steps.get(span.episode_id, 0)


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """What the events of a journal say today. One file given alone knows only the events in itself.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    labels = Labels()
    with JournalTail(check_journal(path), pictures=False, steps=False, same=()) as tail:
        before: Path | None = None
        for file, records in tail.pieces():
            if file != before:
                labels.begin_file()
                before = file
            for record in records:
                labels.add(record)
    return labels


def labelled_end(episode_id: str, steps: int, end: EpisodeEnd | None, labels: EpisodeLabels) -> EpisodeEnd | None:
    """How an episode ended as labelled: a deleted one with DISCARDED. Args: end: as recorded."""
    outcome = labels.outcome_of(None if end is None else end.outcome)
    if outcome is None or (end is not None and outcome is end.outcome):
        return end
    what = "deleted" if labels.deleted else "labelled"
    was = "the recording broke off" if end is None else f"recorded as {end.outcome.value}"
    return EpisodeEnd(episode_id, outcome, steps, f"{what}; {was}")


def labelled(episode: Episode, labels: Labels) -> Episode:
    """The episode as people see it today: its outcome as labelled, and what was said later among its events.

    Rewards and the terminated and truncated flags stay as they were recorded.
    """
    own = labels.of(episode.meta.id)
    end = labelled_end(episode.meta.id, len(episode), episode.end, own)
    if end is episode.end and not own.later:
        return episode
    return dataclasses.replace(episode, end=end, events=(*episode.events, *own.later))


def is_about(event: Event, episode_id: str) -> bool:
    """What the guard did while an episode is open is about it; feedback is about the episode of its span."""
    return not isinstance(event, Feedback) or event.span.episode_id == episode_id


class LabelWriter:
    """Appends labels to a journal that nobody writes any more, in a file of their own that begins with the first.

    While a session writes the journal its labels must go through that session. Feedback.stamp is read as this
    machine's monotonic clock.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Args: folder: a journal's folder with at least one file."""
        self.folder = Path(folder)
        self._writer: JournalWriter | None = None
        self._lock = threading.Lock()

    def give(self, feedback: Feedback) -> None:
        """Append one label; when it returns the label survives the death of the process. Callable from any thread.

        Raises:
            JournalError: no such journal, a session is writing it, or it cannot be written.
        """
        with self._lock:
            if self._writer is None:
                self._writer = self._begin()
            self._writer.on_event(feedback)

    def close(self) -> None:
        """Write the file's summary and let go of the journal; the next label begins another file. Idempotent."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def __enter__(self) -> LabelWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> JournalWriter:
        if not check_journal(self.folder).is_dir():
            raise JournalError(f"{self.folder}: labels are appended to a journal's folder, this is one of its files")
        spec, metadata = journal_session(self.folder)
        offset = time.time_ns() - time.monotonic_ns()  # labels are stamped with this machine's monotonic clock
        return JournalWriter(self.folder, spec, metadata=metadata, epoch_offset_ns=offset).open()
