from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from robot_rlhf.conformance import PlaceConformance
from robot_rlhf.datatypes import Action
from robot_rlhf.errors import ConfigError, RenderError, RobotRlhfError, ShapeError, UnknownNameError
from robot_rlhf.place import Place, PlaceConfig
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.timing import Clock, FakeClock, MonotonicClock
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.gym_place import GymConfig, GymPlace

SWINGER = f"{Path(__file__).with_name('swinger.py')}:swinger"
HAS_PYGAME = importlib.util.find_spec("pygame") is not None


class TestPendulumPlace(PlaceConformance):
    draws = HAS_PYGAME

    def make_place(self, clock: Clock) -> Place:
        return GymConfig().open("Pendulum-v1", clock=clock, cameras={})


class TestOwnMujocoPlace(PlaceConformance):
    def make_place(self, clock: Clock) -> Place:
        return GymConfig().open(SWINGER, clock=clock, cameras={})


class TestDisturbedPlace(PlaceConformance):
    def make_place(self, clock: Clock) -> Place:
        late = DisturbanceConfig(command_delay=1, sensing_delay=2, jitter=0.3, action_noise=0.1)
        return GymConfig(disturbance=late).open(SWINGER, clock=clock, cameras={})

    def test_robot_and_place_live_by_one_clock(self) -> None:
        """What is seen is late here."""


def opened(task: str, settings: GymConfig | None = None, **cameras: tuple[int, int]) -> Place:
    return (settings or GymConfig()).open(task, clock=FakeClock(), cameras=cameras)


def test_is_known_by_its_name() -> None:
    assert PlaceConfig.of_kind("gym") is GymConfig


@pytest.mark.parametrize("task", ["Pendulum-v1", "gymnasium:Pendulum-v1", "gymnasium.envs.classic_control:PendulumEnv"])
def test_an_environment_goes_by_id_or_by_what_makes_it(task: str) -> None:
    place = opened(task, GymConfig(time_limit=7))
    assert isinstance(place, GymPlace)
    assert type(place.env.unwrapped).__name__ == "PendulumEnv"
    assert (place.task.name, place.task.time_limit) == (task, 7)
    assert place.simulated


def test_does_what_the_environment_itself_does() -> None:
    place, env = opened("Pendulum-v1", GymConfig({"g": "4.0"})), gym.make("Pendulum-v1", g=4.0)
    seen = place.guard.begin(lambda: place.task.reset(np.random.default_rng(3)))
    expected, _ = env.reset(seed=int(np.random.default_rng(3).integers(2**31)))
    np.testing.assert_allclose(seen.scene["state"], expected, atol=1e-6)
    for wish in (0.3, -0.9):
        expected, *_ = env.step(np.array([2.0 * wish], np.float32))
        place.guard.act(Action(np.array([wish], np.float32)))
        np.testing.assert_allclose(place.guard.observe().scene["state"], expected, atol=1e-5)


def test_an_episode_lasts_as_long_as_the_environment_says() -> None:
    assert opened("Pendulum-v1").task.time_limit == 200
    assert opened(SWINGER).task.time_limit == 30
    with pytest.raises(ConfigError, match=r"time_limit: gymnasium.envs.classic_control:PendulumEnv says nothing"):
        opened("gymnasium.envs.classic_control:PendulumEnv")


def test_the_rendered_camera_is_recorded_at_any_size() -> None:
    place = opened(SWINGER, None, render=(20, 30))
    assert dict(place.spec.cameras) == {"render": (20, 30)}
    seen = place.guard.begin(lambda: place.task.reset(np.random.default_rng(0)))
    assert place.view is not None
    np.testing.assert_array_equal(seen.images["render"], place.view("render", 20, 30))
    shade = int(seen.images["render"].max())
    wide = place.view("render", 60, 60)  # it draws 60 x 120: black above and below
    assert set(np.unique(wide[15:45])) == {shade}
    assert not wide[:15].any()
    assert not wide[45:].any()
    place.guard.act(Action(np.ones(1, np.float32)))
    assert int(place.guard.observe().images["render"].max()) != shade


