"""What summary.json says of a run."""

from __future__ import annotations

from typing import Any

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.run.build import software_versions
from robot_rlhf.run.results.judge import describe_final, steps_until
from robot_rlhf.run.setting_values import plain
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import Evaluation
from robot_rlhf.runtime.tally import Tally


def summarise(
    config: TrainConfig,
    tally: Tally,
    evaluations: list[dict[str, Any]],
    snapshot: WeightSnapshot | None,
    final: Evaluation | None,
    *,
    not_measured: str = "",
) -> dict[str, Any]:
    """The settings that matter, what was spent, and what came out.

    Args:
        final: the measurement that counts; None where there is none.
        not_measured: why there is none, in words.
    """
    summary: dict[str, Any] = {
        "task": config.task,
        "place": plain(config.place),
        "seed": config.seed,
        "algorithm": config.algorithm,
        "operator": config.operator if config.person is None else "custom",
        "mode": config.mode,
        "env_steps": tally.steps,
        "demonstrations": tally.demonstrations,
        "demonstration_steps": tally.demonstration_steps,
        "demonstration_human_steps": tally.demonstration_human_steps,
        "human_steps": tally.human_steps,
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
        "steps_to_97_twice": steps_until(evaluations, 0.97),
        "steps_to_95_twice": steps_until(evaluations, 0.95),
        "policy_version": snapshot.version if snapshot else None,
        "policy_checksum": snapshot.checksum if snapshot else None,
        "versions": software_versions(),
    }
    if final is not None:
        return summary | describe_final(final)
    return summary | {"not_measured": not_measured} if not_measured else summary
