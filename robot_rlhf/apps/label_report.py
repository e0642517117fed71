"""What a session of labelling gave, in words: answers, agreement with the truth, contradictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from robot_rlhf.apps.label_options import LabelOptions
from robot_rlhf.datatypes import Array, Feedback, Segment
from robot_rlhf.feedback.comparisons import VALUES, cycles, reversals
from robot_rlhf.rewards.metrics import wilson_interval

NAMED = 3
"""Contradictions that are spelled out."""
_ANSWERS = {value: answer for answer, value in VALUES.items()}


@dataclass(frozen=True, eq=False)
class Labelled:
    """What a session of labelling gave."""

    author: str
    given: tuple[Feedback, ...]
    """The labels, skips included, in the order in which they were given."""
    ended: str
    """Why there are fewer than asked for; empty where there are not."""
    failure: BaseException | None
    """The error or the Ctrl-C that ended it."""
    comparisons: tuple[Feedback, ...]
    """Everything that was ever said about pairs of the journal, these labels last."""
    gold: Mapping[str, Array]
    """The true reward per step by episode id, for audit only; empty where none was recorded."""
    detail: str
    """What the labeler says of itself."""


def table_of(labelled: Labelled, options: LabelOptions) -> Table:
    """What was answered, and how far it agrees with the true reward where that was recorded."""
    title = f"{len(labelled.given)} of {options.count} pairs"
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("recording", str(options.recording))
    table.add_row("labels by", labelled.author)
    told = Counter(_ANSWERS[feedback.value] for feedback in labelled.given)
    table.add_row("answers", ", ".join(f"{told[answer]} {answer}" for answer in VALUES))
    if labelled.given:
        table.add_row("chosen", f"{options.strategy}, clips of {labelled.given[0].span.length} steps")
    agreeing, compared = agreement(labelled.given, labelled.gold)
    if compared:
        low, high = wilson_interval(agreeing, compared)
        share = f"{agreeing} of {compared} ({agreeing / compared:.0%}, 95 % interval {low:.0%} to {high:.0%})"
        table.add_row("agree with gold", f"{share}; gold used for audit only" + _told_gold(options))
    if labelled.detail:
        table.add_row("cost", labelled.detail)
    standing = {frozenset((f.span, f.other)): f.value for f in labelled.comparisons}
    table.add_row("in the journal", f"{sum(v is not None for v in standing.values())} labelled pairs")
    if labelled.ended:
        table.add_row("ended", labelled.ended)
    return table


def _told_gold(options: LabelOptions) -> str:
    return ", and by the oracle, as asked for" if options.labeler == "oracle" else ""


def agreement(given: Sequence[Feedback], gold: Mapping[str, Array]) -> tuple[int, int]:
    """How many labels prefer the segment with the larger true return, of how many that tell two returns apart."""
    agreeing = compared = 0
    for feedback in given:
        if feedback.value not in (0.0, 1.0) or feedback.other is None:
            continue
        if not {feedback.span.episode_id, feedback.other.episode_id} <= set(gold):
            continue
        left, right = (
            float(gold[s.episode_id][s.start : s.start + s.length].sum(dtype=np.float64))
            for s in (feedback.span, feedback.other)
        )
        if left != right:
            compared += 1
            agreeing += (left > right) == (feedback.value == 1.0)
    return agreeing, compared


def contradictions(comparisons: Sequence[Feedback]) -> Iterator[str]:
    """A line about pairs that were labelled both ways, and one about rounds of preferences, where there are any."""
    both = reversals(comparisons)
    if both:
        named = [
            f"{_name(a.span)} and {_name(a.other or a.span)} ({a.author}, then {b.author})" for a, b in both[:NAMED]
        ]
        yield f"{len(both)} pair(s) were labelled both ways; the later label counts: {_listed(named, len(both))}"
    standing = {frozenset((f.span, f.other)): f for f in comparisons}.values()
    rounds = cycles(standing)
    if rounds:
        named = [" > ".join(_name(segment) for segment in (*way, way[0])) for way in rounds[:NAMED]]
        yield f"{len(rounds)} round(s) of preferences that no reward can explain: {_listed(named, len(rounds))}"


def _listed(named: Sequence[str], count: int) -> str:
    return "; ".join(named) + ("; ..." if count > len(named) else "")


def _name(segment: Segment) -> str:
    return f"{segment.episode_id} [{segment.start}:{segment.start + segment.length}]"
