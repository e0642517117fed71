"""The coach: tells the operator when to intervene less, earlier or more briefly, from measured things only.

The rules are those of HIL-SERL (arXiv 2410.21845 and its walkthrough): let the policy explore for 20 to 30 steps, then
intervene briefly; at least a third of the episodes should reach the reward; practise recoveries; taper off; and do not
persistently give long interventions that lead to success, which make the value function over-estimate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from robot_rlhf.datatypes import Driver, Outcome
from robot_rlhf.errors import InvalidValueError

MOST = 3
"""More advice than this at once is not read."""
RECENT = 20
"""Episodes that are looked at."""
ENOUGH = 5
"""Finished episodes before anything is said about them."""
JUDGED = frozenset({Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIME_LIMIT})
"""Outcomes of episodes that were not broken off: the others say nothing about skill."""
EXPLORE = 20
"""Steps that the policy should have before a take-over; a fifth of the episode where episodes are short."""
LONG = 30
"""An intervention of more steps than this is long; also one of more than half the episode."""
REWARDED = 1 / 3
"""Share of episodes that should reach the reward."""
SKILLED = 0.8
"""Share of successes without help from which the person should taper off."""
RARELY = 0.05
"""A person who drives a smaller share of the steps hardly helps."""

Level = Literal["good", "hint", "warn"]
Push = Literal["more", "less", ""]


@dataclass(frozen=True)
class EpisodeFacts:
    """One practice episode, in numbers."""

    outcome: Outcome
    steps: int
    human_steps: int = 0
    first_takeover: int | None = None
    """Step at which the person took over first; None when they never did."""
    human_finished: bool = False
    """The person drove last, in an episode that succeeded."""
    interventions: int = 0
    longest: int = 0
    """Steps of the longest intervention."""

    def __post_init__(self) -> None:
        helped = self.human_steps > 0
        if not (
            0 <= self.interventions <= self.human_steps <= self.steps
            and 0 <= self.longest <= self.human_steps
            and helped == (self.interventions > 0) == (self.longest > 0) == (self.first_takeover is not None)
            and 0 <= (self.first_takeover or 0) <= self.steps - self.human_steps
            and not (self.human_finished and not (helped and self.outcome is Outcome.SUCCESS))
        ):
            raise InvalidValueError("EpisodeFacts", self, "numbers that one episode can have")

    @classmethod
    def of(cls, outcome: Outcome, drivers: Sequence[int]) -> EpisodeFacts:
        """The facts of an episode.

        Args:
            outcome: how it ended.
            drivers: a Driver per step. Shape (T,).
        """
        by_human = [driver == Driver.HUMAN for driver in drivers]
        spans = [len(list(span)) for human, span in itertools.groupby(by_human) if human]
        # The rest between letting go and the policy's return is nobody's work.
        last = next((driver for driver in reversed(drivers) if driver != Driver.REFLEX), None)
        return cls(
            outcome,
            steps=len(by_human),
            human_steps=sum(by_human),
            first_takeover=by_human.index(True) if spans else None,
            human_finished=outcome is Outcome.SUCCESS and last == Driver.HUMAN,
            interventions=len(spans),
            longest=max(spans, default=0),
        )

    @property
    def helped(self) -> bool:
        """Whether the person drove at all."""
        return self.human_steps > 0

    @property
    def success(self) -> bool:
        return self.outcome is Outcome.SUCCESS


@dataclass(frozen=True)
class Advice:
    """One thing to tell the operator."""

    level: Level
    text: str
    because: str
    """What was measured, in words."""
    push: Push = ""
    """Whether it asks for more of the person (more help, earlier) or for less (less help, later, more briefly)."""


PRACTICE: Mapping[str, Advice] = {
    "worse": Advice("warn", "It was better before: the best policy is kept. Correct what fails now.", "", "more"),
    "mastered": Advice("good", "It does the task alone: practising more is of little use.", ""),
    "stuck": Advice("hint", "Practising more gains nothing: show what fails, or correct it there.", "", "more"),
}
"""What to tell by what the run's monitor finds."""


