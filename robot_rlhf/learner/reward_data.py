"""What rewards are learned from, as rows: moments of trajectories, their splits, and pairs of segments."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Feedback, Segment, whole_episode
from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.rewards.model import PICTURE_CHUNK, VECTOR_CHUNK, LearnedReward
from robot_rlhf.rewards.network import Heads, RewardInputs
from robot_rlhf.rewards.trajectory import Trajectory

Rows = NDArray[np.int64]


class Moments:
    """The observations of trajectories, one after another; a row is one of them, with the action that led there.

    Pictures stay where the trajectories hold them, until a row is taken.
    """

    def __init__(self, trajectories: Sequence[Trajectory], inputs: RewardInputs) -> None:
        """Raises ConfigError where two trajectories have one id, ShapeError where one lacks what the inputs ask for."""
        self.trajectories = list(trajectories)
        self.inputs = inputs
        for trajectory in self.trajectories:
            _check(trajectory, inputs)
        lengths = np.array([len(t) + 1 for t in self.trajectories], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._owner = np.repeat(np.arange(len(lengths)), lengths)
        self._number = {t.id: i for i, t in enumerate(self.trajectories)}
        if len(self._number) < len(self.trajectories):
            raise ConfigError("reward training: two trajectories have the same id; name each run's differently")
        self._vectors = {
            name: torch.from_numpy(np.concatenate([t.observations[name] for t in self.trajectories]))
            for name in inputs.names
            if name not in inputs.cameras and self.trajectories
        }
        if inputs.action is not None and self.trajectories:
            came = [np.concatenate([np.zeros_like(t.actions[:1]), t.actions]) for t in self.trajectories]
            self._actions = torch.from_numpy(np.concatenate(came))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def rows(self, trajectory: Trajectory) -> Rows:
        """Of the T + 1 observations of one trajectory."""
        number = self._number[trajectory.id]
        return np.arange(self._starts[number], self._starts[number + 1])

    def segment(self, segment: Segment) -> Rows | None:
        """Where each of the segment's steps led; None where its episode is not here, or has not these steps."""
        number = self._number.get(segment.episode_id)
        if number is None or segment.start + segment.length > len(self.trajectories[number]):
            return None
        first = self._starts[number] + segment.start + 1
        return np.arange(first, first + segment.length)

    def instructions(self, rows: Rows) -> list[str]:
        """What the robot was asked for at each row."""
        return [self.trajectories[i].instruction for i in self._owner[rows].tolist()]

    def take(self, rows: Rows) -> tuple[dict[str, Tensor], Tensor | None, list[str]]:
        """Observation, action (where the inputs ask for it), and instruction of each row, on the CPU."""
        index = torch.from_numpy(rows)
        observation = {name: column[index] for name, column in self._vectors.items()}
        owners = self._owner[rows]
        steps = rows - self._starts[owners]
        places = list(zip(owners.tolist(), steps.tolist(), strict=True))
        for name in self.inputs.cameras:
            pictures = [self.trajectories[i].observations[name][t] for i, t in places]
            observation[name] = torch.from_numpy(np.stack(pictures))
        action = None if self.inputs.action is None else self._actions[index]
        return observation, action, self.instructions(rows)

    def chunks(self, rows: Rows) -> Iterator[Rows]:
        """The rows in portions that a device takes at once."""
        size = PICTURE_CHUNK if self.inputs.cameras else VECTOR_CHUNK
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    @torch.no_grad()
    def ask(
        self,
        model: LearnedReward,
        rows: Rows,
        read: Callable[[Heads], Tensor],
        instructions: Mapping[str, str] | None = None,
    ) -> NDArray[np.float32]:
        """What the members say of rows, in bounded memory.

        Args:
            read: takes what is wanted from the heads, (E, B).
            instructions: other sentences in the place of theirs.

        Returns:
            Shape (E, len(rows)).
        """
        found: list[NDArray[np.float32]] = []
        for part in self.chunks(rows):
            observation, action, texts = self.take(part)
            if instructions is not None:
                texts = [instructions[text] for text in texts]
            found.append(read(model.forward(*to_device(observation, action, model.device), texts)).cpu().numpy())
        return np.concatenate(found, axis=1) if found else np.zeros((model.config.members, 0), np.float32)


