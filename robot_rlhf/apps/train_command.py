"""The options of `robot-rlhf train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from robot_rlhf.apps.command import parse
from robot_rlhf.apps.config import TASKS, TrainConfig, check_names, defaults_for, known, pixel_defaults_for, read_yaml
from robot_rlhf.apps.run_folder import RunFolder
from robot_rlhf.apps.train import train
from robot_rlhf.errors import ConfigError


@dataclass(frozen=True)
class TrainOptions:
    """Train: a robot practises a task, a person corrects, a learner learns.

    Defaults are those of the task. Everything lands in a folder of its own under --out.
    """

    settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    config: Path | None = None
    """Take the settings from a config.yaml, as every run's folder holds one; other options come on top."""
    pixels: bool = False
    """Start from the settings for learning from two cameras and the robot's own sensors, without poses of things."""
    resume: Path | None = None
    """Folder of a run to go on with; it keeps its own settings, but may get more --steps."""
    quiet: bool = False
    """Show neither progress nor result."""


def run(argv: Sequence[str]) -> int:
    """Train; returns the exit code."""
    options = parse(TrainOptions, "train", argv, TrainOptions(_defaults(argv)))
    changes: dict[str, Any] = {}
    if options.resume is not None:
        changes = more_steps(options.settings, argv)
        resumed_config(options.resume, argv, may_change=tuple(f"--{name}" for name in changes))
    else:
        check_names(options.settings)
    summary = train(options.settings, resume=options.resume, changes=changes, quiet=options.quiet)
    return 130 if summary["interrupted"] else 0


def resumed_config(folder: Path, argv: Sequence[str], *, may_change: tuple[str, ...] = ()) -> TrainConfig:
    """The settings of a run that is to go on; raises ConfigError when others are given beside it.

    Args:
        may_change: beginnings of options that may be given all the same.
    """
    named = {word.split("=")[0] for word in argv if word.startswith("--")}
    others = sorted(name for name in named - {"--resume", "--quiet"} if not name.startswith(may_change))
    if others:
        raise ConfigError(f"--resume: a resumed run keeps its own settings; leave out {', '.join(others)}")
    return read_yaml(RunFolder.existing(folder).config)


def more_steps(settings: TrainConfig, argv: Sequence[str]) -> dict[str, Any]:
    """The steps of a run that is to go on for longer; nothing when they are not given.

    What changes while a run learns goes by updates, not by shares of the whole, so that nothing else depends on them.
    """
    return {} if value_of(argv, "--steps") is None else {"steps": settings.steps}


def _defaults(argv: Sequence[str]) -> TrainConfig:
    """The defaults to show and to start from: a given file's, or the task's own."""
    file = value_of(argv, "--config")
    if file is not None:
        return read_yaml(Path(file))
    return task_defaults(argv)


def task_defaults(argv: Sequence[str]) -> TrainConfig:
    """The defaults of the task that the options name, from state or from pictures."""
    task = value_of(argv, "--task") or TrainConfig().task
    known(task, TASKS, "task")
    return pixel_defaults_for(task) if "--pixels" in argv else defaults_for(task)


def value_of(argv: Sequence[str], option: str) -> str | None:
    """The value of an option before all options are read; None when it is not given."""
    found: str | None = None
    for position, word in enumerate(argv):
        if word == option and position + 1 < len(argv):
            found = argv[position + 1]
        elif word.startswith(option + "="):
            found = word.partition("=")[2]
    return found
