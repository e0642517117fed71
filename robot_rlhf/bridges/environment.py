"""A robot and its task, behind the guard, as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, Array, Observation, Outcome
from robot_rlhf.episode import Recall
from robot_rlhf.errors import ConfigError, FaultLatchedError
from robot_rlhf.policy.features import Features
from robot_rlhf.ports import EndingTask, Task
from robot_rlhf.safety.checks import FORCE_FAULTS
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Rate

Seen = Array | dict[str, NDArray[Any]]
"""What an agent sees: the state vector alone, or a dictionary of it and the pictures."""
Reward = Callable[[Outcome | None, Observation, Observation], float]
"""Reward of the step that led from the first observation to the second, and ended the episode so (None: not)."""


def success_only(outcome: Outcome | None, before: Observation, after: Observation) -> float:
    """1 in the step that succeeds, else 0."""
    del before, after
    return 1.0 if outcome is Outcome.SUCCESS else 0.0


def encoder_of(features: Features) -> Callable[[Observation], Seen]:
    """How an environment with these features shows an observation; a policy trained in it needs the same."""
    if features.cameras:
        return lambda observation: dict(features(observation))
    return lambda observation: features(observation)["state"]


def space_of(features: Features) -> spaces.Box | spaces.Dict:
    """The space of what `encoder_of` gives."""
    state = spaces.Box(-np.inf, np.inf, (features.size,), np.float32)
    if not features.cameras:
        return state
    pictures = {name: spaces.Box(0, 255, (*size, 3), np.uint8) for name, size in features.cameras.items()}
    return spaces.Dict({"state": state, **pictures})


class RobotEnvironment(gymnasium.Env[Any, Any]):
    """Episodes of a task, one action per control period, every command through the guard.

    Success terminates, and so does a force beyond the limit, as in the control loop; any other fault and the time limit
    truncate. info holds 'is_success', 'executed' (what the guard let the robot do, in the action's own coordinates)
    and, after a fault, 'fault'. Actions outside [-1, 1] and NaN raise. Nobody can take over here: for that use the
    loop.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  the declared type of gymnasium

    def __init__(
        self,
        guard: GuardedRobot,
        task: Task,
        features: Features,
        *,
        reward: Reward = success_only,
        release_faults: bool = False,
        pace: Rate | None = None,
        render_mode: str | None = None,
        render: Callable[[], NDArray[np.uint8]] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Tie the parts together; nothing moves before the first reset.

        Args:
            guard: the robot.
            task: of this robot; ends its episodes.
            features: what of an observation is shown.
            reward: of each step; never the simulator's true reward unless that is passed here.
            release_faults: release latched faults in `reset`: for simulations only, where nobody is at risk.
            pace: keeps the control period in real time; None lets a simulated robot run as fast as it can.
            render_mode: 'rgb_array' or None.
            render: takes the picture that `render` returns, (H, W, 3); None takes the first camera's newest.
            on_close: called by `close`, after the robot was stopped.

        Raises:
            ConfigError: another render_mode, or nothing to render.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"render_mode: got {render_mode!r}, allowed: None, {self.metadata['render_modes']}")
        if render_mode is not None and render is None and not guard.spec.cameras:
            raise ConfigError("render_mode 'rgb_array': the robot has no camera, and no `render` was given")
        self.metadata = {**self.metadata, "render_fps": round(1.0 / guard.spec.control_period)}
        self.render_mode = render_mode
        self.observation_space = space_of(features)
        self.action_space = spaces.Box(-1.0, 1.0, (guard.spec.action.size,), np.float32)
        self.guard = guard
        self.task = task
        self._encode = encoder_of(features)
        self._reward = reward
        self._release_faults = release_faults
        self._pace = pace
        self._picture = render
        self._on_close = on_close
        self._world_ended = task.ended if isinstance(task, EndingTask) else None
        self._newest: Observation | None = None
        self._recall = Recall()
        self._running = False
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode; all its randomness comes from `np_random`, hence from the last seed given.

        Raises:
            FaultLatchedError: a fault is latched, and is not for us to release.
        """
        super().reset(seed=seed)
        if self._release_faults:
            self.guard.release()
        self._newest = self.guard.begin(lambda: self.task.reset(self.np_random))
        self._recall.begin()
        self.guard.take_events()
        self._steps = 0
        self._running = True
        if self._pace:
            self._pace.restart()
        return self._encode(self._newest), {"instruction": self.task.instruction}

    def step(self, action: Array) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """One control period.

        Args:
            action: in [-1, 1], laid out as RobotSpec.action says. Shape (m,).

        Raises:
            ResetNeeded: no episode is running.
            InvalidValueError: NaN, or outside [-1, 1].
            ShapeError: another length.
        """
        if not self._running or self._newest is None:
            raise gymnasium.error.ResetNeeded("no episode is running: call reset() before step()")
        before, wish = self._newest, Action(action)
        try:
            executed = self.guard.act(wish).executed
            if self._pace:
                self._pace.wait()  # what follows an action is seen at the end of its period
            self._recall.add(executed)
            after = self._newest = self._recall(self.guard.observe())
        except FaultLatchedError as error:
            self._running = False
            return self._encode(before), 0.0, False, True, {"is_success": False, "fault": str(error)}
        self._steps += 1
        outcome, fault = self._outcome(after)
        self._running = outcome is None
        terminated = outcome in (Outcome.SUCCESS, Outcome.FAILURE)
        info: dict[str, Any] = {"is_success": outcome is Outcome.SUCCESS, "executed": executed.values}
        if fault:
            info["fault"] = fault
        truncated = outcome is not None and not terminated
        return self._encode(after), float(self._reward(outcome, before, after)), terminated, truncated, info

    def _outcome(self, observation: Observation) -> tuple[Outcome | None, str]:
        """How the step ends the episode (None: not), and the fault it met, in words."""
        fault = next((event for event in self.guard.take_events() if event.latched), None)
        if fault is not None:
            kind = Outcome.FAILURE if fault.rule in FORCE_FAULTS else Outcome.FAULT
            return kind, f"{fault.rule}: {fault.detail}"
        if self.task.success(observation):
            return Outcome.SUCCESS, ""
        ending = self._world_ended(observation) if self._world_ended else None
        if ending is None and self._steps >= self.task.time_limit:
            ending = Outcome.TIME_LIMIT
        return ending, ""

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride] (one mode only)
        """The picture of the present, (H, W, 3); None without a render_mode, or before the first reset."""
        if self.render_mode is None or self._newest is None:
            return None
        if self._picture is not None:
            return self._picture()
        return next(iter(self._newest.images.values()))

    def close(self) -> None:
        """Stop the robot. Idempotent."""
        self._running = False
        self.guard.stop()
        if self._on_close is not None:
            self._on_close()
