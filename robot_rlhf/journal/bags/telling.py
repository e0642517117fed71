"""Tells an imported episode to a journal as if it happened now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from robot_rlhf.datatypes import Action, Driver, EpisodeEnd, EpisodeMeta, Observation, Outcome, Step
from robot_rlhf.journal.bags.encodings import Picture
from robot_rlhf.journal.bags.rows import EpisodeRows
from robot_rlhf.ports import Subscriber

Reward = Callable[[Outcome | None, Observation, Observation], float]
"""The reward of a step that led from one observation to another and ended the episode so (None: not)."""

FINAL = frozenset({Outcome.SUCCESS, Outcome.FAILURE})


def tell_episode(
    journal: Subscriber,
    meta: EpisodeMeta,
    outcome: Outcome,
    rows: EpisodeRows,
    pictures: Iterator[Mapping[str, Picture]],
    offset: int,
    instruction: str,
    reward: Reward,
    *,
    actions: bool = True,
) -> None:
    """Tell an episode.

    Args:
        actions: False leaves open what the robot was told.
        pictures: of its T + 1 moments, and then of the next episode's.
        offset: nanoseconds at which the journal's clock begins.
    """
    before = _observation(rows, 0, next(pictures), offset)
    journal.on_episode_start(meta, before)
    for index in range(rows.grid.steps):
        after = _observation(rows, index + 1, next(pictures), offset)
        last = index == rows.grid.steps - 1
        step = Step(
            index=index,
            observation=before,
            proposed=None,
            executed=Action(np.clip(rows.actions[index], -1.0, 1.0).astype(np.float32)) if actions else None,
            driver=Driver.HUMAN,
            reward=reward(outcome if last else None, before, after),
            terminated=last and outcome in FINAL,
            truncated=last and outcome not in FINAL,
            policy_version=-1,
            instruction=instruction,
            next_observation=after,
        )
        journal.on_step(step)
        before = after
    journal.on_episode_end(EpisodeEnd(meta.id, outcome, rows.grid.steps, "imported"))


def _observation(rows: EpisodeRows, t: int, pictures: Mapping[str, Picture], offset: int) -> Observation:
    return Observation(
        stamp=(int(rows.grid.times[t]) - offset) / 1e9,
        joint_position=rows.joint_position[t].astype(np.float32),
        joint_velocity=rows.joint_velocity[t].astype(np.float32),
        tool_pose_in_base=rows.pose[t].astype(np.float32),
        tool_target_in_base=rows.target[t].astype(np.float32),
        tool_velocity=rows.velocity[t].astype(np.float32),
        tool_wrench=rows.wrench[t].astype(np.float32),
        gripper=float(rows.opening[t]),
        gripper_target=float(rows.opening_target[t]),
        images=pictures,
        scene={name: values[t].astype(np.float32) for name, values in rows.scene.items()},
    )
