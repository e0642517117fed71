"""`robot-rlhf offline`: learns a policy from recorded sessions alone, by a reward of your choice, and measures it."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.apps.command import parse
from robot_rlhf.apps.learner_choice import chosen_learner
from robot_rlhf.learner.iql import IqlConfig
from robot_rlhf.run.offline import learn_from_recordings
from robot_rlhf.run.offline_settings import OfflineOptions


def run(argv: Sequence[str]) -> int:
    """Learn; returns the exit code."""
    learner = chosen_learner(argv, IqlConfig())
    options = parse(OfflineOptions, "offline", argv, OfflineOptions((), None, learner.kind, learner))
    _, summary = learn_from_recordings(options)
    return 130 if summary["interrupted"] else 0
