"""Every row knows which rule its step broke: row by row, against the rules on whole episodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from robot_rlhf.conformance import sample_meta, sample_steps
from robot_rlhf.datatypes import EpisodeEnd, Outcome, Step
from robot_rlhf.episode import Episode
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.gates import KEPT, GateConfig, Gates
from robot_rlhf.runtime.gate_feed import GateFeed
from tests.journal.sessions import make_spec

SPEC = make_spec()
GATES = Gates(GateConfig(("dropped", "over_force"), cost=0.5, force=5.0), np.zeros(3), np.ones(3))


def grasping(number: int, count: int) -> list[Step]:
    """Fingers that close, hold, and sometimes lose; forces at random."""
    rng = np.random.default_rng(number)
    steps = sample_steps(SPEC, count, number)
    openings = np.where(np.arange(count + 1) < 3, 0.6, np.where(rng.random(count + 1) < 0.4, 0.2, 0.6))
    seen = [
        replace(
            o,
            gripper=float(opening),
            gripper_target=0.0,
            tool_wrench=rng.normal(scale=4.0, size=6).astype(np.float32),
        )
        for o, opening in zip([steps[0].observation, *(s.next_observation for s in steps)], openings, strict=True)
    ]
    return [
        replace(step, observation=seen[t], next_observation=seen[t + 1], reward=0.25) for t, step in enumerate(steps)
    ]


def test_rows_agree_with_whole_episodes() -> None:
    size = {"state_size": 2, "action_size": SPEC.action.size, "discount": 0.9}
    buffer = ReplayBuffer(60, **size)  # type: ignore[arg-type]
    feed = GateFeed(ReplayFeed(buffer, lambda o: {"state": o.tool_pose_in_base[:2]}), GATES)
    wanted: dict[int, int] = {}
    for number in range(8):  # the ring wraps
        steps = grasping(number, 12)
        meta, end = sample_meta(number), EpisodeEnd(sample_meta(number).id, Outcome.TIME_LIMIT, 12)
        first = buffer.written
        feed.on_episode_start(meta, steps[0].observation)
        for step in steps:
            feed.on_step(step)
        feed.on_episode_end(end)
        broken = GATES.broken(Episode.from_steps(meta, steps, (), end).observations)
        wanted |= {first + t: int(number) for t, number in enumerate(broken)}
    index = buffer.indices()
    assert len(index) < len(wanted)
    cost = {KEPT: 0.25, 0: -0.5, 1: -0.25}
    by_hand = torch.tensor([cost[wanted[int(i)]] for i in index])
    assert len(set(by_hand.tolist())) == 3, "all cases occur"
    torch.testing.assert_close(feed.gate(index, torch.full((len(index),), 0.25)), by_hand)
