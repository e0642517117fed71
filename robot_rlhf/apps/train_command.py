"""The options of `robot-rlhf train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from robot_rlhf.apps.command import parse, place_of, value_of
from robot_rlhf.apps.learner_choice import Chosen, chosen_learner
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import TrainConfig, check_names, defaults_for, pixel_defaults_for, read_yaml
from robot_rlhf.run.train import train


@dataclass(frozen=True)
class TrainOptions:
    """Train: a robot practises a task, a person corrects, a learner learns.

    Defaults are those of the task. Everything lands in a folder of its own under --out.
    """

    settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    where: Annotated[str, tyro.conf.arg(name="place")] = "sim"
    """Whose robot: sim, the simulated arm; gym, a Gymnasium environment, whose id is the task; fake, a robot in memory;
    or a place of your own, module:name or file.py:name. Its options are listed here, too, when it is given."""
    chosen: Chosen = SacConfig.kind
    """sac: off-policy RL with demonstrations and corrections; cloning: demonstrations only; dagger: HG-DAgger;
    iql: implicit Q-learning, made for what was recorded before (robot-rlhf offline); or module:class of your own."""
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
    defaults = _defaults(argv)
    options = parse(TrainOptions, "train", argv, TrainOptions(defaults, defaults.learner.kind))
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
        config = read_yaml(Path(file))
        if value_of(argv, "--place") is not None:
            config = replace(config, place=place_of(argv))
        return replace(config, learner=chosen_learner(argv, config.learner))
    return task_defaults(argv)


def task_defaults(argv: Sequence[str]) -> TrainConfig:
    """The defaults of task, place and learner that the options name, from state or from pictures."""
    task, place = value_of(argv, "--task") or TrainConfig.task, place_of(argv)
    config = pixel_defaults_for(task, place) if "--pixels" in argv else defaults_for(task, place)
    return replace(config, learner=chosen_learner(argv, config.learner))
