"""`robot-rlhf eval`: measures a trained policy without help."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from rich.table import Table

from robot_rlhf.apps.command import parse
from robot_rlhf.errors import CheckpointError, ConfigError, RenderError
from robot_rlhf.journal.files import journal_files
from robot_rlhf.ranges import SEED, check_ranges
from robot_rlhf.run.build import evaluation_station, load_policy
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.results.judge import describe, final_evaluation
from robot_rlhf.run.results.report import write_json
from robot_rlhf.run.results.video import write_rollouts
from robot_rlhf.run.screen import screen
from robot_rlhf.run.setting_values import plain
from robot_rlhf.run.settings import check_opened_here, read_yaml

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateOptions:
    """Measure a trained policy without help, on the starts of the run's own final evaluation unless --seed differs."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int | None = None
    """Episodes; as many as the run's final evaluation had when left out."""
    seed: int | None = None
    """Seed of the starts; the run's own when left out."""
    which: Annotated[Literal["best", "latest"], tyro.conf.arg()] = "best"
    """best: the policy of the best two evaluations in a row; latest: the last one learned."""
    video: bool = False
    """Film some more episodes, into eval-<seed>.mp4."""

    def __post_init__(self) -> None:
        check_ranges(self, "", seed=SEED)
        if self.episodes is not None and self.episodes < 1:
            raise ConfigError(f"--episodes: got {self.episodes}, allowed >= 1")


def run(argv: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    options = parse(EvaluateOptions, "eval", argv)
    result = evaluate_run(options)
    screen().print(_table(result))
    return 0


def evaluate_run(options: EvaluateOptions) -> dict[str, Any]:
    """Load, measure, write eval-<seed>.json; returns what it holds.

    Raises:
        ConfigError: no run's folder, one of a robot that is not simulated, or one whose settings name another task.
        CheckpointError: no policy yet, or a corrupt one.
    """
    folder = RunFolder.existing(options.run)
    config = read_yaml(folder.config)
    check_opened_here(config, f"{options.run} is not measured in the simulation, which is another robot")
    folder.check_task(*config.task_names)
    seed = config.seed if options.seed is None else options.seed
    episodes = options.episodes or config.evaluation.final_episodes
    if not episodes:
        raise ConfigError(f"--episodes: missing, as {folder.config} has evaluation.final_episodes 0; allowed >= 1")
    config = replace(config, seed=seed, evaluation=replace(config.evaluation, final_episodes=episodes))
    torch.set_num_threads(config.threads)
    with evaluation_station(config) as station:
        spec = station.guard.spec
    path = folder.chosen if options.which == "best" else folder.policy
    if path is None or not path.exists():
        again = f" (robot-rlhf train --resume {shlex.quote(str(options.run))})" if journal_files(folder.journal) else ""
        raise CheckpointError(f"{folder.policy}: no such policy; the run has not learned one yet{again}")
    policy, snapshot = load_policy(config, spec, path)
    evaluation = final_evaluation(config, policy)
    result: dict[str, Any] = {
        **describe(evaluation),
        "task": config.task,
        "place": plain(config.place),
        "seed": seed,
        "policy": path.name,
        "policy_version": snapshot.version,
        "policy_checksum": snapshot.checksum,
    }
    cycle = result["cycle_steps"]
    result["cycle_seconds"] = None if cycle is None else round(cycle * spec.control_period, 3)
    target = folder.path / f"eval-{seed}.json"
    write_json(target, result)
    if options.video:
        try:
            write_rollouts(target.with_suffix(".mp4"), config, policy, max(1, config.video_episodes))
        except RenderError as error:
            log.warning("no video: %s", error)
    return {**result, "written": str(target)}


def _table(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['task']}: {result['success_rate']:.0%} without help", show_header=False)
    table.title_style, table.title_justify = "bold green", "left"
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("success", f"{result['successes']} of {result['episodes']} episodes, seed {result['seed']}")
    table.add_row("95 % interval", f"{result['wilson_low']:.1%} to {result['wilson_high']:.1%} (Wilson)")
    cycle = result["cycle_seconds"]
    table.add_row("cycle time", "-" if cycle is None else f"{cycle:.2f} s (mean of the successes)")
    table.add_row("mean gold return", f"{result['gold_return_mean']:.3f}")
    table.add_row("policy", f"{result['policy']}, version {result['policy_version']}")
    table.add_row("checksum", result["policy_checksum"])
    table.add_row("written", result["written"])
    return table
