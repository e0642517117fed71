"""Nobody learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from robot_rlhf.datatypes import Event, WeightSnapshot
from robot_rlhf.errors import NoWeightsError
from robot_rlhf.ports import Policy, Subscriber, TrainablePolicy
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.tally import Tally


class FixedLink:
    """Nobody learns: a policy as it is, or none, where people alone drive."""

    learns = False
    hears: Sequence[Subscriber] = ()
    follows: Sequence[Subscriber] = ()
    updates: int = 0
    over_estimation: float | None = None

    def __init__(self, policy: TrainablePolicy | None, snapshot: WeightSnapshot | None) -> None:
        """
        Args:
            policy: with its weights.
            snapshot: those weights.
        """
        self.policy: Policy | None = policy
        self._snapshot = snapshot

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to let go of."""

    def recover(self, note: Callable[[str], None]) -> None:
        """It has learned nothing before."""

    def may_move(self) -> bool:
        return True

    def make_ready(self) -> None:
        """It has its weights."""

    def practise_with(self, weights: Weights) -> None:
        """There are no others."""

    def after_episode(self, book: Bookkeeping, tell: Callable[[Event], None]) -> None:
        """Nothing was learned."""

    def let_finish(self, tally: Tally, look: Callable[[], None], *, at_most: float = math.inf) -> str:
        return ""

    def show(self, book: Bookkeeping) -> None:
        """There is no learner."""

    def weights(self, which: Weights) -> WeightSnapshot:
        if self._snapshot is None:
            raise NoWeightsError("no policy: people alone drive in this run")
        return self._snapshot

    def save(self) -> None:
        """Nothing is new."""

    @property
    def learned(self) -> bool:
        return self._snapshot is not None
