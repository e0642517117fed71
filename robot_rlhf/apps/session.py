"""`robot-rlhf session`: a person teaches the robot live, in the browser, while it practises and learns."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robot_rlhf.apps.command import parse, value_of
from robot_rlhf.apps.train_command import TrainOptions, more_steps, resumed_config, task_defaults
from robot_rlhf.errors import ConfigError
from robot_rlhf.people.person import PEOPLE
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import SIMULATED, ConsoleConfig, TrainConfig, check_names, read_yaml, simulated_like
from robot_rlhf.run.train import train

DEFAULT_PERSON = "attentive"
PICTURE_SIZE = 256


@dataclass(frozen=True)
class SessionOptions(TrainOptions):
    """A live session: robot, learner and the operator's console.

    Prints an address; open it, demonstrate, watch, take over, judge, speak. --operator simulated needs nobody.
    """


def run(argv: Sequence[str]) -> int:
    """Run a session; returns the exit code."""
    # Mesa then draws in the control loop's own thread, which runs before all others, instead of in helpers of it.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    defaults = session_defaults(argv)
    options = parse(SessionOptions, "session", argv, SessionOptions(defaults, defaults.learner.kind))
    config, changes = options.settings, dict[str, Any]()
    if options.resume is not None:
        changes = more_steps(config, argv)
        may_change = ("--console.", *(f"--{name}" for name in changes))
        if resumed_config(options.resume, argv, may_change=may_change).console is None:
            raise ConfigError(f"--resume {options.resume}: that run had no console; use robot-rlhf train --resume")
        if any(word.startswith("--console.") for word in argv):
            changes["console"] = config.console
    else:
        check_names(config)
        config = replace(config, operator=DEFAULT_PERSON) if config.operator == SIMULATED else config
    summary = train(config, resume=options.resume, changes=changes, quiet=options.quiet)
    return 130 if summary["interrupted"] else 0


def session_defaults(argv: Sequence[str]) -> TrainConfig:
    """The task's settings, in real time, with cameras and a console; the operator demonstrates unless simulated.

    The console of a run that goes on is as it was, but for what is given anew.
    """
    base = task_defaults(argv)
    operator = value_of(argv, "--operator") or user_name()
    real = operator != SIMULATED and operator not in PEOPLE
    resume = value_of(argv, "--resume")
    earlier = None if resume is None else read_yaml(RunFolder.existing(Path(resume)).config).console
    return replace(
        base,
        mode="asynchronous",
        operator=operator,
        demonstrator=operator if real else base.demonstrator,
        steps=1_000_000 if real else base.steps,
        cameras=tuple(dict.fromkeys((*base.place.cameras, *base.features.cameras))),
        image_size=base.image_size if base.features.cameras else PICTURE_SIZE,
        console=earlier or ConsoleConfig(),
        reward=replace(base.reward, judge="either"),
        evaluation=replace(base.evaluation, every=0),
    )


def user_name() -> str:
    """Who is logged in here; 'operator' where that is not known or is, or nearly is, a simulated person's name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "operator"
    return "operator" if name in (*PEOPLE, SIMULATED, "root") or simulated_like(name) else name
