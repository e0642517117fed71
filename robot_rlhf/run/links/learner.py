"""The learner's own process: follows the journal, learns, publishes weights. Started by `train`, ended by SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import statistics
import sys
import time
from collections import deque
from contextlib import AbstractContextManager
from pathlib import Path

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, Outcome, Step
from robot_rlhf.errors import CheckpointError, ConfigError, JournalError, LinkError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.labels import Labels, read_labels
from robot_rlhf.journal.reader import AsLabelled, JournalTail, tell
from robot_rlhf.journal.shared import SharedTail
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.learner.words import Words
from robot_rlhf.ports import Subscriber
from robot_rlhf.run.folder.lock import locked
from robot_rlhf.run.folder.run_folder import MetricsLog, RunFolder, append_values
from robot_rlhf.run.numerics import computing
from robot_rlhf.run.prior import take_in_prior
from robot_rlhf.run.priority import modest
from robot_rlhf.run.settings import TrainConfig, read_yaml
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.exchange import LearnerNews, forget, publish, write_news
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.last_words import OPTION, last_words
from robot_rlhf.runtime.trainer import Trainer
from robot_rlhf.runtime.value_check import ValueCheck

log = logging.getLogger(__name__)

NICENESS = 2
"""Steps by which learning stands back behind the robot and the console."""
UPDATES_AT_ONCE = 8
"""Updates between two looks at the journal: few, so that a step is taken in within 100 ms."""
IDLE = 0.02
NEWS_EVERY = 0.2
NEWS_FOR_ARMS_EVERY = 0.05
"""Arms that run as fast as they can wait by the news."""
CHECKPOINT_EVERY = 20.0
"""Seconds."""
PREDECESSOR_ENDS_WITHIN = 180.0
"""Seconds that an earlier learner of the same run has, which ends because the process that started it is gone."""
LASTING = (CheckpointError, ConfigError, JournalError, LinkError)
"""Errors of files, which another start would meet again; one of numbers may be lost with the process."""


def learner_command(run: Path) -> list[str]:
    """How to start this process."""
    return [sys.executable, "-m", __name__, str(run), "--parent", str(os.getpid())]


class _Learner:
    def __init__(self, run: RunFolder, config: TrainConfig) -> None:
        self.run = run
        self.config = config
        self.metrics = MetricsLog(run)
        self.parallel = config.mode == "parallel"
        follow = SharedTail if self.parallel else JournalTail
        self.tail = follow(run.journal, pictures=config.learner_looks)
        self.trainer: Trainer | None = None
        self.value_check: ValueCheck | None = None
        self.words: Words | None = None
        self.stopped = False
        self.demonstrations = 0
        self.recorded = 0
        """Practice steps read, those of deleted episodes included."""
        self.published = -1
        self.last_values: tuple[float | None, float | None] = None, None
        self.latencies: deque[float] = deque(maxlen=500)
        self._as_labelled = AsLabelled(Labels())
        self._kind = EpisodeKind.PRACTICE
        self._last_news = self._last_checkpoint = 0.0
        self._began = time.monotonic()

    def stop(self, *_: object) -> None:
        self.stopped = True

    def main(self, parent: int) -> None:
        if not self.parallel:
            modest(NICENESS)
        self._say("waiting for the journal")
        while not self.stopped and os.getppid() == parent:
            took = self._take_in()
            if self.trainer is None:
                time.sleep(IDLE)
                continue
            done = self._learn(self.trainer)
            if not took and not done:
                time.sleep(IDLE)
        self._take_in()
        if self.trainer is not None:
            self._save(self.trainer)
        self._last_news = 0.0  # the last word is always said
        self._say("ended")
        self.metrics.close()

    # -- steps in --------------------------------------------------------------------------------------------------

    def _take_in(self) -> int:
        """Read what the journal has gained, and pass it on; returns the number of records."""
        records = self.tail.poll()
        if self.trainer is None:
            if self.tail.spec is None:
                return 0
            learning = build_learning(self.config, self.tail.spec, self.metrics, heartbeat=self._between_batches)
            trainer, self.value_check, self.words = learning.trainer, learning.value_check, learning.words
            take_in_prior(self.config, self.tail.spec, learning)
            self._as_labelled = AsLabelled(read_labels(self.run.journal))
            count = len(records)
            while records:
                self._pass_all_on(records, [trainer])
                self._say("reading the journal")
                records = self.tail.poll()
                count += len(records)
            self.trainer = trainer
            self._recover(trainer)
            return count
        self._pass_all_on(records, [self.trainer, *([self.value_check] if self.value_check else [])])
        return len(records)

    def _pass_all_on(self, records: list[Record], subscribers: list[Subscriber]) -> None:
        listeners = FanOut(subscribers)
        for record in records:
            self._pass_on(record, listeners)

    def _between_batches(self) -> None:
        """Long preparations neither keep steps waiting nor make this process look dead."""
        self._take_in()
        self._say("learning")

    def _pass_on(self, recorded: Record, listeners: FanOut) -> None:
        if isinstance(recorded, EpisodeStarted):
            self._kind = recorded.meta.kind
        self.recorded += isinstance(recorded, Step) and self._kind is EpisodeKind.PRACTICE
        record = self._as_labelled(recorded)
        if record is None:
            return
        tell(record, listeners)
        if isinstance(record, Step):
            # Not of simulated time, nor of what an earlier learner took in already.
            if not self.parallel and record.next_observation.stamp > self._began:
                self.latencies.append(time.monotonic() - record.next_observation.stamp)
        elif isinstance(record, EpisodeEnd):
            # As it was recorded: once practice has begun, nobody is asked for another one if it is deleted.
            demonstrated = isinstance(recorded, EpisodeEnd) and recorded.outcome is Outcome.SUCCESS
            self.demonstrations += demonstrated and self._kind is EpisodeKind.DEMONSTRATION
            self._log_values()

    def _log_values(self) -> None:
        if self.trainer is None or self.value_check is None or self.value_check.last is None:
            return
        q, returned = self.value_check.last
        self.value_check.last = None
        self.last_values = q, returned
        gap = self.value_check.over_estimation
        self.metrics(self.trainer.steps, {"q": q, "return": returned, "over_estimation": gap}, group="value")
        if self.value_check.last_values is not None:
            append_values(self.run.values, self.value_check.last_values, self.trainer.updates)
            self.value_check.last_values = None

    def _recover(self, trainer: Trainer) -> None:
        """A learner that died goes on from its checkpoint; replay refills from the journal by itself."""
        if self.run.latest.exists():
            trainer.load(self.run.latest)
            log.info("checkpoint taken up at %d updates", trainer.updates)

    # -- weights out -----------------------------------------------------------------------------------------------

    def _learn(self, trainer: Trainer) -> int:
        if self.demonstrations < self.config.demonstrations:
            self._say("waiting for demonstrations")
            return 0
        if self.published < 0:
            trainer.prepare()
            self._publish(trainer)
        done = trainer.work(UPDATES_AT_ONCE)
        if trainer.updates - self.published >= self.config.asynchronous.publish_every:
            self._publish(trainer)
        self._say("learning" if done else trainer.status())
        if time.monotonic() - self._last_checkpoint > CHECKPOINT_EVERY:
            self._save(trainer)
        return done

    def _publish(self, trainer: Trainer) -> None:
        self.published = trainer.updates
        learner = trainer.learner
        publish(self.run.exchange, learner.snapshot(), learner.averaged(), {"task": self.config.task})

    def _save(self, trainer: Trainer) -> None:
        self._last_checkpoint = time.monotonic()
        trainer.save(self.run.latest)
        if trainer.learned:
            write_snapshot(self.run.policy, trainer.learner.averaged(), {"task": self.config.task})

    def _say(self, state: str) -> None:
        now = time.monotonic()
        if now - self._last_news < (NEWS_FOR_ARMS_EVERY if self.parallel else NEWS_EVERY):
            return
        self._last_news = now
        times = sorted(self.latencies)
        check = self.value_check
        news = LearnerNews(
            pid=os.getpid(),
            stamp=now,
            steps=self.trainer.steps if self.trainer else 0,
            updates=self.trainer.updates if self.trainer else 0,
            version=self.published,
            state=state,
            latency_ms=1e3 * statistics.median(times) if times else 0.0,
            latency_p99_ms=1e3 * times[int(0.99 * (len(times) - 1))] if times else 0.0,
            over_estimation=check.over_estimation if check else 0.0,
            alarm=check.alarm if check else False,
            q=self.last_values[0],
            value_return=self.last_values[1],
            recorded=self.recorded,
            learned=self.trainer is not None and self.trainer.learned,
            uptake=dict(self.words.uptake) if self.words else {},
        )
        write_news(self.run.exchange, news)


def learner_lock(run: RunFolder) -> AbstractContextManager[None]:
    """Be the run's only learner.

    One whose run was killed needs a moment to save what it has learned: two would overwrite each other's files.

    Raises:
        ConfigError: another one does not end.
    """
    lock = run.exchange / "learner.lock"
    return locked(lock, f"the learner of {run.path}", patience=PREDECESSOR_ENDS_WITHIN)


def learn(run: RunFolder, parent: int, *, anew: bool = False) -> None:
    """Learn for one run until SIGTERM, or until the process that started this one is gone.

    Args:
        run: its folder.
        parent: process id after whose end this one ends too.
        anew: take away what an earlier learner left for the robot; otherwise who starts this one has done so.
    """
    config = read_yaml(run.config)
    with learner_lock(run), computing(config.threads, config.seed):
        if anew:
            forget(run.exchange)
        learner = _Learner(run, config)
        signal.signal(signal.SIGTERM, learner.stop)
        learner.main(parent)


def main(argv: list[str] | None = None) -> None:
    """The process: see learn."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this one in order
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--parent", type=int, required=True, help="process id after whose end this one ends too")
    parser.add_argument(OPTION, type=int, help="descriptor to which is written why there can be no learner")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with last_words(arguments.words, LASTING):
        learn(RunFolder.existing(arguments.run), arguments.parent)


if __name__ == "__main__":
    main()
