"""The option `--learner`: which learner, whose settings then are the options `--learner.…`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import tyro

from robot_rlhf.apps.command import value_of
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.naming import make_own

Chosen = Annotated[str, tyro.conf.arg(name="learner")]
"""An option's type."""


def chosen_learner(argv: Sequence[str], default: LearnerConfig) -> LearnerConfig:
    """The settings to begin with of the learner that options name: the default's if it is of that kind, else its own.

    Raises:
        UnknownNameError: no such learner.
        ConfigError: one of the user's own that cannot be had.
    """
    return learner_named(value_of(argv, "--learner"), default)


def learner_named(name: str | None, default: LearnerConfig) -> LearnerConfig:
    """As chosen_learner, for a name; None is the default's."""
    if name is None or name == default.kind:
        return default
    return make_own(LearnerConfig.of_kind(name), name, "learner")
