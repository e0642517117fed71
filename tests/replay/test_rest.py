"""What counts as standing still, and that nothing imitates it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, ActionLayout, Driver, EpisodeKind, EpisodeMeta, Observation, Source, Step
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.replay.rest import StandsStill

LAYOUT = ActionLayout(("x", "y", "gripper"), np.array([0.02, 0.02, 1.0], np.float32))
POSE = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)
OPEN, CLOSED = 1.0, 0.0


def see(stamp: float, gripper: float = OPEN, target: float = OPEN) -> Observation:
    six = np.zeros(6, np.float32)
    return Observation(stamp, six[:2], six[:2], POSE, POSE, six, six, gripper, target)


def step(values: tuple[float, ...], before: Observation, after: Observation, driver: Driver = Driver.HUMAN) -> Step:
    return Step(0, before, None, Action(np.array(values, np.float32)), driver, 0.0, False, False, -1, "", after)


@pytest.mark.parametrize(
    ("values", "before", "after", "still"),
    [
        ((0.0, 0.01, 1.0), see(0), see(1), True),
        ((0.0, 0.1, 1.0), see(0), see(1), False),
        ((0.0, 0.0, -1.0), see(0), see(1, 0.9, CLOSED), False),  # asks the gripper to close
        ((0.0, 0.0, -1.0), see(0, 0.7, CLOSED), see(1, 0.6, CLOSED), False),  # waits while it closes
        ((0.0, 0.0, -1.0), see(0, 0.5, CLOSED), see(1, 0.5, CLOSED), True),  # holds something, and does nothing
    ],
)
def test_nothing_is_asked_for(values: tuple[float, ...], before: Observation, after: Observation, still: bool) -> None:
    assert StandsStill(LAYOUT)(step(values, before, after)) is still


def test_without_a_gripper_only_motion_counts() -> None:
    moves = StandsStill(ActionLayout(("x",), np.array([0.02], np.float32)))
    assert moves(step((0.0,), see(0), see(1)))
    assert not moves(step((-0.5,), see(0), see(1)))


@pytest.mark.parametrize("kind", [EpisodeKind.DEMONSTRATION, EpisodeKind.PRACTICE])
def test_a_rest_is_nobodys_action(kind: EpisodeKind) -> None:
    shown = Source.DEMO if kind is EpisodeKind.DEMONSTRATION else Source.HUMAN
    buffer = ReplayBuffer(20, state_size=7, action_size=3, discount=0.9)
    feed = ReplayFeed(buffer, lambda seen: {"state": seen.tool_pose_in_base}, StandsStill(LAYOUT))
    stills = (False, True, True, False)
    views = [see(float(k)) for k in range(6)]
    feed.on_episode_start(EpisodeMeta("e0", "task", kind, 0, "none", "task_success@1"), views[0])
    for k, still in enumerate(stills):
        values = (0.0, 0.0, 1.0) if still else (0.5, 0.0, 1.0)
        feed.on_step(replace(step(values, views[k], views[k + 1]), index=k))
    feed.on_step(replace(step((0.0, 0.0, 1.0), views[4], views[5], Driver.POLICY), index=4))
    policy = Source.DEMO if kind is EpisodeKind.DEMONSTRATION else Source.POLICY  # a policy's rest is its own choice
    counts = {source: n for source, n in buffer.counts.items() if n}
    expected = {Source.OTHER: 2}
    for source, n in ((shown, 2), (policy, 1)):
        expected[source] = expected.get(source, 0) + n
    assert counts == expected
