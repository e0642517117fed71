"""Demonstrations and corrections in the device buffer, and goals in hindsight there."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.demonstrations import Demonstration, from_journal, from_transitions
from robot_rlhf.bridges.environment import encoder_of
from robot_rlhf.bridges.hindsight import DeviceHerReplayBuffer
from robot_rlhf.datatypes import EpisodeKind, Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ReplayError, ShapeError, UnknownNameError
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.replay.mixing import PRIOR

SESSION = Path(__file__).parents[2] / "datasets" / "sample_session"
FLAT = spaces.Box(-10.0, 10.0, (3,), np.float32)
MOVE = spaces.Box(-1.0, 1.0, (2,), np.float32)
GOALS = spaces.Dict(
    {
        "achieved_goal": spaces.Box(-9.0, 9.0, (2,), np.float64),
        "desired_goal": spaces.Box(-9.0, 9.0, (2,), np.float64),
        "observation": spaces.Box(-9.0, 9.0, (1,), np.float64),
    }
)


class Walk(gymnasium.Env[Any, Any]):
    """A dot in the plane should get near its goal within eight steps; rewards -1 until it is there."""

    observation_space = GOALS
    action_space = MOVE

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.goal = np.zeros(2), self.np_random.uniform(-2, 2, 2)
        self.steps = 0
        return self.seen(), {}

    def seen(self) -> dict[str, Any]:
        return {"achieved_goal": self.place.copy(), "desired_goal": self.goal.copy(), "observation": np.zeros(1)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place = self.place + 0.5 * action
        self.steps += 1
        reward = float(self.compute_reward(self.place, self.goal, {}))
        return self.seen(), reward, False, self.steps >= 8, {"is_success": reward == 0.0}

    def compute_reward(self, achieved: Any, desired: Any, info: Any) -> Any:
        assert not isinstance(info, list) or len(info) == len(achieved)
        return np.where(np.linalg.norm(achieved - desired, axis=-1) < 0.3, 0.0, -1.0)


def shown(steps: int, seed: int, *, terminated: bool = True) -> Demonstration:
    rng = np.random.default_rng(seed)
    return Demonstration(
        observations=rng.normal(size=(steps + 1, 3)).astype(np.float32),
        actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=terminated,
    )


def stepped(buffer: DeviceReplayBuffer, infos: list[dict[str, Any]], seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Steps of one environment; returns the actions."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(size=(1, 3)).astype(np.float32)
    actions = []
    for info in infos:
        after = rng.normal(size=(1, 3)).astype(np.float32)
        actions.append(rng.uniform(-1, 1, (1, 2)).astype(np.float32))
        buffer.add(seen, after, actions[-1], np.zeros(1), np.zeros(1, bool), [info])
        seen = after
    return actions


# -- demonstrations and corrections ----------------------------------------------------------------------------------


def test_demonstrations_are_in_replay_bit_for_bit_and_are_never_forgotten() -> None:
    buffer = DeviceReplayBuffer(10, FLAT, MOVE, device="cpu", seed=0)
    given = [shown(4, 0), shown(7, 1, terminated=False)]
    buffer.add_demonstrations(given[:1])
    buffer.add_demonstrations(given[1:])
    stepped(buffer, [{}] * 40)
    assert buffer.prior is not None
    held = buffer.prior.gather(buffer.prior.indices(PRIOR))
    before = np.concatenate([each.by_key[""][:-1] for each in given])
    after = np.concatenate([each.by_key[""][1:] for each in given])
    np.testing.assert_array_equal(held.observation["state"], before)
    np.testing.assert_array_equal(held.next_observation["state"], after)
    np.testing.assert_array_equal(held.action, np.concatenate([each.actions for each in given]))
    np.testing.assert_array_equal(held.reward, np.concatenate([each.rewards for each in given]))
    np.testing.assert_array_equal(held.discount, [1, 1, 1, 0] + [1] * 7)
    assert set(held.source.tolist()) == {int(Source.DEMO)}
    assert len(buffer.rings[0]) == 10
    again: DeviceReplayBuffer = pickle.loads(pickle.dumps(buffer))
    assert again.prior is not None
    np.testing.assert_array_equal(again.prior.gather(again.prior.indices(PRIOR)).action, held.action)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_what_people_did_is_kept(share: float) -> None:
    buffer = DeviceReplayBuffer(100, FLAT, MOVE, device="cpu", seed=0, prior_share=share)
    buffer.add_demonstrations([shown(10, 0)])
    stepped(buffer, [{}] * 30 + [{"intervene_action": np.zeros(2)}] * 10)
    _, source = buffer.sample_with_sources(64)
    prior = source[: round(64 * share)].tolist()
    assert set(prior) <= {int(Source.DEMO), int(Source.HUMAN)}
    assert prior.count(int(Source.DEMO)) == prior.count(int(Source.HUMAN))  # there are equally many
    assert not set(source[round(64 * share) :].tolist()) & {int(Source.DEMO)}
    assert len(buffer.sample(64).rewards) == 64


def test_demonstrations_alone_can_be_drawn_and_without_any_nothing_changes() -> None:
    buffer = DeviceReplayBuffer(100, FLAT, MOVE, device="cpu", seed=3)
    with pytest.raises(ReplayError, match="no transition"):
        buffer.sample(4)
    buffer.add_demonstrations([shown(3, 0)])
    _, source = buffer.sample_with_sources(16)
    assert source.tolist() == [int(Source.DEMO)] * 16
    plain, other = (DeviceReplayBuffer(100, FLAT, MOVE, device="cpu", seed=3, prior_share=p) for p in (0.5, 0.0))
    for each in (plain, other):
        stepped(each, [{}] * 30)
    np.testing.assert_array_equal(plain.sample(16).observations, other.sample(16).observations)


def test_corrections_are_marked_and_stay_so_when_the_buffer_is_saved() -> None:
    buffer = DeviceReplayBuffer(100, FLAT, MOVE, device="cpu", seed=0)
    infos = [{}, {"intervene_action": np.zeros(2)}, {"intervene_action": np.zeros(2)}, {}]
    stepped(buffer, infos)
    wanted = [int(Source.POLICY), int(Source.HUMAN), int(Source.HUMAN), int(Source.POLICY)]
    for each in (buffer, pickle.loads(pickle.dumps(buffer))):
        (ring,) = each.rings
        assert ring.gather(ring.indices()).source.tolist() == wanted


def test_refuses_what_does_not_fit() -> None:
    buffer = DeviceReplayBuffer(10, FLAT, spaces.Box(-1, 1, (3,), np.float32), device="cpu")
    with pytest.raises(ShapeError, match=r"actions.*\(4, 2\)"):
        buffer.add_demonstrations([shown(4, 0)])
    with pytest.raises(ShapeError, match="observations"):
        Demonstration(np.zeros((4, 3)), np.zeros((4, 2)), np.zeros(4), True)
    with pytest.raises(ShapeError, match="rewards"):
        Demonstration(np.zeros((5, 3)), np.zeros((4, 2)), np.zeros(3), True)
    with pytest.raises(InvalidValueError, match=r"Demonstration.actions: got list"):
        Demonstration(np.zeros((2, 3)), [[0.0, 0.0]], np.zeros(1), True)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValueError, match=r"Demonstration.observations: got object array"):
        Demonstration(np.full((2, 3), None), np.zeros((1, 2)), np.zeros(1), True)
    keyed = DeviceReplayBuffer(10, spaces.Dict({"state": FLAT}), MOVE, device="cpu")
    with pytest.raises(ConfigError, match=r"the space has \['state'\]"):
        keyed.add_demonstrations([shown(4, 0)])
    with pytest.raises(ConfigError, match="prior_share"):
        DeviceReplayBuffer(10, FLAT, MOVE, prior_share=1.1)
    with pytest.raises(ConfigError, match=r"transition 0 lacks.*rewards"):
        list(from_transitions([{"observations": 0, "actions": 0, "next_observations": 0, "dones": True}]))


def test_transitions_become_episodes() -> None:
    whole = [shown(3, 0), shown(2, 1, terminated=False), shown(4, 2, terminated=False)]
    single = []
    for number, each in enumerate(whole):
        for step in range(len(each)):
            last = step == len(each) - 1
            single.append(
                {
                    "observations": {"state": each.by_key[""][step]},
                    "next_observations": {"state": each.by_key[""][step + 1]},
                    "actions": each.actions[step],
                    "rewards": each.rewards[step],
                    "masks": float(not (last and each.terminated)),
                    "dones": last and number < 2,  # the last one breaks off
                }
            )
    found = list(from_transitions(single))
    assert [each.terminated for each in found] == [True, False, False]
    for each, expected in zip(found, whole, strict=True):
        np.testing.assert_array_equal(each.by_key["state"], expected.by_key[""])
        np.testing.assert_array_equal(each.actions, expected.actions)
        np.testing.assert_array_equal(each.rewards, expected.rewards)
    # Where an observation is another one than the last led to, an episode was cut off without a word.
    assert [len(each) for each in from_transitions([single[0], single[2]])] == [1, 1]


# -- goals in hindsight ------------------------------------------------------------------------------------------------


def walked(buffer: DeviceHerReplayBuffer, env: DummyVecEnv, steps: int) -> None:
    rng = np.random.default_rng(0)
    seen: Any = env.reset()
    for _ in range(steps):
        action = rng.uniform(-1, 1, (env.num_envs, 2)).astype(np.float32)
        after, reward, done, infos = env.step(action)
        assert isinstance(after, dict)
        truth = {key: value.copy() for key, value in after.items()}
        for number in np.flatnonzero(done):
            for key, value in infos[number]["terminal_observation"].items():
                truth[key][number] = value
        buffer.add(seen, truth, action, reward, done, infos)
        seen = after


def test_goals_were_reached_in_the_same_episode_and_are_rewarded_by_the_environment() -> None:
    env = DummyVecEnv([Walk] * 2)
    env.seed(0)
    buffer = DeviceHerReplayBuffer(200, GOALS, MOVE, env, device="cpu", n_envs=2, seed=0)
    walked(buffer, env, 60)
    rewarded = 0
    for ring in buffer.rings:
        everything = ring.gather(ring.indices())
        episodes = ring.columns(ring.indices())["episode"]
        goals = {tuple(goal) for goal in everything.observation["state"][:, 2:4].tolist()}
        batch = ring.sample(500, {PRIOR | {Source.POLICY}: 1.0})
        given = 0
        for k, number in enumerate(batch.index.tolist()):
            state, after = (seen["state"][k] for seen in (batch.observation, batch.next_observation))
            assert torch.equal(state[2:4], after[2:4])
            near = float(Walk().compute_reward(after[:2].numpy(), after[2:4].numpy(), {}))
            assert float(batch.reward[k]) == near
            assert float(batch.discount[k]) == 1.0
            if tuple(state[2:4].tolist()) not in goals:
                given += 1
                here = ring.indices().tolist().index(number)
                later = [n for n in range(here, len(episodes)) if episodes[n] == episodes[here]]
                reached = everything.next_observation["state"][later, :2].tolist()
                assert state[2:4].tolist() in reached
        assert 0.7 < given / 500 < 0.9
        rewarded += int((batch.reward == 0).sum())
    assert rewarded > 100


@pytest.mark.parametrize("normalise", [False, True])
def test_serves_their_algorithms_in_the_place_of_their_buffer(normalise: bool, tmp_path: Path) -> None:
    def model() -> SAC:
        env: Any = DummyVecEnv([Walk] * 2)
        return SAC(
            "MultiInputPolicy",
            VecNormalize(env) if normalise else env,
            replay_buffer_class=DeviceHerReplayBuffer,
            replay_buffer_kwargs={"n_sampled_goal": 2, "goal_selection_strategy": "final"},
            learning_starts=16,
            buffer_size=200,
            batch_size=32,
            policy_kwargs={"net_arch": [16]},
            seed=0,
            device="cpu",
        )

    first = model()
    first.learn(60)
    first.save_replay_buffer(tmp_path / "kept")
    second = model()
    second.load_replay_buffer(tmp_path / "kept")
    assert second.replay_buffer is not None
    assert second.replay_buffer.size() == 30
    second.learn(20)


@pytest.mark.parametrize(
    ("space", "options", "words"),
    [
        (spaces.Dict({"state": FLAT}), {}, "achieved_goal"),
        (GOALS, {"copy_info_dict": True}, "copy_info_dict"),
        (GOALS, {"n_sampled_goal": -1}, "n_sampled_goal"),
        (GOALS, {"goal_selection_strategy": "futur"}, "Did you mean 'future'"),
    ],
)
def test_hindsight_refuses_what_it_cannot_do(space: spaces.Dict, options: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        DeviceHerReplayBuffer(10, space, MOVE, DummyVecEnv([Walk]), device="cpu", **options)


def test_demonstrations_get_goals_in_hindsight_too() -> None:
    env = DummyVecEnv([Walk])
    buffer = DeviceHerReplayBuffer(100, GOALS, MOVE, env, device="cpu", seed=0)
    places = np.cumsum(np.full((5, 2), 0.5), axis=0)
    seen = {"achieved_goal": places, "desired_goal": np.full((5, 2), 7.0), "observation": np.zeros((5, 1))}
    buffer.add_demonstrations([Demonstration(seen, np.ones((4, 2)), np.full(4, -1.0), False)])
    samples, source = buffer.sample_with_sources(400)
    goals = samples.observations["desired_goal"]
    assert set(source.tolist()) == {int(Source.DEMO)}
    assert 0.7 < float((goals[:, 0] != 7.0).float().mean()) < 0.9
    assert set(goals[:, 0].tolist()) == {1.0, 1.5, 2.0, 2.5, 7.0}
    near = torch.linalg.norm(samples.next_observations["achieved_goal"] - goals, dim=1) < 0.3
    assert torch.equal(near, samples.rewards[:, 0] == 0.0)


def test_the_successful_demonstrations_of_a_journal_are_what_was_executed() -> None:
    features = Features(journal_spec(SESSION), FeatureConfig())
    found = from_journal(SESSION, encoder_of(features))
    told = [each for each in episodes(SESSION) if each.meta.kind is EpisodeKind.DEMONSTRATION]
    assert len(found) == len(told) == 2
    for each, expected in zip(found, told, strict=True):
        assert each.by_key[""].shape == (len(expected) + 1, features.size)
        np.testing.assert_array_equal(each.actions, expected.executed)
        np.testing.assert_array_equal(each.rewards, expected.reward)
        assert each.terminated
    other = DeviceReplayBuffer(10, spaces.Box(-9, 9, (features.size + 1,), np.float32), MOVE, device="cpu")
    with pytest.raises(ShapeError, match="observation"):
        other.add_demonstrations(found)
