"""The sampler a CUDA graph can hold draws as sample() does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, ReplayError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import ONLINE, PRIOR
from tests.replay.test_drawing import check_frequencies
from tests.replay.test_pictures import PictureConfig
from tests.replay.test_pictures import filled as with_pictures
from tests.replay.test_sampling import filled, make, play

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES: list[Any] = ["cpu", pytest.param("cuda", marks=cuda)]


@pytest.mark.parametrize("device", DEVICES)
def test_draws_are_uniform_within_each_group_on_a_ring_that_wrapped(device: str) -> None:
    buffer = make(60, device=device)
    sampler = buffer.static_sampler(500)
    for _ in range(3):
        play(buffer, [Source.POLICY] * 20 + [Source.HUMAN] * 5 + [Source.DEMO] * 3)
        sampler.sync()
    assert sampler.signature == (250, 250)
    drawn = torch.stack([sampler.draw().index for _ in range(40)]).cpu()
    for group, part in ((PRIOR, drawn[:, :250]), (ONLINE, drawn[:, 250:])):
        members = buffer.indices(group).tolist()
        check_frequencies(part.reshape(-1), {number: 1 / len(members) for number in members})


def test_transitions_are_true_ones_and_new_rows_are_seen_after_sync() -> None:
    buffer = filled(n_step=3)
    sampler = buffer.static_sampler(32)
    sampler.sync()
    play(buffer, [Source.HUMAN] * 30)
    assert int(sampler.draw().index.max()) < 42
    sampler.sync()
    batch = sampler.draw()
    assert int(batch.index.max()) > 42
    again = buffer.gather(batch.index)
    for name in ("action", "reward", "discount", "source", "weight"):
        assert torch.equal(getattr(batch, name), getattr(again, name))
    assert torch.equal(batch.next_observation["state"], again.next_observation["state"])


def test_pictures_come_as_configured() -> None:
    buffer = with_pictures(PictureConfig("float32", 2))
    sampler = buffer.static_sampler(8)
    sampler.sync()
    state = torch.as_tensor(buffer.state()["generator"])
    one = sampler.draw()
    sampler.generator.set_state(state)
    two = sampler.draw()
    assert one.observation["front"].dtype == torch.float32
    assert torch.equal(one.next_observation["wrist"], two.next_observation["wrist"])


def test_the_signature_says_when_shares_change() -> None:
    buffer = make()
    sampler = buffer.static_sampler(33, {PRIOR: 0.25, ONLINE: 0.75})
    with pytest.raises(ReplayError, match="all groups are empty"):
        sampler.sync()
    with pytest.raises(ReplayError, match="before its first sync"):
        sampler.draw()
    play(buffer, [Source.POLICY] * 5)
    sampler.sync()
    assert sampler.signature == (0, 33)
    assert sampler.draw().source.tolist() == [Source.POLICY] * 33
    play(buffer, [Source.DEMO] * 5)
    sampler.sync()
    assert sampler.signature == (8, 25)
    assert sampler.draw().source.tolist() == [Source.DEMO] * 8 + [Source.POLICY] * 25
    with pytest.raises(ConfigError, match="sum to 1"):
        buffer.static_sampler(4, {ONLINE: 0.4})


@cuda
def test_a_captured_draw_follows_the_buffer() -> None:
    buffer = ReplayBuffer(
        40,
        state_size=1,
        action_size=1,
        discount=0.9,
        cameras={"front": (9, 9)},
        device="cuda",
        pictures=PictureConfig("bfloat16", 2),
    )

    def play_with_pictures(steps: int) -> None:
        def see(t: int) -> dict[str, torch.Tensor]:
            return {"state": torch.tensor([float(t)]), "front": torch.full((9, 9, 3), t, dtype=torch.uint8)}

        buffer.begin(see(0))
        for t in range(steps):
            buffer.add(torch.zeros(1), float(t), False, t == steps - 1, Source.POLICY, see(t + 1))

    play_with_pictures(10)
    sampler = buffer.static_sampler(64)
    sampler.sync()
    sampler.draw()  # compiles the kernel
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(sampler.generator)
    with torch.cuda.graph(graph):
        batch = sampler.draw()
    for steps in (20, 15, 30):
        play_with_pictures(steps)
        sampler.sync()
        graph.replay()
        again = buffer.gather(batch.index)
        assert torch.equal(batch.reward, again.reward)
        torch.testing.assert_close(
            batch.next_observation["front"].float(),
            again.next_observation["front"].float() / 255 - 0.5,
            atol=2.0**-9,
            rtol=0,
        )
        assert len(set(batch.index.tolist())) > 5
