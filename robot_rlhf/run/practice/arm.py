"""One simulated arm's own process: practises as fast as it can, and waits for the learner where it runs ahead of it.

Started by `train --mode parallel`, ended by SIGTERM, or by the end of the process that started it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step
from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.journal.shared import WRITER
from robot_rlhf.run.build import build_policy, open_place
from robot_rlhf.run.folder.lock import locked
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.practice.actor import Actor
from robot_rlhf.run.practice.said_elsewhere import SaidElsewhere
from robot_rlhf.run.prior import set_rules_of_prior
from robot_rlhf.run.priority import modest
from robot_rlhf.run.settings import TrainConfig, read_yaml
from robot_rlhf.runtime.exchange import FreshPolicy, WeightsInbox, read_news
from robot_rlhf.runtime.governor import Governor
from robot_rlhf.runtime.last_words import OPTION, last_words
from robot_rlhf.runtime.practice_weights import Weights, read_standings
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.station import StopRequestedError
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock

log = logging.getLogger(__name__)

NICENESS = 2
"""Steps by which an arm stands back behind the learner, for which it would only wait."""
AHEAD = 25
"""Practice steps by which an arm may be ahead of the learner when it begins an episode."""
LOOK_EVERY = 0.01
"""Seconds between two looks at the learner's news while it waits."""
PREDECESSOR_ENDS_WITHIN = 30.0
"""Seconds that an earlier process of the same arm has, which ends because the one that started it is gone."""


def arm_command(run: Path, number: int) -> list[str]:
    """How to start this process."""
    return [
        sys.executable,
        "-m",
        __name__,
        str(run),
        "--arm",
        str(number),
        "--parent",
        str(os.getpid()),
    ]


def arm_name(number: int, arms: int) -> str:
    """What an arm is called in the journal: another number of arms would number its episodes otherwise."""
    return f"arm {number} of {arms}"


def share_of(total: int, number: int, arms: int) -> int:
    """What one of so many arms does of a total."""
    return total // arms + (number < total % arms)


def may_begin(governor: Governor, steps: int, updates: int, arms: int) -> bool:
    """Whether an arm is at most AHEAD of what the learner has learned from, each arm counting alike.

    Args:
        steps: practice steps of this arm.
        updates: of the learner.
    """
    if governor.updates_per_step == 0.0:
        return True
    one_update = 1.0 / governor.updates_per_step
    learned_from = (governor.start_after + updates * one_update) / arms
    return steps <= learned_from + AHEAD + one_update


class Watch:
    """A Subscriber, told after those who count: ends the session with the step in which the process was told to end."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._told = False

    def end(self, *_: object) -> None:
        """Handles a signal."""
        self._told = True

    @property
    def is_over(self) -> bool:
        """Told to end, or left alone."""
        return self._told or os.getppid() != self._parent

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        """Between episodes the arm looks by itself."""

    def on_step(self, step: Step) -> None:
        if self.is_over:
            raise StopRequestedError("told to end")

    def on_event(self, event: Event) -> None:
        """A step follows."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """Between episodes the arm looks by itself."""


class _Arm:
    """A robot, its person and their part of the run."""

    def __init__(self, run: RunFolder, config: TrainConfig, number: int, watch: Watch) -> None:
        self.run = run
        self.config = config
        self.watch = watch
        place = open_place(config, FakeClock())
        self.actor = Actor(config, place, Tally(place.spec.control_period), number=number, of=config.arms)
        self.tally = self.actor.tally
        self.policy = build_policy(config, place.spec, practises=True)
        self.inbox = WeightsInbox(run.exchange)
        self.governor = Governor(config.trainer.updates_per_step, config.trainer.start_after)

    def main(self) -> None:
        """Give this arm's share of the demonstrations, then practise its share of the steps."""
        actor, config = self.actor, self.config
        name, listeners = arm_name(actor.number, config.arms), [*actor.listeners, actor.tally]
        standing, recorded = actor.listening.standing, list[Path]()
        somebody = config.speaking is not None or bool(config.prior)  # speaks, or brings rules to the first arm
        with ExitStack() as stack:
            stack.callback(actor.place.close)
            elsewhere = stack.enter_context(SaidElsewhere(self.run.journal, name, standing, follows=somebody))

            def recover(file: Path) -> None:
                recorded.append(file)
                actor.recover(file, listeners, pictures=False)

            elsewhere.recover(recover)
            stack.enter_context(self.inbox)
            listeners.append(self.watch)
            station = actor.open(stack, self.run.journal, listeners, metadata={WRITER: name}, shared=True)
            if actor.number == 0 and not recorded:  # the others hear of it
                set_rules_of_prior(config.prior, station)
            session = actor.session(replace(station, policy=FreshPolicy(self.policy, self.inbox)))
            count = share_of(config.demonstrations, actor.number, config.arms)
            if actor.tally.demonstrations < count:
                actor.demonstrate(session, count)
            self._practise(session, elsewhere)

    def _practise(self, session: Session, elsewhere: SaidElsewhere) -> None:
        share = share_of(self.config.steps, self.actor.number, self.config.arms)

        def waited() -> bool:
            if self.tally.steps >= share or not self._wait_for_learner():
                return True
            self._choose_weights(session)
            elsewhere.hear()
            return False

        if not waited():
            session.practise(share, waited)

    def _choose_weights(self, session: Session) -> None:
        """For the next practice episode, by what the run knows of each, where practice alone judges."""
        if self.config.evaluation.every:
            return
        which = read_standings(self.run.exchange).choose(self.config.seed, session.next_number(EpisodeKind.PRACTICE))
        if which is Weights.KEPT and not self.run.best.exists():
            which = Weights.NEWEST
        session.weights = which.value
        self.inbox.follow(self.run.weights(which))

    def _wait_for_learner(self) -> bool:
        """Wait for the first weights, and until the learner has come near; False when the process is to end."""
        while not self.watch.is_over:
            if self.policy.version < 0:
                first = self.inbox.take()
                if first is not None:
                    self.policy.load(first)
            elif may_begin(self.governor, self.tally.steps, self._updates(), self.config.arms):
                return True
            time.sleep(LOOK_EVERY)
        return False

    def _updates(self) -> int:
        news = read_news(self.run.exchange)
        return news.updates if news else 0


def main(argv: list[str] | None = None) -> None:
    """Practise this arm's part of a run; returns when it is done, or after SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--arm", type=int, required=True, help="number of this arm, from 0")
    parser.add_argument("--parent", type=int, required=True, help="process id after whose end this one ends too")
    parser.add_argument(OPTION, type=int, help="descriptor to which is written why this arm cannot go on")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    watch = Watch(arguments.parent)
    signal.signal(signal.SIGTERM, watch.end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this one in order
    with last_words(arguments.words, RobotRlhfError):
        run = RunFolder.existing(arguments.run)
        config = read_yaml(run.config)
        torch.set_num_threads(1)
        modest(NICENESS)
        # One whose run was killed ends with its step: two would write the same episodes.
        lock = run.exchange / f"arm-{arguments.arm}.lock"
        with locked(lock, f"arm {arguments.arm} of {run.path}", patience=PREDECESSOR_ENDS_WITHIN):
            try:
                _Arm(run, config, arguments.arm, watch).main()
            except StopRequestedError:
                log.info("told to end: everything is recorded")


if __name__ == "__main__":
    main()
