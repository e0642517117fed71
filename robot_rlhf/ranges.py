"""The range of a number in the settings, and the one line that says which setting is outside of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_rlhf.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Numbers from the least to the most, both included; NaN is in none."""

    least: float
    most: float = math.inf
    above: bool = False
    """The least itself is left out."""

    def __contains__(self, value: float) -> bool:
        return (self.least < value if self.above else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        end = "" if math.isinf(self.most) else f"{self.most:.10g}"
        if self.above:
            return f"above {self.least:.10g}" + (end and f", up to {end}")
        if self.most < MANY:
            return f"{self.least:.10g} to {end}"
        return f">= {self.least:.10g}" + (end and f", at most {end}")


MANY = 1_000
"""From here on the upper end is only there to catch slips, and is said last."""
SHARE = Range(0.0, 1.0)
COUNT = Range(0, 1_000_000_000)
"""None, or up to more than anybody has: what is larger is a slip, and no integer of the machine."""
AT_LEAST_ONE = Range(1, 1_000_000_000)
WIDTH = Range(1, 4_096)
"""Units of a layer, entries of a vector; the widest networks of the field have as many."""
MEMBERS = Range(1, 100)
"""Of an ensemble."""
MEMBERS_OR_NONE = Range(0, 100)
RATE = Range(0.0, 1.0, above=True)
"""Of learning, or of an average."""
WEIGHT = Range(0.0, 1e6)
SECONDS = Range(0.0, 1e6, above=True)
SHIFT = Range(0, 64)
"""Pixels by which pictures are shifted."""
SEED = Range(0, 2**32 - 1)


def check_ranges(settings: object, where: str, **ranges: Range) -> None:
    """Compare settings with their ranges.

    Args:
        settings: has each of them as an attribute; of a tuple each entry is compared, None is always allowed.
        where: what stands before their names, for example "replay"; empty for nothing.
        ranges: by the setting's name.

    Raises:
        ConfigError: one is outside; names it and what is allowed.
    """
    for name, allowed in ranges.items():
        value: float | tuple[float, ...] | None = getattr(settings, name)
        entries = value if isinstance(value, tuple) else () if value is None else (value,)
        if not all(math.isfinite(entry) for entry in entries):
            raise ConfigError(f"{where}{'.' if where else ''}{name}: got {value}, allowed: a finite number")
        if not all(entry in allowed for entry in entries):
            each = ", each" if isinstance(value, tuple) else ""
            colon = ":" if allowed.above else ""
            raise ConfigError(f"{where}{'.' if where else ''}{name}: got {value}, allowed{colon} {allowed}{each}")


def check_hidden(hidden: tuple[int, ...], where: str, name: str = "hidden") -> None:
    """Raises ConfigError for hidden layers that no network can have: none at all, too many, or of no unit."""
    if not 1 <= len(hidden) <= 16 or not all(units in WIDTH for units in hidden):
        raise ConfigError(f"{where}.{name}: got {list(hidden)}, allowed: 1 to 16 layers of {WIDTH} units")
