"""Environments of one's own, as a user's file holds them: a factory each."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

WORLD = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <geom type="plane" size="5 5 0.1"/>
    <body name="post" pos="0 0 1">
      <body name="arm"><joint name="shoulder" axis="0 1 0" damping="0.1"/>
        <geom type="capsule" size="0.05" fromto="0 0 0 0.5 0 0"/>
        <body pos="0.5 0 0"><joint axis="0 1 0"/><geom type="capsule" size="0.05" fromto="0 0 0 0.6 0 0"/></body>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="shoulder" gear="30"/></actuator>
</mujoco>
"""


class Swinger(gym.Env[np.ndarray, np.ndarray]):
    """A double pendulum over a floor, on a post that stands elsewhere in each episode, under gusts; MuJoCo's."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012  the declared type of gymnasium

    def __init__(self, gust: float) -> None:
        self.render_mode = "rgb_array"
        self.model = mujoco.MjModel.from_xml_string(WORLD)
        self.data = mujoco.MjData(self.model)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (8,), np.float64)
        self.goal = np.zeros(2)
        self.angles = self.data.qpos[:2]
        self.gust = gust

    def _seen(self) -> np.ndarray:
        return np.concatenate([self.angles, self.data.qvel, self.goal, self.data.xipos[-1, ::2]])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.model.body("post").pos[2] = self.np_random.uniform(0.9, 1.1)
        self.goal = self.np_random.uniform(-1, 1, 2)
        self.data.qpos[:] = self.np_random.uniform(-1, 1, 2)
        mujoco.mj_forward(self.model, self.data)
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        before = self.data.xipos[-1].copy()
        self.data.ctrl[:] = action + self.gust * self.np_random.standard_normal()
        mujoco.mj_step(self.model, self.data, 4)
        return self._seen(), float((self.data.xipos[-1] - before)[0]), False, False, {"success": False}

    def render(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]  one picture
        return np.full((60, 120, 3), int(255 * abs(np.sin(self.data.qpos[0]))), np.uint8)


def swinger(gust: float = 0.1) -> gym.Env[Any, Any]:
    """As `gymnasium.make` wraps one, with an end by time."""
    return gym.wrappers.TimeLimit(Swinger(gust), 30)


def counting() -> gym.Env[Any, Any]:
    return gym.make("CartPole-v1")


def failing() -> gym.Env[Any, Any]:
    raise OSError("the bench\nis not plugged in")


def number() -> int:
    return 7
