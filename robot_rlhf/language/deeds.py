"""Everything that a clause says: each way to say something in turn, and whoever comes first uses the words."""

from __future__ import annotations

from collections.abc import Callable

from robot_rlhf.language import lasting, motions, places
from robot_rlhf.language.clause import Clause, Found

_WAYS: tuple[Callable[[Clause], None], ...] = (
    *(lasting.speed_as_noun, lasting.from_above, lasting.keep_away, lasting.pace_rule),
    *(places.too_near, places.to_me, places.opened_drawer, places.put_in, motions.put_down),
    *(places.push_to, places.pulled, places.down_on, motions.grasped, places.to_places),
    *(motions.turns, motions.states, motions.moved, motions.grips, motions.verdicts, motions.named_alone),
)


def read_clause(clause: Clause) -> list[Found]:
    """Every meaning of a clause, in the order of its words."""
    for way in _WAYS:
        way(clause)
    return sorted(clause.found, key=lambda each: each.at)
