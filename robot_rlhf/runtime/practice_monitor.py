"""Judges a learner by its practice alone: which weights are kept as the best, and whether more practice is of use."""

from __future__ import annotations

import copy
import enum
import math
from dataclasses import dataclass, replace
from typing import Any

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, Step, whole_episode
from robot_rlhf.journal.helped import discarded_episode
from robot_rlhf.runtime.outcomes import AloneOutcomes, SuccessRate
from robot_rlhf.runtime.practice_weights import Standings, Weights

TESTED = 5.0
"""Episodes from which on a record is compared."""
ONE_SIGMA = 1.0
"""z of the lower bound that a record is worth."""
SURE = 2.17
"""z at which practice counts as worse: the intervals of 97 % then and now do not meet."""
HALVES = (50, 100, 200)
"""Episodes in each of the two halves that are compared to see whether practice still gains anything; the shortest say
too little of a policy that may be getting better slowly, and are for one that has nothing left to gain."""
GAIN = 0.1
"""Practice is of no more use where its success surely rose by less than this from one half to the other."""
MASTERED = 0.9
"""Success without help from which on a policy that gains nothing more has learned the task."""
KNOWN = ("rates", "present", "kept", "kept_at", "verdict", "episodes", "to_keep", "_past", "_level")
"""Attributes of a monitor that an episode changes."""


class Verdict(enum.Enum):
    """What practice says of itself."""

    NONE = ""
    """Nothing yet, or that it goes on well."""
    WORSE = "worse"
    """It was better once: the kept weights practise in turn, and are deployed."""
    MASTERED = "mastered"
    """It does the task alone, and gains nothing more."""
    STUCK = "stuck"
    """It gains nothing more, and does not do the task reliably."""


@dataclass(frozen=True)
class Report:
    """The monitor's figures."""

    verdict: Verdict
    rate: float
    """Success without help of what practises now; a mean that forgets."""
    interval: tuple[float, float]
    """95 %, Wilson."""
    kept: float | None
    """Success without help of the kept weights; None while there are none."""
    episodes: int
    """Finished practice episodes so far."""
    because: str
    """What was measured, in words."""


