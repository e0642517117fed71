"""Reads a journal: all of it, episode by episode, or into whoever learns from it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from robot_rlhf.datatypes import Driver, EpisodeEnd, EpisodeMeta, Event, Feedback, FeedbackKind, Outcome, Step
from robot_rlhf.episode import Episode
from robot_rlhf.errors import InvalidValueError, JournalError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.labels import TAKEN_BACK, Labels, is_about, labelled, read_labels
from robot_rlhf.journal.tail import JournalTail, check_journal, journal_spec
from robot_rlhf.ports import Subscriber

__all__ = [
    "AsLabelled",
    "JournalTail",
    "ReplayCounts",
    "as_deleted",
    "check_journal",
    "episodes",
    "journal_spec",
    "read_journal",
    "replay_into",
]


def read_journal(
    path: str | os.PathLike[str], *, pictures: bool = True, same: Sequence[str] | None = None
) -> Iterator[Record]:
    """Everything recorded, in the order of recording.

    Args:
        pictures: False leaves them out of the observations, which is many times faster.
        same: what of the robot must not differ between files, as JournalTail says.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version or another robot.
    """
    with JournalTail(check_journal(path), pictures=pictures, same=same) as tail:
        yield from tail.records()


def episodes(
    path: str | os.PathLike[str],
    *,
    include_deleted: bool = False,
    as_recorded: bool = False,
    pictures: bool = True,
) -> Iterator[Episode]:
    """Every episode with at least one step; `end` is None where the recording broke off.

    An episode ends as it is labelled today, and feedback about it that came later stands behind its own events;
    rewards stay as recorded. Deleted episodes are left out.

    Args:
        path: the journal.
        include_deleted: also the deleted ones, ended with Outcome.DISCARDED.
        as_recorded: every episode as it was recorded, with the events recorded while it was open; no labels.
        pictures: False leaves them out of the observations, which is many times faster.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version.
    """
    if as_recorded:
        yield from _recorded_episodes(path, pictures=pictures)
        return
    labels = read_labels(path)
    for episode in _recorded_episodes(path, pictures=pictures):
        if include_deleted or not labels.is_deleted(episode.meta.id):
            yield labelled(episode, labels)


def _recorded_episodes(path: str | os.PathLike[str], *, pictures: bool) -> Iterator[Episode]:
    meta: EpisodeMeta | None = None
    steps: list[Step] = []
    events: list[Event] = []
    for record in _records_and_breaks(path, pictures=pictures):
        if record is None or isinstance(record, EpisodeStarted):
            if meta is not None and steps:
                yield Episode.from_steps(meta, steps, events)
            meta, steps, events = None if record is None else record.meta, [], []
        elif isinstance(record, Step):
            steps.append(record)
        elif isinstance(record, EpisodeEnd):
            if meta is not None and steps:
                yield Episode.from_steps(meta, steps, events, record)
            meta, steps, events = None, [], []
        elif meta is not None and is_about(record, meta.id):
            events.append(record)
    if meta is not None and steps:
        yield Episode.from_steps(meta, steps, events)


def _records_and_breaks(path: str | os.PathLike[str], *, pictures: bool = True) -> Iterator[Record | None]:
    """Everything recorded, with None where another file begins: an episode open there broke off."""
    with JournalTail(check_journal(path), pictures=pictures) as tail:
        before: Path | None = None
        for file, records in tail.pieces():
            if before is not None and file != before:
                yield None
            before = file
            yield from records


@dataclass(frozen=True)
class ReplayCounts:
    """What a replayed journal held."""

    episodes: int
    steps: int
    human_steps: int
    broken_off: int
    """Episodes without a recorded end."""
    last_stamp: float
    """Clock time of the last observation, seconds; 0 for an empty journal. A simulated clock goes on from here."""


def as_deleted(end: EpisodeEnd, labels: Labels) -> EpisodeEnd:
    """The end as whoever learns must see it: DISCARDED for a deleted episode, else as recorded.

    One that a person discarded as it ended, and then took that back, was merely stopped. A part that goes on elsewhere
    keeps Outcome.PAUSED: the end of the whole speaks for it.
    """
    if end.outcome is Outcome.DISCARDED and labels.is_restored(end.id):
        return replace(end, outcome=Outcome.STOPPED, detail="taken back; recorded as discarded")
    if end.outcome is Outcome.PAUSED or not labels.is_deleted(end.id):
        return end
    return replace(end, outcome=Outcome.DISCARDED, detail=f"deleted; recorded as {end.outcome.value}")


class AsLabelled:
    """Turns what is read again into what whoever learns must see, by what is said of it today."""

    def __init__(self, labels: Labels) -> None:
        """Args: labels: those of the same journal, read before; they follow what it has gained since."""
        self._labels = labels
        self._known = labels.told
        """Feedback events to come that the labels have taken in already."""

    def __call__(self, record: Record) -> Record | None:
        """Take the journal's records in their order.

        Returns:
            An end as `as_deleted` says; None for a DISCARD, or its taking back, that no longer stands; else the record.
        """
        if isinstance(record, EpisodeEnd):
            return as_deleted(record, self._labels)
        if not isinstance(record, Feedback):
            return record
        if self._known == 0:
            self._labels.add(record)
            return record
        self._known -= 1
        if record.kind is not FeedbackKind.DISCARD:
            return record
        deletes = record.value != TAKEN_BACK
        return record if deletes == self._labels.is_deleted(record.span.episode_id) else None


def tell(record: Record, subscriber: Subscriber) -> None:
    """Tell a subscriber one record, as if it happened now."""
    if isinstance(record, EpisodeStarted):
        subscriber.on_episode_start(record.meta, record.observation)
    elif isinstance(record, Step):
        subscriber.on_step(record)
    elif isinstance(record, EpisodeEnd):
        subscriber.on_episode_end(record)
    else:
        subscriber.on_event(record)


def replay_into(path: str | os.PathLike[str], subscriber: Subscriber, *, pictures: bool = True) -> ReplayCounts:
    """Tell a subscriber everything that was recorded, as if it happened now.

    An episode that broke off is ended with Outcome.STOPPED, so that every start has its end. A deleted episode is
    ended with Outcome.DISCARDED, so that nobody learns from it. A DISCARD that no longer stands is left out, so that
    an episode that was restored is there again; other labels reach the subscriber as the events that they are, and
    change neither ends nor rewards.

    Raises:
        JournalError: no journal, a foreign or damaged file, or one of another version; or a subscriber does not take
            what is in it, for example a context of another length: names the episode.
    """
    labels = read_labels(path)
    as_labelled = AsLabelled(labels)
    count: Counter[str] = Counter()
    episode: str | None = None
    steps = 0
    last_stamp = 0.0

    def break_off() -> None:
        if episode is not None:
            count["broken_off"] += 1
            end = EpisodeEnd(episode, Outcome.STOPPED, steps, "the recording broke off")
            subscriber.on_episode_end(as_deleted(end, labels))

    for recorded in _records_and_breaks(path, pictures=pictures):
        if recorded is None:
            break_off()
            episode = None
            continue
        record = as_labelled(recorded)
        if record is None:
            continue
        if isinstance(record, EpisodeStarted):
            break_off()
            episode, steps = record.meta.id, 0
            last_stamp = record.observation.stamp
            count["episodes"] += 1
        elif isinstance(record, Step):
            steps += 1
            last_stamp = record.next_observation.stamp
            count["steps"] += 1
            count["human_steps"] += record.driver is Driver.HUMAN
        elif isinstance(record, EpisodeEnd):
            episode = None
        try:
            tell(record, subscriber)
        except InvalidValueError as error:
            raise JournalError(f"{path}: episode {episode or getattr(record, 'id', '')}: {error}") from error
    break_off()
    return ReplayCounts(count["episodes"], count["steps"], count["human_steps"], count["broken_off"], last_stamp)
