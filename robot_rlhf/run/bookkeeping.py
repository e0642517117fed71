"""What a run counts, measures and reports, whichever way its robots and its learner are linked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rich.text import Text

from robot_rlhf.datatypes import RobotSpec, WeightSnapshot
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.folder.run_folder import MetricsLog, RunFolder
from robot_rlhf.run.folder.stopwatch import Stopwatch
from robot_rlhf.run.results.judge import Judge, last_measurement
from robot_rlhf.run.results.keeper import Keeper, described
from robot_rlhf.run.results.progress import Progress
from robot_rlhf.run.results.report import write_report
from robot_rlhf.run.results.summary import summarise
from robot_rlhf.run.settings import TrainConfig, named_settings
from robot_rlhf.runtime.evaluation import Evaluation
from robot_rlhf.runtime.governor import Governor
from robot_rlhf.runtime.tally import Tally

SAY_EVERY = 10
"""Practice episodes between two sentences on how it goes, where there is no live line."""


class Bookkeeping:
    """Tally, metrics, progress, evaluations and report of one run."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        spec: RobotSpec,
        *,
        resumed: bool,
        quiet: bool,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Args: say: told the sentences of the run in the place of the terminal."""
        self.folder = folder
        self.config = config
        self.judge = Judge(config, folder, build_policy(config, spec, practises=False), resumed=resumed)
        self.stopwatch = Stopwatch(folder.seconds, resumed=resumed)
        self.tally = Tally(spec.control_period)
        self.metrics = MetricsLog(folder)
        self.progress = Progress(config, self.tally, quiet=quiet)
        self._say = say
        self.keeper = Keeper(folder, config, self.metrics, self._tell)
        self.learns = True
        """Somebody learns from what happens; a policy that is only deployed stays as it is."""
        self.warnings: list[str] = []
        """What summary.json and the last page must not keep quiet about."""
        self._next_evaluation = math.inf
        self._next_checkpoint = math.inf

    def warn(self, text: str) -> None:
        """Say it now, and once more at the end."""
        self.warnings.append(text)
        self.note(text, of="warning")

    def note(self, text: str, *, of: str = "") -> None:
        """Say a sentence to whoever watches. Args: of: a word in front of it that says what it is about."""
        if self._say is not None:
            self._say(f"{of}: {text}" if of else text)
        else:
            self.progress.note(Text.assemble((f"{of}:", "yellow"), f" {text}") if of else text)

    def _tell(self, text: str) -> None:
        self.note(text, of="practice")

    # -- while practice goes on ------------------------------------------------------------------------------------

    def begin_practice(self) -> None:
        """From the steps counted so far, the next evaluation and the next checkpoint are due."""
        steps, every = self.tally.steps, self.config.evaluation.every
        self._next_evaluation = (steps // every + 1) * every if every else math.inf
        self._next_checkpoint = steps + self.config.checkpoint_every

    def note_practice(self) -> None:
        """Log how the last practice episodes went."""
        last = self.tally.history[-1].reward if self.tally.history else 0.0
        scalars = {
            "human_share": self.tally.recent_human_share,
            "success_with_help": self.tally.recent_success,
            "episode_reward": last,
        }
        self.metrics(self.tally.steps, scalars, group="practice")
        if self._say is not None and self.tally.episodes % SAY_EVERY == 0:
            share = f"person {self.tally.recent_human_share:.0%}"
            self._say(f"{self.tally.steps} steps, success with help {self.tally.recent_success:.0%}, {share}")

    def take_checkpoint_due(self) -> bool:
        """Whether a checkpoint is due; the next is due later."""
        if self.tally.steps < self._next_checkpoint:
            return False
        self._next_checkpoint = self.tally.steps + self.config.checkpoint_every
        return True

    def take_evaluation_due(self) -> bool:
        """Whether an evaluation is due; the next is due later."""
        if self.tally.steps < self._next_evaluation:
            return False
        while self._next_evaluation <= self.tally.steps:
            self._next_evaluation += self.config.evaluation.every
        return True

    @property
    def last_evaluation_due(self) -> bool:
        """Practice is over, and its last policy has not been looked at."""
        return bool(self.config.evaluation.every) and self.judge.is_due_at_the_end(self.tally.steps)

    def evaluate(self, averaged: WeightSnapshot, newest: WeightSnapshot, *, step: int | None = None) -> None:
        """Measure the policy without help, and with which of its weights it is better.

        Args:
            step: when; None: after the practice steps so far.
        """
        steps = self.tally.steps if step is None else step
        rate = self.judge.measure(averaged, steps, self.tally.spent, newest)
        self.metrics(steps, {"success_rate": rate}, group="evaluation")
        self.progress.evaluated(rate)

    @property
    def satisfied(self) -> bool:
        """The policy does what the settings ask for, so that practice may end."""
        return self.judge.satisfied(self.tally.recent_human_share)

    # -- ending ----------------------------------------------------------------------------------------------------

    def finish(
        self,
        facts: Mapping[str, Any],
        *,
        interrupted: bool,
        here: tuple[Evaluation, WeightSnapshot] | None = None,
        not_measured: str = "",
    ) -> dict[str, Any]:
        """Measure the best policy, if there is one that has learned anything, and write the report.

        Args:
            facts: what else summary.json is to say.
            interrupted: nothing is measured any more.
            here: a measurement on the robot itself, which has no twin, and of which weights.
            not_measured: why there is none.
        """
        chosen = self.folder.chosen
        snapshot = None if chosen is None else read_snapshot(chosen)[0]
        final, twin = None, self.config.place.simulated
        if here is not None:
            final, snapshot = here
        elif snapshot is None:
            not_measured = not_measured or "nothing has been learned yet"
        elif interrupted:
            not_measured = not_measured or "the run was interrupted"
        elif not twin:
            not_measured = not_measured or "a robot without a twin is measured where it stands, when that is asked for"
        elif not self.config.evaluation.final_episodes:
            not_measured = "evaluation.final_episodes is 0"
        else:
            self.judge.policy.load(snapshot)
            final = last_measurement(self.config, self.judge.policy)
            if final is None:
                interrupted, not_measured = True, "the final evaluation was interrupted; practice had ended before"
        if self.learns:
            self._warn_of_nothing_learned(facts["updates"])
        facts = {"interrupted": interrupted, "warnings": self.warnings, **facts, **self.stopwatch.times()}
        facts |= {"practice": described(self.keeper.monitor.report)} if self.keeper.active else {}
        facts |= {"not_measured": not_measured} if final is None else {}
        summary = summarise(self.config, self.tally, self.judge.rows, snapshot, final, facts)
        self.stopwatch.save()
        self.metrics.settings(named_settings(self.config), _figures(summary))
        shown = self.judge.policy if final and twin else None
        write_report(self.folder, self.config, summary, self.tally, self.judge.rows, shown)
        self.progress.done(self.folder.path, summary)
        return summary

    def _warn_of_nothing_learned(self, updates: int) -> None:
        trainer = self.config.trainer
        due = Governor(trainer.updates_per_step, trainer.start_after).due(self.tally.steps, 0)
        if due and not updates:
            self.warnings.append(
                f"the learner made no update, {self.tally.steps} practice steps have earned {due}: see learner.log"
            )


def _figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """What came out, for TensorBoard."""
    names = ("success_rate", "hands_on_minutes", "at_machine_minutes", "env_steps", "updates")
    return {f"result/{name}": float(summary[name]) for name in names if summary.get(name) is not None}
