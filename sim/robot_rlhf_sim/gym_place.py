"""Any Gymnasium environment with a Box action space as the place of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import yaml
from gymnasium.envs.registration import load_env_creator
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.naming import find_own, is_own, label_of, make_own
from robot_rlhf.place import PictureSizes, Place, PlaceConfig
from robot_rlhf.ports import Restorable
from robot_rlhf.ranges import AT_LEAST_ONE, SECONDS, check_ranges
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import DirectLimits
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_sim.disturbance import PERIODS, DisturbanceConfig, DisturbedRobot
from robot_rlhf_sim.environment_picture import can_render, picture_of
from robot_rlhf_sim.environment_state import MujocoEnvironmentRobot, is_mujoco
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot, GymnasiumTask
from robot_rlhf_sim.known_environments import known_facts

RENDERED = "render"
"""The camera that draws an environment, for recorded pictures."""
ALLOWED = "the id of a registered environment, module:id, or module:factory or file.py:factory of your own"
VALID = 0.5
"""Seconds for which a command is valid, and an observation new, at least; in periods: PATIENCE."""
PATIENCE = 2 * (PERIODS.most + 1)
SUGGESTED: Mapping[str, Any] = {
    "operator": "absent",
    "demonstrations": 0,
    "learner.imitators": 0,
    "learner.caution": 0.0,
    "evaluation.every": 1_000,
    "evaluation.episodes": 10,
    "evaluation.final_episodes": 50,
    "video_episodes": 4,
}
"""Nobody shows how it is done: there is nothing to imitate. Episodes are long."""


class GymPlace(Place):
    """A Gymnasium environment, in simulated or in real time."""

    task: GymnasiumTask

    def __init__(self, robot: GymnasiumRobot, task: GymnasiumTask, guard: GuardedRobot, clock: Clock) -> None:
        """
        Args:
            robot: of the environment; the guard's may be disturbed.
        """
        super().__init__(guard, task, clock, simulated=True)
        self.env = robot.env
        self.world = robot if isinstance(robot, Restorable) else None
        self.view = self._picture if can_render(robot.env) else None
        self._open = True

    def close(self) -> None:
        super().close()
        if self._open:
            self._open = False
            self.env.close()

    def _picture(self, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        """An environment has one camera, whatever it is called."""
        return picture_of(self.env, height, width)


@dataclass(frozen=True)
class GymConfig(PlaceConfig):
    """A Gymnasium environment with a Box action space: its id is the task."""

    kind: ClassVar[str] = "gym"
    env_options: dict[str, str] = field(default_factory=dict[str, str])
    """Further arguments of the environment, for example reward_type sparse or reset_noise_scale 0.1; written as in
    YAML."""
    disturbance: DisturbanceConfig = field(default_factory=DisturbanceConfig)
    """How late and how inexact the environment follows."""
    time_limit: int | None = None
    """Steps of an episode; None: as many as the environment itself has. With more it still ends by itself."""
    control_period: float | None = None
    """Seconds per step; None: as the environment's render_fps says."""
    gripper: str | None = None
    """Action entry, for example action3, that opens and closes a gripper; None: as is known of the environment."""
    instruction: str = ""
    """What a person would say to ask for it; empty: the environment's name."""

    def __post_init__(self) -> None:
        check_ranges(self, "", time_limit=AT_LEAST_ONE, control_period=SECONDS)

    @property
    def simulated(self) -> bool:
        return True

    @property
    def cameras(self) -> tuple[str, ...]:
        return (RENDERED,)

    def check_task(self, task: str) -> None:
        _maker(task)

    def task_names(self, task: str) -> tuple[str, ...]:
        return (task,)

    def suggested(self, task: str) -> Mapping[str, Any]:
        if not known_facts(task).relative:
            return SUGGESTED
        env = self._made(task)
        try:
            return {**SUGGESTED, "features.relative": GymnasiumRobot(env, FakeClock()).relative}
        finally:
            env.close()

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> GymPlace:
        env = self._made(task)
        kind = MujocoEnvironmentRobot if is_mujoco(env) else GymnasiumRobot
        rendered = {name: size for name, size in cameras.items() if name == RENDERED and can_render(env)}
        robot = kind(env, clock, control_period=self.control_period, gripper=self.gripper, rendered=rendered)
        known = {*robot.spec.cameras, *([RENDERED] if can_render(env) else [])}
        for name in cameras:
            if name not in known:
                raise UnknownNameError(f"camera of {task}", name, known)
        limit = self.time_limit or _time_limit(env)
        if limit is None:
            raise ConfigError(f"time_limit: {task} says nothing of how long an episode lasts, so its steps are needed")
        robot.reset(seed)  # whoever waits for the first episode looks at something
        robot.observe()  # and a machine that cannot draw is found out
        told: dict[str, Any] = {
            "name": task,
            "instruction": self.instruction or label_of(task),
            "time_limit": limit,
        }
        valid = max(VALID, PATIENCE * robot.spec.control_period)
        limits = DirectLimits(np.full(robot.spec.action.size, np.inf), valid, valid)
        if self.disturbance.is_none:
            return GymPlace(robot, GymnasiumTask(robot, **told), GuardedRobot(robot, limits, clock), clock)
        disturbed = DisturbedRobot(robot, self.disturbance, clock, seed=seed)
        made = DisturbedGymnasiumTask(robot, disturbed, **told)
        return GymPlace(robot, made, GuardedRobot(disturbed, limits, clock), clock)

    def _made(self, task: str) -> gym.Env[Any, Any]:
        options = {name: _value(name, text) for name, text in self.env_options.items()}
        env = make_own(_maker(task), task, "task", **options)
        if not isinstance(env, gym.Env):
            raise ConfigError(f"task {task!r}: made a {type(env).__name__}, allowed: a gymnasium.Env")
        return env


