"""A training run from its folder to its summary: begun, or gone on with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_rlhf.errors import ConfigError
from robot_rlhf.naming import label_of
from robot_rlhf.run.folder.provenance import note_invocation
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.numerics import computing
from robot_rlhf.run.ring import open_ring
from robot_rlhf.run.settings import TrainConfig, check_opened_here, read_yaml, write_yaml
from robot_rlhf.runtime.interrupts import ending_in_order


def train(
    config: TrainConfig, *, resume: Path | None = None, changes: Mapping[str, Any] | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Run a training; returns what summary.json holds.

    Args:
        config: of a new run; ignored for a resumed one, which keeps its own.
        resume: folder of a run to go on with.
        changes: settings by name that a resumed run gets from now on.

    Raises:
        ConfigError: the robot is not simulated, another process works on the run, or there is nothing to resume.
        CheckpointError: a resumed run's learner has lost its state.
    """
    if resume is not None:
        return _resume(RunFolder.existing(resume), changes or {}, quiet=quiet)
    return train_in(new_folder(config), config, quiet=quiet)


def new_folder(config: TrainConfig) -> RunFolder:
    """Where a new run is to lie; raises ConfigError where it cannot be made, or the place is opened elsewhere."""
    check_opened_here(config, "train and session do not drive it")
    return RunFolder.create(config.out, config.name or default_name(config))


def train_in(run: RunFolder, config: TrainConfig, *, quiet: bool = False) -> dict[str, Any]:
    """As `train`, a new run in its folder."""
    with run.kept_once_begun(), run.locked():
        write_yaml(config, run.config)
        return _train(run, config, resumed=False, quiet=quiet)


def _resume(run: RunFolder, changes: Mapping[str, Any], *, quiet: bool) -> dict[str, Any]:
    run.begun = True
    with run.locked():
        before = read_yaml(run.config)
        check_opened_here(before, "train and session do not drive it")
        run.check_resumable()
        run.check_task(*before.task_names)
        config = replace(before, **changes)
        if config.steps < before.steps:
            raise ConfigError(f"--resume {run.path} --steps {config.steps}: the run has {before.steps}; allowed: more")
        if config != before:
            write_yaml(config, run.config)
        return _train(run, config, resumed=True, quiet=quiet)


def _train(run: RunFolder, config: TrainConfig, *, resumed: bool, quiet: bool) -> dict[str, Any]:
    note_invocation(run, resumed=resumed)
    again = f"summary.json and curves.png; go on with robot-rlhf train --resume {shlex.quote(str(run.path))}"
    with computing(config.threads, config.seed), ending_in_order(again):
        return open_ring(run, config, resumed=resumed, quiet=quiet).run()


def default_name(config: TrainConfig) -> str:
    """Folder name of a run: task, algorithm, operator, seed."""
    operator = re.sub(r"[/\\\0]", "_", config.operator)
    return f"{label_of(config.task)}-{label_of(config.algorithm)}-{operator}-seed{config.seed}"
