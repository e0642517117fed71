"""Any Gymnasium environment with a Box action space as a Robot, and its episodes as a Task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, Array, Command, CommandLayout, Observation, Outcome, RobotSpec
from robot_rlhf.errors import ConfigError, RobotError, ShapeError, StaleError, UnknownNameError
from robot_rlhf.parts import find_part
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_sim.environment_picture import picture_of
from robot_rlhf_sim.known_environments import EnvironmentFacts, facts_of

_IDENTITY = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)
SUCCESS_KEYS = ("is_success", "success", "succeed")
"""Of info: what environments call their success."""
_TRUTH = {"reward": 1, "success": 1, "terminated": 1, "truncated": 1}


class GymnasiumRobot:
    """A robot whose commands are the environment's own actions.

    Vectors of the observation are joined into Observation.scene['state'], in the order of the observation space;
    uint8 pictures (H, W, 3) become cameras. The environment's reward is kept as Observation.privileged['reward'],
    for evaluation only; 'success' beside it is info['is_success'], info['success'] or info['succeed'] where the
    environment tells, else that it terminated. An episode that is over stays as it ended, with reward 0, until the task
    resets it.

    Of well-known environments it is known which action entry is a gripper's, and which relative positions matter
    (`relative`, for FeatureConfig.relative); see sim.known_environments.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        clock: Clock,
        *,
        control_period: float | None = None,
        camera: str = "image",
        gripper: str | None = None,
        facts: EnvironmentFacts | None = None,
        rendered: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        """Read the environment's spaces.

        Args:
            env: not reset yet; it is closed by whoever made it.
            clock: stamps observations; a FakeClock is advanced by one control period per command.
            control_period: seconds per step; None takes 1 / env.metadata['render_fps'].
            camera: name of the picture of an environment whose whole observation is one.
            gripper: action entry, 'action0' to 'action<m-1>', that opens and closes a gripper, and counts as open from
                the middle of its bounds up. It is then called 'gripper', and learned as a choice of two. None: as in
                the facts.
            facts: what the spaces do not tell; None looks the environment up by its id.
            rendered: height and width of further pictures, by name, for which the environment is rendered.

        Raises:
            ConfigError: the environment has another kind of actions or observations than this robot can stand for.
            UnknownNameError: there is no such action entry, or the facts name parts that the observation has not.
        """
        facts = facts_of(env) if facts is None else facts
        self.env = env
        self._clock = clock
        self._space = _box_of_actions(env)
        vectors, cameras = _read_observation_space(env.observation_space, camera)
        self._vectors, self._cameras, self._camera = tuple(vectors), tuple(cameras), camera
        self._rendered = dict(rendered or {})
        self._pictures: dict[str, NDArray[np.uint8]] | None = None
        period = 1.0 / _steps_per_second(env) if control_period is None else control_period
        lower = self._space.low.ravel().astype(np.float64)
        upper = self._space.high.ravel().astype(np.float64)
        names = tuple(f"action{i}" for i in range(lower.size))
        self._gripper = facts.gripper if gripper is None else _index_of(gripper, names)
        if self._gripper is not None and not 0 <= self._gripper < len(names):
            raise ConfigError(f"gripper: got entry {self._gripper} of the action, allowed 0 to {len(names) - 1}")
        self._spec = RobotSpec(
            joint_names=(),
            position_lower=np.zeros(0, np.float32),
            position_upper=np.zeros(0, np.float32),
            speed_max=np.zeros(0, np.float32),
            control_period=period,
            action=ActionLayout(
                tuple("gripper" if i == self._gripper else name for i, name in enumerate(names)),
                np.ones(len(names), np.float32),
                "none",
            ),
            command=CommandLayout("direct", names, lower, upper),
            cameras={**cameras, **self._rendered},
            scene={"state": sum(vectors.values())} if vectors else {},
            privileged=_TRUTH,
        )
        ends = np.cumsum([0, *vectors.values()]).tolist()
        self.parts = {"state" if name == camera else name: slice(*ends[k : k + 2]) for k, name in enumerate(vectors)}
        """Name of each vector of the observation to where it lies in scene['state']."""
        self.relative = tuple((_place(a, self.parts), _place(b, self.parts)) for a, b in facts.relative)
        """Pairs of parts of scene['state'] whose relative positions matter, as FeatureConfig.relative takes them."""
        self._opening = 1.0
        self._seen: Any = None
        self._truth: Mapping[str, NDArray[np.float32]] = {}
        self._forget()

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    def reset(self, seed: int) -> None:
        """Begin an episode of the environment."""
        self._seen, _ = self.env.reset(seed=seed)
        self._forget()

    def observe(self) -> Observation:
        if self._seen is None:
            raise RobotError("Gymnasium robot: nothing to observe before the task's first reset")
        seen: Mapping[str, Any] = self._seen if isinstance(self._seen, Mapping) else {self._camera: self._seen}
        parts = [np.asarray(seen[name], np.float32).ravel() for name in self._vectors]
        still = np.zeros(6, np.float32)
        return Observation(
            stamp=self._clock.now(),
            joint_position=np.zeros(0, np.float32),
            joint_velocity=np.zeros(0, np.float32),
            tool_pose_in_base=_IDENTITY,
            tool_target_in_base=_IDENTITY,
            tool_velocity=still,
            tool_wrench=still,
            gripper=self._opening,
            gripper_target=self._opening,
            images={**{name: np.asarray(seen[name]) for name in self._cameras}, **self._rendered_pictures()},
            scene={"state": np.concatenate(parts)} if parts else {},
            privileged=self._truth,
        )

    def send(self, command: Command) -> Command:
        size = len(self._spec.command.names)
        if command.target.shape != (size,):
            raise ShapeError("Command.target", command.target.shape, (size,))
        late = self._clock.now() - command.valid_until
        if late > 0:
            raise StaleError(f"command expired {late:.3f} s ago")
        if self._seen is None:
            raise RobotError("Gymnasium robot: cannot move before the task's first reset")
        target = np.clip(command.target, self._spec.command.lower, self._spec.command.upper)
        if self._truth["terminated"][0] > 0 or self._truth["truncated"][0] > 0:
            self._truth = {**self._truth, "reward": np.zeros(1, np.float32)}
        else:
            self._step(target)
        if isinstance(self._clock, FakeClock):
            self._clock.advance(self._spec.control_period)
        return command if (target == command.target).all() else Command(target, command.valid_until)

    def stop(self) -> None:
        """Nothing to do: between two commands the environment stands still."""

    def _rendered_pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Of the present state; drawn once."""
        if self._pictures is None:
            self._pictures = {name: picture_of(self.env, *size) for name, size in self._rendered.items()}
        return self._pictures

    def _step(self, target: NDArray[np.float64]) -> None:
        self._pictures = None
        action = target.reshape(self._space.shape).astype(self._space.dtype)
        self._seen, reward, terminated, truncated, info = self.env.step(action)
        if self._gripper is not None:
            middle = 0.5 * (self._spec.command.lower + self._spec.command.upper)
            self._opening = float(target[self._gripper] >= middle[self._gripper])
        told = next((info[key] for key in SUCCESS_KEYS if key in info), terminated)
        values = {"reward": reward, "success": told, "terminated": terminated, "truncated": truncated}
        self._truth = {name: np.array([float(value)], np.float32) for name, value in values.items()}

    def _forget(self) -> None:
        self._pictures = None
        self._truth = {name: np.zeros(1, np.float32) for name in _TRUTH}
        self._opening = 1.0


class GymnasiumTask:
    """The episodes of a GymnasiumRobot: seeded resets, success as the environment tells it, its reward as gold."""

    def __init__(self, robot: GymnasiumRobot, *, name: str, instruction: str, time_limit: int) -> None:
        self._robot = robot
        self.name = name
        self.instruction = instruction
        self.time_limit = time_limit

    def reset(self, rng: np.random.Generator) -> None:
        self._robot.reset(int(rng.integers(2**31)))

    def success(self, observation: Observation) -> bool:
        """info['is_success'] or info['success'] where the environment gives one, else that it terminated."""
        return bool(observation.privileged["success"][0] > 0.5)

    def ended(self, observation: Observation) -> Outcome | None:
        """FAILURE where the environment terminated (without success), TIME_LIMIT where it truncated."""
        if observation.privileged["terminated"][0] > 0.5:
            return Outcome.FAILURE
        return Outcome.TIME_LIMIT if observation.privileged["truncated"][0] > 0.5 else None

    def gold_reward(self, observation: Observation) -> float:
        return float(observation.privileged["reward"][0])

    def reached(self, achieved: Array, desired: Array) -> NDArray[np.bool_]:
        """Whether goals are reached, as the environment's own compute_reward tells: for goals in hindsight.

        They are where it gives as much as at the goal itself. Nothing else is asked of the environment's reward, and
        this only by who passes it to a Hindsight.

        Args:
            achieved: Shape (N, g).
            desired: Shape (N, g).

        Returns:
            Shape (N,).

        Raises:
            ConfigError: the environment has no goals, or rewards by distance.
        """
        env = self._robot.env.unwrapped
        judge = getattr(env, "compute_reward", None)
        if judge is None:
            raise ConfigError(f"{self.name}: the environment has no compute_reward, so no goals in hindsight")
        kind = getattr(env, "reward_type", "sparse")
        if kind != "sparse":
            raise ConfigError(f"{self.name}: reward_type {kind!r}, allowed with goals in hindsight: 'sparse'")
        place, goal = achieved.astype(np.float64), desired.astype(np.float64)
        # There it is 0 where all else gives -1, as in Fetch, and 1 where all else gives 0, as in mazes.
        rewards, there = (np.asarray(judge(at, goal, [{}] * len(goal))) for at in (place, goal))
        return rewards >= there


def _box_of_actions(env: gym.Env[Any, Any]) -> gym.spaces.Box:
    space = env.action_space
    if not isinstance(space, gym.spaces.Box):
        raise ConfigError(f"action space {space}: a robot needs continuous actions, a Box")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ConfigError(f"action space {space}: every bound must be finite (see gymnasium's RescaleAction)")
    return space


def _read_observation_space(space: gym.Space[Any], camera: str) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Sizes of the vectors and of the pictures, by name; a single Box goes by the name `camera`."""
    parts = space.spaces if isinstance(space, gym.spaces.Dict) else {camera: space}
    vectors: dict[str, int] = {}
    cameras: dict[str, tuple[int, int]] = {}
    for name, part in parts.items():
        if not isinstance(part, gym.spaces.Box):
            raise ConfigError(f"observation space {name!r} is {part}: only a Box, or a Dict of Boxes, can be observed")
        if part.dtype == np.uint8 and len(part.shape) == 3 and part.shape[2] == 3:
            cameras[name] = (part.shape[0], part.shape[1])
        else:
            vectors[name] = int(np.prod(part.shape))
    return vectors, cameras


def _index_of(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise UnknownNameError("action entry", name, names)
    return names.index(name)


def _place(part: str, spans: Mapping[str, slice]) -> str:
    """A part of the observation as entries of the joined state."""
    found = find_part(part, spans)
    return f"state[{found.start}:{found.stop}]"


def _steps_per_second(env: gym.Env[Any, Any]) -> float:
    rate = env.metadata.get("render_fps")
    if not rate:
        raise ConfigError("control_period: the environment names no 'render_fps', so its seconds per step are needed")
    return float(rate)
