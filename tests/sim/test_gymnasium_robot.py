from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from robot_rlhf.conformance import RobotConformance, TaskConformance, sample_meta
from robot_rlhf.datatypes import Action, Assignment, Command, Observation, Outcome
from robot_rlhf.errors import ConfigError, RobotError, UnknownNameError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.ports import EndingTask, GoldTask, Robot, Task
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.replay.hindsight import Hindsight, HindsightConfig, sparse_judge
from robot_rlhf.replay.mixing import EVERYTHING
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.station import Station
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import DirectLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot, GymnasiumTask
from robot_rlhf_sim.known_environments import EnvironmentFacts, facts_of


class Corridor(gym.Env[dict[str, Any], np.ndarray]):
    """A dot on a line, seen as numbers and as a picture; ends at 1 (good) or at -1 (bad)."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012  the declared type of gymnasium

    def __init__(self, tells_success: bool) -> None:
        self.action_space = gym.spaces.Box(-0.5, 0.5, (1,), np.float32)
        self.observation_space = gym.spaces.Dict(
            {
                "place": gym.spaces.Box(-2.0, 2.0, (1,), np.float64),
                "picture": gym.spaces.Box(0, 255, (4, 6, 3), np.uint8),
                "aim": gym.spaces.Box(-2.0, 2.0, (2,), np.float32),
            }
        )
        self._tells_success = tells_success
        self._place = 0.0

    def _seen(self) -> dict[str, Any]:
        picture = np.full((4, 6, 3), 7, np.uint8)
        return {"place": np.array([self._place]), "picture": picture, "aim": np.array([1.0, 0.0], np.float32)}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        super().reset(seed=seed)
        self._place = float(self.np_random.uniform(-0.1, 0.1))
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self._place += float(action[0])
        info = {"is_success": self._place >= 1.0} if self._tells_success else {}
        return self._seen(), self._place, abs(self._place) >= 1.0, False, info


def pendulum() -> tuple[GymnasiumRobot, GymnasiumTask]:
    robot = GymnasiumRobot(gym.make("Pendulum-v1"), FakeClock())
    return robot, GymnasiumTask(robot, name="pendulum", instruction="swing up", time_limit=200)


def corridor(tells_success: bool = True) -> tuple[GymnasiumRobot, GymnasiumTask]:
    robot = GymnasiumRobot(Corridor(tells_success), FakeClock())
    task = GymnasiumTask(robot, name="corridor", instruction="go right", time_limit=20)
    task.reset(np.random.default_rng(0))
    return robot, task


class TestPendulumRobot(RobotConformance):
    def make_robot(self) -> Robot:
        robot, task = pendulum()
        task.reset(np.random.default_rng(0))
        return robot


class TestPendulumTask(TaskConformance):
    def make_task(self) -> tuple[Task, Robot]:
        robot, task = pendulum()
        return task, robot


class TestCorridorRobot(RobotConformance):
    def make_robot(self) -> Robot:
        return corridor()[0]


def test_same_as_the_environment_itself() -> None:
    robot, task = pendulum()
    guard = GuardedRobot(robot, DirectLimits(np.array([np.inf]), 1.0, 1.0), robot._clock)
    task.reset(np.random.default_rng(3))
    guard.anchor()
    env = gym.make("Pendulum-v1")
    expected, _ = env.reset(seed=int(np.random.default_rng(3).integers(2**31)))
    np.testing.assert_allclose(guard.observe().scene["state"], expected, atol=1e-6)
    rng = np.random.default_rng(4)
    for _ in range(20):
        wish = rng.uniform(-1, 1, 1).astype(np.float32)
        expected, reward, *_ = env.step(2.0 * wish)
        guarded = guard.act(Action(wish))
        np.testing.assert_allclose(guarded.executed.values, wish, atol=1e-6)
        seen = guard.observe()
        np.testing.assert_allclose(seen.scene["state"], expected, atol=1e-5)
        assert task.gold_reward(seen) == pytest.approx(float(reward), abs=1e-5)


def test_dict_observations_become_a_state_and_cameras() -> None:
    robot, task = corridor()
    seen = robot.observe()
    assert isinstance(task, GoldTask)
    assert dict(robot.spec.cameras) == {"picture": (4, 6)}
    assert dict(robot.spec.scene) == {"state": 3}
    assert robot.spec.control_period == pytest.approx(0.1)
    assert (seen.images["picture"] == 7).all()
    np.testing.assert_allclose(seen.scene["state"][:2], [1.0, 0.0])  # a Dict space sorts its names


@pytest.mark.parametrize(("tells", "push", "success"), [(True, 0.5, True), (True, -0.5, False), (False, -0.5, True)])
def test_success_is_what_the_environment_tells(tells: bool, push: float, success: bool) -> None:
    robot, task = corridor(tells)
    assert not task.success(robot.observe())
    for _ in range(3):
        robot.send(Command(np.array([push]), 1e6))
    seen = robot.observe()
    assert task.success(seen) is success
    assert seen.privileged["terminated"][0] == 1.0
    robot.send(Command(np.array([-push]), 1e6))
    after = robot.observe()
    np.testing.assert_array_equal(after.scene["state"], seen.scene["state"])
    assert task.gold_reward(after) == 0.0
    assert task.success(after) is success
    task.reset(np.random.default_rng(1))
    assert robot.observe().privileged["terminated"][0] == 0.0


def test_send_clips_to_the_action_space_and_says_so() -> None:
    robot, _ = corridor()
    sent = robot.send(Command(np.array([3.0]), 1e6))
    assert sent.target[0] == 0.5


def test_names_what_cannot_be_a_robot() -> None:
    with pytest.raises(ConfigError, match=r"Discrete.*Box"):
        GymnasiumRobot(gym.make("CartPole-v1"), FakeClock())
    env = Corridor(True)
    env.observation_space = gym.spaces.Dict({"key": gym.spaces.Discrete(3)})
    with pytest.raises(ConfigError, match=r"'key'.*Discrete"):
        GymnasiumRobot(env, FakeClock())
    env = Corridor(True)
    env.metadata = {}
    with pytest.raises(ConfigError, match="render_fps"):
        GymnasiumRobot(env, FakeClock())
    env = Corridor(True)
    env.action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    with pytest.raises(ConfigError, match="finite"):
        GymnasiumRobot(env, FakeClock())


def test_needs_a_reset_first() -> None:
    robot, _ = pendulum()
    with pytest.raises(RobotError, match="reset"):
        robot.observe()


@pytest.mark.parametrize(("tells", "ending"), [(True, Outcome.FAILURE), (False, None)])
def test_an_environment_that_is_over_ends_the_episode(tells: bool, ending: Outcome | None) -> None:
    robot, task = corridor(tells)
    assert isinstance(task, EndingTask)
    assert task.ended(robot.observe()) is None
    for _ in range(3):
        robot.send(Command(np.array([-0.5]), 1e9))
    seen = robot.observe()
    if task.success(seen):  # where nothing else is told, that it terminated is the success
        assert ending is None
    else:
        assert task.ended(seen) is ending


class Hand(gym.Env[dict[str, Any], np.ndarray]):
    """A hand above a thing, with a gripper from 0 (closed) to 2; says `succeed` when it is closed."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012  the declared type of gymnasium

    def __init__(self) -> None:
        self.action_space = gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), dtype=np.float64)
        box = gym.spaces.Box(-9.0, 9.0, (2,), np.float64)
        self.observation_space = gym.spaces.Dict({"thing": box, "hand": box})
        self.told: list[list[float]] = []

    def _seen(self) -> dict[str, Any]:
        return {"thing": np.array([1.0, 2.0]), "hand": np.array([0.5, 4.0])}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.told.append(action.tolist())
        return self._seen(), 0.0, False, False, {"succeed": bool(action[1] < 1.0)}


