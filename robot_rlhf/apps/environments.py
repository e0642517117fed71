"""The simulated tasks as Gymnasium environments: importing this makes robot_rlhf/PickCube-v0 and the others known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import gymnasium

from robot_rlhf.bridges.environment import RobotEnvironment
from robot_rlhf.datatypes import Observation, Outcome
from robot_rlhf.errors import ConfigError
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.place import TASKS, SimConfig

RENDER_SIZE = 256
"""Height and width of what `render` returns."""


def make_environment(
    task: str,
    *,
    cameras: tuple[str, ...] = (),
    image_size: int = 128,
    reward: SparseReward | Literal["sparse", "gold"] = "sparse",
    features: FeatureConfig | None = None,
    task_options: Mapping[str, Any] | None = None,
    disturbance: DisturbanceConfig = DisturbanceConfig(),  # noqa: B008  it is frozen
    randomise: float = 0.0,
    render_mode: str | None = None,
) -> RobotEnvironment:
    """A simulated task in simulated time.

    Args:
        task: reach, pick_cube, peg_insert, push, drawer_store or blocks.
        cameras: front, side, wrist; their pictures are part of what is seen. Without them it is the state vector alone.
        image_size: height and width of those pictures.
        reward: 'sparse' is that of a training run: 1 at success, minus its costs of failing and of chatter; a
            SparseReward has costs of your own; 'gold' is the simulator's true, dense reward.
        features: what else is seen; None takes what training runs of the task see, and the whole scene where those
            see what is asked for instead: an environment has no director, and says so in info['instruction'] alone.
        task_options: for example {'clearance': 0.0005} of peg_insert.
        disturbance: how late and how inexact the robot is; features.history then gives what is under way.
        randomise: 0 to 1, how far world and robot differ in each episode from the nominal ones.
        render_mode: 'rgb_array' or None.

    Raises:
        UnknownNameError: no such task or camera.
        ConfigError: an option that the task does not have, or another reward.
    """
    config = defaults_for(task)
    settings = SimConfig(dict(task_options or {}), disturbance, randomise)
    world = settings.open(task, clock=FakeClock(), cameras=dict.fromkeys(cameras, (image_size, image_size)))
    simulated = world.task
    usual = config.features if not config.features.context else replace(config.features, scene=True, context={})

    def gold(outcome: Outcome | None, before: Observation, after: Observation) -> float:
        return simulated.gold_reward(after)

    if reward not in ("sparse", "gold") and not isinstance(reward, SparseReward):
        raise ConfigError(f"reward: got {reward!r}, allowed: 'sparse', 'gold', or a SparseReward")
    sparse = reward if isinstance(reward, SparseReward) else config.reward
    return RobotEnvironment(
        world.guard,
        simulated,
        Features(world.spec, replace(features or usual, cameras=tuple(cameras))),
        reward=gold if reward == "gold" else sparse.value,
        release_faults=True,
        render_mode=render_mode,
        render=lambda: world.arm.render("front", RENDER_SIZE, RENDER_SIZE),
        on_close=world.close,
    )


def register() -> None:
    """Make robot_rlhf/PickCube-v0 and the other tasks that have a name known to gymnasium.make. Idempotent."""
    for name, kind in TASKS.items():
        identifier = f"robot_rlhf/{kind.__name__}-v0"
        if identifier not in gymnasium.registry:
            gymnasium.register(
                identifier, entry_point="robot_rlhf.apps.environments:make_environment", kwargs={"task": name}
            )


register()
