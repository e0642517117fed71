"""Counts what a session cost: steps, who drove, how episodes ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from robot_rlhf.datatypes import (
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    FeedbackKind,
    GuardEvent,
    Observation,
    Outcome,
    Step,
    whole_episode,
)
from robot_rlhf.journal.labels import TAKEN_BACK

THINKING, PER_WORD = 1.0, 0.3
"""Seconds that a sentence takes before it is begun, and for each of its words."""


@dataclass
class EpisodeCount:
    """One practice episode, in numbers."""

    steps: int = 0
    human_steps: int = 0
    reward: float = 0.0
    success: bool = False


@dataclass
class Tally:
    """A Subscriber that counts, also what the skill costs the person, in seconds of robot time.

    *Hands on* is what hands did: steps whose executed action a person gave (driver HUMAN), in demonstrations and in
    practice. Steps of a demonstration in which the robot rested because no hand was on are not, nor those that a
    sentence decided.

    *Speaking* is what sentences took to be said: a second to think of each, and 0.3 s for each of its words.

    *At the machine* is what the person had to be there for: every step of every demonstration, and every step of
    practice that somebody watched and could take over (EpisodeMeta.attended). What leaves no step is in neither:
    waiting between episodes, pauses, and comparing clips.
    """

    control_period: float
    demonstration_steps: int = 0
    """Steps of all demonstrations, whoever drove them."""
    demonstration_human_steps: int = 0
    """Of those, the ones that a person drove."""
    demonstrations: int = 0
    steps: int = 0
    """Practice steps, the person's included."""
    human_steps: int = 0
    """Practice steps that a person drove, by hands or by words."""
    spoken_steps: int = 0
    """Steps of demonstrations and practice that a sentence decided."""
    sentences: int = 0
    """That a person said, whatever they meant."""
    words: int = 0
    """In all of them."""
    attended_steps: int = 0
    """Steps of demonstrations and practice for which a person was there."""
    episodes: int = 0
    """Practice episodes that ended."""
    human_episodes: int = 0
    """Of those, the ones in which a person drove at least one step."""
    guard_events: int = 0
    faults: int = 0
    recent: deque[EpisodeCount] = field(default_factory=lambda: deque[EpisodeCount](maxlen=20))
    """The last 20 practice episodes."""
    history: list[EpisodeCount] = field(default_factory=list[EpisodeCount])
    started: dict[EpisodeKind, int] = field(default_factory=dict[EpisodeKind, int])
    """Episodes begun, by kind: the number of the next one."""
    _shown: dict[str, bool] = field(default_factory=dict[str, bool])
    """Demonstrations that succeeded, whole, and whether they count: not while they are deleted."""
    _kind: EpisodeKind = EpisodeKind.PRACTICE
    _attended: bool = False
    _episode: EpisodeCount = field(default_factory=EpisodeCount)

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._kind, self._attended = meta.kind, meta.attended
        if meta.continues:  # a part of a paused episode, which counts once
            return
        self._episode = EpisodeCount()
        self.started[meta.kind] = self.started.get(meta.kind, 0) + 1

    def on_step(self, step: Step) -> None:
        by_human = step.driver is Driver.HUMAN
        self._episode.steps += 1
        self._episode.human_steps += by_human
        self._episode.reward += step.reward
        self.attended_steps += self._attended
        self.spoken_steps += bool(step.spoken) and self._kind is not EpisodeKind.EVALUATION
        if self._kind is EpisodeKind.DEMONSTRATION:
            self.demonstration_steps += 1
            self.demonstration_human_steps += by_human
        elif self._kind is EpisodeKind.PRACTICE:
            self.steps += 1
            self.human_steps += by_human

    def on_event(self, event: Event) -> None:
        if isinstance(event, GuardEvent):
            self.guard_events += 1
        elif event.kind is FeedbackKind.CORRECTION:
            self.sentences += 1
            self.words += len(event.text.split())
        elif event.kind is FeedbackKind.DISCARD and (whole := whole_episode(event.span.episode_id)) in self._shown:
            self._shown[whole] = event.value == TAKEN_BACK
            self.demonstrations = sum(self._shown.values())

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self.faults += end.outcome is Outcome.FAULT
        if end.outcome is Outcome.PAUSED:
            return
        if self._kind is EpisodeKind.DEMONSTRATION:
            if end.outcome is Outcome.SUCCESS:
                self._shown[whole_episode(end.id)] = True
            self.demonstrations = sum(self._shown.values())
        if self._kind is not EpisodeKind.PRACTICE:
            return
        self._episode.success = end.outcome is Outcome.SUCCESS
        self.episodes += 1
        self.human_episodes += self._episode.human_steps > 0
        self.recent.append(self._episode)
        self.history.append(self._episode)

    @property
    def hands_on_seconds(self) -> float:
        """Robot time that a person's hands drove, demonstrations included."""
        return (self.demonstration_human_steps + self.human_steps - self.spoken_steps) * self.control_period

    @property
    def speaking_seconds(self) -> float:
        """What it took to say all sentences, by the usual pace of speech."""
        return THINKING * self.sentences + PER_WORD * self.words

    @property
    def spent(self) -> dict[str, float]:
        """What it took of a person so far: seconds of hands, and of speech."""
        return {"hands_on_seconds": self.hands_on_seconds, "speaking_seconds": self.speaking_seconds}

    @property
    def at_machine_seconds(self) -> float:
        """Robot time for which a person was there: demonstrations whole, and practice that they watched."""
        return self.attended_steps * self.control_period

    @property
    def recent_human_share(self) -> float:
        """Share of steps that a person drove over the last 20 practice episodes."""
        recent = list(self.recent)  # a copy: another thread may read while an episode ends
        steps = sum(e.steps for e in recent)
        return sum(e.human_steps for e in recent) / steps if steps else 0.0

    @property
    def recent_success(self) -> float:
        """Share of the last 20 practice episodes that succeeded, help included."""
        recent = list(self.recent)
        return sum(e.success for e in recent) / len(recent) if recent else 0.0
