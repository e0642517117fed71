"""The replay buffer: a ring on one device in which every observation is kept once and always has its true successor."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array, Batch, Source
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError, ReplayError, ShapeError
from robot_rlhf.replay.gather import Gather, part
from robot_rlhf.replay.members import Members
from robot_rlhf.replay.memory import bytes_free, check_fits
from robot_rlhf.replay.mixing import DEFAULT_MIX, EVERYTHING, Group, Mix, check_mix, describe, shares
from robot_rlhf.replay.rows import Rows, as_vector, row_bytes

NOT_SAMPLED = -1
"""Source of a row that no transition leaves, or whose episode was discarded."""
HOST_ROW_BYTES = 1 + 8 + 4 + 8 + 2
MEMBER_BYTES = 8
LOGGER = logging.getLogger(__name__)


class ReplayBuffer:
    """Transitions of whole episodes, in a ring of `capacity_rows` observations. Used by one thread.

    An episode of T steps takes T + 1 consecutive rows, the last without a transition. So the observation after row i
    is row i + 1, of the same episode, at the edges of interventions, at an episode's end and where the ring wraps.
    Rows are numbered from 0 for the life of the buffer; row i lies in slot i % capacity. Batch.index holds these
    numbers, hence an index whose row was overwritten since is known to be stale. The ring overwrites the oldest row
    first: no row outlives its successor, and of an episode longer than the ring the newest rows are kept.
    """

    def __init__(
        self,
        capacity_rows: int,
        *,
        state_size: int,
        action_size: int,
        discount: float,
        cameras: Mapping[str, tuple[int, int]] | None = None,
        n_step: int = 1,
        pre_intervention: int = 0,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        """Allocate the ring.

        Args:
            capacity_rows: observations the ring holds, at least 2.
            state_size: length D of the state vector.
            action_size: number m of action dimensions.
            discount: gamma per step, in [0, 1].
            cameras: name to (height, width) of the pictures.
            n_step: rewards that are summed before bootstrapping.
            pre_intervention: policy steps before a takeover that are relabelled PRE_INTERVENTION (Sirius); 0 for none.
            device: where rows live and batches are made.
            seed: of the generator that draws.

        Raises:
            ConfigError: a setting is outside its range.
            ReplayError: the device has not enough free memory.
        """
        cameras = dict(cameras or {})
        if capacity_rows < 2 or n_step < 1 or pre_intervention < 0 or not 0.0 <= discount <= 1.0:
            raise ConfigError(
                f"replay: capacity_rows {capacity_rows} (>= 2), n_step {n_step} (>= 1), "
                f"pre_intervention {pre_intervention} (>= 0), discount {discount} (0 to 1)"
            )
        self.capacity_rows = capacity_rows
        self.discount = discount
        self.n_step = n_step
        self.pre_intervention = pre_intervention
        needed = self.bytes_needed(capacity_rows, state_size=state_size, action_size=action_size, cameras=cameras)
        free = bytes_free(torch.device(device))
        what = f"a replay buffer of {capacity_rows} rows"
        check_fits(what, needed, free, torch.device(device), "take fewer capacity_rows, or fewer or smaller cameras")
        LOGGER.info("%s takes %.3f GB on %s", what, needed / 1e9, device)
        self._rows = Rows(capacity_rows, state_size, action_size, cameras, device)
        self.device = self._rows.device
        self.written = 0
        """Rows ever written: the number of the next row."""
        self.recording = False
        """An episode is open."""
        self._demonstration = False
        self._episode = -1
        self._step = 0
        self._source = np.full(capacity_rows, NOT_SAMPLED, np.int8)
        self._columns: dict[str, NDArray[Any]] = {
            "episode": np.zeros(capacity_rows, np.int64),
            "step": np.zeros(capacity_rows, np.int32),
            "policy_version": np.zeros(capacity_rows, np.int64),
            "terminated": np.zeros(capacity_rows, np.bool_),
            "truncated": np.zeros(capacity_rows, np.bool_),
        }
        self._counts = np.zeros(len(Source), np.int64)
        self._members: dict[Group, Members] = {}
        self._checked: list[Mix] = []
        self._gather = Gather(self._rows, discount, n_step)
        self._generator = torch.Generator(self.device).manual_seed(seed)

    @staticmethod
    def bytes_needed(
        capacity_rows: int, *, state_size: int, action_size: int, cameras: Mapping[str, tuple[int, int]] | None = None
    ) -> int:
        """Bytes a buffer takes, bookkeeping and the two groups of the default mix included."""
        return capacity_rows * (row_bytes(state_size, action_size, cameras or {}) + HOST_ROW_BYTES + 2 * MEMBER_BYTES)

    def __len__(self) -> int:
        """Transitions that can be sampled."""
        return int(self._counts.sum())

    @property
    def oldest(self) -> int:
        """Number of the oldest row that is still held."""
        return max(0, self.written - self.capacity_rows)

    @property
    def counts(self) -> dict[Source, int]:
        """Transitions that can be sampled, per source."""
        return {source: int(self._counts[source]) for source in Source}

    def begin(self, observation: Mapping[str, NDArray[Any] | Tensor], *, demonstration: bool = False) -> None:
        """Start an episode at its first observation; one still open is closed.

        Args:
            observation: 'state' (D,) and pictures (H, W, 3) uint8 by camera name.
            demonstration: its steps count as DEMO, whoever drives; OTHER ones, which nobody chose, stay OTHER.
        """
        state = self._rows.check_observation(observation)
        self.end()
        self.recording = True
        self._demonstration = demonstration
        self._episode += 1
        self._step = 0
        self._append(state, observation)

    def add(
        self,
        action: NDArray[Any] | Tensor,
        reward: float,
        terminated: bool,
        truncated: bool,
        source: Source,
        next_observation: Mapping[str, NDArray[Any] | Tensor],
        *,
        policy_version: int = -1,
        weight: float = 1.0,
    ) -> int:
        """Append the transition from the newest observation to the next; it can be sampled at once.

        A terminated or truncated step closes the episode.

        Returns:
            The row's number.

        Raises:
            ReplayError: no episode is open.
        """
        if not self.recording:
            raise ReplayError("replay: add() outside an episode; begin() comes first")
        state = self._rows.check_observation(next_observation)
        values = as_vector("action", action, self._rows.action_size)
        if not (np.isfinite(reward) and np.isfinite(weight)):
            raise InvalidValueError("replay reward, weight", (reward, weight), "finite numbers")
        if self._demonstration and source is not Source.OTHER:
            source = Source.DEMO
        if source is Source.HUMAN and self.pre_intervention:
            self._blame_policy()
        number = self.written - 1
        slot = number % self.capacity_rows
        self._rows.write_transition(slot, values, reward, terminated, weight, source)
        for name, value in (("policy_version", policy_version), ("terminated", terminated), ("truncated", truncated)):
            self._columns[name][slot] = value
        self._step += 1
        self._append(state, next_observation)
        self._enlist(number, source)
        self.recording = not (terminated or truncated)
        return number

    def end(self) -> None:
        """Close the episode; if it was broken off, its last step counts as truncated. Idempotent."""
        if self.recording and self._step:
            self._columns["truncated"][(self.written - 2) % self.capacity_rows] = True
        self.recording = False

    def discard(self, first: int, end: int | None = None) -> None:
        """Never sample again what was written from row number `first` on.

        Args:
            end: number of the first row that stays; None for all to the newest, then the episode is closed, too.
        """
        if end is None:
            self.end()
            end = self.written
        for members in self._members.values():
            members.drop(first, end)
        for number in range(max(first, self.oldest), min(end, self.written)):
            self._unlist(number)

    def _append(self, state: Array, observation: Mapping[str, NDArray[Any] | Tensor]) -> None:
        number, slot = self.written, self.written % self.capacity_rows
        if number >= self.capacity_rows:
            self._unlist(number - self.capacity_rows)
            for members in self._members.values():
                members.drop_before(number - self.capacity_rows + 1)
        self._rows.write_observation(slot, state, observation)
        self._columns["episode"][slot] = self._episode
        self._columns["step"][slot] = self._step
        for name in ("policy_version", "terminated", "truncated"):
            self._columns[name][slot] = 0
        self.written += 1

    def _enlist(self, number: int, source: Source) -> None:
        self._source[number % self.capacity_rows] = source
        self._counts[source] += 1
        for group, members in self._members.items():
            if source in group:
                members.push(number)

    def _unlist(self, number: int) -> None:
        slot = number % self.capacity_rows
        if self._source[slot] != NOT_SAMPLED:
            self._counts[self._source[slot]] -= 1
            self._source[slot] = NOT_SAMPLED

    def _blame_policy(self) -> None:
        """Relabel the policy's last steps before the step about to be added; they are the newest of every group."""
        end = self.written - 1
        first = end
        earliest = max(self.oldest, end - self.pre_intervention)
        while first > earliest and self._source[(first - 1) % self.capacity_rows] == Source.POLICY:
            first -= 1
        for members in self._members.values():
            members.drop_from(first)
        for number in range(first, end):
            self._unlist(number)
            self._enlist(number, Source.PRE_INTERVENTION)
        if first < end:
            slots = torch.arange(first, end, device=self.device) % self.capacity_rows
            label = torch.full((end - first,), float(Source.PRE_INTERVENTION), device=self.device)
            self._rows.write_column(slots, self._rows.source, label)

    def indices(self, group: Group = EVERYTHING) -> Tensor:
        """Numbers of all rows that can be sampled from a group, oldest first, int64, on the device."""
        return self._group(group).numbers()

    def sample(self, batch_size: int, mix: Mix = DEFAULT_MIX) -> Batch:
        """Draw transitions uniformly within each group, with replacement; groups follow each other in the batch.

        Raises:
            ReplayError: all groups of the mix are empty.
        """
        return self.sample_many(1, batch_size, mix)[0]

    def sample_many(self, k: int, batch_size: int, mix: Mix = DEFAULT_MIX) -> list[Batch]:
        """Draw k batches in one gather, for several updates per step; each has the fractions of the mix.

        Raises:
            ReplayError: all groups of the mix are empty.
        """
        if not any(mix is known for known in self._checked):
            check_mix(mix)
            self._checked = [*self._checked[-7:], mix]
        groups = [self._group(group) for group in mix]
        counts = shares(batch_size, list(mix.values()), [len(members) for members in groups])
        if k < 1 or batch_size < 1 or not any(counts):
            raise ReplayError(
                f"replay: cannot sample {k} x {batch_size} transitions of {describe(mix)}; held: "
                + ", ".join(f"{source.name} {count}" for source, count in self.counts.items())
            )
        drawn = [
            members.draw((k, count), self._generator) for members, count in zip(groups, counts, strict=True) if count
        ]
        index = torch.cat(drawn, dim=1).view(-1)  # (k * B,)
        everything = self._gather(index)
        return [everything] if k == 1 else [part(everything, j * batch_size, batch_size) for j in range(k)]

    def gather(self, index: Tensor) -> Batch:
        """The transitions with these row numbers, for example to score them anew.

        Raises:
            ReplayError: a row was overwritten, discarded, or has no transition.
        """
        numbers = index.cpu().numpy()
        held = (numbers >= self.oldest) & (numbers < self.written)
        held &= self._source[numbers % self.capacity_rows] != NOT_SAMPLED
        if not held.all():
            raise ReplayError(
                f"replay: rows {numbers[~held][:5].tolist()} hold no transition (any more); "
                f"held are transitions among rows {self.oldest} to {self.written - 1}"
            )
        return self._gather(index.to(self.device))

    def columns(self, index: Tensor) -> dict[str, NDArray[Any]]:
        """Episode counter, step, policy_version, terminated, truncated of rows that are held, on the host."""
        slots = self._slots_held(index)[0]
        return {name: column[slots] for name, column in self._columns.items()}

    def update_rewards(self, index: Tensor, values: Tensor) -> int:
        """Relabel rewards in place, of the rows that are still held.

        Args:
            index: row numbers, as in Batch.index. Shape (N,).
            values: the one-step rewards. Shape (N,).

        Returns:
            How many rows were changed; those overwritten since are skipped.

        Raises:
            ReplayError: a number was never written.
        """
        return self._update(index, values, self._rows.reward)

    def update_weights(self, index: Tensor, values: Tensor) -> int:
        """Set weights in the loss; as update_rewards."""
        return self._update(index, values, self._rows.weight)

    def state(self) -> dict[str, NDArray[np.uint8]]:
        """What the journal cannot give back: the generator. Rows are rebuilt by playing the journal again."""
        return {"generator": self._generator.get_state().numpy().copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError when the generator's state is missing or of another device."""
        try:
            self._generator.set_state(torch.as_tensor(np.array(state["generator"], np.uint8)))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"replay: no generator state for {self.device} in {sorted(state)}") from error

    def _group(self, group: Group) -> Members:
        if group not in self._members:
            held = range(self.oldest, self.written)
            inside = np.isin(self._source, [int(source) for source in group])
            numbers = (number for number in held if inside[number % self.capacity_rows])
            self._members[group] = Members(self.capacity_rows, self.device, numbers)
        return self._members[group]

    def _update(self, index: Tensor, values: Tensor, column: int) -> int:
        if values.shape != index.shape:
            raise ShapeError("replay values", tuple(values.shape), tuple(index.shape))
        if not bool(torch.isfinite(values).all()):
            raise InvalidValueError("replay values", "NaN or infinity", "finite numbers")
        slots, held = self._slots_held(index, stale_allowed=True)
        target = torch.as_tensor(slots).to(self.device)
        kept = values.detach().to(self.device, torch.float32)[torch.as_tensor(held).to(self.device)]
        self._rows.write_column(target, column, kept)
        return len(slots)

    def _slots_held(self, index: Tensor, *, stale_allowed: bool = False) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Slots of the rows that are still held, and which of the numbers those are."""
        numbers = index.cpu().numpy()
        held = numbers >= self.oldest
        if (numbers < 0).any() or (numbers >= self.written).any() or not (stale_allowed or held.all()):
            raise ReplayError(
                f"replay: rows {numbers.min()} to {numbers.max()} asked for, held are {self.oldest} to "
                f"{self.written - 1}"
            )
        return numbers[held] % self.capacity_rows, held
