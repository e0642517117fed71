"""Advice: what is held, how it fades, and when it goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.replay.advice import Advice, AdvisedRows
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.pictures import PictureConfig


def a_buffer(rows: int = 40, steps: int = 20, **more: object) -> ReplayBuffer:
    buffer = ReplayBuffer(rows, state_size=1, action_size=2, discount=0.9, **more)  # pyright: ignore[reportArgumentType]
    write(buffer, steps)
    return buffer


def write(buffer: ReplayBuffer, steps: int, first: float = 0.0) -> None:
    buffer.begin(see(buffer, first))
    for number in range(steps):
        buffer.add(np.zeros(2, np.float32), 0.0, False, False, Source.POLICY, see(buffer, first + number + 1))


def see(buffer: ReplayBuffer, number: float) -> dict[str, np.ndarray]:
    pictures = {"front": np.full((8, 8, 3), number, np.uint8)} if buffer.pictures.shift else {}
    return {"state": np.full(1, number, np.float32), **pictures}


def rows(*numbers: int, born: int = 0, weight: float = 1.0, target: float = 0.5) -> AdvisedRows:
    n = len(numbers)
    mask = np.tile(np.array([True, False]), (n, 1))
    return AdvisedRows(np.array(numbers), np.full((n, 2), target), mask, np.full(n, weight), born)


def drawn(advice: Advice, buffer: ReplayBuffer, updates: int = 0, size: int = 200, seed: int = 0) -> set[int]:
    batch = advice.sample(buffer, size, updates, torch.Generator().manual_seed(seed))
    return set() if batch is None else set(batch.index.tolist())


def test_what_is_drawn_is_what_was_said_of_what_was_seen() -> None:
    buffer, advice = a_buffer(), Advice()
    advice.put("one", rows(3, 4, target=0.5))
    advice.put("other", rows(7, target=-0.5, weight=0.25))
    batch = advice.sample(buffer, 300, 0, torch.Generator().manual_seed(1))
    assert batch is not None
    assert set(batch.index.tolist()) == {3, 4, 7}
    other = batch.index == 7
    assert torch.equal(batch.observation["state"][:, 0], batch.index.float())
    assert torch.equal(batch.target, torch.where(other, -0.5, 0.5)[:, None].expand(-1, 2))
    assert torch.equal(batch.mask, torch.tensor([1.0, 0.0]).expand(300, 2))
    assert torch.equal(batch.weight, torch.where(other, 0.25, 1.0))
    assert 0.2 < float(other.float().mean()) < 0.47  # uniform over rows


@pytest.mark.parametrize(("updates", "left"), [(100, 1.0), (101, 0.9), (105, 0.5), (110, 0.0), (500, 0.0)])
def test_it_fades(updates: int, left: float) -> None:
    advice = Advice(lasts=10)
    advice.put("one", rows(3, born=100, weight=0.5))
    np.testing.assert_allclose(advice.weights(updates), [0.5 * left], atol=1e-6)
    assert drawn(advice, a_buffer(), updates) == ({3} if left else set())


def test_what_a_sentence_says_again_replaces_what_it_said() -> None:
    buffer, advice = a_buffer(), Advice()
    advice.put("one", rows(3, 4))
    assert drawn(advice, buffer) == {3, 4}
    advice.put("other", rows(5))
    assert drawn(advice, buffer) == {3, 4, 5}
    advice.put("one", rows(6))
    assert drawn(advice, buffer) == {5, 6}
    advice.remove("one")
    advice.remove("never said")
    assert drawn(advice, buffer) == {5}
    assert len(advice) == 1
    advice.put("other", rows())
    assert not len(advice)
    assert advice.sample(buffer, 4, 0, torch.Generator()) is None


def test_a_discarded_episode_and_an_overwritten_row_take_theirs_along() -> None:
    buffer, advice = a_buffer(), Advice()
    advice.put("one", rows(1, 15))
    advice.put("other", rows(16))
    first = buffer.written
    write(buffer, 10)
    advice.put("third", rows(first + 2))
    buffer.discard(first)
    assert drawn(advice, buffer) == {1, 15, 16}
    write(buffer, 22)  # 54 rows were written: the first 14 are gone
    assert drawn(advice, buffer) == {15, 16}
    assert len(advice) == 2
    assert "third" not in advice


def test_it_is_bounded_and_the_oldest_goes_first() -> None:
    buffer, advice = a_buffer(), Advice(capacity=4)
    advice.put("one", rows(1, 2, 3))
    advice.put("other", rows(4, 5))
    assert len(advice) == 4
    assert drawn(advice, buffer) == {2, 3, 4, 5}
    advice.put("third", rows(6, 7, 8, 9))
    assert drawn(advice, buffer) == {6, 7, 8, 9}
    assert "one" not in advice
    assert "other" not in advice


def test_drawing_it_leaves_the_draws_of_batches_alone() -> None:
    advised, silent = (a_buffer(cameras={"front": (8, 8)}, pictures=PictureConfig(shift=2)) for _ in range(2))
    advice = Advice()
    advice.put("one", rows(3, 4))
    generator = torch.Generator().manual_seed(5)
    assert advice.sample(advised, 8, 0, generator) is not None
    ours, theirs = advised.sample(8), silent.sample(8)
    assert torch.equal(ours.index, theirs.index)
    assert torch.equal(ours.observation["front"], theirs.observation["front"])
    assert not torch.equal(generator.get_state(), torch.Generator().manual_seed(5).get_state())


def test_the_same_generator_draws_the_same() -> None:
    buffer, advice = a_buffer(), Advice()
    advice.put("one", rows(*range(15)))
    first, second = (advice.sample(buffer, 30, 0, torch.Generator().manual_seed(7)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first.index, second.index)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Advice(lasts=0)
    with pytest.raises(InvalidValueError, match=r"targets in \[-1, 1\]"):
        rows(1, target=1.5)
    with pytest.raises(ShapeError, match="weight"):
        AdvisedRows(np.array([1]), np.zeros((1, 2), np.float32), np.ones((1, 2), np.bool_), np.ones(2, np.float32), 0)
