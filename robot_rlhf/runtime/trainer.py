"""The learner's side of the ring: takes in what happens, fills replay, and updates as the governor allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from robot_rlhf.datatypes import Batch, EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step
from robot_rlhf.errors import CheckpointError
from robot_rlhf.learner.checkpoint import read_checkpoint, write_checkpoint
from robot_rlhf.learner.means import RecentMeans
from robot_rlhf.learner.recipe import WholeLearner
from robot_rlhf.ports import LastingTutor, Learner, Tutor, ValueLearner
from robot_rlhf.ranges import COUNT, SHARE, Range, check_ranges
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import ONLINE, PRIOR, Mix
from robot_rlhf.runtime.governor import Governor

BATCHES_AT_ONCE = 4
"""Batches drawn in one gather; a third cheaper per batch than one by one, from state."""


@dataclass(frozen=True)
class TrainerConfig:
    """How much is learned from each step."""

    batch_size: int = 256
    updates_per_step: float = 4.0
    """Updates per practice step (UTD)."""
    start_after: int = 100
    """Practice steps before the first update."""
    warm_start_updates: int = 1_000
    """Updates that imitate the demonstrations before practice."""
    warm_critic_updates: int = 500
    """Updates of the critics alone, when practice updates begin."""
    prior_share: float = 0.5
    """Share of each batch drawn from demonstrations and corrections; the rest from all practice."""

    def __post_init__(self) -> None:
        check_ranges(self, "trainer", batch_size=Range(1, 1_000_000), updates_per_step=Range(0.0, 1e4))
        check_ranges(self, "trainer", start_after=COUNT, warm_start_updates=COUNT, warm_critic_updates=COUNT)
        check_ranges(self, "trainer", prior_share=SHARE)


class Trainer:
    """A Subscriber that learns. `work` does the updates that are due; nothing else takes long."""

    def __init__(
        self,
        learner: Learner,
        buffer: ReplayBuffer,
        tutors: Sequence[Tutor],
        config: TrainerConfig,
        *,
        on_metrics: Callable[[int, Mapping[str, float]], None] = lambda step, metrics: None,
        log_every: int = 200,
        mix: Mix | None = None,
        heartbeat: Callable[[], None] = lambda: None,
        started: bool = False,
    ) -> None:
        """
        Args:
            buffer: what batches are drawn from; one of the tutors fills it.
            on_metrics: told the step and the means of what the learner reported, every `log_every` updates, and what
                tutors tell.
            mix: where the transitions of a batch come from; None: as `prior_share` says.
            heartbeat: called before every few batches, also in long preparations; a process shows with it that it
                lives, and may tell more from within.
            started: the learner went on from a policy's weights.
        """
        self.learner = learner
        self._started = started
        self.buffer = buffer
        self.config = config
        self.governor = Governor(config.updates_per_step, config.start_after)
        self.steps = 0
        """Practice steps seen."""
        self.updates = 0
        """Governed updates done."""
        self.staleness: deque[int] = deque(maxlen=1000)
        """Updates between the weights that proposed a step and the newest, per step."""
        self.tutors = tuple(tutors)
        """In the order in which they hear, and work."""
        self._practising = False
        self._warm = False
        self._critic_warm = False
        self._on_metrics = on_metrics
        self._heartbeat = heartbeat
        self._log_every = log_every
        self._mix = {PRIOR: config.prior_share, ONLINE: 1.0 - config.prior_share} if mix is None else mix
        self._whole_update: Callable[[], Mapping[str, torch.Tensor]] | None = None
        self._recent = RecentMeans()

    # -- what happens --------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practising = meta.kind is EpisodeKind.PRACTICE
        for tutor in self.tutors:
            tutor.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        for tutor in self.tutors:
            tutor.on_step(step)
        if self._practising:
            self.steps += 1
            if step.policy_version >= 0:
                self.staleness.append(self.updates - step.policy_version)

    def on_event(self, event: Event) -> None:
        for tutor in self.tutors:
            tutor.on_event(event)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        for tutor in self.tutors:
            tutor.on_episode_end(end)

    # -- learning ------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Imitate the demonstrations, once, before practice; nothing when there are none."""
        counts = self.buffer.counts
        if self._warm or not any(counts[source] for source in PRIOR):
            return
        if self.config.warm_start_updates:
            self.learner.warm_start(self._batches(self.config.warm_start_updates, {PRIOR: 1.0}))
        self._warm = True  # only now: an interrupted imitation begins anew when the run is resumed

    def work(self, limit: int) -> int:
        """Do up to `limit` of the updates that are due; returns how many were done."""
        due = min(limit, self.governor.due(self.steps, self.updates))
        if due <= 0:
            return 0
        self.prepare()
        for tutor in self.tutors:
            figures = tutor.work(self._heartbeat)
            if figures is not None:
                self._on_metrics(self.steps, figures)
        if not self._critic_warm:
            if isinstance(self.learner, ValueLearner):
                self.learner.warm_critic(self._batches(self.config.warm_critic_updates, self._mix))
            self._critic_warm = True
        for metrics in self._updates(due):
            self._recent.note(metrics)
            self.updates += 1
            if self.updates % self._log_every == 0:
                self._report()
        return due

    @property
    def learned(self) -> bool:
        """Whether the policy is more than its first random weights: updated, taught by imitation, or begun with."""
        return self._started or self.updates > 0 or (self._warm and self.config.warm_start_updates > 0)

    def status(self) -> str:
        """Why nothing is being learned right now, in words; empty while learning."""
        if len(self.buffer) == 0:
            return "waiting for the first recorded step"
        return self.governor.waiting_for(self.steps, self.updates)

    def _updates(self, count: int) -> Iterable[Mapping[str, torch.Tensor]]:
        if self._whole_update is None and isinstance(self.learner, WholeLearner):
            self._whole_update = self.learner.whole_update(self.buffer, self.config.batch_size, self._mix)
        if self._whole_update is None:
            for batch in self._batches(count, self._mix):
                yield self.learner.update(batch)
            return
        for done in range(count):
            if done % BATCHES_AT_ONCE == 0:
                self._heartbeat()
            yield self._whole_update()

    def _batches(self, count: int, mix: Mix) -> Iterable[Batch]:
        for done in range(0, count, BATCHES_AT_ONCE):
            self._heartbeat()
            yield from self.buffer.sample_many(min(BATCHES_AT_ONCE, count - done), self.config.batch_size, mix)

    def _report(self) -> None:
        means = self._recent.take()
        if self.staleness:
            means["staleness_updates"] = sum(self.staleness) / len(self.staleness)
        means["update_to_step_ratio"] = self.updates / max(1, self.steps)
        means["replay_rows"] = float(len(self.buffer))
        self._on_metrics(self.steps, means)

    # -- keeping -------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write everything that learner and tutors need to go on; replay is rebuilt from the journal."""
        facts = {
            "updates": self.updates,
            "steps": self.steps,
            "warm": self._warm,
            "critic_warm": self._critic_warm,
        }
        tensors = {f"learner.{name}": value for name, value in self.learner.state().items()}
        tensors |= {f"replay.{name}": torch.as_tensor(value) for name, value in self.buffer.state().items()}
        for tutor in self._lasting:
            tensors |= tutor.save(path.parent)
        write_checkpoint(path, tensors, facts)

    def load(self, path: Path) -> None:
        """Take up a saved learner; call it after the journal has been fed in.

        Raises:
            CheckpointError: corrupt, or made by another architecture.
        """
        tensors, facts = read_checkpoint(path)
        try:
            updates, warm, critic_warm = int(str(facts["updates"])), bool(facts["warm"]), bool(facts["critic_warm"])
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{path}: no learner state ({error})") from error
        try:
            self.learner.load_state({k[8:]: v for k, v in tensors.items() if k.startswith("learner.")})
            self.buffer.load_state({k[7:]: v for k, v in tensors.items() if k.startswith("replay.")})
            kept = {k: v for k, v in tensors.items() if not k.startswith(("learner.", "replay."))}
            for tutor in self._lasting:
                tutor.load(kept)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: a learner's state of another version of this program ({error})") from error
        self.updates, self._warm, self._critic_warm = updates, warm, critic_warm
        self.staleness.clear()  # steps played again were proposed by weights of another count

    @property
    def _lasting(self) -> Iterable[LastingTutor]:
        return (tutor for tutor in self.tutors if isinstance(tutor, LastingTutor))
