"""Keeps the best policy of a run that practice alone measures, and says when practice got worse or is of no use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.errors import CheckpointError
from robot_rlhf.learner.checkpoint import read_checkpoint, write_snapshot
from robot_rlhf.run.folder.run_folder import MetricsLog, RunFolder
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.practice_monitor import TESTED, PracticeMonitor, Report, Verdict
from robot_rlhf.runtime.practice_weights import Weights

log = logging.getLogger(__name__)

KEPT_AT = "practice_episodes"
"""Fact of kept weights: practice episodes after which they were kept."""
GiveWeights = Callable[[Weights], WeightSnapshot]
"""Reads the learner's weights, as they are now."""

SENTENCES: Mapping[Verdict, str] = {
    Verdict.NONE: "practice goes on well again",
    Verdict.WORSE: "practice got worse; the kept policy practises in turn, and is what is deployed",
    Verdict.MASTERED: "practising more is of little use: the task is done without help, and nothing is gained any more",
    Verdict.STUCK: "practising more is of little use: nothing is gained any more; show what fails, or correct it",
}


class Keeper:
    """The practice of a run without evaluations, in order; its best policy lies in the run's folder.

    The twin of Judge, for where there is nothing but practice: on a robot, or in a session with a person.
    """

    def __init__(
        self, folder: RunFolder, config: TrainConfig, metrics: MetricsLog, tell: Callable[[str], None]
    ) -> None:
        """Args: tell: says a sentence to whoever watches the run."""
        self._folder = folder
        self._config = config
        self._metrics = metrics
        self._tell = tell
        self.monitor = PracticeMonitor()
        """A Subscriber, to be told of the run's episodes."""
        self.active = not config.evaluation.every and config.learner.practice != "none"
        """Nothing is measured while practice goes on, and something is learned from it."""
        self._said = Verdict.NONE
        if folder.first.exists():
            self.monitor.adopt()

    def recovered(self) -> None:
        """The journal has been played again: what was kept then lies in the folder, unless the run ended before it was
        written: of what lies there nothing is known then."""
        self.monitor.to_keep = None
        if self.active and self.monitor.kept is not None and self._folder.best.exists():
            kept_at = read_checkpoint(self._folder.best)[1].get(KEPT_AT, self.monitor.kept_at)
            if kept_at != self.monitor.kept_at:
                self.monitor.forget_kept()

    def begin(self, learned: bool, give: GiveWeights) -> None:
        """Before a practice episode: what practice begins with is kept until something better is known.

        Args:
            learned: there are weights, and imitation has taught them.
        """
        if not self.active or self.monitor.kept is not None:
            return
        # A learner in a process of its own may give its first weights only after the first episode has begun.
        if learned and self.monitor.episodes < TESTED and not self._folder.best.exists():
            try:
                self._write(give(Weights.AVERAGED))
            except CheckpointError as error:
                log.warning("what practice begins with is not kept: %s", error)
                return
            self._folder.first.write_bytes(self._folder.best.read_bytes())
        if self._folder.best.exists():
            self.monitor.adopt()

    def choose(self, number: int) -> Weights | None:
        """Whose actions practice episode `number` tries; None where that is not chosen, and the newest do."""
        if not self.active:
            return None
        chosen = self.monitor.standings.choose(self._config.seed, number)
        return chosen if chosen is not Weights.KEPT or self._folder.best.exists() else Weights.NEWEST

    def after_episode(self, steps: int, give: GiveWeights) -> None:
        """Keep the weights where they are the best, and say what is new. Args: steps: practice steps so far."""
        if not self.active:
            return
        if self.monitor.to_keep is not None:
            try:
                self._write(give(self.monitor.to_keep), steps)
                self.monitor.to_keep = None
            except CheckpointError as error:  # of a learner that is being started again; the next episode will do
                log.warning("the best policy is not kept yet: %s", error)
        report = self.monitor.report
        self._metrics(steps, figures(report), group="monitor")
        if report.verdict is not self._said:
            self._said = report.verdict
            self._tell(sentence(report))

    def _write(self, snapshot: WeightSnapshot, steps: int = 0) -> None:
        facts = {"task": self._config.task, "steps": steps, "by": "practice", KEPT_AT: self.monitor.kept_at}
        write_snapshot(self._folder.best, snapshot, facts)


def sentence(report: Report) -> str:
    """What a verdict means, and what it rests on."""
    return f"{SENTENCES[report.verdict]} ({report.because})"


def figures(report: Report) -> dict[str, float]:
    """For metrics."""
    low, high = report.interval
    rows = {"alone": report.rate, "alone_low": low, "alone_high": high, "episodes": float(report.episodes)}
    rows |= {"worse": float(report.verdict is Verdict.WORSE)}
    rows |= {"useless": float(report.verdict in (Verdict.MASTERED, Verdict.STUCK))}
    return rows if report.kept is None else rows | {"kept": report.kept}


def described(report: Report) -> dict[str, Any]:
    """In the words of summary.json and of the console's status."""
    return {
        "verdict": report.verdict.value,
        "alone": round(report.rate, 4),
        "kept": None if report.kept is None else round(report.kept, 4),
        "episodes": report.episodes,
        "because": report.because,
    }
