"""Learning from recorded sessions alone: which steps count, what they are worth, and the updates."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.datatypes import (
    Batch,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Outcome,
    Source,
    Step,
)
from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.journal.labels import Labels
from robot_rlhf.learner.means import RecentMeans
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.ports import Learner, Subscriber
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.replay.mixing import EVERYTHING, WATCHED
from robot_rlhf.replay.relabel import Relabelling
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.named_recording import NamedRecording
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.trainer import BATCHES_AT_ONCE

log = logging.getLogger(__name__)

FINAL = frozenset({Outcome.SUCCESS, Outcome.FAILURE})
"""Outcomes after which no future is counted."""


class JudgedFeed:
    """A Subscriber that fills replay with recorded episodes as they are judged today.

    Counted are all steps of practice, whoever drove and however it ended, and of demonstrations that succeeded; left
    out are evaluations, discarded and deleted episodes, and demonstrations that did not succeed. Where the outcome was
    labelled anew after the recording, the last step gets the reward and the end that go with it.
    """

    def __init__(
        self,
        feed: ReplayFeed | GateFeed | EpisodeScores,
        labels: Labels,
        reward: SparseReward,
        takes: Literal["sparse", "gold"] = "sparse",
        after: Sequence[Subscriber] = (),
        *,
        name: str = "",
    ) -> None:
        """
        Args:
            labels: of the journal that is played.
            reward: makes the last reward of an episode whose outcome is another today.
            takes: the recorded reward, or the simulator's true one in its place.
            after: who is told the same, each step and what follows it once it was written.
            name: of the recording, where others fill the same replay: what is said of an episode, as that it is
                deleted, is about none of the same name elsewhere.
        """
        self.successes: list[int] = []
        """Replay rows in which an episode ended by its success, with no future."""
        self.episodes: Counter[str] = Counter()
        """Episodes counted, by kind and outcome, as 'practice success'."""
        self.instruction = ""
        """What the robot was asked for last."""
        self._buffer = feed.buffer
        self._feed = NamedRecording(name, feed)
        self._labels = labels
        self._reward = reward
        self._takes = takes
        self._kind = EpisodeKind.PRACTICE
        self._pending: Step | None = None
        self._after = NamedRecording(name, FanOut(after))
        self._events: list[Event] = []
        """Of which those who are told afterwards do not know yet."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._kind, self._pending = meta.kind, None
        self._feed.on_episode_start(meta, observation)
        self._after.on_episode_start(meta, observation)

    def on_step(self, step: Step) -> None:
        """Kept back until it is known whether it was the last."""
        self._pass_on()
        self._pending = step
        self.instruction = step.instruction

    def on_event(self, event: Event) -> None:
        if not _is_meaning(event):
            self._feed.on_event(event)
        self._events.append(event)
        if self._pending is None:
            self._tell_events()

    def on_episode_end(self, end: EpisodeEnd) -> None:
        outcome = end.outcome
        if outcome not in (Outcome.PAUSED, Outcome.DISCARDED):
            outcome = self._labels.of(end.id).outcome_of(outcome) or outcome
        if self._pending is not None and outcome is not end.outcome:
            self._pending = self._judged(self._pending, outcome)
        ended_well = self._pending is not None and self._pending.terminated and outcome is Outcome.SUCCESS
        row = self._pass_on()
        if ended_well and row is not None:
            self.successes.append(row)
        self._feed.on_episode_end(replace(end, outcome=outcome))
        self._after.on_episode_end(replace(end, outcome=outcome))
        failed_demonstration = self._kind is EpisodeKind.DEMONSTRATION and outcome is not Outcome.SUCCESS
        left_out = self._kind is EpisodeKind.EVALUATION or failed_demonstration
        if outcome not in (Outcome.PAUSED, Outcome.DISCARDED) and not left_out:
            self.episodes[f"{self._kind.value} {outcome.value}"] += 1

    def _judged(self, step: Step, outcome: Outcome) -> Step:
        final = outcome in FINAL
        value = self._reward.value(outcome, step.observation, step.next_observation)
        return replace(step, reward=value, terminated=final, truncated=not final)

    def _pass_on(self) -> int | None:
        """Write the step kept back; returns its row, None where there is none or it was passed over."""
        step, self._pending = self._pending, None
        if step is None:
            return None
        written = self._buffer.written
        self._feed.on_step(replace(step, reward=step.gold_reward) if self._takes == "gold" else step)
        self._after.on_step(step)
        self._tell_events()
        return self._buffer.written - 2 if self._buffer.written > written else None

    def _tell_events(self) -> None:
        events, self._events = self._events, []
        for event in events:
            if _is_meaning(event):  # it is about the step that was kept back, too
                self._feed.on_event(event)
            self._after.on_event(event)


def _is_meaning(event: Event) -> bool:
    return isinstance(event, Feedback) and event.kind is FeedbackKind.MEANING


