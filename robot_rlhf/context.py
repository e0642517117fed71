"""What is wanted, as one vector: which of a step's context vectors are looked at, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_rlhf.datatypes import Array
from robot_rlhf.errors import ConfigError, InvalidValueError


@dataclass(frozen=True)
class ContextSpec:
    """Names and lengths of the vectors that are looked at; they are joined in the order of their names."""

    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    """Name to length, for example {'goal': 2}. Vectors that are not named here are not looked at."""

    def __post_init__(self) -> None:
        wrong = {name: size for name, size in self.sizes.items() if not name or size < 1}
        if wrong:
            raise ConfigError(f"context: got {_words(wrong)}, allowed: names with at least 1 entry each")
        object.__setattr__(self, "sizes", dict(sorted(self.sizes.items())))

    @property
    def size(self) -> int:
        """Entries of all vectors together."""
        return sum(self.sizes.values())

    @property
    def spans(self) -> dict[str, slice]:
        """Where each vector lies in the joined one."""
        ends = np.cumsum([0, *self.sizes.values()]).tolist()
        return {name: slice(ends[k], ends[k + 1]) for k, name in enumerate(self.sizes)}

    def joined(self, context: Mapping[str, Array]) -> Array:
        """A step's vectors as one. Shape (size,).

        Raises:
            InvalidValueError: a vector that is looked at is missing, has another length, or is not finite.
        """
        if not self.sizes:
            return np.zeros(0, np.float32)
        given = {name: len(context[name]) for name in self.sizes if name in context}
        if given != self.sizes:
            said = _words({name: len(vector) for name, vector in context.items()})
            raise InvalidValueError("context", said, f"{_words(self.sizes)}, as features.context says")
        whole = np.concatenate([context[name] for name in self.sizes]).astype(np.float32, copy=False)
        if not np.isfinite(whole).all():
            raise InvalidValueError("context", whole.tolist(), "finite numbers")
        return whole


def _words(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} ({size},)" for name, size in sorted(sizes.items())) or "none"
