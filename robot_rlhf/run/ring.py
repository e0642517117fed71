"""The ring: one run, from its first step to its summary, wherever its steps come from and whoever learns from them."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from typing import Any

from robot_rlhf.disk import saving_last
from robot_rlhf.place import Place
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.build import build_policy, open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.elsewhere import LearnerLink, RobotLink
from robot_rlhf.run.links.inline import InlineLink
from robot_rlhf.run.links.link import Link
from robot_rlhf.run.practice.arms import ArmsPractice
from robot_rlhf.run.practice.practice import Practice
from robot_rlhf.run.practice.robot import RobotPractice
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.interrupts import EndedAtOnceError, interrupts_held
from robot_rlhf.runtime.station import StopRequestedError
from robot_rlhf.timing import FakeClock, MonotonicClock

log = logging.getLogger(__name__)


class Ring:
    """A run: what it practises by, and the book that is kept of it."""

    def __init__(self, folder: RunFolder, book: Bookkeeping, practice: Practice) -> None:
        self.folder = folder
        self.book = book
        self.practice = practice

    def run(self) -> dict[str, Any]:
        """Practise, measure, report; returns what summary.json holds."""
        with closing(self.book.metrics):
            return self._run()

    def _run(self) -> dict[str, Any]:
        practice, interrupted = self.practice, False
        try:
            with ExitStack() as stack:
                practice.open(stack)
                self.folder.begun = True
                interrupted = self._practise()
                if not interrupted:
                    practice.measure_here()
        except EndedAtOnceError:
            raise
        except (KeyboardInterrupt, StopRequestedError):  # while something was being opened, measured or closed
            interrupted = True
            if not self.folder.begun:
                raise
        return self.book.finish(
            practice.facts(), interrupted=interrupted, here=practice.measured, not_measured=practice.not_measured
        )

    def _practise(self) -> bool:
        """Returns whether it was interrupted."""
        stopwatch, interrupted = self.book.stopwatch, False
        stopwatch.begin_training()
        try:
            with self.book.progress:
                self.practice.run()
        except EndedAtOnceError:
            raise
        except (KeyboardInterrupt, StopRequestedError) as reason:
            interrupted = True
            log.warning("stopping (%s): everything is saved", str(reason) or type(reason).__name__)
        finally:
            with interrupts_held(), saving_last():
                stopwatch.save()
                self.practice.save()
        stopwatch.end_training()
        return interrupted


def open_ring(folder: RunFolder, config: TrainConfig, *, resumed: bool, quiet: bool) -> Ring:
    """The ring of a run, by its mode.

    synchronous: a robot and the learner in this process; asynchronous: a robot in real time, and the learner in a
    process of its own; parallel: simulated arms and the learner, each in one of its own.

    Raises:
        ConfigError: settings that do not go together.
        RobotError: the robot cannot be reached.
    """
    if config.mode == "parallel":
        with closing(open_place(config, FakeClock(), cameras=bool(config.features.cameras))) as one_like_them:
            spec = one_like_them.spec
        book = Bookkeeping(folder, config, spec, resumed=resumed, quiet=quiet)
        link = LearnerLink(folder, config, MonotonicClock())
        return Ring(folder, book, ArmsPractice(folder, config, book, link, resumed=resumed))

    def make_link(place: Place, book: Bookkeeping) -> Link:
        policy = build_policy(config, place.spec, practises=True)
        if config.mode == "synchronous":
            return InlineLink(folder, config, place, policy, book)
        return RobotLink(folder, config, place.clock, policy)

    with ExitStack() as unless_opened:
        place = open_place(config, FakeClock() if config.mode == "synchronous" else MonotonicClock())
        unless_opened.callback(place.close)
        book = Bookkeeping(folder, config, place.spec, resumed=resumed, quiet=quiet)
        practice = RobotPractice(folder, config, place, book, make_link, resumed=resumed)
        unless_opened.pop_all()  # from now on the practice closes it
    return Ring(folder, book, practice)
