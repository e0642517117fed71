"""The settings of a run, and what of them is not as usual."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.learning.cases import METHODS, NOBODY, SENTENCES, TASKS, Case
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.people.person import PEOPLE
from robot_rlhf.people.speaker import SPEAKERS
from robot_rlhf.run.setting_values import build, plain
from robot_rlhf.run.settings import TrainConfig, defaults_for, known, named_settings, pixel_defaults_for


def config_of(case: Case, runs: Path) -> TrainConfig:
    """The settings of a run: the task's defaults, then what task, method and variant change.

    The same person demonstrates and corrects. All methods practise the same number of steps: nobody stops early.

    Args:
        runs: folder for the run's own.

    Raises:
        UnknownNameError: a setting, a person or a task that does not exist.
        ConfigError: a value that a setting cannot have.
    """
    task, method = TASKS[case.task], METHODS[case.method]
    base = pixel_defaults_for(task.task) if task.pictures else defaults_for(task.task)
    if method.speaks:
        speech = None if case.person == NOBODY else replace(known(case.person, SPEAKERS, "speaker"), budget=SENTENCES)
        base = replace(base, operator="absent", speech=speech)
    elif case.person != NOBODY:
        base = replace(base, operator=case.person, demonstrator=case.person)
        if any(text.startswith("person.") for text in method.settings):
            base = replace(base, person=PEOPLE[case.person])
    base = replace(base, evaluation=replace(base.evaluation, stop_at=None))
    config = with_settings(base, (*task.settings, *method.settings, *case.settings))
    return replace(config, seed=case.seed, out=runs, name=case.name, video_episodes=0)


def with_settings(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """The same with some settings changed, each written 'learner.learning_rate=3e-4': a value in JSON, or plain text.

    'learner=dagger' takes another learner, with its own defaults.

    Raises:
        ConfigError: no '=', or a value that the setting cannot have.
        UnknownNameError: no such setting.
    """
    data = plain(config)
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"setting {text!r}: allowed is name=value, as learner.learning_rate=3e-4")
        *path, last = name.split(".")
        place = data
        for part in path:
            if not isinstance(place.get(part), dict):
                raise UnknownNameError("setting", name, list(named_settings(config)))
            place = place[part]
        if last not in place and "task_options" not in path:
            raise UnknownNameError("setting", name, list(named_settings(config)))
        if name == "learner":
            place[last] = plain(LearnerConfig.of_kind(value)())
            continue
        try:
            place[last] = json.loads(value)
        except ValueError:
            place[last] = None if value in ("none", "None") else value
    return build(TrainConfig, data, "settings")


def changed_settings(config: TrainConfig) -> dict[str, object]:
    """What is not as `robot-rlhf train` has it for the task, by name; without names and places of runs."""
    usual = defaults_for(config.task)
    if usual.learner.kind != config.learner.kind:
        usual = replace(usual, learner=type(config.learner)())
    default, now = named_settings(usual), named_settings(config)
    default["learner.kind"] = defaults_for(config.task).learner.kind
    return {
        name: value
        for name, value in sorted(now.items())
        if name not in ("out", "name", "seed", "video_episodes") and default.get(name, "") != value
    }
