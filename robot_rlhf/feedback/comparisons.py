"""What answers about pairs of segments become: labels, what they have cost, and where they contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.feedback.queries import Pair

VALUES: dict[str, float | None] = {"left": 1.0, "equal": 0.5, "right": 0.0, "skip": None}
"""Answer to the value of a PREFERENCE: how far the left one is preferred."""


def preference(pair: Pair, answer: str, author: str, stamp: float) -> Feedback:
    """The label that an answer becomes.

    Args:
        pair: what was shown left, and right.
        answer: one of VALUES.
        author: a person's name, or the labeler with its settings.
        stamp: clock time of the answer, seconds.

    Raises:
        UnknownNameError: another answer.
    """
    if answer not in VALUES:
        raise UnknownNameError("answer", answer, VALUES)
    return Feedback(FeedbackKind.PREFERENCE, author, stamp, pair[0], VALUES[answer], other=pair[1])


@dataclass(frozen=True)
class Budget:
    """How many labels of pairs one author may give over a journal's life. Skipped pairs are free.

    A label counts when it is given, also if it is withdrawn or replaced later.
    """

    limit: int
    """Labels >= 0."""

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ConfigError(f"budget: got {self.limit}, allowed: labels >= 0")

    def left(self, given: Iterable[Feedback], author: str) -> int:
        """Labels that may still be given.

        Args:
            given: everything that was ever said about pairs, in any order; also what no longer stands.
            author: whose labels count.
        """
        used = sum(f.kind is FeedbackKind.PREFERENCE and f.author == author and f.value is not None for f in given)
        return max(self.limit - used, 0)


def reversals(given: Iterable[Feedback]) -> list[tuple[Feedback, Feedback]]:
    """Pairs that were preferred one way and later the other, with both labels; the later one stands.

    Args:
        given: preferences in the order of recording; also those that no longer stand.
    """
    last: dict[frozenset[Segment], Feedback] = {}
    found: dict[frozenset[Segment], tuple[Feedback, Feedback]] = {}
    for feedback in given:
        better = _better(feedback)
        if better is None or feedback.other is None:
            continue
        key = frozenset((feedback.span, feedback.other))
        before = last.get(key)
        if before is not None and _better(before) != better:
            found[key] = (before, feedback)
        last[key] = feedback
    return list(found.values())


def cycles(standing: Iterable[Feedback]) -> list[tuple[Segment, ...]]:
    """Rounds of preferences that no reward can explain: each segment is preferred to the next, the last to the first.

    One shortest round is told for each group of segments that are preferred to each other by some way, so that a
    group counts once however many rounds go through it. Equal ones are left out.

    Args:
        standing: the preferences that count today.
    """
    worse: dict[Segment, list[Segment]] = {}
    for feedback in standing:
        better = _better(feedback)
        if better is not None and feedback.other is not None and feedback.span != feedback.other:
            other = feedback.other if better == feedback.span else feedback.span
            worse.setdefault(better, []).append(other)
            worse.setdefault(other, [])
    found: list[tuple[Segment, ...]] = []
    group = _groups(worse)
    sizes = Counter(group.values())
    told: set[int] = set()
    for segment in worse:
        if sizes[group[segment]] > 1 and group[segment] not in told:
            told.add(group[segment])
            found.append(_round_trip(segment, worse))
    return found


def _better(feedback: Feedback) -> Segment | None:
    """The preferred one; None for equal, skipped, and what is no preference."""
    if feedback.kind is not FeedbackKind.PREFERENCE or feedback.value in (None, 0.5) or feedback.other is None:
        return None
    return feedback.span if feedback.value > 0.5 else feedback.other


def _groups(worse: dict[Segment, list[Segment]]) -> dict[Segment, int]:
    """Strongly connected components (Kosaraju), without recursion: segment to the number of its component."""
    order: list[Segment] = []
    seen: set[Segment] = set()
    for start in worse:
        stack: list[tuple[Segment, int]] = [(start, 0)] if start not in seen else []
        seen.add(start)
        while stack:
            node, position = stack.pop()
            if position < len(worse[node]):
                stack.append((node, position + 1))
                following = worse[node][position]
                if following not in seen:
                    seen.add(following)
                    stack.append((following, 0))
            else:
                order.append(node)
    better: dict[Segment, list[Segment]] = {node: [] for node in worse}
    for node, others in worse.items():
        for other in others:
            better[other].append(node)
    group: dict[Segment, int] = {}
    for number, start in enumerate(reversed(order)):
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node not in group:
                group[node] = number
                waiting += better[node]
    return group


def _round_trip(start: Segment, worse: dict[Segment, list[Segment]]) -> tuple[Segment, ...]:
    """A shortest way from a segment back to itself; there must be one."""
    came_from: dict[Segment, Segment] = {}
    waiting: Sequence[Segment] = [start]
    while waiting:
        further: list[Segment] = []
        for node in waiting:
            for following in worse[node]:
                if following == start:
                    way = [node]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return tuple(reversed(way))
                if following not in came_from:
                    came_from[following] = node
                    further.append(following)
        waiting = further
    raise AssertionError("a group of several segments without a way back")
