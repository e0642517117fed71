"""Our tasks as Gymnasium environments: what checkers want, what seeds promise, and how episodes end."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.seeding import np_random
from stable_baselines3.common import env_checker

from robot_rlhf.apps.environments import make_environment, register
from robot_rlhf.bridges.environment import RobotEnvironment
from robot_rlhf.datatypes import Assignment
from robot_rlhf.errors import (
    ConfigError,
    FaultLatchedError,
    InvalidValueError,
    RenderError,
    ShapeError,
    UnknownNameError,
)
from robot_rlhf.policy.features import Features
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import DirectLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot, GymnasiumTask
from robot_rlhf_sim.tasks import Reach


def run(env: gymnasium.Env[Any, Any], steps: int, seed: int | None = None) -> list[Any]:
    rng = np.random.default_rng(5)
    first, _ = env.reset(seed=seed)
    actions = rng.uniform(-1.0, 1.0, (steps, *(env.action_space.shape or ()))).astype(np.float32)
    return [first, *(env.step(action)[0] for action in actions)]


@pytest.mark.parametrize("name", ["Reach", "PickCube", "PegInsert", "Push", "DrawerStore", "Blocks"])
def test_passes_both_checkers(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the state is unbounded, which one of them finds unwise
        env = gymnasium.make(f"robot_rlhf/{name}-v0")
        check_env(env.unwrapped, skip_render_check=True)
        env_checker.check_env(env)
        env.close()


def test_the_same_seed_is_the_same_episode() -> None:
    env, other = make_environment("pick_cube"), make_environment("pick_cube")
    first = run(env, 10, seed=3)
    second = run(env, 10)
    assert not np.array_equal(first[0], second[0])
    np.testing.assert_array_equal(first, run(env, 10, seed=3))
    np.testing.assert_array_equal(second, run(env, 10))
    np.testing.assert_array_equal(first, run(other, 10, seed=3))


def test_success_terminates_and_is_worth_one() -> None:
    env = make_environment("reach", reward=SparseReward(gripper_cost=0.0))
    env.reset(seed=0)
    assert isinstance(env.task, Reach)
    expert, rng = env.task.expert(), np.random.default_rng(0)
    rewards: list[float] = []
    over, info = False, {}
    while not over:
        wish = expert.act(env.guard.observe(), Assignment(), rng)
        _, reward, over, truncated, info = env.step(wish.values)
        assert not truncated
        assert info["executed"].shape == wish.values.shape
        assert info["is_success"] == over
        rewards.append(reward)
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(3, np.float32))


def test_the_time_limit_truncates_and_gold_is_only_given_by_name() -> None:
    sparse, gold = make_environment("reach"), make_environment("reach", reward="gold")
    told: list[list[float]] = []
    for env in (sparse, gold):
        env.reset(seed=1)
        rewards: list[float] = []
        for step in range(env.task.time_limit):
            _, reward, terminated, truncated, info = env.step(np.zeros(3, np.float32))
            rewards.append(reward)
            assert not terminated
            assert truncated == (step == env.task.time_limit - 1)
            assert not info["is_success"]
        told.append(rewards)
    assert set(told[0]) == {0.0}
    assert all(reward > 0.0 for reward in told[1])


def test_a_force_beyond_the_limit_terminates_other_faults_truncate() -> None:
    env = make_environment("pick_cube")
    for rule, ends in (("force_hard", (True, False)), ("jump", (False, True))):
        env.reset(seed=0)
        observe = env.guard.observe
        env.guard.observe = lambda rule=rule, observe=observe: (env.guard.fault(rule, "as told"), observe())[1]
        seen, reward, terminated, truncated, info = env.step(np.zeros(5, np.float32))
        env.guard.observe = observe
        assert (terminated, truncated) == ends
        assert reward == (-0.5 if rule == "force_hard" else 0.0)
        assert info["fault"] == f"{rule}: as told"
        assert env.observation_space.contains(seen)


def test_a_fault_found_before_moving_truncates_and_is_released_by_simulations_alone() -> None:
    world = open_place(defaults_for("reach"), FakeClock())
    features = Features(world.spec, defaults_for("reach").features)
    for release in (True, False):
        env = RobotEnvironment(world.guard, world.task, features, release_faults=release)
        env.reset(seed=0)
        world.guard.fault("stop", "from elsewhere")
        _, reward, terminated, truncated, info = env.step(np.zeros(3, np.float32))
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert "from elsewhere" in info["fault"]
        if release:
            env.reset(seed=0)
        else:
            with pytest.raises(FaultLatchedError):
                env.reset(seed=0)


def test_refuses_what_it_is_not() -> None:
    env = make_environment("reach")
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(3, np.float32))
    env.reset(seed=0)
    with pytest.raises(InvalidValueError):
        env.step(np.full(3, 1.5, np.float32))
    with pytest.raises(InvalidValueError):
        env.step(np.full(3, np.nan, np.float32))
    with pytest.raises(ShapeError):
        env.step(np.zeros(2, np.float32))
    with pytest.raises(UnknownNameError, match="pick_cube"):
        make_environment("pick_cub")
    with pytest.raises(ConfigError, match="gold"):
        make_environment("reach", reward="golden")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="render_mode"):
        make_environment("reach", render_mode="human")
    with pytest.raises(ConfigError, match="no camera"):
        RobotEnvironment(
            env.guard, env.task, Features(env.guard.spec, defaults_for("reach").features), render_mode="rgb_array"
        )


def test_registering_twice_changes_nothing() -> None:
    register()
    for name in ("robot_rlhf/Reach-v0", "robot_rlhf.apps.environments:robot_rlhf/Reach-v0"):
        assert isinstance(gymnasium.make(name).unwrapped, RobotEnvironment)


def test_a_foreign_environment_goes_through_and_comes_out_the_same() -> None:
    foreign = gymnasium.make("Pendulum-v1")
    clock = FakeClock()
    robot = GymnasiumRobot(foreign, clock)
    task = GymnasiumTask(robot, name="pendulum", instruction="swing up", time_limit=500)
    guard = GuardedRobot(robot, DirectLimits(np.array([np.inf]), 1.0, 1.0), clock)
    env = RobotEnvironment(
        guard, task, Features(robot.spec, defaults_for("reach").features), reward=lambda o, b, a: task.gold_reward(a)
    )
    seen, _ = env.reset(seed=0)
    rewards: list[float] = []
    truncated = False
    while not truncated:
        _, reward, terminated, truncated, _ = env.step(np.array([0.5], np.float32))
        assert not terminated
        rewards.append(reward)
    assert len(rewards) == 200  # the environment's own limit, told by EndingTask
    plain = gymnasium.make("Pendulum-v1")
    again, _ = plain.reset(seed=int(np_random(0)[0].integers(2**31)))
    np.testing.assert_array_equal(seen, again)
    expected = [float(plain.step(np.array([1.0], np.float32))[1]) for _ in range(200)]
    np.testing.assert_allclose(rewards, expected, rtol=1e-4)


def test_pictures_are_seen_and_rendered() -> None:
    env = gymnasium.make("robot_rlhf/PickCube-v0", cameras=("front",), image_size=32, render_mode="rgb_array")
    try:
        env.reset(seed=0)
    except RenderError as error:
        pytest.skip(str(error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_env(env.unwrapped)
        env_checker.check_env(env)
    seen, _ = env.reset(seed=0)
    assert set(seen) == {"state", "front"}
    assert seen["front"].shape == (32, 32, 3)
    picture: Any = env.render()
    assert picture.shape == (256, 256, 3)
    assert picture.dtype == np.uint8
    env.close()