def test_a_named_gripper_is_open_or_closed_and_seen_as_such() -> None:
    env = Hand()
    robot = GymnasiumRobot(env, FakeClock(), gripper="action1")
    assert robot.spec.action.names == ("action0", "gripper")
    task = GymnasiumTask(robot, name="hand", instruction="grasp", time_limit=9)
    guard = GuardedRobot(robot, DirectLimits(np.array([np.inf, np.inf]), 1.0, 1.0), robot._clock)
    first = guard.begin(lambda: task.reset(np.random.default_rng(0)))
    assert (first.gripper, first.gripper_target) == (1.0, 1.0)
    for wish, told, opening in ((-0.2, 0.0, 0.0), (0.3, 2.0, 1.0), (-1.0, 0.0, 0.0)):
        executed = guard.act(Action(np.array([0.5, wish], np.float32))).executed
        np.testing.assert_allclose(executed.values, [0.5, np.sign(wish)])
        seen = guard.observe()
        assert env.told[-1] == [0.5, told]
        assert (seen.gripper, seen.gripper_target) == (opening, opening)
        assert task.success(seen) is (opening == 0.0)
    assert guard.begin(lambda: task.reset(np.random.default_rng(0))).gripper_target == 1.0
    with pytest.raises(UnknownNameError, match=r"'action2'.*action0, action1"):
        GymnasiumRobot(Hand(), FakeClock(), gripper="action2")


