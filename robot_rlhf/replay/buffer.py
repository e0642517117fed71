"""The replay buffer: a ring on one device in which every observation is kept once and always has its true successor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.context import ContextSpec
from robot_rlhf.datatypes import NO_CONTEXT, Array, Batch, Source
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError, ReplayError, ShapeError
from robot_rlhf.replay.blocks import POLICY, Block, Blocks
from robot_rlhf.replay.drawing import Draw, Drawing
from robot_rlhf.replay.gather import Gather, part
from robot_rlhf.replay.hindsight import Hindsight
from robot_rlhf.replay.ledger import Ledger, Mark
from robot_rlhf.replay.memory import MemoryPlan, check_fits, plan_block, plan_memory
from robot_rlhf.replay.mixing import DEFAULT_MIX, EVERYTHING, Group, Mix, check_acted, check_mix
from robot_rlhf.replay.pictures import PictureConfig, check_place
from robot_rlhf.replay.rows import Rows, Seen, as_vector
from robot_rlhf.replay.static import StaticSampler
from robot_rlhf.replay.windows import Windows, collect

LOGGER = logging.getLogger(__name__)
NO_NUMBERS = np.zeros(0, np.float32)
NOTHING: Mapping[str, Seen] = MappingProxyType({})


class ReplayBuffer:
    """Transitions of whole episodes, in a ring of `capacity_rows` observations.

    An episode of T steps takes T + 1 consecutive rows, the last without a transition. So the observation after row i
    is row i + 1, of the same episode, at the edges of interventions, at an episode's end and where the ring wraps.
    Rows are numbered from 0 for the life of the buffer; row i lies in slot i % capacity. Batch.index holds these
    numbers, hence an index whose row was overwritten since is known to be stale. The ring overwrites the oldest row
    first: no row outlives its successor, and of an episode longer than the ring the newest rows are kept.

    One thread may write while another draws. Each method holds `lock` while it works, on the CPU until the batch is
    copied, on a GPU until its kernels are launched (both threads then use the same stream, as they do unless told
    otherwise). So a row can be drawn from the moment add() returns, a batch never holds part of a row or of another
    episode, and it never changes afterwards. What several calls see together holds only under `with buffer.lock:`.

    Who looks at other things than the policy, a reward model for example, gets a block of columns of the same rows
    (add_block), shown with the rows or later (fill), and gathers with block=NAME.
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
        pictures: PictureConfig = PictureConfig(),  # noqa: B008  it is frozen
        hindsight: Hindsight | None = None,
        context: ContextSpec = ContextSpec(),  # noqa: B008  it is frozen
        past: int = 0,
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
            pictures: how sampled pictures look, and where the ring keeps them.
            hindsight: gives sampled transitions goals that their episode reached; None leaves them as they were.
            context: vectors of what is wanted that rows keep; the n steps of a transition count whatever was wanted.
            past: states before its own that each observation gets, as 'past' (B, past, D).

        Raises:
            ConfigError: a setting is outside its range, or hindsight with n_step above 1, or with past states.
            ReplayError: the device or the host has not enough free memory.
        """
        cameras = dict(cameras or {})
        if capacity_rows < 2 or n_step < 1 or pre_intervention < 0 or not 0.0 <= discount <= 1.0:
            raise ConfigError(
                f"replay: capacity_rows {capacity_rows} (>= 2), n_step {n_step} (>= 1), "
                f"pre_intervention {pre_intervention} (>= 0), discount {discount} (0 to 1)"
            )
        if hindsight is not None and n_step != 1:
            raise ConfigError(f"replay: n_step {n_step} with hindsight, allowed: 1")
        if past < 0 or (hindsight is not None and past):
            raise ConfigError(f"replay: {past} past states, allowed: 0 or more, with hindsight 0")
        self.capacity_rows = capacity_rows
        self.discount = discount
        self.n_step = n_step
        self.pre_intervention = pre_intervention
        check_place(pictures, torch.device(device))
        plan = plan_memory(
            capacity_rows, state_size, action_size, cameras, pictures, device, context_size=context.size, past=past
        )
        check_fits(plan, "take fewer capacity_rows, or fewer or smaller cameras")
        LOGGER.info("%s", plan)
        self.memory: dict[str, MemoryPlan] = {POLICY: plan}
        """What each block takes; the policy's with the transitions and all bookkeeping."""
        self._rows = Rows(capacity_rows, state_size, action_size, cameras, pictures, device, context.size, past)
        self.context = context
        self.device = self._rows.device
        self.pictures = pictures
        self.lock = threading.RLock()
        self.recording = False
        """An episode is open."""
        self._demonstration = False
        self._episode = -1
        self._step = 0
        more = {"context_version": np.int64} if context.size else None
        self._ledger = Ledger(capacity_rows, self.device, more)
        self._checked: list[Mix] = []
        self._gather = Gather(self._rows, discount, n_step)
        self._gather_one_step = Gather(self._rows, discount, 1)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._drawing = Drawing(self._ledger, self._rows, self._generator)
        self._hindsight = hindsight
        self._blocks = Blocks(self._ledger)

    def add_block(self, name: str, *, state_size: int, cameras: Mapping[str, tuple[int, int]] | None = None) -> None:
        """Keep beside what the policy sees what somebody else sees of the same rows; pictures come as they were seen.

        Args:
            state_size: length of its state vector.
            cameras: name to (height, width) of its pictures.

        Raises:
            ReplayError: there are rows already, or such a block; or not enough memory is free.
        """
        cameras = dict(cameras or {})
        plan = plan_block(self.capacity_rows, state_size, cameras, self.pictures, str(self.device))
        check_fits(plan, "take fewer capacity_rows")
        LOGGER.info("block %s: %s", name, plan)
        self._blocks.add(name, Block(self.capacity_rows, state_size, cameras, self.pictures, self.device))
        self.memory[name] = plan

    def fill(self, block: str, index: Tensor, seen: Mapping[str, NDArray[Any]]) -> int:
        """Show rows to a block that they were not shown to when they were written.

        Args:
            index: row numbers, of last observations too. Shape (N,).
            seen: what they are to it: 'state' (N, D), and pictures (N, H, W, 3) uint8 by camera name.

        Returns:
            How many rows were still held; those overwritten since are passed over.

        Raises:
            ReplayError: a number was never written, or the block is the policy's.
            UnknownNameError: no such block.
        """
        with self.lock:
            return self._blocks.fill(block, index.cpu().numpy(), seen)

    def filled_to(self, block: str) -> int:
        """Number of the row after the newest that a block was shown; raises UnknownNameError when there is none."""
        with self.lock:
            return self._blocks.filled_to(block)

    @staticmethod
    def plan(
        capacity_rows: int,
        *,
        state_size: int,
        action_size: int,
        cameras: Mapping[str, tuple[int, int]] | None = None,
        pictures: PictureConfig = PictureConfig(),  # noqa: B008  it is frozen
        device: str = "cpu",
        batch_size: int = 256,
    ) -> MemoryPlan:
        """What such a buffer takes, without the batches of `batch_size` transitions themselves; allocates nothing."""
        return plan_memory(capacity_rows, state_size, action_size, cameras or {}, pictures, device, batch_size)

    @staticmethod
    def bytes_needed(
        capacity_rows: int, *, state_size: int, action_size: int, cameras: Mapping[str, tuple[int, int]] | None = None
    ) -> int:
        """Bytes a buffer on the CPU takes, bookkeeping and the two groups of the default mix included."""
        plan = ReplayBuffer.plan(capacity_rows, state_size=state_size, action_size=action_size, cameras=cameras)
        return plan.total.host

    def __len__(self) -> int:
        """Transitions that can be sampled, with their actions."""
        return int(self._ledger.counts.sum() - self._ledger.counts[Source.WATCHED])

    @property
    def written(self) -> int:
        """Rows ever written: the number of the next row."""
        return self._ledger.written

    @property
    def oldest(self) -> int:
        """Number of the oldest row that is still held."""
        return self._ledger.oldest

    @property
    def counts(self) -> dict[Source, int]:
        """Transitions that can be sampled, per source."""
        return {source: int(self._ledger.counts[source]) for source in Source}

    def begin(self, observation: Seen, *, demonstration: bool = False, beside: Mapping[str, Seen] = NOTHING) -> None:
        """Start an episode at its first observation; one still open is closed.

        Args:
            observation: 'state' (D,) and pictures (H, W, 3) uint8 by camera name.
            demonstration: its steps count as DEMO, whoever drives; OTHER ones, which nobody chose, stay OTHER.
            beside: what other blocks see, by name; those left out are shown the row later, or never.
        """
        state = self._rows.check_observation(observation)
        states = self._blocks.check(beside) if beside else {}
        with self.lock:
            self.end()
            self.recording = True
            self._demonstration = demonstration
            self._episode += 1
            self._step = 0
            self._write(state, observation, states, beside)

    def add(
        self,
        action: NDArray[Any] | Tensor | None,
        reward: float,
        terminated: bool,
        truncated: bool,
        source: Source,
        next_observation: Seen,
        *,
        beside: Mapping[str, Seen] = NOTHING,
        context: Mapping[str, Array] = NO_CONTEXT,
        authority: Array | None = None,
        policy_version: int = -1,
        weight: float = 1.0,
        reward_version: int = 0,
    ) -> int:
        """Append the transition from the newest observation to the next; it can be sampled at once.

        A terminated or truncated step closes the episode.

        Args:
            action: None where nobody knows it; the step is then WATCHED, whatever its source.
            beside: as begin().
            context: what was wanted, by name, with the vectors of the buffer's context.
            authority: a person's share of each entry, in [0, 1]; None: all or nothing, by source. Shape (m,).

        Returns:
            The row's number.

        Raises:
            ReplayError: no episode is open.
            InvalidValueError: a context that lacks a vector, or has one of another length; numbers out of range.
        """
        if not self.recording:
            raise ReplayError("replay: add() outside an episode; begin() comes first")
        state = self._rows.check_observation(next_observation)
        states = self._blocks.check(beside) if beside else {}
        size = self._rows.action_size
        values = np.zeros(size, np.float32) if action is None else as_vector("action", action, size)
        if action is None:
            source = Source.WATCHED
        wanted = self.context.joined(context) if self.context.sizes else NO_NUMBERS
        if authority is not None:
            authority = as_vector("authority", authority, size)
            if action is None or authority.min(initial=0.0) < 0.0 or authority.max(initial=0.0) > 1.0:
                raise InvalidValueError("replay authority", authority.tolist(), "shares in [0, 1] of an action")
        if not (np.isfinite(reward) and np.isfinite(weight)):
            raise InvalidValueError("replay reward, weight", (reward, weight), "finite numbers")
        with self.lock:
            if self._demonstration and source not in (Source.OTHER, Source.WATCHED):
                source = Source.DEMO
            if source is Source.HUMAN and self.pre_intervention:
                self._rename_newest(Source.PRE_INTERVENTION, self.pre_intervention)
            number = self.written - 1
            slot = number % self.capacity_rows
            self._rows.write_transition(slot, values, reward, terminated, weight, source, wanted, authority)
            columns = self._ledger.columns
            columns["policy_version"][slot] = policy_version
            columns["reward_version"][slot] = reward_version
            columns["recorded_reward"][slot] = reward
            columns["terminated"][slot] = terminated
            columns["truncated"][slot] = truncated
            self._step += 1
            self._write(state, next_observation, states, beside)
            self._ledger.enlist(number, source)
            self.recording = not (terminated or truncated)
        return number

    def _write(self, state: Array, observation: Seen, states: Mapping[str, Array], beside: Mapping[str, Seen]) -> None:
        """Append the row of an observation that no transition leaves yet."""
        slot = self._ledger.append(self._episode, self._step)
        self._rows.write_observation(slot, state, observation, self._episode, self._step)
        self._blocks.begin_row(self.written - 1, states, beside)

    def end(self) -> None:
        """Close the episode; if it was broken off, its last step counts as truncated. Idempotent."""
        with self.lock:
            if self.recording and self._step:
                self._ledger.columns["truncated"][(self.written - 2) % self.capacity_rows] = True
            self.recording = False

    def discard(self, first: int, end: int | None = None) -> None:
        """Never sample again what was written from row number `first` on.

        Args:
            end: number of the first row that stays; None for all to the newest, then the episode is closed, too.
        """
        with self.lock:
            if end is None:
                self.end()
                end = self.written
            self._ledger.drop(first, end)

    def prove(self, since: int = 0) -> None:
        """The newest episode succeeded: the policy's steps since anybody else's in it become PROVEN.

        Args:
            since: number of the first row that may.
        """
        with self.lock:
            self._rename_newest(Source.PROVEN, max(0, self.written - 1 - since))

    def _rename_newest(self, source: Source, most: int | None = None) -> None:
        """Give another source to the policy's last steps; they are the newest of every group."""
        first, end = self._ledger.rename_newest(source, most)
        if first < end:
            self._show_sources(np.arange(first, end))

    def mark(self, index: Tensor, mark: Mark) -> int:
        """Say that rows were good, wrong or not meant: they are drawn as another source, see MARKED.

        What happens to them later, as when they are proven, happens beneath the mark; NONE takes it back, as if it had
        never been said.

        Args:
            index: row numbers; those that cannot be drawn are passed over. Shape (N,).

        Returns:
            How many rows are drawn as another source now.
        """
        with self.lock:
            changed = self._ledger.mark(index.cpu().numpy(), mark)
            self._show_sources(changed)
        return len(changed)

    def _show_sources(self, numbers: NDArray[np.int64]) -> None:
        """Tell the device as what rows are drawn."""
        if len(numbers):
            slots = torch.as_tensor(numbers % self.capacity_rows).to(self.device)
            sources = torch.as_tensor(self._ledger.sources(numbers).astype(np.float32)).to(self.device)
            self._rows.write_column(slots, self._rows.source, sources)

    def indices(self, group: Group = EVERYTHING, block: str = POLICY) -> Tensor:
        """Numbers of all rows that can be sampled from a group, oldest first, int64, on the device.

        Args:
            block: only transitions whose two observations it was shown.
        """
        with self.lock:
            numbers = self._ledger.group(group).numbers()
            if block == POLICY:
                return numbers
            shown = torch.as_tensor(self._blocks.shown(block, numbers.cpu().numpy()))
            return numbers[shown.to(self.device)]

    def sample(self, batch_size: int, mix: Mix = DEFAULT_MIX, *, draw: Draw = "uniform") -> Batch:
        """Draw transitions within each group, with replacement; groups follow each other in the batch.

        Args:
            draw: 'weight' draws in proportion to the rows' weights, which takes time in proportion to their number;
                the weights in the batch are then 1.

        Raises:
            ReplayError: all groups of the mix are empty; or drawing by weight, all weights of a group are 0.
        """
        return self.sample_many(1, batch_size, mix, draw=draw)[0]

    def sample_many(self, k: int, batch_size: int, mix: Mix = DEFAULT_MIX, *, draw: Draw = "uniform") -> list[Batch]:
        """Draw k batches in one gather, for several updates per step; each has the fractions of the mix.

        Raises:
            ReplayError: as sample().
        """
        self._check(mix)
        with self.lock:
            index = self._drawing.mixed(k, batch_size, mix, draw)
            everything = self._gather(index.view(-1), self._generator)  # (k * B,)
            if self._hindsight is not None:
                everything = self._hindsight(everything, self._rows, self._ledger, self.discount, self._generator)
        if draw == "weight":
            everything.weight.fill_(1.0)
        return [everything] if k == 1 else [part(everything, j * batch_size, batch_size) for j in range(k)]

    def sample_labelled(
        self, batch_size: int, fractions: Mapping[int, float] | None = None, group: Group = EVERYTHING
    ) -> tuple[Batch, Tensor]:
        """Draw transitions by their label, for example as many of successes as of failures; labels follow each other.

        Args:
            fractions: label to fraction of the batch, summing to 1; None for equal ones of all labels held. That of
                a label that no row has goes to the others.

        Returns:
            The batch, and the label of each transition, int64 (B,), on the device.

        Raises:
            ReplayError: no row of the group has such a label.
            ConfigError: the group has WATCHED steps.
        """
        check_acted(group)
        with self.lock:
            index, labels = self._drawing.labelled(batch_size, fractions, group)
            return self._gather(index, self._generator), labels

    def static_sampler(self, batch_size: int, mix: Mix = DEFAULT_MIX) -> StaticSampler:
        """Sampling whose draw() a CUDA graph can hold. Raises ConfigError where pictures lie in pinned memory, and with
        hindsight, whose judge is on the host."""
        self._check(mix)
        if self._hindsight is not None:
            raise ConfigError("replay: a static sampler gives no goals in hindsight; draw batches one by one")
        if self.pictures.where == "pinned":
            raise ConfigError("replay: a static sampler needs pictures on the device, these are in pinned memory")
        with self.lock:
            groups = {group: self._ledger.group(group) for group in mix}
        return StaticSampler(groups, mix, batch_size, self._gather, self._generator, self.lock)

    def _check(self, mix: Mix) -> None:
        if not any(mix is known for known in self._checked):
            check_mix(mix)
            self._checked = [*self._checked[-7:], mix]

    def gather(self, index: Tensor, *, one_step: bool = False, block: str = POLICY, actions: bool = True) -> Batch:
        """The transitions with these row numbers, for example to score them anew; pictures are uint8, as seen.

        Args:
            index: row numbers, as in Batch.index. Shape (N,).
            one_step: rewards and next observations of one step, whatever n_step is.
            block: whose eyes see the observations; other than the policy's see one step.
            actions: False for what does not look at them: rows may then be WATCHED, whose actions are 0.

        Raises:
            ReplayError: a row was overwritten, discarded, has no transition, no action, or was not shown to the block.
            UnknownNameError: no such block.
        """
        with self.lock:
            other = self._blocks.of(block)
            self._check_held(index)
            if actions:
                watched = self._ledger.of_source(index.cpu().numpy(), Source.WATCHED)
                if watched.any():
                    raise ReplayError(
                        f"replay: nobody knows the actions of rows {index.cpu().numpy()[watched][:5].tolist()}; "
                        "allowed: gather(actions=False) and windows()"
                    )
            if other is None:
                return (self._gather_one_step if one_step else self._gather)(index.to(self.device))
            shown = self._blocks.shown(block, index.cpu().numpy())
            if not shown.all():
                missing = index.cpu().numpy()[~shown][:5].tolist()
                raise ReplayError(f"replay: rows {missing} were not shown to block {block!r}; see fill()")
            return self._gather_one_step(index.to(self.device), block=other)

    def seen(self, index: Tensor, generator: torch.Generator | None = None) -> Mapping[str, Tensor]:
        """What the policy sees in rows, as in Batch.observation.

        Args:
            index: row numbers, as in Batch.index. Shape (N,).
            generator: draws the shifts of pictures as configured, on the buffer's device; None shows them as seen.

        Raises:
            ReplayError: a row was overwritten, discarded, or has no transition.
        """
        with self.lock:
            self._check_held(index)
            return self._gather_one_step(index.to(self.device), generator).observation

    def windows(self, index: Tensor, length: int, *, block: str = POLICY) -> Windows:
        """The steps that follow these rows, up to `length` of them, and none of another episode or discarded.

        Args:
            index: numbers of the first steps' rows; with or without a known action. Shape (N,).
            length: L, steps per window at most.
            block: whose eyes see the observations; a window ends where it was shown none.

        Raises:
            ReplayError: a row was overwritten, discarded, or has no transition.
            ConfigError: a length below 1.
            UnknownNameError: no such block.
        """
        with self.lock:
            self._check_held(index)
            return collect(self._rows, self._ledger, self._blocks.of(block), index.cpu(), length)

    def can_be_drawn(self, index: Tensor) -> NDArray[np.bool_]:
        """Which of these row numbers are transitions that are held now. Shape (N,)."""
        with self.lock:
            return self._ledger.can_be_drawn(index.cpu().numpy())

    def _check_held(self, index: Tensor) -> None:
        held = self.can_be_drawn(index)
        if not held.all():
            raise ReplayError(
                f"replay: rows {index.cpu().numpy()[~held][:5].tolist()} hold no transition (any more); "
                f"held are transitions among rows {self.oldest} to {self.written - 1}"
            )

    def columns(self, index: Tensor) -> dict[str, NDArray[Any]]:
        """Of rows that are held, on the host: episode counter, step, versions, label, recorded reward, ends."""
        with self.lock:
            slots = self._ledger.slots_held(index.cpu().numpy())[0]
            return {name: column[slots] for name, column in self._ledger.columns.items()}

    def outdated(self, version: int, group: Group = EVERYTHING, block: str = POLICY) -> NDArray[np.int64]:
        """Numbers of the rows of a group whose reward is of another version, oldest first, on the host.

        Args:
            block: only transitions whose two observations it was shown.
        """
        with self.lock:
            numbers = self._ledger.numbers(group)
            numbers = numbers[self._ledger.columns["reward_version"][numbers % self.capacity_rows] != version]
            return numbers[self._blocks.shown(block, numbers)]

    def update_rewards(self, index: Tensor, values: Tensor, *, version: int | None = None) -> int:
        """Relabel rewards in place, of the rows that are still held.

        Args:
            index: row numbers, as in Batch.index. Shape (N,).
            values: the one-step rewards. Shape (N,).
            version: of these rewards; None leaves the rows' versions as they are.

        Returns:
            How many rows were changed; those overwritten since are skipped.

        Raises:
            ReplayError: a number was never written.
        """
        with self.lock:
            slots = self._update(index, values, self._rows.reward)
            if version is not None:
                self._ledger.columns["reward_version"][slots] = version
        return len(slots)

    def relabel_context(self, index: Tensor, values: Mapping[str, Tensor], *, version: int | None = None) -> int:
        """Say that something else was wanted in rows; as update_rewards, of whose versions these are independent.

        Args:
            index: row numbers. Shape (N,).
            values: some or all of the context's vectors by name. Shapes (N, d).
            version: of these; None leaves the rows' versions ('context_version' of columns()) as they are.

        Raises:
            InvalidValueError: a vector that the buffer's context does not have, of another length, or not finite.
        """
        spans = self.context.spans
        for name, value in values.items():
            if name not in spans or tuple(value.shape) != (len(index), self.context.sizes[name]):
                allowed = ", ".join(f"{n!r} {(len(index), d)}" for n, d in self.context.sizes.items()) or "none"
                raise InvalidValueError("replay context", f"{name!r} {tuple(value.shape)}", allowed)
            if not bool(torch.isfinite(value).all()):  # before anything is written
                raise InvalidValueError("replay context", f"{name!r} with NaN or infinity", "finite numbers")
        with self.lock:
            slots = np.zeros(0, np.int64)
            for name, value in values.items():
                first = self._rows.context.start + spans[name].start
                for k in range(value.shape[1]):
                    slots = self._update(index, value[:, k], first + k)
            if version is not None and values:
                self._ledger.columns["context_version"][slots] = version
        return len(slots)

    def update_weights(self, index: Tensor, values: Tensor) -> int:
        """Set weights, in the loss or of drawing; as update_rewards."""
        with self.lock:
            return len(self._update(index, values, self._rows.weight))

    def update_labels(self, index: Tensor, values: Tensor) -> int:
        """Set labels, for example 1 for rows that end in success and 0 for others; as update_rewards.

        Args:
            values: integers from 0 to 127, or -1 to take a label away. Shape (N,).
        """
        with self.lock:
            return self._ledger.label(index.cpu().numpy(), values.cpu().numpy())

    def state(self) -> dict[str, NDArray[np.uint8]]:
        """What the journal cannot give back: the generator. Rows are rebuilt by playing the journal again."""
        return {"generator": self._generator.get_state().numpy().copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError when the generator's state is missing or of another device."""
        try:
            self._generator.set_state(torch.as_tensor(np.array(state["generator"], np.uint8)))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"replay: no generator state for {self.device} in {sorted(state)}") from error

    def _update(self, index: Tensor, values: Tensor, column: int) -> NDArray[np.int64]:
        """Write a column where rows are still held. Returns their slots."""
        if values.shape != index.shape:
            raise ShapeError("replay values", tuple(values.shape), tuple(index.shape))
        if not bool(torch.isfinite(values).all()):
            raise InvalidValueError("replay values", "NaN or infinity", "finite numbers")
        slots, held = self._ledger.slots_held(index.cpu().numpy(), stale_allowed=True)
        target = torch.as_tensor(slots).to(self.device)
        kept = values.detach().to(self.device, torch.float32)[torch.as_tensor(held).to(self.device)]
        self._rows.write_column(target, column, kept)
        return slots
