"""Links: where the policy's weights come from, and where a run's steps go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from robot_rlhf.apps.bookkeeping import Bookkeeping
from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.apps.run_folder import RunFolder, append_values
from robot_rlhf.datatypes import Event, WeightSnapshot
from robot_rlhf.errors import NoWeightsError
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.place import Place
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Policy, Subscriber
from robot_rlhf.run.prior import take_in_prior
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.inline_learner import UNLIMITED, InlineLearner
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.preference_learning import SimulatedTeacher
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


class InlineLink:
    """The learner in this process: collect a step, then learn, as fast as possible and reproducibly."""

    learns = True

    def __init__(
        self, folder: RunFolder, config: TrainConfig, place: Place, policy: LearnedPolicy, book: Bookkeeping
    ) -> None:
        self._folder = folder
        self._config = config
        self._acting = policy
        learning = build_learning(config, place.spec, book.metrics)
        self._trainer, self._check = learning.trainer, learning.value_check
        self._teacher: SimulatedTeacher | None = None
        if config.teacher.labeler == "oracle" and learning.lessons is not None:
            self._teacher = SimulatedTeacher(config.teacher, learning.lessons, place.clock.now, seed=config.seed)
        self._inline = InlineLearner(self._trainer, self._acting, publish_every=config.asynchronous.publish_every)
        take_in_prior(config, place.spec, learning)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """What is to be saved is saved by `save`."""

    @property
    def policy(self) -> Policy:
        return self._acting

    @property
    def hears(self) -> Sequence[Subscriber]:
        return (self._trainer, *([self._teacher] if self._teacher else []))

    @property
    def follows(self) -> Sequence[Subscriber]:
        return (self._inline, *([self._check] if self._check else []))

    def recover(self, note: Callable[[str], None]) -> None:
        trainer = self._trainer
        if self._folder.latest.exists():
            trainer.load(self._folder.latest)
        elif trainer.steps:
            note("no checkpoint yet: the learner learns anew from what was recorded")
            trainer.work(UNLIMITED)
        if self._folder.latest.exists() or trainer.steps:
            self._acting.load(trainer.learner.snapshot())

    def may_move(self) -> bool:
        return True

    def make_ready(self) -> None:
        self._inline.begin()

    def practise_with(self, weights: Weights) -> None:
        self._inline.practise_with(weights, self.weights(weights))

    def after_episode(self, book: Bookkeeping, tell: Callable[[Event], None]) -> None:
        if self._teacher is not None:
            for answer in self._teacher.round():
                tell(answer)
        check = self._check
        if check is not None and check.last is not None:
            q, returned = check.last
            values = {"q": q, "return": returned, "over_estimation": check.over_estimation}
            book.metrics(book.tally.steps, values, group="value")
            book.progress.alarm(check.alarm, check.over_estimation)
            if check.last_values is not None:
                append_values(self._folder.values, check.last_values, self.updates)
                check.last_values = None  # the next episode may be one that is not compared
        self.show(book)

    def let_finish(self, tally: Tally, look: Callable[[], None], *, at_most: float = math.inf) -> str:
        self._trainer.work(
            UNLIMITED
        )  # resumed after its last step, a run owes updates and has no step to do them after
        return ""

    def show(self, book: Bookkeeping) -> None:
        book.progress.learner_says(self._trainer.status(), self._trainer.updates)

    def weights(self, which: Weights) -> WeightSnapshot:
        if which is Weights.KEPT:
            return read_snapshot(self._folder.best)[0]
        learner = self._trainer.learner
        return learner.snapshot() if which is Weights.NEWEST else learner.averaged()

    def save(self) -> None:
        self._trainer.save(self._folder.latest)
        if self._trainer.learned:
            write_snapshot(self._folder.policy, self._trainer.learner.averaged(), {"task": self._config.task})

    @property
    def learned(self) -> bool:
        return self._trainer.learned

    @property
    def updates(self) -> int:
        return self._trainer.updates

    @property
    def over_estimation(self) -> float | None:
        return None if self._check is None else self._check.over_estimation


class FixedLink:
    """Nobody learns: a policy as it is, or none, where people alone drive."""

    learns = False
    hears: Sequence[Subscriber] = ()
    follows: Sequence[Subscriber] = ()
    updates: int = 0
    over_estimation: float | None = None

    def __init__(self, policy: LearnedPolicy | None, snapshot: WeightSnapshot | None) -> None:
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