def advice(
    history: Sequence[EpisodeFacts],
    *,
    alarm: bool = False,
    over_estimation: float | None = None,
    not_training: str = "",
    practice: tuple[str, str] = ("", ""),
) -> tuple[Advice, ...]:
    """What to tell the operator now, the most important first; at most MOST, and never contradicting ones.

    Args:
        history: practice episodes, oldest first; the last RECENT that were not broken off are looked at.
        alarm: whether the value check finds that the critic promises clearly more than episodes return.
        over_estimation: how much more, on average; None when not measured.
        not_training: why the learner does not learn right now, in its own words; empty while it does.
        practice: what the run finds of its practice, a key of PRACTICE or empty, and what that rests on.
    """
    recent = [facts for facts in history if facts.outcome in JUDGED][-RECENT:]
    told: list[Advice] = []
    if not_training:
        level: Level = "warn" if len(recent) >= ENOUGH else "hint"
        told.append(Advice(level, "The robot is not learning right now.", not_training))
    found: list[Advice] = []
    verdict, because = practice
    if verdict in PRACTICE:
        found.append(replace(PRACTICE[verdict], because=because))
    if alarm:
        found.append(_values(recent, over_estimation))
    if len(recent) >= ENOUGH:
        found += [each for rule in _RULES if (each := rule(recent)) is not None and not (alarm and rule is _long)]
    push: Push = ""
    for each in found:
        good_beside_other = each.level == "good" and told
        against = push and each.push and each.push != push
        if not against and not good_beside_other:
            told.append(each)
            push = push or each.push
    if not found and len(recent) < ENOUGH:
        because = f"{_count(len(recent), 'finished episode')} so far: too few to say more"
        told.append(Advice("hint", "Let the robot try for 20 to 30 steps, then correct it briefly.", because))
    return tuple(told[:MOST])


def demonstrating(done: int, wanted: int) -> Advice:
    """What to tell the operator while the robot does not practise yet. Args: demonstrations that count, asked for."""
    text = "Show the whole task, slowly and directly. The robot begins to practise when it has seen enough."
    return Advice("hint", text, f"{done} of {_count(wanted, 'demonstration')} so far")


def _values(recent: Sequence[EpisodeFacts], over_estimation: float | None) -> Advice:
    because = "it promises itself clearly more than episodes return"
    if over_estimation is not None and math.isfinite(over_estimation):
        because = f"it promises itself {over_estimation:.2f} more than episodes return"
    wins = [f for f in recent if f.success]
    finished = sum(f.human_finished for f in wins)
    if finished:
        because += f"; you drove the end of {_of(finished, wins, 'success', 'successes')}"
    text = "Correct more briefly, and let the robot finish by itself: its values are too high."
    return Advice("warn", text, because, "less")