def test_facts_name_the_gripper_and_the_relative_positions() -> None:
    facts = EnvironmentFacts(relative=(("thing", "hand"), ("thing[0:1]", "hand[1:2]")), gripper=1)
    robot = GymnasiumRobot(Hand(), FakeClock(), facts=facts)
    assert robot.spec.action.names == ("action0", "gripper")
    assert robot.relative == (
        ("state[2:4]", "state[0:2]"),
        ("state[2:3]", "state[1:2]"),
    )  # a Dict space sorts its names
    features = Features(robot.spec, FeatureConfig(relative=robot.relative))
    assert (features.size, features.normalised) == (4, True)
    assert [(d.of, d.to, d.width) for d in features.relative] == [(2, 0, 2), (2, 1, 1)]
    with pytest.raises(UnknownNameError, match="'goal'"):
        GymnasiumRobot(Hand(), FakeClock(), facts=EnvironmentFacts(relative=(("goal", "hand"),)))
    with pytest.raises(ConfigError, match=r"gripper.*5.*0 to 1"):
        GymnasiumRobot(Hand(), FakeClock(), facts=EnvironmentFacts(gripper=5))


@pytest.mark.parametrize(
    ("identifier", "gripper", "pairs"),
    [
        ("FetchPickAndPlace-v4", 3, 2),
        ("FetchPickAndPlaceDense-v4", 3, 2),
        ("FetchReach-v4", None, 1),
        ("gym_hil/PandaPickCube-v0", 3, 1),
        ("Pendulum-v1", None, 0),
    ],
)
def test_environments_are_known_by_their_names(identifier: str, gripper: int | None, pairs: int) -> None:
    env = Hand()
    env.spec = EnvSpec(identifier)
    assert (facts_of(env).gripper, len(facts_of(env).relative)) == (gripper, pairs)
    assert facts_of(Hand()) == EnvironmentFacts()


class Pond(gym.Env[dict[str, Any], np.ndarray]):
    """A dot in the plane that should get near a goal; 0 where it is near, else -1."""

    metadata = {"render_modes": [], "render_fps": 10}  # noqa: RUF012  the declared type of gymnasium

    def __init__(self) -> None:
        box = gym.spaces.Box(-9.0, 9.0, (2,), np.float64)
        self.action_space = gym.spaces.Box(-0.5, 0.5, (2,), np.float32)
        self.observation_space = gym.spaces.Dict({"observation": box, "achieved_goal": box, "desired_goal": box})
        self.reward_type = "sparse"

    def _seen(self) -> dict[str, Any]:
        return {"observation": np.zeros(2), "achieved_goal": self._place.copy(), "desired_goal": self._goal.copy()}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        super().reset(seed=seed)
        self._place, self._goal = np.zeros(2), self.np_random.uniform(1.0, 2.0, 2)
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self._place = self._place + action
        reward = float(self.compute_reward(self._place, self._goal, {}))
        return self._seen(), reward, False, False, {"is_success": reward >= 0.0}

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        return np.where(np.linalg.norm(achieved - desired, axis=-1) < 0.2, 0.0, -1.0)