def check_learnable(buffer: ReplayBuffer, learner: LearnerConfig, reward: str, paths: Sequence[Path]) -> None:
    """Check that what was brought into replay is something to learn from; warns of steps that are not.

    Args:
        reward: as `offline --reward` names it.
        paths: of the recordings, for messages.

    Raises:
        ConfigError: no step, or none with an action for a learner that needs them.
    """
    where, watched = ", ".join(map(str, paths)), buffer.counts[Source.WATCHED]
    if not len(buffer) and not watched:
        raise ConfigError(f"offline: {where} hold no step to learn from")
    if learner.actions == "unused":
        if watched and reward != "sparse":
            raise ConfigError(
                f"--reward {reward}: {where} hold {watched} steps without known actions, which it does not score; "
                "allowed: sparse"
            )
    elif not len(buffer):
        raise ConfigError(
            f"offline: {where}: what the robot was told is not known in any of {watched} steps, and --learner "
            f"{learner.kind} learns from actions; allowed: recordings with actions, a learner of your own whose "
            "actions are 'unused', or robot-rlhf reward train without --action"
        )
    elif watched:
        log.warning("%d of %d steps have no known action: nothing is learned from them", watched, watched + len(buffer))


def unit_rewards(reward: NDArray[np.floating], success: NDArray[np.bool_], discount: float) -> NDArray[np.float32]:
    """Scale dense rewards so that values are discounted means in [0, 1], and a success holds its last reward for ever.

    u = (r - min) / (max - min), times (1 - discount) except where an episode ended by its success: there the sum of
    all that would follow is u itself. Without that a policy that hovers beside the goal is worth more than one that is
    done; and IQL's inverse temperature means the same for every reward. A failure that ends an episode is followed by
    the least reward, 0.

    Args:
        reward: Shape (N,).
        success: True where an episode ended by its success. Shape (N,).
        discount: gamma, in [0, 1).

    Raises:
        ConfigError: all rewards are the same: there is nothing to learn from them.
    """
    if success.shape != reward.shape:
        raise ShapeError("success", success.shape, reward.shape)
    if not 0.0 <= discount < 1.0:
        raise ConfigError(f"discount: got {discount}, allowed: from 0, below 1, to hold a success for ever")
    low, high = (float(reward.min()), float(reward.max())) if len(reward) else (0.0, 0.0)
    if not high > low:
        raise ConfigError(f"the reward is {low:g} in all {len(reward)} steps: there is nothing to learn from it")
    unit = (reward.astype(np.float64) - low) / (high - low)
    return np.where(success, unit, (1.0 - discount) * unit).astype(np.float32)


def relabelled(
    buffer: ReplayBuffer,
    score: Callable[[Batch], torch.Tensor],
    version: int,
    *,
    chunk: int = 4096,
    block: str = POLICY,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give all rows a new reward, as a block's eyes see them; returns their numbers, oldest first, and the rewards.

    Shapes (N,).
    """
    index: list[torch.Tensor] = []
    found: list[torch.Tensor] = []

    def noting(batch: Batch) -> torch.Tensor:
        values = score(batch)
        index.append(batch.index.cpu())
        found.append(values.cpu())
        return values

    relabelling = Relabelling(buffer, noting, version, chunk=chunk, block=block)
    while relabelling.advance():
        pass
    if not index:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    return torch.cat(index).numpy(), torch.cat(found).to(torch.float32).numpy()


def learn_offline(
    learner: Learner,
    buffer: ReplayBuffer,
    updates: int,
    batch_size: int,
    *,
    all_as_shown: bool = False,
    actions: bool = True,
    between: Callable[[], Mapping[str, float] | None] | None = None,
    on_metrics: Callable[[int, Mapping[str, float]], None] = lambda step, metrics: None,
    log_every: int = 500,
) -> Iterator[int]:
    """Update again and again from all rows alike; gives the number of updates done, so that the caller may end it.

    Args:
        all_as_shown: every step counts as a person's, so that cloning imitates all of it.
        actions: False for a learner that looks at none: steps whose actions are not known are drawn, too.
        between: does what else teaches, before every few updates; its figures are told, too.
        on_metrics: told the updates done and the means of what the learner reported.
    """
    recent = RecentMeans()
    done = 0
    draw = _seen_steps(buffer, batch_size) if not actions else None
    while done < updates:
        count = min(BATCHES_AT_ONCE, updates - done)
        figures = None if between is None else between()
        if figures is not None:
            on_metrics(done, figures)
        for batch in (
            itertools.islice(draw, count) if draw else buffer.sample_many(count, batch_size, {EVERYTHING: 1.0})
        ):
            if all_as_shown:
                shown = torch.full_like(batch.source, int(Source.DEMO))
                blamed = batch.source == Source.BLAMED
                batch = replace(batch, source=torch.where(blamed, batch.source, shown), authority=None)
            recent.note(learner.update(batch))
            done += 1
            if done % log_every == 0 or done == updates:
                on_metrics(done, recent.take())
            yield done


def _seen_steps(buffer: ReplayBuffer, batch_size: int) -> Iterator[Batch]:
    """Batches of all rows alike, with and without a known action, drawn with replacement; without end."""
    rows = buffer.indices(EVERYTHING | WATCHED)
    generator = torch.Generator().manual_seed(buffer.written)
    while True:
        drawn = torch.randint(len(rows), (batch_size,), generator=generator)
        yield buffer.gather(rows[drawn.to(rows.device)], actions=False)
