"""What is drawn, how often, and what is refused."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError, ReplayError, ShapeError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import DEFAULT_MIX, ONLINE, PRIOR, Group, shares

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


def make(capacity: int = 100, seed: int = 0, device: str = "cpu", **settings: Any) -> ReplayBuffer:
    return ReplayBuffer(capacity, state_size=1, action_size=1, discount=0.9, seed=seed, device=device, **settings)


def see(value: float) -> dict[str, np.ndarray[Any, Any]]:
    return {"state": np.array([value], np.float32)}


def play(buffer: ReplayBuffer, sources: list[Source]) -> None:
    buffer.begin(see(0.0))
    for t, source in enumerate(sources):
        buffer.add(np.zeros(1, np.float32), float(t), False, t == len(sources) - 1, source, see(t + 1.0))


def filled(**settings: Any) -> ReplayBuffer:
    buffer = make(**settings)
    play(buffer, [Source.DEMO] * 10)
    play(buffer, [Source.POLICY] * 20 + [Source.HUMAN] * 5 + [Source.POLICY] * 5)
    return buffer


@pytest.mark.parametrize("device", DEVICES)
def test_draws_are_uniform_within_each_group(device: str) -> None:
    """Chi-square at the 99.9 % point, for a fixed seed, on a ring that has wrapped."""
    buffer = make(60, device=device)
    for _ in range(3):
        play(buffer, [Source.POLICY] * 20 + [Source.HUMAN] * 5 + [Source.DEMO] * 3)
    drawn = torch.cat([b.index for b in buffer.sample_many(40, 500)]).cpu().view(40, 500)
    for group, part in ((PRIOR, drawn[:, :250]), (ONLINE, drawn[:, 250:])):
        members = buffer.indices(group).cpu()
        counts = torch.stack([(part == member).sum() for member in members]).double()
        assert counts.sum() == part.numel()
        expected = part.numel() / len(members)
        statistic = float(((counts - expected) ** 2 / expected).sum())
        freedom = len(members) - 1
        # Wilson and Hilferty's approximation of the quantile; 3.09 is the normal one.
        limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3
        assert statistic < limit


def test_mixing_fractions_are_exact_in_every_batch() -> None:
    buffer = filled()
    mix: dict[Group, float] = {
        frozenset({Source.DEMO}): 0.25,
        frozenset({Source.HUMAN}): 0.5,
        frozenset({Source.POLICY}): 0.25,
    }
    for batch in buffer.sample_many(5, 64, mix):
        assert torch.bincount(batch.source, minlength=5).tolist() == [16, 32, 16, 0, 0]
    half = buffer.sample(256)
    assert set(half.source[:128].tolist()) <= PRIOR
    assert set(half.source[128:].tolist()) <= ONLINE


def test_the_share_of_an_empty_group_goes_to_the_others_in_proportion() -> None:
    buffer = make()
    play(buffer, [Source.POLICY] * 5)
    assert buffer.sample(32).source.tolist() == [Source.POLICY] * 32
    assert shares(90, [0.2, 0.5, 0.3], [7, 0, 9]) == [36, 0, 54]
    assert shares(5, [0.5, 0.5], [1, 1]) == [3, 2]
    assert shares(5, [0.5, 0.5], [0, 0]) == [0, 0]


@pytest.mark.parametrize("device", DEVICES)
def test_same_seed_same_batches_whenever_groups_are_first_asked_for(device: str) -> None:
    early, late, other = make(30, device=device), make(30, device=device), make(30, seed=1, device=device)
    for buffer in (early, late, other):
        for k in range(4):
            play(buffer, [Source.POLICY] * 6 + [Source.HUMAN] * 3)
            if buffer is early and k == 0:
                early.sample(8)
    late.load_state(early.state())
    a, b, c = early.sample(64), late.sample(64), other.sample(64)
    assert torch.equal(a.index, b.index)
    assert torch.equal(a.observation["state"], b.observation["state"])
    assert not torch.equal(a.index, c.index)
    with pytest.raises(CheckpointError, match="generator"):
        late.load_state({"other": 1})


def test_many_batches_in_one_gather_are_the_rows_they_name() -> None:
    buffer = filled(n_step=3)
    for batch in buffer.sample_many(3, 10):
        again = buffer.gather(batch.index)
        torch.testing.assert_close(batch.reward, again.reward)
        torch.testing.assert_close(batch.next_observation["state"], again.next_observation["state"])


def test_n_step_by_hand() -> None:
    buffer = make(n_step=3)
    buffer.begin(see(0.0))
    for t in range(4):
        buffer.add(np.zeros(1, np.float32), 10.0**t, t == 3, False, Source.POLICY, see(t + 1.0))
    batch = buffer.gather(buffer.indices())
    torch.testing.assert_close(batch.reward, torch.tensor([1 + 9 + 81.0, 10 + 90 + 810.0, 100 + 900.0, 1000.0]))
    torch.testing.assert_close(batch.discount, torch.tensor([0.729, 0.0, 0.0, 0.0]))
    assert batch.next_observation["state"].view(-1).tolist() == [3.0, 4.0, 4.0, 4.0]


def test_rewards_are_relabelled_only_where_the_row_is_still_held() -> None:
    buffer = make(8)
    play(buffer, [Source.POLICY] * 5)
    index = buffer.indices()
    play(buffer, [Source.POLICY] * 4)  # 11 rows: numbers 0 to 2 are overwritten
    assert buffer.update_rewards(index, torch.full((5,), 7.0)) == 2
    assert buffer.gather(torch.tensor([3, 4])).reward.tolist() == [7.0, 7.0]
    assert 7.0 not in buffer.gather(torch.arange(6, 10)).reward.tolist()
    assert buffer.update_weights(torch.tensor([4]), torch.tensor([0.25])) == 1
    assert buffer.gather(torch.tensor([4])).weight.tolist() == [0.25]
    with pytest.raises(ReplayError, match="99"):
        buffer.update_rewards(torch.tensor([99]), torch.tensor([0.0]))
    with pytest.raises(InvalidValueError, match="finite"):
        buffer.update_rewards(torch.tensor([4]), torch.tensor([float("nan")]))
    with pytest.raises(ReplayError, match="rows \\[0\\] hold no transition"):
        buffer.gather(torch.tensor([0]))


def test_discarded_rows_are_gone_at_once() -> None:
    buffer = filled()
    buffer.sample(4)
    first = buffer.written
    play(buffer, [Source.HUMAN] * 7)
    buffer.discard(first)
    assert len(buffer) == 40
    assert int(buffer.indices().max()) < first
    assert int(buffer.sample(500).index.max()) < first


def test_refusals_name_what_where_and_what_is_allowed() -> None:
    buffer = make()
    with pytest.raises(ReplayError, match="POLICY 0"):
        buffer.sample(4)
    with pytest.raises(ReplayError, match="begin"):
        buffer.add(np.zeros(1, np.float32), 0.0, False, False, Source.POLICY, see(0))
    with pytest.raises(ShapeError, match=r"\(2,\), expected \(1,\)"):
        buffer.begin({"state": np.zeros(2, np.float32)})
    with pytest.raises(InvalidValueError, match="finite"):
        buffer.begin(see(float("nan")))
    with pytest.raises(InvalidValueError, match="front"):
        buffer.begin({"state": np.zeros(1, np.float32), "front": np.zeros((2, 2, 3), np.uint8)})
    play(buffer, [Source.POLICY])
    with pytest.raises(ConfigError, match="sum to 1"):
        buffer.sample(4, {ONLINE: 0.4})
    with pytest.raises(ConfigError, match="capacity_rows 1"):
        make(1)
    pictures = make(cameras={"front": (2, 2)})
    with pytest.raises(InvalidValueError, match="uint8"):
        pictures.begin({"state": np.zeros(1, np.float32), "front": np.zeros((2, 2, 3), np.float32)})


def test_a_refused_step_leaves_the_buffer_as_it_was() -> None:
    buffer = filled()
    buffer.begin(see(0.0))
    before = (buffer.written, len(buffer), buffer.indices().tolist())
    with pytest.raises(InvalidValueError):
        buffer.add(np.zeros(1, np.float32), float("inf"), False, False, Source.POLICY, see(1.0))
    with pytest.raises(ShapeError):
        buffer.add(np.zeros(3, np.float32), 0.0, False, False, Source.POLICY, see(1.0))
    assert before == (buffer.written, len(buffer), buffer.indices().tolist())


def test_memory_is_planned_before_it_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    cameras = {"front": (128, 128), "wrist": (128, 128)}
    needed = ReplayBuffer.bytes_needed(1000, state_size=40, action_size=7, cameras=cameras)
    assert needed / 1000 <= 100_000
    with caplog.at_level(logging.INFO):
        ReplayBuffer(1000, state_size=40, action_size=7, cameras=cameras, discount=0.9)
    assert re.search(r"98\.6 kB each[\s\S]*pictures +0\.098[\s\S]*total +0\.099", caplog.text)
    with pytest.raises(ReplayError, match=r"needs 98\d*\.\d\d GB on cpu, .* are free"):
        ReplayBuffer(10_000_000, state_size=40, action_size=7, cameras=cameras, discount=0.9)


def test_default_mix_is_half_prior_half_online_with_corrections_in_both() -> None:
    assert dict(DEFAULT_MIX) == {PRIOR: 0.5, ONLINE: 0.5}
    assert {Source.HUMAN, Source.PRAISED} == PRIOR & ONLINE
    assert set(Source) == PRIOR | ONLINE | {Source.WATCHED}
