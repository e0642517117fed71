"""One thread appends while another draws: every transition is a true one, however often the ring wraps."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.relabel import Relabelling
from tests.waits import CEILING

GAMMA = 0.5
EPISODES = 150
BATCHES = 300
MOMENTS = 20
"""How often, at least, a batch found more rows than the batch before it: less, and the threads hardly ran together."""
SIZE = (4, 4)


def length(episode: int) -> int:
    """Steps of an episode, from 1 to 23."""
    return 1 + (7 * episode) % 23


def reward(episode: int, step: int) -> float:
    return float(64 * (episode % 100) + step)


def see(episode: int, step: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    picture = np.empty((*SIZE, 3), np.uint8)
    picture[..., 0], picture[..., 1], picture[..., 2] = episode % 256, step, 255 - step
    return {"state": np.array([episode, step, -step], np.float32), "front": picture}


class Writer(threading.Thread):
    """Appends episodes, at least EPISODES and until it is told that they are enough; discards every tenth."""

    def __init__(self, buffer: ReplayBuffer) -> None:
        super().__init__(daemon=True)
        self.enough = threading.Event()
        self.failed: BaseException | None = None
        self.episodes = 0
        self._buffer = buffer

    def run(self) -> None:
        try:
            while self.episodes < EPISODES or not self.enough.is_set():
                self.play()
        except BaseException as error:
            self.failed = error
            raise

    def play(self) -> None:
        buffer, episode = self._buffer, self.episodes
        first = buffer.written
        buffer.begin(see(episode, 0))
        for t in range(length(episode)):
            last = t == length(episode) - 1
            source = Source.HUMAN if t % 5 == 4 else Source.POLICY
            buffer.add(np.array([episode, t], np.float32), reward(episode, t), last, False, source, see(episode, t + 1))
        if episode % 10 == 3:
            buffer.discard(first)
        self.episodes += 1


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    """Threads take turns every 10 microseconds instead of every 5 ms, hence in the middle of everything."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def check(batch: Batch, n_step: int) -> None:
    """Each row against what the twin, here a formula, says of its episode and step."""
    episode, step = batch.action[:, 0], batch.action[:, 1]
    assert torch.equal(batch.observation["state"], torch.stack((episode, step, -step), dim=1))
    after = batch.next_observation["state"]
    taken = after[:, 1] - step
    assert torch.equal(after, torch.stack((episode, step + taken, -step - taken), dim=1))
    for seen in (batch.observation, batch.next_observation):
        wanted = torch.stack((seen["state"][:, 0] % 256, seen["state"][:, 1], 255 - seen["state"][:, 1]), dim=1)
        assert torch.equal(seen["front"].float(), wanted[:, None, None, :].expand(-1, *SIZE, 3))
    for k in range(len(batch.index)):
        e, t, n = int(episode[k]), int(step[k]), int(taken[k])
        # Short of n at the episode's end, or at what was the newest row.
        assert 1 <= n <= min(n_step, length(e) - t)
        assert float(batch.reward[k]) == sum(GAMMA**j * reward(e, t + j) for j in range(n))
        assert float(batch.discount[k]) == (0.0 if t + n == length(e) else GAMMA**n)


@pytest.mark.parametrize(("n_step", "static"), [(1, False), (3, False), (3, True)])
def test_a_sampler_never_sees_half_a_row(n_step: int, static: bool) -> None:
    buffer = ReplayBuffer(40, state_size=3, action_size=2, discount=GAMMA, cameras={"front": SIZE}, n_step=n_step)
    writer = Writer(buffer)
    writer.play()
    writer.start()
    sampler = buffer.static_sampler(32)
    batches, moments, before = 0, 0, buffer.written
    deadline = time.monotonic() + CEILING
    while batches < BATCHES or moments < MOMENTS:
        assert time.monotonic() < deadline, f"{batches} batches in {CEILING:g} s, and {moments} times new rows"
        assert writer.failed is None
        oldest = buffer.oldest
        if static:
            with buffer.lock:
                sampler.sync()
                batch = sampler.draw()
        else:
            batch = buffer.sample(32)
        newest = buffer.written
        assert oldest <= int(batch.index.min())
        assert int(batch.index.max()) < newest
        check(batch, n_step)
        batches, moments, before = batches + 1, moments + (newest > before), newest
    writer.enough.set()
    writer.join(timeout=60)
    assert not writer.is_alive()
    assert writer.failed is None
    assert buffer.written > 40 * buffer.capacity_rows


def test_relabelling_and_sampling_while_rows_arrive() -> None:
    """Every row that is held in the end has a score of its own step."""
    buffer = ReplayBuffer(60, state_size=3, action_size=2, discount=GAMMA, cameras={"front": SIZE})
    writer = Writer(buffer)
    work = Relabelling(buffer, lambda batch: -100_000 - batch.action[:, 1], 1, chunk=7)
    writer.start()
    for _ in range(BATCHES):
        work.advance()
    writer.enough.set()
    writer.join(timeout=60)
    assert not writer.is_alive()
    assert writer.failed is None
    while work.advance():
        pass
    batch = buffer.gather(buffer.indices())
    assert torch.equal(batch.reward, -100_000 - batch.action[:, 1])
    assert work.changed >= len(buffer)