def to_device(
    observation: Mapping[str, Tensor], action: Tensor | None, device: torch.device
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Both of them there."""
    return {k: v.to(device) for k, v in observation.items()}, None if action is None else action.to(device)


def _check(trajectory: Trajectory, inputs: RewardInputs) -> None:
    sizes: dict[str, tuple[int, ...]] = {name: (*size, 3) for name, size in inputs.cameras.items()}
    for name, size in (("state", inputs.state), ("embedding", inputs.embedding)):
        if size:
            sizes[name] = (size,)
    for name, size in sizes.items():
        what = f"trajectory {trajectory.id}: observations[{name}]"
        column = trajectory.observations.get(name)
        if column is None:
            raise ConfigError(f"{what}: missing; recorded: {', '.join(sorted(trajectory.observations))}")
        if column.shape[1:] != size:
            raise ShapeError(what, column.shape, ("T + 1", *size))
    if inputs.action is not None and trajectory.actions.shape[1] != inputs.action:
        raise ShapeError(f"trajectory {trajectory.id}: actions", trajectory.actions.shape, ("T", inputs.action))


# -- splits ----------------------------------------------------------------------------------------------------------


def by_episode(trajectories: Sequence[Trajectory]) -> dict[str, list[Trajectory]]:
    """The parts of each episode, which are several where it was paused."""
    whole: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        whole.setdefault(whole_episode(trajectory.id), []).append(trajectory)
    return whole


def split_episodes(
    trajectories: Sequence[Trajectory], shares: Sequence[float], rng: np.random.Generator
) -> list[list[Trajectory]]:
    """Split by whole episodes, never by frame: parts of a paused episode stay together.

    Successes, failures and unknown ones are each split alike, so that every part has some of each where there are
    enough of them.

    Args:
        shares: of all but the first part, which gets the rest.

    Returns:
        One list per part, the first one that of the rest, each in the order given.
    """
    whole = by_episode(trajectories)
    part_of: dict[str, int] = {}
    for outcome in (True, False, None):
        names = [name for name, parts in whole.items() if parts[-1].success is outcome]
        order = rng.permutation(len(names))
        used = 0
        for part, share in enumerate(shares, 1):
            count = round(share * len(names)) if share * len(names) >= 1.0 else int(share > 0.0 and len(names) > part)
            part_of |= {names[i]: part for i in order[used : used + count]}
            used += count
    parts: list[list[Trajectory]] = [[] for _ in range(len(shares) + 1)]
    for name, members in whole.items():
        parts[part_of.get(name, 0)] += members
    return parts


# -- pairs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labelled pairs of segments. P pairs, L steps of the longest segment."""

    left: Rows
    """Row to which each step led; -1 where a shorter segment has no such step. Shape (P, L)."""
    right: Rows
    """Shape (P, L)."""
    target: NDArray[np.float32]
    """How far the left one is preferred: 0, 0.5 or 1. Shape (P,)."""
    unusable: int
    """Labels about episodes that are not here, or steps that they do not have."""

    def __len__(self) -> int:
        return len(self.target)

    def chosen(self, index: NDArray[np.int64]) -> Pairs:
        """Some of them."""
        return Pairs(self.left[index], self.right[index], self.target[index], self.unusable)

    @classmethod
    def of(cls, preferences: Sequence[Feedback], moments: Moments) -> Pairs:
        """From the labels that stand; those with value None (skipped) are left out."""
        found: list[tuple[Rows, Rows, float]] = []
        unusable = 0
        for feedback in preferences:
            if feedback.value is None or feedback.other is None:
                continue
            left, right = moments.segment(feedback.span), moments.segment(feedback.other)
            if left is None or right is None:
                unusable += 1
            else:
                found.append((left, right, feedback.value))
        longest = max((max(len(left), len(right)) for left, right, _ in found), default=0)
        return cls(
            _padded([left for left, _, _ in found], longest),
            _padded([right for _, right, _ in found], longest),
            np.array([value for *_, value in found], np.float32),
            unusable,
        )


def part_preferences(
    preferences: Sequence[Feedback], share: float, apart: Collection[str] = ()
) -> tuple[list[Feedback], list[Feedback]]:
    """Those to learn from, and those to measure by.

    Where none are apart, a pair is of the same part however many come later: a model that goes on learning is measured
    by none that it has learned from.

    Args:
        share: of all that measure, about.
        apart: episodes that nothing is learned from; what is about one of them measures too.
    """
    parts: tuple[list[Feedback], list[Feedback]] = ([], [])
    unseen = frozenset(apart)
    for feedback in preferences:
        about_unseen = any(segment.episode_id in unseen for segment in _segments(feedback))
        parts[about_unseen or _chance(feedback) < share].append(feedback)
    return parts


def _segments(feedback: Feedback) -> list[Segment]:
    return [segment for segment in (feedback.span, feedback.other) if segment is not None]


def _chance(feedback: Feedback) -> float:
    """In [0, 1), as good as drawn, and the same for the same two segments in either order."""
    names = sorted(f"{s.episode_id} {s.start} {s.length}" for s in _segments(feedback))
    return zlib.crc32(" ".join(names).encode()) / 2**32


def _padded(rows: Sequence[Rows], length: int) -> Rows:
    padded = np.full((len(rows), length), -1, np.int64)
    for i, some in enumerate(rows):
        padded[i, : len(some)] = some
    return padded


def segment_returns(model: LearnedReward, moments: Moments, segments: Rows) -> NDArray[np.float32]:
    """Sum of each member's preference over segments. Shape (P, L) of rows -> (E, P)."""
    different, place = np.unique(segments[segments >= 0], return_inverse=True)
    values = moments.ask(model, different, lambda heads: heads.preference)
    steps = np.zeros((len(values), *segments.shape), np.float32)
    steps[:, segments >= 0] = values[:, place]
    return steps.sum(axis=-1)


def preference_probabilities(model: LearnedReward, moments: Moments, pairs: Pairs) -> NDArray[np.float32]:
    """Probability of each member that the left one is preferred, as `feedback.queries` takes it. Shape (E, P)."""
    difference = segment_returns(model, moments, pairs.left) - segment_returns(model, moments, pairs.right)
    return torch.sigmoid(torch.from_numpy(difference)).numpy()
