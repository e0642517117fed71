"""Which share of a batch comes from which sources."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError

Group = frozenset[Source]
"""Sources that are drawn from together, uniformly over their transitions."""

PRIOR: Group = frozenset({Source.DEMO, Source.HUMAN, Source.PRAISED})
"""What a person showed, demonstrations and corrections, and what they praised."""
UNAIDED: Group = frozenset({Source.POLICY, Source.PROVEN, Source.PRE_INTERVENTION, Source.PRAISED})
"""What the policy did by itself."""
ONLINE: Group = UNAIDED | {Source.HUMAN, Source.OTHER, Source.BLAMED}
"""All that was collected while practising. Corrections are in both groups, as in HIL-SERL."""
EVERYTHING: Group = PRIOR | ONLINE
"""All transitions with an action."""
WATCHED: Group = frozenset({Source.WATCHED})
"""Observations alone, for what needs no action; no batch to learn actions or values from holds them."""

Mix = Mapping[Group, float]
"""Group to fraction of the batch; the fractions sum to 1."""
DEFAULT_MIX: Mix = MappingProxyType({PRIOR: 0.5, ONLINE: 0.5})
"""Half prior, half online: RLPD's symmetric sampling."""


def check_mix(mix: Mix) -> None:
    """Refuse fractions that are negative or do not sum to 1, and groups without a source.

    Raises:
        ConfigError: names the mix as given.
    """
    fractions = list(mix.values())
    if not all(0.0 <= f <= 1.0 for f in fractions) or not math.isclose(sum(fractions), 1.0, abs_tol=1e-6):
        raise ConfigError(f"replay mix {describe(mix)}: fractions must be in [0, 1] and sum to 1")
    if not all(mix):
        raise ConfigError(f"replay mix {describe(mix)}: a group holds at least one Source")
    for group in mix:
        check_acted(group)


def check_acted(group: Group) -> None:
    """Raises ConfigError where a batch would hold steps whose action nobody knows."""
    if not group.isdisjoint(WATCHED):
        raise ConfigError(
            "replay: WATCHED steps have no action to learn from; allowed: gather(actions=False) and windows()"
        )


def shares(batch_size: int, fractions: Sequence[float], sizes: Sequence[int]) -> list[int]:
    """How many of a batch's transitions each group gives, by largest remainder (ties: the first group).

    The share of a group that is still empty goes to the others in proportion to their fractions.

    Args:
        batch_size: transitions to be drawn.
        fractions: wanted fraction per group, summing to 1.
        sizes: transitions each group holds now.

    Returns:
        One count per group, summing to batch_size; all 0 when every wanted group is empty.
    """
    wanted = [fraction if size else 0.0 for fraction, size in zip(fractions, sizes, strict=True)]
    total = sum(wanted)
    if total == 0.0:
        return [0] * len(wanted)
    exact = [batch_size * fraction / total for fraction in wanted]
    counts = [math.floor(x + 1e-9) for x in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: batch_size - sum(counts)]:
        counts[k] += 1
    return counts


def describe(mix: Mix) -> str:
    """The mix in words, for messages."""
    return ", ".join(f"{{{'|'.join(sorted(s.name for s in group))}}}: {fraction:g}" for group, fraction in mix.items())
