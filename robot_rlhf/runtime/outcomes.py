"""How practice ends when nobody helps: a success rate that forgets, and the episodes it is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Outcome, Step
from robot_rlhf.journal.helped import FINISHED, Help
from robot_rlhf.rewards.metrics import wilson_interval

MEMORY = 30.0
"""Episodes after which an outcome counts a third (1/e): so many practise while weights change noticeably."""


@dataclass
class SuccessRate:
    """Successes and failures that count less the older they are; a Beta posterior from one half of each."""

    successes: float = 0.0
    failures: float = 0.0

    def note(self, success: bool) -> None:
        """One more outcome."""
        self.successes += success
        self.failures += not success

    def fade(self, memory: float = MEMORY) -> None:
        """Count all so far a little less, as an episode has gone by."""
        self.successes *= 1.0 - 1.0 / memory
        self.failures *= 1.0 - 1.0 / memory

    @property
    def episodes(self) -> float:
        """What is remembered, in episodes."""
        return self.successes + self.failures

    @property
    def mean(self) -> float:
        """Of the posterior under Jeffreys' prior; 1/2 of nothing."""
        return (self.successes + 0.5) / (self.episodes + 1.0)

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson interval of what is remembered; everything is possible while that is less than one episode."""
        return wilson_interval(self.successes, self.episodes, z) if self.episodes >= 1.0 else (0.0, 1.0)


class AloneOutcomes:
    """A Subscriber: for each finished practice episode, whether the policy did it alone.

    It did when the episode succeeded without help. Episodes that needed help count as failures: left out, the rest
    would be those that were easy.
    """

    def __init__(self, told: Callable[[bool], None]) -> None:
        """Args: told: called at each one's end."""
        self._told = told
        self._practice = False
        self._help = Help()

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practice = meta.kind is EpisodeKind.PRACTICE
        self._help.on_episode_start(meta)

    def on_step(self, step: Step) -> None:
        self._help.on_step(step)

    def on_event(self, event: Event) -> None:
        """Only how it ended counts."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        if self._practice and end.outcome in FINISHED:
            self._told(end.outcome is Outcome.SUCCESS and not self._help.given)