class PracticeMonitor:
    """A Subscriber: a pure function of the practice episodes it is told of, so a journal played again brings it back.

    Which weights drove an episode is in its meta. An episode with help counts as one that the policy did not do alone.
    What newest and averaged weights did fades (discounted Thompson sampling, Raj and Kalyani 2017), as they change;
    what kept ones did does not.
    """

    def __init__(self) -> None:
        self.rates: dict[Weights, SuccessRate] = {Weights.NEWEST: SuccessRate(), Weights.AVERAGED: SuccessRate()}
        self.present = SuccessRate()
        """Of newest and averaged weights together."""
        self.kept: SuccessRate | None = None
        """Of the weights that are kept: what practice was when they were, and what they did since."""
        self.kept_at = 0
        """Episodes after which those were kept."""
        self.verdict = Verdict.NONE
        self.episodes = 0
        self._past: list[bool] = []
        self._level = 0.0
        self._practises = Weights.NEWEST
        self.to_keep: Weights | None = None
        """Whose weights are to be written down as the best, by whoever has them; they set it back to None."""
        self._outcomes = AloneOutcomes(lambda alone: self.note(alone, self._practises))
        self._before: tuple[str, dict[str, Any]] | None = None
        """The last episode, and what was known before it."""

    # -- what happens --------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practises = Weights(meta.weights or Weights.NEWEST)
        self._outcomes.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        self._outcomes.on_step(step)

    def on_event(self, event: Event) -> None:
        """An episode that is discarded after its end was none."""
        if self._before is not None and discarded_episode(event) == self._before[0]:
            vars(self).update(self._before[1])
            self._before = None

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._before = whole_episode(end.id), copy.deepcopy({name: getattr(self, name) for name in KNOWN})
        self._outcomes.on_episode_end(end)

    def note(self, alone: bool, weights: Weights) -> None:
        """A practice episode has ended.

        Args:
            alone: the policy did it without help.
            weights: whose actions it tried.
        """
        self.episodes += 1
        for rate in (*self.rates.values(), self.present):
            rate.fade()
        if weights is Weights.KEPT:
            self.adopt()
            assert self.kept is not None
            self.kept.note(alone)
        else:
            self.rates[weights].note(alone)
            self.present.note(alone)
            self._past.append(alone)
        if weights is not Weights.KEPT:
            self._keep_if_better()
        self._judge()

    def adopt(self) -> None:
        """There are kept weights of which nothing is known: those practice began with, or an earlier run's."""
        if self.kept is None:
            self.kept = SuccessRate()

    def forget_kept(self) -> None:
        """The kept weights are not those of which so much is known."""
        self.kept, self.kept_at = SuccessRate(), 0

    # -- deciding ------------------------------------------------------------------------------------------------

    @property
    def standings(self) -> Standings:
        """Of the weights that may practise next: kept ones too when practice was better once, or while unknown."""
        known: dict[Weights, SuccessRate] = dict(self.rates)
        if self.kept is not None and (self.verdict is Verdict.WORSE or self.kept.episodes < TESTED):
            known[Weights.KEPT] = self.kept
        return Standings(known)

    @property
    def better(self) -> Weights:
        """Of the learner's two sets of weights the one whose practice is worth more; the average where nothing is."""
        newest, averaged = (self.rates[who] for who in (Weights.NEWEST, Weights.AVERAGED))
        return Weights.NEWEST if _worth(newest) > _worth(averaged) else Weights.AVERAGED

    def _keep_if_better(self) -> None:
        if self.present.episodes < TESTED:
            return
        if self.kept is not None and _worth(self.present) < self._to_beat(self.kept):
            return
        self.kept, self.kept_at = replace(self.present), self.episodes
        self.to_keep = self.better

    @staticmethod
    def _to_beat(kept: SuccessRate) -> float:
        """What practice must be worth to be kept instead. Of weights that are hardly known, all that they may be worth:
        good ones soon practise again and become known, bad ones do not."""
        return _worth(kept) if kept.episodes >= TESTED else kept.interval(ONE_SIGMA)[1]

    def _judge(self) -> None:
        if self.kept is None:
            return
        low, high = self.kept.interval(SURE)[0], self.present.interval(SURE)[1]
        recovered = self.present.episodes >= TESTED and self.present.mean >= low
        if high < low or (self.verdict is Verdict.WORSE and not recovered):
            self.verdict = Verdict.WORSE
            return
        settled = self.verdict in (Verdict.MASTERED, Verdict.STUCK)
        if settled and abs(self.present.mean - self._level) <= GAIN:
            return
        self._level = self.present.mean
        mastered = self._level >= MASTERED
        useless = any(self._gains_nothing(half) for half in HALVES[0 if mastered else 1 :])
        self.verdict = Verdict.NONE if not useless else Verdict.MASTERED if mastered else Verdict.STUCK

    def _gains_nothing(self, half: int) -> bool:
        """Whether success surely (95 %) rose by less than GAIN from one half of the last episodes to the other."""
        if len(self._past) < 2 * half:
            return False
        before, after = self._past[-2 * half : -half], self._past[-half:]
        rates = [(sum(each) + 1.0) / (half + 2.0) for each in (before, after)]
        spread = math.sqrt(sum(rate * (1.0 - rate) / half for rate in rates))
        return rates[1] - rates[0] + 1.645 * spread < GAIN

    # -- telling -------------------------------------------------------------------------------------------------

    @property
    def report(self) -> Report:
        """What is known now."""
        kept = None if self.kept is None or self.kept.episodes < 1.0 else self.kept.mean
        return Report(self.verdict, self.present.mean, self.present.interval(), kept, self.episodes, self._because())

    def _because(self) -> str:
        now = f"{self.present.mean:.0%} of the last episodes were done without help"
        if self.verdict is Verdict.WORSE and self.kept is not None:
            return f"{now}, and {self.kept.mean:.0%} when the kept policy was kept"
        if self.verdict in (Verdict.MASTERED, Verdict.STUCK):
            return f"{now}, and as many of those before"
        return now


def _worth(rate: SuccessRate) -> float:
    """Lower bound: what few episodes say is worth less."""
    return rate.interval(ONE_SIGMA)[0]
