"""Our replay as the replay buffer of Stable-Baselines3's off-policy algorithms: on the device, each frame once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common import buffers
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from robot_rlhf.bridges.demonstrations import INTERVENTION, Demonstration
from robot_rlhf.bridges.observations import WHOLE, ObservationLayout, torch_dtype
from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import ConfigError, ReplayError, ShapeError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.hindsight import Hindsight
from robot_rlhf.replay.mixing import EVERYTHING, PRIOR, Mix, shares

ALL: Mix = MappingProxyType({EVERYTHING: 1.0})
"""Uniform over everything that is held."""
ROWS_AT_ONCE = 1024
"""Transitions read from the device at once when a buffer is saved."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """What one ring holds, on the host, each observation once. N transitions in M unbroken runs."""

    observation: Mapping[str, NDArray[Any]]
    """The observation each transition leaves, as kept. Shape (N, ...)."""
    last: Mapping[str, NDArray[Any]]
    """The observation after the last transition of each run. Shape (M, ...)."""
    ends_run: NDArray[np.bool_]
    """The next transition does not begin where this one ends. Shape (N,), M of them true."""
    action: NDArray[np.float32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    source: NDArray[np.int64] | None = None
    """Who drove, as Source; None, in files of earlier versions: the policy."""

    @property
    def following(self) -> dict[str, NDArray[Any]]:
        """The observation each transition leads to. Shape (N, ...)."""
        after = {name: np.roll(value, -1, axis=0) for name, value in self.observation.items()}
        for name, value in after.items():
            value[self.ends_run] = self.last[name]
        return after


LOOKED_INTO: Mapping[str, Callable[[_Kept], Mapping[str, NDArray[Any]]]] = MappingProxyType(
    {
        "observations": lambda kept: kept.observation,
        "next_observations": lambda kept: kept.following,
        "actions": lambda kept: {WHOLE: kept.action},
        "rewards": lambda kept: {WHOLE: kept.reward},
        "dones": lambda kept: {WHOLE: (kept.terminated | kept.truncated).astype(np.float32)},
        "timeouts": lambda kept: {WHOLE: kept.truncated.astype(np.float32)},
    }
)
"""Names of the arrays of their replay buffer, and what they hold; `dones` count ends by a time limit, too."""


class DeviceReplayBuffer(buffers.ReplayBuffer):
    """Pass it as `replay_buffer_class` to SAC, TD3, DQN; for Box and Dict observations, and for several environments.

    Observations lie on `device` and are kept once, not twice, so that pictures take half the memory; batches are
    made there. Each environment has a ring of its own, of buffer_size // n_envs + 1 observations: a ring wants each
    episode in consecutive rows, while the steps of several environments arrive alternately, and must be there to be
    drawn at once, not only when their episode is over. A ring holds one transition less for every episode that ends
    in it. Every environment gives the same share of a batch, drawn uniformly from its ring.

    Demonstrations lie in a ring of their own, which forgets nothing. Once there are any, or corrections (steps whose
    info has 'intervene_action'), `prior_share` of each batch is drawn from those two together.

    Numbers are kept as float32. Pickling (save_replay_buffer) writes each observation once; reading back plays the
    transitions in again, one by one.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        seed: int | None = None,
        prior_share: float = 0.5,
    ) -> None:
        """Allocate the rings.

        Args:
            buffer_size: transitions of all environments together.
            optimize_memory_usage: not needed, hence not allowed.
            handle_timeout_termination: a time limit (info['TimeLimit.truncated']) does not count as an end.
            seed: of the draws; None takes one from PyTorch's global generator, which the algorithm's seed governs.
            prior_share: of each batch, from demonstrations and corrections once there are any; in [0, 1].

        Raises:
            ConfigError: a space of another kind, optimize_memory_usage, or a share outside its range.
            ReplayError: the device has not enough free memory.
        """
        if optimize_memory_usage:
            raise ConfigError("optimize_memory_usage: got True, allowed False; every observation is kept once anyway")
        if not 0.0 <= prior_share <= 1.0:
            raise ConfigError(f"prior_share: got {prior_share}, allowed 0 to 1")
        self.layout = ObservationLayout(observation_space)
        # Not through the parent's own constructor, which would allocate its arrays.
        buffers.BaseBuffer.__init__(
            self, max(buffer_size // n_envs, 1), observation_space, action_space, device, n_envs=n_envs
        )
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self._action_dtype = torch_dtype(action_space.dtype)
        self._rng = np.random.default_rng(int(torch.randint(2**31, ())) if seed is None else seed)
        self.prior_share = prior_share
        self._newest: dict[str, NDArray[Any]] = {}
        self._kept: list[_Kept] = []
        self.demonstrations: tuple[Demonstration, ...] = ()
        """With actions as the buffer keeps them."""
        self._prior: ReplayBuffer | None = None
        self._rings = self._empty_rings()

    def _empty_rings(self) -> list[ReplayBuffer]:
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            why = str(error).splitlines()[0]
            raise ConfigError(
                f"device: got {self.device}, allowed: one of this machine; replay lies there ({why})"
            ) from error
        return [self._ring(self.buffer_size + 1) for _ in range(self.n_envs)]

    def _ring(self, rows: int) -> ReplayBuffer:
        return ReplayBuffer(
            rows,
            state_size=self.layout.state_size,
            action_size=self.action_dim,
            discount=1.0,  # what remains of Batch.discount is then 1 - terminated
            cameras=self.layout.cameras,
            device=str(self.device),
            seed=int(self._rng.integers(2**31)),
            hindsight=self._hindsight(),
        )

    def _hindsight(self) -> Hindsight | None:
        """What gives goals in hindsight; nothing does here."""
        return None

    @property
    def rings(self) -> list[ReplayBuffer]:
        """One ring per environment, on `device`: moved there first when the device was changed, or after pickling."""
        if self._rings and self._rings[0].device != self.device:
            self._kept, self._rings = [_read(ring) for ring in self._rings], []
        if not self._rings:
            self._rings = self._empty_rings()
            for ring, kept in zip(self._rings, self._kept, strict=True):
                _write(ring, kept)
            self._kept = []
        return self._rings

    @property
    def bytes_needed(self) -> int:
        """Bytes that all rings take, bookkeeping included."""
        one = ReplayBuffer.bytes_needed(
            self.buffer_size + 1,
            state_size=self.layout.state_size,
            action_size=self.action_dim,
            cameras=self.layout.cameras,
        )
        return one * self.n_envs

    def size(self) -> int:
        """Transitions held per environment, on average."""
        return sum(len(ring) for ring in self.rings) // self.n_envs

    def reset(self) -> None:
        """Forget everything but demonstrations."""
        buffers.BaseBuffer.reset(self)
        self._newest, self._kept, self._rings = {}, [], self._empty_rings()

    def add_demonstrations(self, demonstrations: Iterable[Demonstration]) -> None:
        """Keep episodes that somebody showed, for good.

        Args:
            demonstrations: observations of this buffer's space, actions as the buffer keeps them: in [-1, 1].

        Raises:
            ConfigError: observations by other keys than the space has.
            ShapeError: observations or actions of another shape.
        """
        given = tuple(demonstrations)
        for demonstration in given:
            self.layout.check(demonstration.by_key)
            if demonstration.actions.shape[1] != self.action_dim:
                raise ShapeError("Demonstration.actions", demonstration.actions.shape, ("T", self.action_dim))
        self.demonstrations += given
        self._prior = None

    @property
    def prior(self) -> ReplayBuffer | None:
        """The ring of demonstrations, on `device`; None while there are none."""
        if self.demonstrations and (self._prior is None or self._prior.device != self.device):
            self._prior = self._ring(sum(len(each) + 1 for each in self.demonstrations))
            for each in self.demonstrations:
                seen = self._encode(self.layout.arrays(each.observations))
                self._prior.begin({name: value[0] for name, value in seen.items()}, demonstration=True)
                for step, (action, reward) in enumerate(zip(each.actions, each.rewards, strict=True)):
                    last = step == len(each) - 1
                    after = {name: value[step + 1] for name, value in seen.items()}
                    ends = last and each.terminated
                    self._prior.add(
                        np.asarray(action, np.float32), float(reward), ends, last and not ends, Source.DEMO, after
                    )
        return self._prior

    def add(
        self,
        obs: NDArray[Any] | dict[str, NDArray[Any]],
        next_obs: NDArray[Any] | dict[str, NDArray[Any]],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Append one transition per environment; next_obs holds the true last observation of an episode."""
        before, after = self.layout.arrays(obs), self.layout.arrays(next_obs)
        begins, follows = self._encode(before), self._encode(after)
        actions = np.asarray(action, np.float32).reshape(self.n_envs, self.action_dim)
        for number, ring in enumerate(self.rings):
            if not ring.recording or not self._goes_on(before, number):
                ring.begin({name: value[number] for name, value in begins.items()})
            late = self.handle_timeout_termination and bool(infos[number].get("TimeLimit.truncated", False))
            over = bool(done[number])
            ring.add(
                actions[number],
                float(reward[number]),
                over and not late,
                over and late,
                Source.HUMAN if INTERVENTION in infos[number] else Source.POLICY,
                {name: value[number] for name, value in follows.items()},
            )
        self._newest = after
        self.pos = (self.pos + 1) % self.buffer_size
        self.full = self.full or self.pos == 0

    def _encode(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        return self.layout.encode({key: torch.from_numpy(value) for key, value in arrays.items()})

    def _goes_on(self, before: Mapping[str, NDArray[Any]], number: int) -> bool:
        """Whether the step starts where the last one ended: not after a reset that no `done` told of."""
        return bool(self._newest) and all(
            np.array_equal(value[number], self._newest[key][number]) for key, value in before.items()
        )

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Draw with replacement; `env` normalises observations and rewards.

        Returns:
            ReplayBufferSamples, or DictReplayBufferSamples of a Dict space; tensors on `device`.

        Raises:
            ReplayError: nothing is held.
        """
        return self.sample_with_sources(batch_size, env)[0]

    def sample_with_sources(
        self, batch_size: int, env: VecNormalize | None = None, *, prior_share: float | None = None
    ) -> tuple[Any, Tensor]:
        """As `sample`, and who drove in each transition, as Source, int64 (B,).

        Args:
            prior_share: None takes the buffer's own.
        """
        batches = self._draw(batch_size, self.prior_share if prior_share is None else prior_share)
        source = _joined([batch.source for batch in batches])
        observation = self._decoded([batch.observation for batch in batches], env)
        following = self._decoded([batch.next_observation for batch in batches], env)
        action = _joined([batch.action for batch in batches]).to(self._action_dtype)
        dones = (_joined([batch.discount for batch in batches]) == 0.0).float().unsqueeze(1)
        reward = _joined([batch.reward for batch in batches]).unsqueeze(1)
        if env is not None:
            reward = torch.as_tensor(env.normalize_reward(reward.cpu().numpy()), device=self.device)
        if self.layout.is_dict:
            return DictReplayBufferSamples(observation, action, following, dones, reward), source
        return ReplayBufferSamples(observation[WHOLE], action, following[WHOLE], dones, reward), source

    def _draw(self, batch_size: int, prior_share: float) -> list[Batch]:
        """Transitions of demonstrations and corrections, then of everything that was collected."""
        rings = self.rings
        shown = [ring for ring in (self.prior, *rings) if ring is not None]
        held = [ring.counts[Source.DEMO] + ring.counts[Source.HUMAN] for ring in shown]
        from_prior, from_all = shares(
            batch_size, [prior_share, 1.0 - prior_share], [sum(held), min(len(ring) for ring in rings)]
        )
        if not from_prior + from_all:
            raise ReplayError("replay: cannot sample, no transition was added yet")
        parts = [
            ring.sample(count, {PRIOR: 1.0})
            for ring, count in zip(shown, shares(from_prior, [float(n) for n in held], held), strict=True)
            if count
        ]
        counts = np.full(self.n_envs, from_all // self.n_envs)
        counts[self._rng.permutation(self.n_envs)[: from_all % self.n_envs]] += 1
        return parts + [ring.sample(int(count), ALL) for ring, count in zip(rings, counts, strict=True) if count]

    def _decoded(self, observations: list[Mapping[str, Tensor]], env: VecNormalize | None) -> dict[str, Tensor]:
        joined = {name: _joined([part[name] for part in observations]) for name in observations[0]}
        decoded = self.layout.decode(joined)
        if env is None or not env.norm_obs:
            return decoded
        # Only what is normalised makes the way to the host, where the statistics are.
        keys = list(decoded) if not self.layout.is_dict else list(env.norm_obs_keys or ())
        raw = {key: decoded[key].cpu().numpy() for key in keys}
        given = env.normalize_obs(raw if self.layout.is_dict else raw[WHOLE])
        normalised = given if isinstance(given, dict) else {WHOLE: given}
        return decoded | {key: torch.as_tensor(value, device=self.device) for key, value in normalised.items()}

    def __getattr__(self, name: str) -> Any:
        """Copies of what is held, oldest first, by the names under which theirs is looked into (LOOKED_INTO).

        Shape (N, n_envs, ...); N is what the shortest ring holds.
        """
        if name not in LOOKED_INTO:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        kept = [_read(ring) for ring in self._rings] or self._kept
        columns = [LOOKED_INTO[name](one) for one in kept]
        shortest = min(len(next(iter(column.values()))) for column in columns)
        stacked = {
            part: np.stack([column[part][len(column[part]) - shortest :] for column in columns], axis=1)
            for part in columns[0]
        }
        if name not in ("observations", "next_observations"):
            return stacked[WHOLE]
        flat = {part: torch.from_numpy(value.reshape(-1, *value.shape[2:])) for part, value in stacked.items()}
        decoded = {key: value.numpy() for key, value in self.layout.decode(flat).items()}
        seen = {key: value.reshape(shortest, self.n_envs, *value.shape[1:]) for key, value in decoded.items()}
        return seen if self.layout.is_dict else seen[WHOLE]

    def _get_samples(self, batch_inds: NDArray[Any], env: VecNormalize | None = None) -> Any:
        raise ReplayError("DeviceReplayBuffer has no numbered entries: use sample()")

    def __getstate__(self) -> dict[str, Any]:
        kept = [_read(ring) for ring in self.rings]
        return {**self.__dict__, "_kept": kept, "_rings": [], "_prior": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Files of earlier versions know nothing of demonstrations."""
        earlier: dict[str, Any] = {"prior_share": 0.5, "demonstrations": (), "_prior": None}
        for name, value in (earlier | state).items():
            setattr(self, name, value)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _read(ring: ReplayBuffer) -> _Kept:
    """Everything a ring holds, oldest first."""
    index = ring.indices(EVERYTHING)
    numbers = index.cpu().numpy()
    ends_run = np.append(numbers[1:] != numbers[:-1] + 1, True)[: len(numbers)]
    parts: list[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for start in range(0, max(1, len(numbers)), ROWS_AT_ONCE):
        span = slice(start, start + ROWS_AT_ONCE)
        batch = ring.gather(index[span])
        ends = torch.from_numpy(ends_run[span]).to(ring.device)
        parts.append(
            (
                {name: value.cpu().numpy().copy() for name, value in batch.observation.items()},
                {name: value[ends].cpu().numpy() for name, value in batch.next_observation.items()},
                batch.action.cpu().numpy().copy(),
                batch.reward.cpu().numpy().copy(),
                batch.source.cpu().numpy(),
            )
        )
    columns = ring.columns(index)
    return _Kept(
        observation={name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]},
        last={name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]},
        ends_run=ends_run,
        action=np.concatenate([part[2] for part in parts]),
        reward=np.concatenate([part[3] for part in parts]),
        terminated=columns["terminated"],
        truncated=columns["truncated"],
        source=np.concatenate([part[4] for part in parts]),
    )


def _write(ring: ReplayBuffer, kept: _Kept) -> None:
    """The inverse of `_read`, into an empty ring."""
    run, fresh = 0, True
    for k in range(len(kept.reward)):
        if fresh:
            ring.begin({name: value[k] for name, value in kept.observation.items()})
        fresh = bool(kept.ends_run[k])
        source, place = (kept.last, run) if fresh else (kept.observation, k + 1)
        ring.add(
            kept.action[k],
            float(kept.reward[k]),
            bool(kept.terminated[k]),
            bool(kept.truncated[k]),
            Source.POLICY if kept.source is None else Source(int(kept.source[k])),
            {name: value[place] for name, value in source.items()},
        )
        run += fresh
