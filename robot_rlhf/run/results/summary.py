"""What summary.json says of a run: the same keys whatever its mode, place and learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.run.build import software_versions
from robot_rlhf.run.results.judge import describe_final, steps_until
from robot_rlhf.run.setting_values import plain
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import Evaluation
from robot_rlhf.runtime.tally import Tally

SCHEMA = 2
"""Of the keys below. Files without `schema` are of 0.1.0: there what a run did not have was left out."""

KEYS: Mapping[str, str] = {
    "schema": "of these keys; a file without it is of 0.1.0, which left out what a run did not have",
    "task": "the task, as it was chosen",
    "place": "where: `kind` and the place's settings",
    "seed": "of the run",
    "algorithm": "the learner's name",
    "operator": "who supervised practice; `custom` for a simulated person of your own",
    "mode": "`synchronous`, `asynchronous`, `parallel`, or `offline`",
    "arms": "robots that practised at the same time; 0 for `offline`",
    "env_steps": "practice steps, the person's included; of `offline` those that were learned from",
    "episodes": "practice episodes that ended",
    "demonstrations": "demonstrations that count",
    "demonstration_steps": "steps of all demonstrations",
    "demonstration_human_steps": "of these, the ones that hands drove",
    "human_steps": "practice steps that the person drove, by hands or by words",
    "spoken_steps": "steps that a sentence decided, of demonstrations and practice",
    "sentences": "that were said or typed",
    "speaking_seconds": "what it took to say them: a second for each, and 0.3 s for each of their words",
    "human_step_share": "their share of practice steps",
    "human_step_share_last_20": "the same, of the last 20 practice episodes",
    "human_episodes_share": "share of practice episodes in which the person drove at all",
    "hands_on_seconds": "what hands drove, demonstrations included, in seconds of robot time",
    "hands_on_minutes": "the same in minutes",
    "at_machine_seconds": "every step that a person had to be there for, in seconds of robot time",
    "at_machine_minutes": "the same in minutes",
    "guard_events": "times that the guard changed or refused something",
    "faults": "latched faults",
    "recovered_steps": "steps that a run which goes on took over from its journal",
    "updates": "of the learner",
    "over_estimation": "how much more the critics expected than came, over the last finished practice episodes; null "
    "where nobody knows",
    "steps_to_97_twice": "practice steps after which two evaluations in a row reached 97 %; null if none did",
    "steps_to_95_twice": "the same for 95 %",
    "practice": "of a run that judges itself by practice: `verdict`, success `alone`, that of the policy `kept`, "
    "`episodes` that count, and `because`; else null",
    "success_rate": "of the final measurement, unaided; null where there is none, as the following",
    "wilson_low": "lower end of its 95 % interval (Wilson)",
    "wilson_high": "upper end of it",
    "eval_successes": "successes in it",
    "eval_episodes": "episodes of it",
    "cycle_steps": "mean length of its successful episodes, in steps",
    "gold_return_mean": "mean of the simulator's own return in it",
    "not_measured": "why there is no final measurement; null where there is one",
    "policy_version": "updates behind the weights that are deployed; null where there are none",
    "policy_checksum": "SHA-256 of these weights",
    "period_overruns": "in real time: control periods that took too long; else null, as the following",
    "period_p50_ms": "median of the last control periods, in milliseconds",
    "period_p99_ms": "their 99th percentile",
    "period_max_ms": "the longest of them",
    "console": "of a run with the operator's page: periods, how late the operator's inputs came, times that they were "
    "lost; else null",
    "offline": "of a run that learned from recordings alone: which, by which reward, and how many rows; else null",
    "interrupted": "the run was ended early",
    "warnings": "what the run had to say",
    "wall_s": "seconds in all, over all the times it was gone on with",
    "train_s": "of these in demonstrations, practice and learning",
    "versions": "of the packages that matter",
}
"""Every key, and what it means. All of them are always there."""


def summarise(
    config: TrainConfig,
    tally: Tally,
    evaluations: list[dict[str, Any]],
    snapshot: WeightSnapshot | None,
    final: Evaluation | None,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The settings that matter, what was spent, and what came out.

    Args:
        final: the measurement that counts; None where there is none.
        facts: what else there is to say, over what is said here.

    Raises:
        KeyError: a fact that KEYS does not have.
    """
    summary = dict.fromkeys(KEYS) | {
        "schema": SCHEMA,
        "task": config.task,
        "place": plain(config.place),
        "seed": config.seed,
        "algorithm": config.algorithm,
        "operator": config.operator if config.person is None else "custom",
        "mode": config.mode,
        "arms": config.arms,
        "env_steps": tally.steps,
        "demonstrations": tally.demonstrations,
        "demonstration_steps": tally.demonstration_steps,
        "demonstration_human_steps": tally.demonstration_human_steps,
        "human_steps": tally.human_steps,
        "spoken_steps": tally.spoken_steps,
        "sentences": tally.sentences,
        "speaking_seconds": round(tally.speaking_seconds, 2),
        "hands_on_seconds": round(tally.hands_on_seconds, 2),
        "hands_on_minutes": round(tally.hands_on_seconds / 60.0, 4),
        "at_machine_seconds": round(tally.at_machine_seconds, 2),
        "at_machine_minutes": round(tally.at_machine_seconds / 60.0, 4),
        "human_episodes_share": round(tally.human_episodes / max(1, tally.episodes), 4),
        "human_step_share": round(tally.human_steps / max(1, tally.steps), 4),
        "human_step_share_last_20": round(tally.recent_human_share, 4),
        "episodes": tally.episodes,
        "guard_events": tally.guard_events,
        "faults": tally.faults,
        "recovered_steps": 0,
        "steps_to_97_twice": steps_until(evaluations, 0.97),
        "steps_to_95_twice": steps_until(evaluations, 0.95),
        "policy_version": snapshot.version if snapshot else None,
        "policy_checksum": snapshot.checksum if snapshot else None,
        "versions": software_versions(),
        **({} if final is None else describe_final(final)),
        **facts,
    }
    if unknown := sorted(summary.keys() - KEYS.keys()):
        raise KeyError(f"summary.json has no key {', '.join(unknown)}; each is described in KEYS")
    return summary


def is_measured(summary: Mapping[str, Any]) -> bool:
    """Whether a summary, of any version, holds a final measurement."""
    return summary.get("success_rate") is not None
