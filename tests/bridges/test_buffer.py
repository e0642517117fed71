"""The device buffer against Stable-Baselines3's own, fed with the same steps, and inside its algorithms."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common import buffers
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize, VecTransposeImage

from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.errors import ConfigError, ReplayError

FLAT = spaces.Box(-10.0, 10.0, (3,), np.float32)
MOVE = spaces.Box(-1.0, 1.0, (2,), np.float32)
CHOICE = spaces.Discrete(3)
SPACES: dict[str, Any] = {
    "flat": FLAT,
    "matrix": spaces.Box(-10.0, 10.0, (2, 3), np.float32),
    "discrete": spaces.Discrete(1000),
    "rgb_first": spaces.Box(0, 255, (3, 8, 6), np.uint8),
    "rgb_last": spaces.Box(0, 255, (8, 6, 3), np.uint8),
    "stacked": spaces.Box(0, 255, (4, 7, 5), np.uint8),
    "dict": spaces.Dict(
        {
            "state": FLAT,
            "front": spaces.Box(0, 255, (3, 8, 6), np.uint8),
            "goal": spaces.Box(-1.0, 1.0, (2,), np.float32),
            "mode": spaces.Discrete(5),
        }
    ),
}


class Episodes:
    """Random steps of several environments, as an algorithm would tell them: episodes of 1 to 7 steps."""

    def __init__(self, space: spaces.Space[Any], actions: spaces.Space[Any], n_envs: int, seed: int = 0) -> None:
        self.space, self.actions, self.n_envs = space, actions, n_envs
        space.seed(seed)
        actions.seed(seed)
        self.rng = np.random.default_rng(seed)
        self.seen = [space.sample() for _ in range(n_envs)]

    def stacked(self, rows: list[Any]) -> Any:
        if isinstance(self.space, spaces.Dict):
            return {key: np.stack([row[key] for row in rows]) for key in self.space.spaces}
        return np.stack(rows)

    def step(self) -> tuple[Any, ...]:
        before, after = self.seen, [self.space.sample() for _ in range(self.n_envs)]
        done = self.rng.random(self.n_envs) < 0.3
        infos = [{"TimeLimit.truncated": bool(self.rng.random() < 0.5)} if d else {} for d in done]
        action = np.stack([self.actions.sample() for _ in range(self.n_envs)])
        self.seen = [self.space.sample() if d else a for d, a in zip(done, after, strict=True)]
        reward = self.rng.normal(size=self.n_envs).astype(np.float32)
        return self.stacked(before), self.stacked(after), action, reward, done, infos


def values(part: Any) -> NDArray[Any]:
    """One row of numbers per transition, of arrays or tensors, or of a dictionary of them."""
    parts = [part[key] for key in sorted(part)] if isinstance(part, dict) else [part]
    return np.concatenate([np.asarray(p, np.float64).reshape(len(p), -1) for p in parts], axis=1)


def rows_of(samples: Any) -> set[bytes]:
    fields = (samples.observations, samples.actions, samples.next_observations, samples.dones, samples.rewards)
    return {row.tobytes() for row in np.concatenate([values(field) for field in fields], axis=1)}


def both(space: spaces.Space[Any], actions: spaces.Space[Any], n_envs: int, size: int, **options: Any) -> Any:
    theirs: Any = buffers.DictReplayBuffer if isinstance(space, spaces.Dict) else buffers.ReplayBuffer
    return (
        DeviceReplayBuffer(size, space, actions, "cpu", n_envs, seed=0, **options),
        theirs(size, space, actions, "cpu", n_envs, **options),
    )


@pytest.mark.parametrize("handle", [True, False])
@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("name", SPACES)
def test_holds_the_same_transitions_as_the_original(name: str, n_envs: int, handle: bool) -> None:
    np.random.seed(0)  # noqa: NPY002  the original draws from the global generator
    actions = CHOICE if name == "flat" else MOVE
    ours, theirs = both(SPACES[name], actions, n_envs, 60 * n_envs, handle_timeout_termination=handle)
    episodes = Episodes(SPACES[name], actions, n_envs)
    for _ in range(40):
        step = episodes.step()
        ours.add(*step)
        theirs.add(*step)
    mine, other = ours.sample(4000), theirs.sample(4000)
    assert rows_of(mine) == rows_of(other)
    assert len(rows_of(mine)) == 40 * n_envs
    assert ours.size() == theirs.size() == 40
    flat_mine = mine.observations if isinstance(mine.observations, dict) else {"": mine.observations}
    flat_other = other.observations if isinstance(other.observations, dict) else {"": other.observations}
    for key in flat_other:
        assert flat_mine[key].shape == flat_other[key].shape
        assert flat_mine[key].dtype == flat_other[key].dtype
    assert mine.actions.shape == other.actions.shape
    assert mine.actions.dtype == other.actions.dtype
    assert mine.dones.shape == mine.rewards.shape == other.rewards.shape
    assert mine.dones.dtype == other.dones.dtype


def test_keeps_the_newest_when_it_is_full() -> None:
    ours, theirs = both(FLAT, MOVE, 2, 40)
    episodes = Episodes(FLAT, MOVE, 2)
    told: list[set[bytes]] = []
    for _ in range(100):
        step = episodes.step()
        ours.add(*step)
        theirs.add(*step)
        told.append({row.tobytes() for row in values(step[0])})
    held = {row.tobytes() for row in values(ours.sample(4000).observations)}
    assert held < set().union(*told[-20:])  # 21 rows, of which each finished episode takes one more
    assert set().union(*told[-10:]) <= held
    assert rows_of(ours.sample(4000)) < rows_of(theirs.sample(4000))
    assert ours.full
    assert ours.pos == theirs.pos


def test_draws_uniformly_over_all_environments() -> None:
    buffer = DeviceReplayBuffer(180, FLAT, MOVE, "cpu", 3, seed=0)
    episodes = Episodes(FLAT, MOVE, 3)
    for _ in range(20):
        buffer.add(*episodes.step())
    counts = np.unique(values(buffer.sample(60_000).rewards), return_counts=True)[1]
    assert len(counts) == 60
    assert len({len(buffer.sample(7).rewards) for _ in range(5)}) == 1
    assert abs(counts - 1000).max() < 160  # 5 standard deviations


def test_a_reset_that_nobody_told_of_is_no_transition() -> None:
    buffer = DeviceReplayBuffer(10, FLAT, MOVE, "cpu", 1, seed=0)
    zero, one, seven, eight = (np.full((1, 3), x, np.float32) for x in (0, 1, 7, 8))
    rest = (np.zeros((1, 2)), np.zeros(1), np.array([False]), [{}])
    buffer.add(zero, one, *rest)
    buffer.add(seven, eight, *rest)  # learn() was called again
    samples = buffer.sample(100)
    pairs = {(float(a[0]), float(b[0])) for a, b in zip(samples.observations, samples.next_observations, strict=True)}
    assert pairs == {(0.0, 1.0), (7.0, 8.0)}
    assert not samples.dones.any()


@pytest.mark.parametrize("name", ["flat", "dict"])
def test_normalises_as_the_original(name: str) -> None:
    class Still(gymnasium.Env[Any, Any]):
        observation_space = SPACES[name]
        action_space = MOVE

    keys = ["state", "goal"] if name == "dict" else None
    env = VecNormalize(DummyVecEnv([Still]), norm_obs_keys=keys)
    for rms in env.obs_rms.values() if isinstance(env.obs_rms, dict) else [env.obs_rms]:
        rms.update(np.random.default_rng(0).normal(2.0, 3.0, (50, *rms.mean.shape)))
    env.ret_rms.update(np.arange(9.0))
    ours, theirs = both(SPACES[name], MOVE, 1, 30)
    episodes = Episodes(SPACES[name], MOVE, 1)
    for _ in range(20):
        step = episodes.step()
        ours.add(*step)
        theirs.add(*step)
    assert rows_of(ours.sample(2000, env)) == rows_of(theirs.sample(2000, env))
    assert rows_of(ours.sample(2000, env)) != rows_of(ours.sample(2000))


@pytest.mark.parametrize("rows", [20, 200])
@pytest.mark.parametrize("name", ["flat", "dict", "stacked"])
def test_comes_back_from_a_file(name: str, rows: int) -> None:
    buffer = DeviceReplayBuffer(rows, SPACES[name], MOVE, "cpu", 2, seed=0)
    episodes = Episodes(SPACES[name], MOVE, 2)
    for _ in range(37):
        buffer.add(*episodes.step())
    back = pickle.loads(pickle.dumps(buffer))
    back.device = torch.device("cpu")
    assert rows_of(back.sample(3000)) == rows_of(buffer.sample(3000))
    for _ in range(15):
        step = episodes.step()
        buffer.add(*step)
        back.add(*step)
    assert rows_of(back.sample(3000)) == rows_of(buffer.sample(3000))
    assert [ring.written - ring.oldest for ring in back.rings] == [r.written - r.oldest for r in buffer.rings]


def test_an_empty_one_comes_back_empty() -> None:
    back = pickle.loads(pickle.dumps(DeviceReplayBuffer(5, FLAT, MOVE, "cpu", 1)))
    with pytest.raises(ReplayError, match="no transition"):
        back.sample(1)
    back.reset()
    assert back.size() == 0


def test_pictures_take_half_the_memory() -> None:
    space = spaces.Box(0, 255, (3, 64, 64), np.uint8)
    ours, theirs = both(space, MOVE, 1, 100)
    original = theirs.observations.nbytes + theirs.next_observations.nbytes
    assert ours.bytes_needed < 0.51 * original


def test_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ConfigError, match="optimize_memory_usage"):
        DeviceReplayBuffer(5, FLAT, MOVE, optimize_memory_usage=True)
    with pytest.raises(ConfigError, match="flat Dict"):
        DeviceReplayBuffer(5, spaces.Dict({"a": spaces.Text(3)}), MOVE)


class Small(gymnasium.Env[Any, Any]):
    """A tiny environment with any of the spaces."""

    def __init__(self, space: spaces.Space[Any], actions: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space, self.steps = space, actions, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.observation_space.sample(), 1.0, False, self.steps == 5, {}


@pytest.mark.parametrize(
    ("algorithm", "policy", "space", "actions"),
    [
        (SAC, "MlpPolicy", "flat", MOVE),
        (TD3, "MultiInputPolicy", "dict", MOVE),
        (DQN, "MlpPolicy", "flat", CHOICE),
        (DQN, "MultiInputPolicy", "dict", CHOICE),
    ],
)
@pytest.mark.parametrize("normalised", [False, True])
def test_stock_algorithms_learn_from_it(
    algorithm: Any, policy: str, space: str, actions: Any, normalised: bool, tmp_path: Path
) -> None:
    if space == "dict":
        vector = spaces.Dict({**SPACES["dict"].spaces, "front": spaces.Box(0, 255, (40, 40, 3), np.uint8)})
    else:
        vector = SPACES[space]
    env: Any = DummyVecEnv([lambda: Small(vector, actions)] * 2)
    if normalised:
        env = VecNormalize(
            VecTransposeImage(env) if space == "dict" else env, norm_obs_keys=["state"] if space == "dict" else None
        )
    model = algorithm(
        policy,
        env,
        learning_starts=6,
        batch_size=8,
        buffer_size=100,
        seed=0,
        device="cpu",
        replay_buffer_class=DeviceReplayBuffer,
        policy_kwargs={"net_arch": [8]},
    )
    model.learn(24)
    model.learn(8)
    assert model.replay_buffer.size() == 16
    model.save_replay_buffer(tmp_path / "replay")
    before = rows_of(model.replay_buffer.sample(2000))
    model.load_replay_buffer(tmp_path / "replay")
    assert rows_of(model.replay_buffer.sample(2000)) == before
    model.learn(8, reset_num_timesteps=False)


def test_equal_seeds_learn_the_same() -> None:
    def parameters() -> list[torch.Tensor]:
        env = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")] * 2)
        model = SAC(
            "MlpPolicy",
            env,
            learning_starts=10,
            buffer_size=100,
            batch_size=8,
            seed=3,
            device="cpu",
            replay_buffer_class=DeviceReplayBuffer,
            policy_kwargs={"net_arch": [8]},
        )
        return list(model.learn(40).policy.parameters())

    assert all(torch.equal(a, b) for a, b in zip(parameters(), parameters(), strict=True))
