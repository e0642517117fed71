"""The learner in the robot's process."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from robot_rlhf.datatypes import Event, WeightSnapshot
from robot_rlhf.learner.checkpoint import read_snapshot, write_snapshot
from robot_rlhf.place import Place
from robot_rlhf.ports import Policy, Subscriber, TrainablePolicy
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.folder.run_folder import RunFolder, append_values
from robot_rlhf.run.prior import take_in_prior
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.inline_learner import UNLIMITED, InlineLearner
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.preference_learning import SimulatedTeacher
from robot_rlhf.runtime.tally import Tally


class InlineLink:
    """The learner in this process: collect a step, then learn, as fast as possible and reproducibly."""

    learns = True

    def __init__(
        self, folder: RunFolder, config: TrainConfig, place: Place, policy: TrainablePolicy, book: Bookkeeping
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
        return None if self._check is None or self._check.last is None else self._check.over_estimation
