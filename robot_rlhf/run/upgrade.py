"""Settings as earlier versions wrote them, in the words of today's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from robot_rlhf.errors import ConfigError

SCHEMA = 3
"""Of what is written today."""
KEY = "schema"
SIM_OPTIONS = ("task_options", "disturbance", "randomise")
"""What the simulated place took over from the run with schema 3."""
LEARNERS = {"sac": "sac", "cloning": "cloning", "dagger": "cloning", "iql": "iql"}
"""Algorithms of schema 1, and the section that held each one's settings."""


def upgrade(data: object, where: str) -> object:
    """Settings read from a file, whichever version wrote it; what is no mapping is left to whoever builds them.

    Raises:
        ConfigError: a schema that this version does not know.
    """
    if not isinstance(data, Mapping):
        return data
    settings = dict(data)
    written = settings.pop(KEY, 1)
    if not isinstance(written, int) or isinstance(written, bool) or not 1 <= written <= SCHEMA:
        raise ConfigError(f"{where}: {KEY}: got {written!r}, allowed 1 to {SCHEMA}; is it of a later version?")
    for step in STEPS[written - 1 :]:
        settings = step(settings)
    return settings


def _from_1(settings: dict[str, Any]) -> dict[str, Any]:
    """Learners had a section each, and `algorithm` chose one."""
    old = {"algorithm", *LEARNERS.values()} & set(settings)
    if not old or "learner" in settings:
        return settings
    algorithm = settings.get("algorithm", "sac")
    own = settings.get(LEARNERS.get(algorithm, "") if isinstance(algorithm, str) else "", {})
    rest = {name: value for name, value in settings.items() if name not in old}
    return rest | {"learner": {"kind": algorithm, **own} if isinstance(own, Mapping) else own}


def _with_place(settings: dict[str, Any]) -> dict[str, Any]:
    """The run had `robot`, simulated or ros, and the simulation's options among its own."""
    robot = settings.pop("robot", None)
    options = {name: settings.pop(name) for name in SIM_OPTIONS if name in settings}
    if "place" in settings or (robot is None and not options):
        return settings | options
    if robot == "ros":  # the options were those of a simulation, where the settings began as its
        return settings | {"place": {"kind": "ros"}}
    return settings | {"place": {"kind": "sim" if robot in (None, "simulated") else robot, **options}}


STEPS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_from_1, _with_place)
"""From schema 1 to 2, and so on."""
