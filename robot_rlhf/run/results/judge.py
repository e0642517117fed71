"""Measures policies without help, and keeps the best."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.policy.imitators import led_as
from robot_rlhf.ports import TrainablePolicy
from robot_rlhf.run.build import evaluation_station
from robot_rlhf.run.folder.run_folder import RunFolder, append_json, read_json_lines
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import Evaluation, evaluate
from robot_rlhf.runtime.interrupts import EndedAtOnceError
from robot_rlhf.runtime.practice_weights import Weights

log = logging.getLogger(__name__)

SURE = 0.05
"""Chance of the newest weights taking the averaged ones' place at an evaluation though they are no better."""
FINAL_FIRST = 1_000_000
"""Number of the first final evaluation episode: far from those that chose the policy."""


class Judge:
    """The evaluations of a run, in order; the best policy by two in a row lies in the run's folder."""

    def __init__(self, config: TrainConfig, folder: RunFolder, policy: TrainablePolicy, *, resumed: bool) -> None:
        self._config = config
        self._folder = folder
        self.policy = policy
        """Takes the likeliest action; loaded with what is being measured."""
        self.rows: list[dict[str, Any]] = read_json_lines(folder.evaluations) if resumed else []

    def measure(
        self, averaged: WeightSnapshot, step: int, spent: Mapping[str, float], newest: WeightSnapshot | None = None
    ) -> float:
        """Measure a policy on new starts; returns its success rate.

        Args:
            spent: a person's seconds so far, by name; they stand in the row.
            newest: weights that take the averaged ones' place where they are surely better on the same starts: an
                average of few updates, or of a learner that climbs fast, lags behind.
        """
        snapshot, which = averaged, Weights.AVERAGED
        result = self._evaluate(averaged)
        newest = None if newest is None else led_as(newest, averaged)
        if newest is not None and newest.checksum != averaged.checksum:
            better = self._better(newest, result)
            if better is not None:
                snapshot, which, result = newest, Weights.NEWEST, better
        rate = result.success_rate
        twice = min(rate, self.rows[-1]["success_rate"]) if self.rows else 0.0
        best = max((row["two_in_a_row"] for row in self.rows), default=-1.0)
        row = {**describe(result), "step": step, **spent, "two_in_a_row": twice, "weights": which.value}
        self.rows.append(row)
        append_json(self._folder.evaluations, row)
        if twice >= best:
            write_snapshot(self._folder.best, snapshot, {"task": self._config.task, "steps": step})
        return rate

    def _evaluate(self, snapshot: WeightSnapshot, only: Sequence[int] | None = None) -> Evaluation:
        """On the starts of the next row, or some of them."""
        self.policy.load(snapshot)
        settings = self._config.evaluation
        with evaluation_station(self._config, self.policy) as station:
            return evaluate(
                station,
                episodes=settings.episodes,
                seed=self._config.seed,
                first=len(self.rows) * settings.episodes,
                only=only,
            )

    def _better(self, newest: WeightSnapshot, averaged: Evaluation) -> Evaluation | None:
        """The newest weights' evaluation on the averaged ones' starts where they are surely better, else None.

        The starts at which the averaged ones failed come first, and the rest only while it can still be so: the answer
        is that of all starts.
        """
        lost = [place for place, success in enumerate(averaged.successes) if not success]
        if not is_surely_more(len(lost), 0):
            return None
        there = self._evaluate(newest, lost)
        gained = sum(there.successes)
        if not is_surely_more(gained, 0):
            return None
        won = [place for place, success in enumerate(averaged.successes) if success]
        elsewhere = self._evaluate(newest, won) if won else None
        if elsewhere is not None and not is_surely_more(gained, len(won) - sum(elsewhere.successes)):
            return None
        return there if elsewhere is None else _together(lost, there, won, elsewhere)

    def is_due_at_the_end(self, step: int) -> bool:
        """Practice has gone on since the last measurement, so that its last policy has not been looked at."""
        return not self.rows or step > self.rows[-1]["step"]

    def satisfied(self, human_share: float) -> bool:
        """Two measurements in a row reached what the settings ask for, and the person is hardly needed any more."""
        settings = self._config.evaluation
        if settings.stop_at is None or len(self.rows) < 2:
            return False
        return self.rows[-1]["two_in_a_row"] >= settings.stop_at and human_share < settings.stop_human_share


def is_surely_more(gained: int, lost: int) -> bool:
    """Sign test (McNemar's, exact, one-sided, 5 %): of so many starts that differ, chance rarely gains so many.

    Args:
        gained: starts at which one policy succeeded and the other did not.
        lost: the other way round.
    """
    differ = gained + lost
    return sum(math.comb(differ, more) for more in range(gained, differ + 1)) <= SURE * 2**differ


def _together(places: Sequence[int], one: Evaluation, others: Sequence[int], other: Evaluation) -> Evaluation:
    """Two evaluations at different places of a row as one, in its order."""
    order = np.argsort([*places, *others])

    def column(name: str) -> tuple[Any, ...]:
        values = (*getattr(one, name), *getattr(other, name))
        return tuple(values[place] for place in order)

    return Evaluation(column("successes"), column("lengths"), column("gold_returns"), one.policy_version)


def final_evaluation(config: TrainConfig, policy: TrainablePolicy) -> Evaluation:
    """The measurement that counts: unaided, on starts that were used for nothing else."""
    with evaluation_station(config, policy) as station:
        return evaluate(station, episodes=config.evaluation.final_episodes, seed=config.seed, first=FINAL_FIRST)


def last_measurement(config: TrainConfig, policy: TrainablePolicy) -> Evaluation | None:
    """The final evaluation of a run that ends; None when somebody does not want to wait for it."""
    try:
        return final_evaluation(config, policy)
    except EndedAtOnceError:
        raise
    except KeyboardInterrupt:
        log.warning("stopping: the final evaluation is left out")
        return None


def describe(result: Evaluation) -> dict[str, Any]:
    """An evaluation in the words of evaluations.jsonl."""
    low, high = result.interval
    return {
        "episodes": result.episodes,
        "successes": sum(result.successes),
        "success_rate": round(result.success_rate, 4),
        "wilson_low": round(low, 4),
        "wilson_high": round(high, 4),
        "gold_return_mean": round(sum(result.gold_returns) / len(result.gold_returns), 4),
        "cycle_steps": None if math.isnan(result.cycle_steps) else round(result.cycle_steps, 2),
    }


def describe_final(result: Evaluation) -> dict[str, Any]:
    """An evaluation in the words of summary.json."""
    return {f"eval_{k}" if k in ("episodes", "successes") else k: v for k, v in describe(result).items()}


def steps_until(rows: list[dict[str, Any]], rate: float) -> int | None:
    """Practice steps at the second of the first two evaluations in a row that reach a rate; None when none did."""
    for before, after in itertools.pairwise(rows):
        if before["success_rate"] >= rate and after["success_rate"] >= rate:
            return int(after["step"])
    return None