def _long(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """Persistent long interventions that lead to success."""
    wins = [f for f in recent if f.success]
    long = [f for f in wins if f.human_finished and (f.longest > LONG or f.longest > max(10, f.steps / 2))]
    if len(long) < 3 or 2 * len(long) < len(wins):
        return None
    because = (
        f"{_of(len(long), wins, 'success', 'successes')} came at the end of a long intervention, "
        f"of {median(f.longest for f in long):.0f} steps"
    )
    return Advice("warn", "Correct briefly: bring it back on track, and give back before the goal.", because, "less")


def _reward(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """At least a third of the episodes should reach the reward."""
    wins, helped = sum(f.success for f in recent), sum(f.helped for f in recent)
    if wins >= REWARDED * len(recent):
        return None
    because = f"{_of(wins, recent, 'episode')} succeeded, and you helped in {helped or 'none'}"
    return Advice("warn", "Help more often: at least one episode in three should reach the goal.", because, "more")


def _late(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """Failures in which help came near the end."""
    lost = [f for f in recent if not f.success and f.first_takeover is not None]
    late = [f for f in lost if (f.first_takeover or 0) > 0.8 * f.steps]
    if len(late) < 3 or 2 * len(late) < len(lost):
        return None
    because = f"in {_of(len(late), lost, 'failed episode')} that you helped, help came in the last fifth"
    return Advice("hint", "Take over earlier: help came too late.", because, "more")


def _recognisable(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """Failures without help that come at about the same step; time limits always do, so they do not count."""
    lost = [f.steps for f in recent if f.outcome is Outcome.FAILURE and not f.helped]
    if len(lost) < 3:
        return None
    middle = median(lost)
    near = sorted(steps for steps in lost if abs(steps - middle) <= 0.2 * middle)
    if len(near) < 3 or len(near) < 0.75 * len(lost) or middle <= 10:
        return None
    text = f"Failures come at about step {middle:.0f}: take over a little before."
    because = (
        f"{len(near)} of {_count(len(lost), 'recent failure')} without help came between step {near[0]} and {near[-1]}"
    )
    return Advice("hint", text, because, "more")


def _early(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """Take-overs before the policy could explore."""
    starts = [f.first_takeover for f in recent if f.first_takeover is not None]
    explore = min(EXPLORE, median(f.steps for f in recent) / 5)
    if len(starts) < 3 or median(starts) >= explore:
        return None
    wait = "for 20 to 30 steps" if explore == EXPLORE else f"for at least {math.ceil(explore)} steps"
    because = (
        f"in {_count(len(starts), 'recent episode')} with help you took over at step {median(starts):.0f}, typically"
    )
    return Advice("hint", f"Let the robot try {wait} before you take over.", because, "less")


def _much(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """A person who drives most of the time."""
    share = _share(recent)
    if share <= 0.5:
        return None
    because = f"you drove {share:.0%} of the steps of the last {_count(len(recent), 'episode')}"
    return Advice("hint", "Give back sooner: the robot learns from what it tries itself, too.", because, "less")


def _alone(recent: Sequence[EpisodeFacts]) -> tuple[int, int]:
    """Episodes without help, and how many of them succeeded."""
    alone = [f for f in recent if not f.helped]
    return len(alone), sum(f.success for f in alone)


def _taper(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """It succeeds alone.

    A person helps where it goes wrong, so few episodes without help prove little: they must be half of all.
    """
    tries, wins = _alone(recent)
    if tries < ENOUGH or 2 * tries < len(recent) or wins < SKILLED * tries:
        return None
    share = _share(recent)
    because = f"{wins} of {_count(tries, 'recent episode')} without help succeeded; you drove {share:.0%} of all steps"
    if share > RARELY:
        return Advice("hint", "It succeeds alone: taper off, and help only when it is stuck.", because, "less")
    return Advice("good", "It succeeds alone: just watch.", because)


def _recoveries(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """It fails now and then, and nobody shows it the way back."""
    tries, wins = _alone(recent)
    if tries - wins < 3 or not REWARDED * tries <= wins < SKILLED * tries or _share(recent) > RARELY:
        return None
    because = f"{tries - wins} of {_count(tries, 'recent episode')} without help failed; you hardly helped"
    text = "Show it recoveries: where it gets stuck, bring it back to where it can go on, and let go."
    return Advice("hint", text, because, "more")


def _tapering(recent: Sequence[EpisodeFacts]) -> Advice | None:
    """Less help than before, and no fewer successes."""
    if len(recent) < 2 * ENOUGH:
        return None
    half = len(recent) // 2
    before, after = recent[:-half], recent[-half:]
    won_before, won = (sum(f.success for f in part) / len(part) for part in (before, after))
    if won < max(won_before, REWARDED) or _share(after) > _share(before) - RARELY:
        return None
    because = (
        f"your share of the steps went from {_share(before):.0%} to {_share(after):.0%}, "
        f"successes from {won_before:.0%} to {won:.0%}"
    )
    return Advice("good", "You help less and it does not suffer: go on like this.", because)


_RULES: tuple[Callable[[Sequence[EpisodeFacts]], Advice | None], ...] = (
    _long,
    _reward,
    _late,
    _recognisable,
    _early,
    _much,
    _taper,
    _recoveries,
    _tapering,
)
"""The most important first."""


def _share(recent: Sequence[EpisodeFacts]) -> float:
    """Share of the steps that the person drove."""
    return sum(f.human_steps for f in recent) / max(1, sum(f.steps for f in recent))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _of(part: int, whole: Sequence[EpisodeFacts], one: str, many: str = "") -> str:
    many = many or f"{one}s"
    return f"{part or 'none'} of the last {len(whole)} {one if len(whole) == 1 else many}"
