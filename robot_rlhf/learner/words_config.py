"""The settings of learning from sentences."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rlhf.ranges import AT_LEAST_ONE, COUNT, SECONDS, SHARE, WEIGHT, Range, check_ranges


@dataclass(frozen=True)
class WordsConfig:
    """What sentences teach. Nothing is changed by any of it while nobody speaks."""

    teaches: bool = True
    """Learn from sentences; otherwise they move the robot, and no more."""
    weight: float = 0.3
    """Of what was advised, beside what the policy learns otherwise; 0 takes no advice."""
    lasts: int = 6_000
    """Updates after which advice has faded, linearly."""
    batch_size: int = 64
    """Rows of advice in one step."""
    per_update: int = 1
    """Steps of advice per update of the policy."""
    since: float = 1.5
    """Seconds before a sentence began from which on it is about what the policy did."""
    until: float = 0.3
    """Seconds before a sentence began at which that ends: a person needs so long to react."""
    reach: float = 1.0
    """How far the advised action lies from what was done, in full actions, for 4 cm or more (lambda)."""
    q_filter_after: int = 2_000
    """Updates after which a learner that knows values may overrule advice."""
    q_slack: float = 0.02
    """Advice is kept as long as its value is not less by more than this than that of what the policy would do."""

    rule_weight: float = 0.0
    """Of standing rules, beside what is imitated: for a policy that can do its task, and is to act without them. One
    that still learns is held back by 1. 0 teaches none; they stand all the same."""
    rule_speeds: bool = False
    """Teach the policy rules of speed, too, for it to act without them: with such a rule standing, it slows down twice.
    Other rules are taught with any weight."""

    def __post_init__(self) -> None:
        check_ranges(
            self, "words", weight=SHARE, rule_weight=SHARE, reach=Range(0.0, 2.0), q_slack=WEIGHT, since=SECONDS
        )
        check_ranges(self, "words", lasts=AT_LEAST_ONE, batch_size=Range(1, 65_536), per_update=COUNT)
        check_ranges(self, "words", until=Range(0.0, self.since), q_filter_after=COUNT)
