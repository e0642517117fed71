"""What is known of well-known Gymnasium environments that their spaces do not tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import gymnasium as gym


@dataclass(frozen=True)
class EnvironmentFacts:
    """Which numbers of an environment belong together."""

    relative: tuple[tuple[str, str], ...] = ()
    """Pairs of parts of its observation, each 'key' or 'key[start:stop]' ('state' where the observation is one array):
    where the first is from the second matters."""
    gripper: int | None = None
    """Index of the action entry that opens and closes a gripper: a choice of two, the middle of its bounds between."""


_GOAL = ("desired_goal", "achieved_goal")
_FETCH_OBJECT = ("achieved_goal", "observation[0:3]")
_PANDA = EnvironmentFacts(relative=(("environment_state[0:3]", "agent_pos[15:18]"),))
FACTS = {
    "FetchReach": EnvironmentFacts(relative=(_GOAL,)),
    "FetchPush": EnvironmentFacts(relative=(_GOAL, _FETCH_OBJECT)),
    "FetchSlide": EnvironmentFacts(relative=(_GOAL, _FETCH_OBJECT)),
    "FetchPickAndPlace": EnvironmentFacts(relative=(_GOAL, _FETCH_OBJECT), gripper=3),
    "PandaPickCubeBase": EnvironmentFacts(relative=_PANDA.relative, gripper=6),
    "PandaPickCube": EnvironmentFacts(relative=_PANDA.relative, gripper=3),
}
"""Name of the environment, without namespace, kind of reward and version, to what is known of it."""
UNKNOWN = EnvironmentFacts()


def facts_of(env: gym.Env[Any, Any]) -> EnvironmentFacts:
    """What is known of an environment by its id; of most: nothing."""
    return UNKNOWN if env.spec is None else known_facts(env.spec.id)


def known_facts(identifier: str) -> EnvironmentFacts:
    """What is known of an environment by its id, `[module:][namespace/]name[-v0]`."""
    name = re.split("[:/]", identifier)[-1].split("-v", 1)[0]
    return FACTS.get(re.sub("(Dense|Sparse)$", "", name), UNKNOWN)
