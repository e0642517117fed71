"""What one update is given: a batch and what was drawn at random, with names, as compiled work takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from robot_rlhf.datatypes import Batch

BATCH_COLUMNS = ("action", "reward", "discount", "source", "weight", "index")
"""Of a Batch, besides its two observations."""


class Noise(NamedTuple):
    """What is drawn at random for one update of B transitions, with a head of n numbers per sample."""

    following: Tensor
    """Standard normal, for the next action. Shape (B, n)."""
    subset: Tensor | None
    """Critics whose least value is the TD target; None: all. Shape (target_subset,)."""
    policy: Tensor | None
    """Standard normal, for the action by which the actor learns; None: it does not learn. Shape (B, n)."""


def as_given(batch: Batch, noise: Noise) -> dict[str, Tensor]:
    """A batch and its noise by name; what is None is left out."""
    given = {f"observation/{name}": value for name, value in batch.observation.items()}
    given |= {f"next_observation/{name}": value for name, value in batch.next_observation.items()}
    given |= {name: getattr(batch, name) for name in BATCH_COLUMNS}
    if batch.authority is not None:
        given["authority"] = batch.authority
    return given | {f"noise/{name}": value for name, value in noise._asdict().items() if value is not None}


def from_given(given: Mapping[str, Tensor]) -> tuple[Batch, Noise]:
    """The inverse of as_given."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}

    columns = {name: given[name] for name in BATCH_COLUMNS}
    batch = Batch(observation=below("observation/"), next_observation=below("next_observation/"), **columns)
    batch = replace(batch, authority=given.get("authority"))
    drawn = below("noise/")
    return batch, Noise(drawn["following"], drawn.get("subset"), drawn.get("policy"))
