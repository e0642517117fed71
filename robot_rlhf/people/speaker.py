"""A simulated person who speaks: watches the robot, and says what to do when it goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    HumanInput,
    Observation,
    Outcome,
    RobotSpec,
    Sentence,
    Step,
)
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import OVER, FactBook
from robot_rlhf.meaning import Meaning, meanings_of
from robot_rlhf.people.advice import as_axis, in_small_steps
from robot_rlhf.people.person import Expert, Mode, PersonConfig, Remaining, SimulatedPerson
from robot_rlhf.people.sentences import FILLERS, everything, in_words, mistaken, with_words_lost
from robot_rlhf.ports import Subscriber

Advice = Callable[[Observation], Meaning | None]
"""What somebody who watches would tell the robot to do now; None when nothing comes to mind."""
_SLACK = 1e-6
WENT_WRONG = frozenset({Outcome.FAILURE, Outcome.TIME_LIMIT})
WATCHER = PersonConfig(reaction_delay=1.0)
"""Sees a reason as quickly as others, and takes a second to put it into words."""


@dataclass(frozen=True)
class SpeakerConfig:
    """What kind of speaker it is. Times in seconds of robot time."""

    person: PersonConfig = field(default_factory=lambda: WATCHER)
    """How they watch; their reaction delay is what goes by before they begin to speak; and how their hands move."""
    per_word: float = 0.3
    """How long a word takes."""
    says: Literal["skills", "steps", "axes", "random"] = "skills"
    """What to do with which thing; the same in small steps; which way to go; or whatever, at the same times."""
    held_out: bool = False
    """Says it in words that no one says in practice."""
    plainest: bool = False
    """Always says it in the plainest words."""
    fillers: float = 0.0
    """Share of sentences that have more words than needed."""
    wrong_side: float = 0.0
    """Chance of saying the opposite, or the wrong thing."""
    word_drop: float = 0.0
    """Chance of each word not to be heard."""
    follows_up: bool = False
    """Goes on with the next sentence as soon as the robot has done what was said."""
    ahead: bool = False
    """After an episode that did not succeed says at once, as the next one begins, what to do."""
    budget: int | None = None
    """Sentences after which they only watch; None: no end."""
    hands_after: int | None = None
    """Takes over by hand after so many sentences in vain, one after the other; None: never."""

    def __post_init__(self) -> None:
        for name in ("fillers", "wrong_side", "word_drop"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidValueError(f"SpeakerConfig.{name}", getattr(self, name), "0 to 1")
        if not (math.isfinite(self.per_word) and self.per_word >= 0.0):
            raise InvalidValueError("SpeakerConfig.per_word", self.per_word, "seconds >= 0")
        for name in ("budget", "hands_after"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InvalidValueError(f"SpeakerConfig.{name}", value, "None, or a number >= 0")
        if self.says not in ("skills", "steps", "axes", "random"):
            raise InvalidValueError("SpeakerConfig.says", self.says, "skills, steps, axes or random")


TEACHING = SpeakerConfig(ahead=True, follows_up=True, person=replace(WATCHER, attention=1.0))
"""Watches all the time, says what comes next as soon as the robot has done what was said, and what to do at once as an
episode begins, where the last one went wrong."""
SPEAKERS: dict[str, SpeakerConfig] = {
    "nobody": SpeakerConfig(person=replace(WATCHER, attention=0.0)),
    "clear": TEACHING,
    "terse": SpeakerConfig(plainest=True, per_word=0.25),
    "chatty": SpeakerConfig(fillers=0.6, follows_up=True, person=replace(WATCHER, reaction_delay=0.6)),
    "slow": SpeakerConfig(per_word=0.5, person=replace(WATCHER, reaction_delay=2.0, patience=2.0)),
    "stepwise": SpeakerConfig(says="steps"),
    "stranger": SpeakerConfig(held_out=True),
    "mixed_up": replace(TEACHING, wrong_side=0.2),
    "mumbling": SpeakerConfig(word_drop=0.15),
    "helping": replace(TEACHING, hands_after=2),
    "axes": SpeakerConfig(says="axes"),
    "random": replace(TEACHING, says="random"),
}
"""Presets. 'clear' teaches; 'stranger' says everything in words that were not used in practice; 'helping' takes over
after two sentences in vain. Controls: 'nobody' is silent, 'axes' says only left, right and the like, 'random' says
whatever."""


class SimulatedSpeaker(SimulatedPerson):
    """A Teleop and a Subscriber: sees each step as it happens, and answers `read` with sentences and buttons.

    Speaks for the reasons for which a SimulatedPerson takes over, and says what seems right when they begin to speak;
    the sentence arrives when it has been said. While the robot does what was said they watch on. In a demonstration the
    person drives. Everything random comes from the seed of the episode.
    """

    IN_VAIN = 0.02
    """Metres of progress without which a sentence was in vain."""

    def __init__(
        self,
        config: SpeakerConfig,
        spec: RobotSpec,
        make_expert: Callable[[float, float], Expert],
        remaining: Remaining,
        succeeded: Callable[[Observation], bool],
        advises: Advice,
        facts: FactBook,
        caution: Meaning | None = None,
    ) -> None:
        """
        Args:
            make_expert: as for SimulatedPerson; also what says which way to go.
            advises: what is right to do.
            facts: words for the things that there are.
            caution: a rule that is said once, after the world has ended an episode: something was touched, or fell.
        """
        self.speech = config
        self.sentences = 0
        """Said so far."""
        self.words = 0
        self.speaking = 0.0
        """Seconds so far from a reason to the end of its sentence."""
        self._advises = advises
        self._facts = facts
        self._knows = make_expert(0.0, 0.0)
        self._vocabulary = everything(spec.action, [name for name in facts.things if name in spec.scene])
        self._now = 0.0
        self._tongue = np.random.default_rng(0)
        self._went_wrong = False
        self._caution = caution
        self._to_caution = False
        super().__init__(config.person, spec, make_expert, remaining, succeeded)

    @property
    def memory(self) -> Subscriber:
        """To be told, in their place, what was recorded before they came: what was said counts as said by them."""
        return _Memory(self)

    # -- seeing --------------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._tongue = np.random.default_rng([meta.seed, 5])
        self._now = observation.stamp
        super().on_episode_start(meta, observation)
        practises = meta.kind is EpisodeKind.PRACTICE and not meta.continues
        if practises and self._went_wrong and self.speech.ahead and self.config.attention:
            self._speak_up(self.config.reaction_delay)
            self._until_said = 0.0  # it was begun while the robot went to its start

    def on_step(self, step: Step) -> None:
        self._now = step.next_observation.stamp
        super().on_step(step)
        self._least = min(self._least, self._left)
        if step.spoken:
            self._obeyed = True
            self._begin_to_watch()
        elif self._obeyed:
            self._obeyed = False
            if self.speech.follows_up and self._looks and self._mode is Mode.WATCHING and self._saying is None:
                self._speak_up(0.0)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self.note_end(end)
        super().on_episode_end(end)

    def note_end(self, end: EpisodeEnd) -> None:
        """How an episode ended, for what they say at the beginning of the next."""
        self._went_wrong = end.outcome in WENT_WRONG
        self._to_caution = end.outcome is Outcome.FAILURE and self._caution is not None

    def note_said(self, text: str) -> None:
        """A sentence that was said."""
        count = len(text.split())
        self.sentences += 1
        self.words += count
        self.speaking += self.config.reaction_delay + self.speech.per_word * count

    def note_meant(self, meanings: Sequence[Meaning]) -> None:
        """What was said was understood so; what needs to be said once was."""
        if self._caution in meanings:
            self._caution, self._to_caution = None, False

    def _begin(self, rng: np.random.Generator, demonstrating: bool) -> None:
        self._saying: Sentence | None = None
        self._until_said = 0.0
        self._obeyed = False
        self._least = self._left_when_said = math.inf
        self._in_vain = 0
        super()._begin(rng, demonstrating)

    # -- doing ---------------------------------------------------------------------------------------------------

    def read(self) -> HumanInput | None:
        human = super().read()
        if human is None or self._saying is None or self._seen is None or self._over:
            return human
        self._until_said -= self._period
        if self._until_said > _SLACK:
            return human
        said, self._saying = self._saying, None
        self._left_when_said = self._least = self._left
        self._begin_to_watch()
        return replace(human, sentences=(said,))

    def _reason(self, observation: Observation) -> bool:
        return self._saying is None and not self._obeyed and super()._reason(observation)

    def _take_over(self) -> None:
        if self._least > self._left_when_said - self.IN_VAIN:
            self._in_vain += self._left_when_said < math.inf
        else:
            self._in_vain = 0
        hands = self.speech.hands_after
        if hands is not None and self._in_vain >= hands:
            self._in_vain, self._left_when_said = 0, math.inf
            super()._take_over()
            return
        self._mode = Mode.WATCHING
        self._begin_to_watch()
        self._speak_up(self.config.reaction_delay * self._tiredness())

    def _speak_up(self, thought_for: float) -> None:
        """Begin to say what seems right now, unless nothing comes to mind. Args: thought_for: seconds until now."""
        config = self.speech
        seen = self._seen
        if seen is None or (config.budget is not None and self.sentences >= config.budget):
            return
        meaning = self._meant(seen)
        if meaning is None:
            return
        rng = self._tongue
        if rng.random() < config.wrong_side:
            meaning = mistaken(meaning, self._facts, rng)
        text = in_words(meaning, self._facts, rng, held_out=config.held_out, plainest=config.plainest)
        if rng.random() < config.fillers:
            text = f"{text} {FILLERS[int(rng.integers(len(FILLERS)))]}"
        count = len(text.split())
        self._until_said = config.per_word * count
        self.sentences += 1
        self.words += count
        self.speaking += thought_for + self._until_said
        heard = with_words_lost(text, config.word_drop, rng)
        self._saying = Sentence(heard, self._now) if heard else None

    def _meant(self, seen: Observation) -> Meaning | None:
        says = self.speech.says
        if says == "random":
            return self._vocabulary[int(self._tongue.integers(len(self._vocabulary)))]
        if self._to_caution and says != "axes":
            rule, self._caution, self._to_caution = self._caution, None, False
            return rule
        if says == "axes":
            return as_axis(self._knows, seen, self._layout, self._facts.view, self._tongue)
        meaning = self._advises(seen)
        return in_small_steps(meaning, seen, OVER) if says == "steps" and meaning is not None else meaning


class _Memory:
    """A Subscriber: what of a recording a speaker knows who goes on."""

    def __init__(self, speaker: SimulatedSpeaker) -> None:
        self._speaker = speaker

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """Nothing of an episode lasts but how it ended, and what was said and driven in it."""

    def on_step(self, step: Step) -> None:
        self._speaker.note_driven(step)

    def on_event(self, event: Event) -> None:
        if not isinstance(event, Feedback):
            return
        if event.kind is FeedbackKind.CORRECTION:
            self._speaker.note_said(event.text)
        elif event.kind is FeedbackKind.MEANING:
            self._speaker.note_meant(meanings_of(event) or ())

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._speaker.note_end(end)
