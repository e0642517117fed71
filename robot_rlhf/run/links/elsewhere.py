"""The run's side of a learner in its own process: its life, its weights, its news."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from robot_rlhf.datatypes import Event, WeightSnapshot
from robot_rlhf.errors import LinkError
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.ports import Subscriber, TrainablePolicy
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.learner import learner_command, learner_lock
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.exchange import FreshPolicy, LearnerNews, WeightsInbox, forget
from robot_rlhf.runtime.governor import Governor
from robot_rlhf.runtime.learner_elsewhere import LearnerElsewhere
from robot_rlhf.runtime.learner_process import LearnerProcess
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import Clock

FIRST_WEIGHTS_TIMEOUT = 180.0
"""Seconds to wait for a new learner process: imports, recovery of the journal, imitation."""

LOOK_EVERY = 0.05
"""Seconds between two looks at a learner that is to finish."""


class LearnerLink:
    """A context manager: the learner's process runs while it is open."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        clock: Clock,
        *,
        attended: bool | None = None,
        elsewhere: bool = False,
    ) -> None:
        """
        Args:
            attended: somebody is there who is told of a learner that is gone, instead of an end of the run; None: with
                a console.
            elsewhere: somebody else starts the learner's process, for example ROS's launch.
        """
        self._folder = folder
        self._config = config
        self._clock = clock
        self._elsewhere = elsewhere
        self._attended = config.console is not None if attended is None else attended
        timeout = config.asynchronous.heartbeat_timeout
        self._process: LearnerProcess | LearnerElsewhere
        if elsewhere:
            self._process = LearnerElsewhere(folder.exchange, clock, heartbeat_timeout=timeout)
        else:
            self._process = LearnerProcess(
                learner_command(folder.path),
                folder.exchange,
                clock,
                heartbeat_timeout=timeout,
                restarts=config.asynchronous.restarts,
                log_file=folder.path / "learner.log",
            )

    def __enter__(self) -> Self:
        if not self._elsewhere:  # one that is started elsewhere does this itself
            with learner_lock(self._folder):  # an earlier one has its last words first
                forget(self._folder.exchange)
        self._process.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, traceback)

    @property
    def news(self) -> LearnerNews | None:
        """What the learner last said."""
        return self._process.news

    @property
    def healthy(self) -> bool:
        """True while the learner lives and speaks."""
        return self._process.healthy

    def check(self) -> None:
        """Raises LinkError when the learner died more often than allowed, or says that it cannot work.

        With a console the page says so instead, but of a full disk, which takes no steps either.
        """
        if not self._attended or self._process.disk_full:
            self._process.check()

    @property
    def state(self) -> str:
        """'learning', or why not, in words."""
        if self._process.failure:
            return self._process.failure
        return "the learner's process is starting" if self.news is None else self.news.state

    def let_finish(self, tally: Tally, look: Callable[[], None], *, at_most: float = math.inf) -> str:
        """Practice is over: wait for the updates that its steps have earned.

        Args:
            tally: of the run.
            look: called at each look, to show how far it is.
            at_most: seconds to wait, however far it is.

        Returns:
            Why they were not made; empty when they were, or when practice never began, as
            demonstrations were missing.

        Raises:
            LinkError: as `check` does.
        """
        if not tally.steps and tally.demonstrations < self._config.demonstrations:
            return ""
        began = moved = self._clock.now()
        last = None
        while not self._has_finished(tally.steps):
            self.check()
            look()
            news, now = self.news, self._clock.now()
            mark = news and (news.recorded, news.updates, news.version, news.state)
            if mark != last:
                last, moved = mark, now
            if self._process.failure:
                return self._process.failure
            if now > min(moved + FIRST_WEIGHTS_TIMEOUT, began + at_most):
                return f"the learner had not finished {now - began:.0f} s after the last step ({self.state})"
            time.sleep(LOOK_EVERY)
        look()
        return ""

    def _has_finished(self, steps: int) -> bool:
        trainer, news = self._config.trainer, self.news
        if news is None or news.version < 0 or news.recorded < steps:
            return False
        return not Governor(trainer.updates_per_step, trainer.start_after).due(news.steps, news.updates)

    def weights(self, which: Weights) -> WeightSnapshot:
        """The learner's weights as they are now.

        Raises:
            CheckpointError: it has given none.
        """
        return read_snapshot(self._folder.weights(which))[0]

    @property
    def updates(self) -> int:
        """Made so far."""
        return self.news.updates if self.news else 0

    @property
    def over_estimation(self) -> float | None:
        """Mean value above the real return; None before the learner has compared an episode."""
        return None if self.news is None or self.news.q is None else self.news.over_estimation

    @property
    def learned(self) -> bool:
        """Whether this learner has given weights that are more than random."""
        return self.news is not None and self.news.learned and self.news.version >= 0


