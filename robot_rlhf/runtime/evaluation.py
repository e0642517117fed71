"""Success of a policy without help, with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, HumanInput, Observation, Outcome, Step
from robot_rlhf.ports import Subscriber, Teleop
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.runtime.hearing import expect_nothing_of
from robot_rlhf.runtime.inputs import Inputs
from robot_rlhf.runtime.listening import MEASURED
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.seeds import episode_seed, generators
from robot_rlhf.runtime.station import Station


@dataclass(frozen=True)
class Evaluation:
    """What a policy did in unaided episodes."""

    successes: tuple[bool, ...]
    lengths: tuple[int, ...]
    """Steps per episode."""
    gold_returns: tuple[float, ...]
    """Sum of the true reward per episode, a success holding its last one; only ever used to report."""
    policy_version: int
    outcomes: tuple[Outcome, ...] = ()
    """How each ended."""

    @property
    def episodes(self) -> int:
        return len(self.successes)

    @property
    def success_rate(self) -> float:
        return sum(self.successes) / len(self.successes)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the success rate."""
        return wilson_interval(sum(self.successes), len(self.successes))

    @property
    def cycle_steps(self) -> float:
        """Mean length of the successful episodes; NaN when there is none."""
        good = [n for n, success in zip(self.lengths, self.successes, strict=True) if success]
        return sum(good) / len(good) if good else math.nan


@dataclass
class _GoldReturn:
    """Adds up the true reward of an episode. A success holds its last reward until the time limit.

    Without that a policy that hovers near the goal until the time runs out would be worth more than one that is done.
    """

    time_limit: int
    total: float = 0.0
    last: float = 0.0
    returns: list[float] = field(default_factory=list[float])

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self.total = 0.0

    def on_step(self, step: Step) -> None:
        self.last = step.gold_reward
        self.total += self.last

    def on_event(self, event: Event) -> None:
        """Nothing to add."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        left = self.time_limit - end.steps if end.outcome is Outcome.SUCCESS else 0
        self.returns.append(self.total + left * self.last)


class _Overheard:
    """A Teleop whose words are kept for those who record, who are told of nothing now; one that stops does at once."""

    def __init__(self, teleop: Teleop, station: Station, episode: str) -> None:
        """Args: station: of those who record. episode: the one that is measured."""
        self._teleop = teleop
        self._station = station
        self._episode = episode

    def read(self) -> HumanInput | None:
        human, station = self._teleop.read(), self._station
        if human is None:
            return None
        for sentence in human.sentences:
            expect_nothing_of(station, sentence, self._episode, MEASURED)
        if station.listening is not None:
            human = station.listening.understand(human) or human
        station.inputs.keep(HumanInput(sentences=human.sentences, feedback=human.feedback))
        return replace(human, sentences=(), feedback=())


def evaluate(
    station: Station,
    *,
    episodes: int,
    seed: int,
    first: int = 0,
    only: Sequence[int] | None = None,
    subscribers: Sequence[Subscriber] = (),
    teleop: Teleop | None = None,
    judged_as_practice: bool = False,
) -> Evaluation:
    """Run the station's policy without a person; the task's predicate judges, as nobody is there to press a button.

    Args:
        seed: The run's seed; together with `first` it fixes the starts, which no other kind of episode shares.
        first: Number of the first evaluation episode.
        only: Which of the episodes, counted from 0, are run; None: all.
        subscribers: Told of the episodes; the station's own (journal, learner) are not.
        teleop: Of somebody who may stop the robot, but does not help.
        judged_as_practice: Somebody is there: who judges in practice judges here, too.
    """
    gold = _GoldReturn(station.task.time_limit)
    reward = station.reward if judged_as_practice else replace(station.reward, judge="task")
    alone = replace(
        station,
        operator="none",
        reward=reward,
        subscribers=(gold, *subscribers),
        teleop=None,
        inputs=Inputs(),
    )
    ends: list[EpisodeEnd] = []
    for number in (first + place for place in (range(episodes) if only is None else only)):
        episode = episode_seed(seed, EpisodeKind.EVALUATION, number)
        meta = EpisodeMeta(
            f"evaluation-{number:06d}",
            station.task.name,
            EpisodeKind.EVALUATION,
            episode,
            "none",
            reward.source,
        )
        rng, reset_rng = generators(episode)
        there = None if teleop is None else _Overheard(teleop, station, meta.id)
        ends.append(run_episode(replace(alone, teleop=there), meta, rng, reset_rng))
    return Evaluation(
        successes=tuple(end.outcome is Outcome.SUCCESS for end in ends),
        lengths=tuple(end.steps for end in ends),
        gold_returns=tuple(gold.returns),
        policy_version=station.policy.version if station.policy else -1,
        outcomes=tuple(end.outcome for end in ends),
    )
