"""What a run needs of whoever learns: where the policy's weights come from, and where its steps go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from robot_rlhf.datatypes import Event, WeightSnapshot
from robot_rlhf.ports import Policy, Subscriber
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.tally import Tally


class Link(Protocol):
    """What a run needs of whoever learns, wherever it is. A context manager: open while the robot may move."""

    learns: bool
    """Something is learned from what happens."""

    @property
    def policy(self) -> Policy | None:
        """What practises; None where there is none, and people alone drive."""
        ...

    @property
    def hears(self) -> Sequence[Subscriber]:
        """Told of all that happens, and of what a run that goes on has recorded before."""
        ...

    @property
    def follows(self) -> Sequence[Subscriber]:
        """Told of what happens from now on, after the others."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def recover(self, note: Callable[[str], None]) -> None:
        """What was recorded before has been told: go on from there. Args: note: says a sentence."""
        ...

    def may_move(self) -> bool:
        """Whether there are weights to practise with, and a learner where one is required.

        Raises:
            LinkError: there will not be.
        """
        ...

    def make_ready(self) -> None:
        """Have weights, before a practice episode."""
        ...

    def practise_with(self, weights: Weights) -> None:
        """From now on these drive; called between episodes."""
        ...

    def after_episode(self, book: Bookkeeping, tell: Callable[[Event], None]) -> None:
        """A practice episode is over: say how learning goes.

        Args:
            book: of the run.
            tell: for what is answered now, as the run's other events.

        Raises:
            LinkError: learning cannot go on.
        """
        ...

    def let_finish(self, tally: Tally, look: Callable[[], None], *, at_most: float = math.inf) -> str:
        """Practice is over: make, or wait for, the updates that its steps have earned.

        Args:
            look: called again and again meanwhile.
            at_most: seconds to wait.

        Returns:
            Why they were not made; empty when they were.
        """
        ...

    def show(self, book: Bookkeeping) -> None:
        """Show how far the learner is."""
        ...

    def weights(self, which: Weights) -> WeightSnapshot:
        """As they are now. Raises CheckpointError, or NoWeightsError, where there are none."""
        ...

    def save(self) -> None:
        """Write what only this process knows."""
        ...

    @property
    def learned(self) -> bool:
        """Whether the weights are more than random."""
        ...

    @property
    def updates(self) -> int:
        """Made so far."""
        ...

    @property
    def over_estimation(self) -> float | None:
        """Mean value above the real return; None where nobody knows."""
        ...
