"""`robot-rlhf train`: demonstrations, practice with corrections, evaluation without help, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from robot_rlhf.apps.config import TrainConfig, check_simulated, read_yaml, write_yaml
from robot_rlhf.apps.numerics import tiny_is_zero
from robot_rlhf.apps.parallel import ParallelTraining
from robot_rlhf.apps.run_folder import RunFolder
from robot_rlhf.apps.single import SingleTraining


def train(config: TrainConfig, *, resume: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Run a training; returns what summary.json holds.

    Args:
        config: of a new run; ignored for a resumed one, which keeps its own.
        resume: folder of a run to go on with.
    """
    if resume:
        config = read_yaml(RunFolder.existing(resume).config)
    check_simulated(config, "train and session drive the simulated arm alone")
    run = RunFolder.existing(resume) if resume else RunFolder.create(config.out, config.name or default_name(config))
    if not resume:
        write_yaml(config, run.config)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    training = ParallelTraining if config.mode == "parallel" else SingleTraining
    with tiny_is_zero():
        return training(run, config, resumed=resume is not None, quiet=quiet).run()


def default_name(config: TrainConfig) -> str:
    """Folder name of a run: task, algorithm, operator, seed."""
    return f"{config.task}-{config.algorithm}-{config.operator}-seed{config.seed}"