def test_goals_in_hindsight_reach_replay_and_the_environments_reward_does_not() -> None:
    """The loop of this product with a goal environment: what is drawn, of an episode that never got there."""
    robot = GymnasiumRobot(Pond(), FakeClock())
    task = GymnasiumTask(robot, name="pond", instruction="go there", time_limit=5)
    features = Features(robot.spec, FeatureConfig(relative=(("state[2:4]", "state[0:2]"),)))
    achieved, desired = robot.parts["achieved_goal"], robot.parts["desired_goal"]
    assert (achieved, desired) == (slice(0, 2), slice(2, 4))
    hindsight = Hindsight(achieved, desired, sparse_judge(task.reached), HindsightConfig(share=0.5))
    buffer = ReplayBuffer(50, state_size=features.size, action_size=2, discount=0.97, hindsight=hindsight)
    station = Station(
        guard=GuardedRobot(robot, DirectLimits(np.full(2, np.inf), 1.0, 1.0), robot._clock),
        task=task,
        policy=Leftwards(),
        arbiter=Arbiter(robot.spec.action, give_back_after=0.1),
        reward=SparseReward(),
        clock=robot._clock,
        subscribers=(ReplayFeed(buffer, features),),
    )
    end = run_episode(station, sample_meta(0), np.random.default_rng(0), np.random.default_rng(1))
    assert end.outcome is Outcome.TIME_LIMIT
    assert len(buffer) == 5
    held = buffer.gather(buffer.indices())
    assert held.reward.tolist() == [0.0] * 5  # the environment's own were -1
    batch = buffer.sample(200, {EVERYTHING: 1.0})
    given = batch.observation["state"][:, 0] - batch.observation["state"][:, 2] > -1.0
    assert 60 < int(given.sum()) < 140
    assert set(batch.reward[~given].tolist()) == {0.0}
    there = task.reached(*(batch.next_observation["state"][:, part].numpy() for part in (achieved, desired)))
    np.testing.assert_array_equal(batch.reward == 1.0, there)
    np.testing.assert_array_equal(batch.discount == 0.0, there)
    assert there.any()


@pytest.mark.parametrize(("there", "elsewhere"), [(0.0, -1.0), (1.0, 0.0)])
def test_goals_are_reached_whatever_the_sparse_reward_is_there(there: float, elsewhere: float) -> None:
    """0 or -1 in Fetch, 1 or 0 in the mazes of gymnasium-robotics."""

    class Sparse(Pond):
        def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
            return np.where(np.linalg.norm(achieved - desired, axis=-1) < 0.2, there, elsewhere)

    task = GymnasiumTask(GymnasiumRobot(Sparse(), FakeClock()), name="pond", instruction="", time_limit=5)
    achieved = np.array([[0.0, 0.1], [5.0, 5.0]], np.float32)
    assert task.reached(achieved, np.zeros((2, 2), np.float32)).tolist() == [True, False]


class Leftwards:
    """Always goes to where no goal is."""

    version = 0

    def reset(self) -> None:
        """Nothing is carried."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        return Action(np.array([-1.0, -1.0], np.float32))


def test_without_goals_there_is_no_hindsight() -> None:
    _, task = corridor()
    with pytest.raises(ConfigError, match="compute_reward"):
        task.reached(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))
    env = Pond()
    env.reward_type = "dense"
    dense = GymnasiumTask(GymnasiumRobot(env, FakeClock()), name="pond", instruction="", time_limit=5)
    with pytest.raises(ConfigError, match="dense"):
        dense.reached(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))
