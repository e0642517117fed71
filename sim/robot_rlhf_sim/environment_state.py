"""A Gymnasium environment that MuJoCo simulates, as a robot whose world can be put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ShapeError
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot

_PHYSICS = mujoco.mjtState.mjSTATE_INTEGRATION
_DERIVED = (
    *("xpos", "xquat", "xmat", "xipos", "ximat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "subtree_com"),
    *("cinert", "cvel", "cacc", "cfrc_ext", "cfrc_int", "qfrc_actuator", "actuator_force", "sensordata"),
)
"""Of the data: what environments read of it beside the state. A step leaves it as it was one substep before."""
_PLACED = ("body_pos", "body_quat", "site_pos", "site_quat")
"""Of the model: what a reset may place anew."""
PLAIN = (bool, int, float, str, tuple, np.generic, type(None))


def is_mujoco(env: gym.Env[Any, Any]) -> bool:
    """Whether MuJoCo simulates it, in the way of Gymnasium's own environments."""
    world: Any = env.unwrapped
    model, data = getattr(world, "model", None), getattr(world, "data", None)
    return isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)


@dataclass(frozen=True, eq=False)
class EnvironmentState:
    """One moment of an environment."""

    physics: NDArray[np.float64]
    derived: Mapping[str, NDArray[Any]]
    placed: Mapping[str, NDArray[Any]]
    attributes: tuple[Mapping[str, Any], ...]
    """Of the environment and each wrapper around it, outermost first: numbers, texts and arrays, as a goal is or the
    steps since the reset."""
    draws: Mapping[str, Any]
    """State of its generator."""
    seen: Any
    """What it told last."""
    truth: Mapping[str, NDArray[np.float32]]
    opening: float


class MujocoEnvironmentRobot(GymnasiumRobot):
    """A GymnasiumRobot that is Restorable."""

    def snapshot(self) -> EnvironmentState:
        """This moment; the clock, which never goes back, is not part of it."""
        world: Any = self.env.unwrapped
        physics = np.empty(mujoco.mj_stateSize(world.model, _PHYSICS))
        mujoco.mj_getState(world.model, world.data, physics, _PHYSICS)
        return EnvironmentState(
            physics,
            {name: getattr(world.data, name).copy() for name in _DERIVED},
            {name: getattr(world.model, name).copy() for name in _PLACED},
            tuple(_plain_attributes(layer) for layer in _layers(self.env)),
            world.np_random.bit_generator.state,
            self._seen,
            self._truth,
            self._opening,
        )

    def restore(self, state: EnvironmentState) -> None:
        """Go on from a snapshot exactly as it went on then.

        Raises:
            ShapeError: the snapshot is of another world.
        """
        world: Any = self.env.unwrapped
        size = mujoco.mj_stateSize(world.model, _PHYSICS)
        if state.physics.shape != (size,):
            raise ShapeError("EnvironmentState.physics", state.physics.shape, (size,))
        mujoco.mj_setState(world.model, world.data, state.physics, _PHYSICS)
        for name, values in state.derived.items():
            getattr(world.data, name)[...] = values
        for name, values in state.placed.items():
            getattr(world.model, name)[...] = values
        for layer, attributes in zip(_layers(self.env), state.attributes, strict=True):
            for name, value in attributes.items():
                setattr(layer, name, value.copy() if isinstance(value, np.ndarray) else value)
        world.np_random.bit_generator.state = state.draws
        self._seen, self._truth, self._opening = state.seen, state.truth, state.opening
        self._pictures = None


def _layers(env: gym.Env[Any, Any]) -> Iterator[gym.Env[Any, Any]]:
    """The environment's wrappers, and at last itself."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env
    yield env


def _plain_attributes(layer: gym.Env[Any, Any]) -> dict[str, Any]:
    arrays = {name: value for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    own = {name: value.copy() for name, value in arrays.items() if not _is_foreign(value)}
    return own | {name: value for name, value in vars(layer).items() if isinstance(value, PLAIN)}


def _is_foreign(array: NDArray[Any]) -> bool:
    """Whether its memory is the simulation's, which is put back by itself."""
    base = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    return base is not None
