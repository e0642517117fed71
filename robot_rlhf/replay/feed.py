"""Brings the steps of the loop, or of a journal played again, into the replay buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from robot_rlhf.datatypes import (
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Source,
    Step,
    whole_episode,
)
from robot_rlhf.errors import ReplayError
from robot_rlhf.replay.buffer import ReplayBuffer

Encode = Callable[[Observation], Mapping[str, NDArray[Any]]]
"""Observation to 'state' (D,) and pictures by camera name."""

SOURCE_OF_DRIVER: Mapping[Driver, Source] = {
    Driver.POLICY: Source.POLICY,
    Driver.HUMAN: Source.HUMAN,
    Driver.REFLEX: Source.OTHER,
}


class ReplayFeed:
    """A Tutor that fills a buffer with successful demonstrations and practice; evaluation is left out.

    The steps of a discarded episode are not sampled again, also when a person deletes it later (a DISCARD event about
    any of its parts); when they take that back, its rows return with the next reading of the journal. The true reward
    of a simulator is never read.
    """

    def __init__(
        self,
        buffer: ReplayBuffer,
        encode: Encode,
        is_rest: Callable[[Step], bool] | None = None,
        beside: Mapping[str, Encode] | None = None,
    ) -> None:
        """
        Args:
            is_rest: whether a person who drives asks for nothing in a step; it is then nobody's action (Source.OTHER),
                values learn from it, and nothing imitates it. None takes every step of a person as meant.
            beside: what other blocks of the buffer see, by name.
        """
        self.buffer = buffer
        self._encode = encode
        self._is_rest = is_rest
        self.beside = dict(beside or {})
        """What makes the rows of other blocks than the policy's, by name."""
        self._meta: EpisodeMeta | None = None
        self._newest: Observation | None = None
        self._paused: EpisodeMeta | None = None
        self._first = 0
        """Row at which the present episode began, with its first part."""
        self._begun = 0
        self._rows: dict[str, list[tuple[int, int]]] = {}
        """Whole episode to the first row of each part, and the one after its last."""
        self._deleted: set[str] = set()
        """Whole episodes."""
        self._named: set[str] = set()
        """Sentences of this episode that named a goal, and stand."""
        self._named_at = 0
        """Row in which what is wanted was named, or taken back, last: what was done before it was done for another."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """Begin; an episode that never ended (a killed run) is closed as truncated, a demonstration is taken out."""
        open_or_paused = self._meta or self._paused
        goes_on = self._paused is not None and meta.continues == self._paused.id
        if open_or_paused is not None and open_or_paused.kind is EpisodeKind.DEMONSTRATION and not goes_on:
            self.buffer.discard(self._first)
        self.buffer.end()
        self._remember()
        self._meta = meta
        self._paused = None
        self._begun = self.buffer.written
        if not goes_on:
            self._first = self._named_at = self._begun
            self._named.clear()
        if meta.kind is not EpisodeKind.EVALUATION:
            self._begin(meta, observation)

    def on_step(self, step: Step) -> None:
        """Raises ReplayError when no episode was started."""
        if self._meta is None:
            raise ReplayError(f"replay: step {step.index} came outside an episode; on_episode_start comes first")
        if self._meta.kind is EpisodeKind.EVALUATION or whole_episode(self._meta.id) in self._deleted:
            return
        # After a jump, for example a rewind, a row must not be paired with what came from elsewhere.
        if not (self.buffer.recording and self._continues(step.observation)):
            self._begin(self._meta, step.observation)
        self.buffer.add(
            None if step.executed is None else step.executed.values,
            step.reward,
            step.terminated,
            step.truncated,
            self._source(step),
            self._encode(step.next_observation),
            beside=self._seen_by_others(step.next_observation),
            context=step.context,
            authority=step.authority,
            policy_version=step.policy_version,
        )
        self._newest = step.next_observation

    def _source(self, step: Step) -> Source:
        if step.executed is None:
            return Source.WATCHED
        if step.spoken and step.authority is not None:  # a nudge: it moves the robot, and is no demonstration
            return Source.OTHER
        if step.driver is Driver.HUMAN and self._is_rest is not None and self._is_rest(step):
            return Source.OTHER
        return SOURCE_OF_DRIVER[step.driver]

    def on_event(self, event: Event) -> None:
        """A deleted episode is taken out with all its parts; other judgements come through rewards and outcomes."""
        if isinstance(event, Feedback) and event.kind is FeedbackKind.MEANING:
            self._note_goal(str(event.payload.get("sentence", "")), stands="goal" in event.payload)
        if not (isinstance(event, Feedback) and event.kind is FeedbackKind.DISCARD):
            return
        whole = whole_episode(event.span.episode_id)
        if event.value == 0.0:
            self._deleted.discard(whole)
            return
        self._deleted.add(whole)
        for first, end in self._rows.pop(whole, []):
            self.buffer.discard(first, end)
        if self._meta is not None and whole_episode(self._meta.id) == whole:  # it goes on, and is passed over
            self.buffer.discard(self._begun)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """Close the episode, or take it out: when it was discarded, or is a demonstration that did not succeed.

        In practice that succeeded, what the policy did since anybody helped it, or named another goal, is proven.

        The parts of a paused episode are kept or taken out together.
        """
        self._paused = self._meta if end.outcome is Outcome.PAUSED else None
        if self._meta is not None and self._paused is None:
            failed = self._meta.kind is EpisodeKind.DEMONSTRATION and end.outcome is not Outcome.SUCCESS
            if failed or end.outcome is Outcome.DISCARDED:
                self.buffer.discard(self._first)
            elif end.outcome is Outcome.SUCCESS and self._meta.kind is EpisodeKind.PRACTICE:
                self.buffer.prove(self._named_at)
        self.buffer.end()
        self._remember()
        self._meta = None
        self._newest = None

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Rows are written as steps come."""

    def _note_goal(self, sentence: str, *, stands: bool) -> None:
        if self._meta is not None and stands != (sentence in self._named):
            self._named ^= {sentence}
            self._named_at = self.buffer.written - 2  # the step in which it was heard was judged by it

    def _remember(self) -> None:
        """Where the rows of the part that is over are, for as long as the buffer has them."""
        if self._meta is not None:
            part = self._begun, self.buffer.written
            self._rows.setdefault(whole_episode(self._meta.id), []).append(part)
        while self._rows and next(iter(self._rows.values()))[-1][1] <= self.buffer.oldest:
            del self._rows[next(iter(self._rows))]

    def _begin(self, meta: EpisodeMeta, observation: Observation) -> None:
        self.buffer.begin(
            self._encode(observation),
            demonstration=meta.kind is EpisodeKind.DEMONSTRATION,
            beside=self._seen_by_others(observation),
        )
        self._newest = observation

    def _seen_by_others(self, observation: Observation) -> dict[str, Mapping[str, NDArray[Any]]]:
        return {name: encode(observation) for name, encode in self.beside.items()}

    def _continues(self, observation: Observation) -> bool:
        """The observation is the newest row: the same object, or read back from a journal with the same stamp."""
        return observation is self._newest or (self._newest is not None and observation.stamp == self._newest.stamp)