def test_a_snapshot_of_another_world_is_refused() -> None:
    place, other = opened(SWINGER), opened(SWINGER)
    assert place.world is not None
    state: Any = place.world.snapshot()
    assert other.world is not None
    other.world.restore(state)
    with pytest.raises(ShapeError, match=r"EnvironmentState.physics: shape is \(3,\)"):
        other.world.restore(replace(state, physics=np.zeros(3)))


def test_without_mujoco_there_is_no_world_to_put_back() -> None:
    assert opened("Pendulum-v1").world is None


def test_lives_in_real_time_too() -> None:
    place = GymConfig().open("Pendulum-v1", clock=MonotonicClock(), cameras={})
    place.guard.begin(lambda: place.task.reset(np.random.default_rng(0)))
    place.guard.act(Action(np.zeros(1, np.float32)))
    assert place.guard.faults == ()


def test_suggests_settings_for_what_nobody_shows() -> None:
    config = defaults_for("Pendulum-v1", GymConfig())
    assert (config.operator, config.demonstrations, config.mode) == ("absent", 0, "synchronous")
    assert config.features.relative == ()


def test_suggests_the_relative_positions_that_are_known_to_matter() -> None:
    """As of gymnasium-robotics' tasks, with a goal."""
    gym.register("FetchReach-v99", entry_point=f"{__name__}:Goal", max_episode_steps=5)
    try:
        assert defaults_for("FetchReach-v99", GymConfig()).features.relative == (("state[2:4]", "state[0:2]"),)
    finally:
        gym.registry.pop("FetchReach-v99")


class Goal(gym.Env[dict[str, Any], np.ndarray]):
    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012  the declared type of gymnasium

    def __init__(self) -> None:
        box = gym.spaces.Box(-9.0, 9.0, (2,), np.float64)
        self.action_space = gym.spaces.Box(-0.5, 0.5, (2,), np.float32)
        self.observation_space = gym.spaces.Dict({"achieved_goal": box, "desired_goal": box})


def swinger_file(name: str) -> str:
    return SWINGER.replace(":swinger", f":{name}")


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("Pendlum-v1", {}, "task 'Pendlum-v1': .*Did you mean: `Pendulum`.*file.py:factory"),
        ("Pendulum-v9", {}, "task 'Pendulum-v9': .*version.*file.py:factory"),
        ("gymnasium:Pendlum-v1", {}, "task 'gymnasium:Pendlum-v1': gymnasium has no 'Pendlum-v1'"),
        ("nosuch_module:Pendulum-v9", {}, "no module 'nosuch_module'"),
        ("CartPole-v1", {}, r"action space Discrete\(2\): a robot needs continuous actions, a Box"),
        (swinger_file("counting"), {}, r"action space Discrete\(2\)"),
        (swinger_file("failing"), {}, r"cannot be made \(OSError: the bench is not plugged in\)"),
        (swinger_file("number"), {}, "made a int, allowed: a gymnasium.Env"),
        (swinger_file("WORLD"), {}, "is a str, allowed: a class or function"),
        ("Pendulum-v1", {"env_options": {"weight": "3"}}, "'Pendulum-v1': cannot be made .*'weight'"),
        ("Pendulum-v1", {"env_options": {"g": "{"}}, "env_options: g: got '{', allowed: a value as in YAML"),
        ("Pendulum-v1", {"gripper": "action3"}, "unknown action entry 'action3'. Did you mean 'action0'"),
    ],
)
def test_says_in_one_line_what_is_no_place(task: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RobotRlhfError, match=said) as refused:
        opened(task, GymConfig(**settings))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("camera", "said"), [("front", "unknown camera of .* 'front'. Known: render")])
def test_names_the_cameras_that_there_are(camera: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        opened(SWINGER, None, **{camera: (8, 8)})


@pytest.mark.skipif(HAS_PYGAME, reason="Pendulum can be drawn here")
def test_says_in_one_line_what_drawing_needs() -> None:
    with pytest.raises(RenderError, match=r"Pendulum-v1: cannot be rendered .*pygame") as refused:
        opened("Pendulum-v1", None, render=(8, 8))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("settings", [{"time_limit": 0}, {"control_period": 0.0}])
def test_settings_have_ranges(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        GymConfig(**settings)