class RobotLink(LearnerLink):
    """The same for a robot in this process, which follows the newest weights: a Link."""

    learns = True
    hears: Sequence[Subscriber] = ()
    """The learner hears through the journal."""
    follows: Sequence[Subscriber] = ()

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        clock: Clock,
        policy: TrainablePolicy,
        *,
        attended: bool | None = None,
        elsewhere: bool = False,
    ) -> None:
        super().__init__(folder, config, clock, attended=attended, elsewhere=elsewhere)
        self._hold = config.asynchronous.without_learner == "hold"
        self._policy = policy
        self._asked_at: float | None = None
        self._inbox = WeightsInbox(folder.exchange)
        self.policy = FreshPolicy(policy, self._inbox)
        """Swaps in the newest weights between steps."""

    def __enter__(self) -> Self:
        super().__enter__()
        self._inbox.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inbox.__exit__()
        super().__exit__(kind, error, traceback)

    def check(self) -> None:
        """As before; also when weights can not arrive any more."""
        super().check()
        if self._inbox.dead and not self._attended:
            raise LinkError(self._inbox.trouble)

    @property
    def healthy(self) -> bool:
        """True while the learner lives and speaks, and its weights arrive."""
        return super().healthy and not self._inbox.trouble

    @property
    def state(self) -> str:
        """'learning', or why not, in words."""
        return f"weights do not arrive: {self._inbox.trouble}" if self._inbox.trouble else super().state

    def recover(self, note: Callable[[str], None]) -> None:
        """The learner recovers by itself."""

    def make_ready(self) -> None:
        """Weights are waited for by `may_move`."""

    def save(self) -> None:
        """The learner saves by itself."""

    def show(self, book: Bookkeeping) -> None:
        """Show how far the learner is."""
        if self.news is not None:
            book.progress.learner_says(self.news.state, self.news.updates)

    def after_episode(self, book: Bookkeeping, tell: Callable[[Event], None]) -> None:
        """Say how learning and the link to it go. Raises LinkError as `check` does."""
        self.check()
        news = self.news
        if news is None:
            return
        self.show(book)
        book.progress.alarm(news.alarm, news.over_estimation)
        link = {"latency_ms": news.latency_ms, "latency_p99_ms": news.latency_p99_ms}
        link |= {"policy_age_updates": float(news.updates - self._policy.version)}
        book.metrics(book.tally.steps, link, group="link")

    def practise_with(self, weights: Weights) -> None:
        """From now on these drive; call it between episodes."""
        self._inbox.follow(self._folder.weights(weights))

    def may_move(self) -> bool:
        """Whether there are weights to practise with, and a learner where one is required.

        Raises:
            LinkError: the learner will not come back, or never sent any weights, and nobody is at a console to decide
                what is to be done.
        """
        self.check()
        if self._policy.version < 0 and not self._take_first():
            return False
        return self.healthy or not self._hold

    def _take_first(self) -> bool:
        if self._asked_at is None:
            self._asked_at = self._clock.now()
        published = self.news is not None and self.news.version >= 0  # by this learner: others' are not waited for
        snapshot = self._inbox.take() if published else None
        if snapshot is not None:
            self._policy.load(snapshot)
            return True
        if not self._attended and self._clock.now() > self._asked_at + FIRST_WEIGHTS_TIMEOUT:
            raise LinkError(f"no weights from the learner within {FIRST_WEIGHTS_TIMEOUT:.0f} s; see learner.log")
        return False