class DisturbedGymnasiumTask(GymnasiumTask):
    """A GymnasiumTask that begins its robot's disturbances with each episode; the starts stay the environment's."""

    def __init__(self, robot: GymnasiumRobot, disturbed: DisturbedRobot, **told: Any) -> None:
        super().__init__(robot, **told)
        self._disturbed = disturbed

    def reset(self, rng: np.random.Generator) -> None:
        (own,) = rng.spawn(1)
        self._disturbed.begin(own)
        super().reset(rng)


def _maker(task: str) -> Callable[..., object]:
    """What makes an environment of keyword arguments.

    Raises:
        ConfigError: no such environment, module or file.
    """
    if not is_own(task):
        return _registered(task)
    try:
        return find_own(task, "task", [ALLOWED])
    except ConfigError:
        if task.partition(":")[2] not in gym.registry:  # the module, where there is one, has made its own known by now
            raise
        return _registered(task.partition(":")[2])


def _registered(name: str) -> Callable[..., object]:
    try:
        spec = gym.spec(name)
    except gym.error.Error as error:
        raise ConfigError(f"task {name!r}: {error} Allowed: {ALLOWED}") from error

    def make(**options: Any) -> object:
        entry = spec.entry_point
        kind: Any = load_env_creator(entry) if isinstance(entry, str) else entry
        modes = getattr(kind, "metadata", {}).get("render_modes", ())
        if "rgb_array" in modes:
            options = {"render_mode": "rgb_array", **options}
        return gym.make(spec, disable_env_checker=True, **options)

    return make


def _time_limit(env: gym.Env[Any, Any]) -> int | None:
    """Of its registration, or of a wrapper around it."""
    if env.spec is not None and env.spec.max_episode_steps is not None:
        return env.spec.max_episode_steps
    name = "_max_episode_steps"  # of gymnasium.wrappers.TimeLimit
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None


def _value(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"env_options: {name}: got {text!r}, allowed: a value as in YAML") from error
