"""Drawing by weight and by label: frequencies against exact probabilities, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ReplayError, ShapeError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.drawing import draw_by_weight
from robot_rlhf.replay.mixing import EVERYTHING, Group
from tests.draws import draws
from tests.replay.test_sampling import filled, make, play

ALL: dict[Group, float] = {EVERYTHING: 1.0}
POLICY, HUMAN, DEMO = (frozenset({source}) for source in (Source.POLICY, Source.HUMAN, Source.DEMO))


def chi_square_limit(freedom: int) -> float:
    """99.9 % point. Source: Wilson and Hilferty's approximation."""
    return freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3


def check_frequencies(drawn: torch.Tensor, probability: dict[int, float]) -> None:
    assert set(drawn.tolist()) <= {number for number, p in probability.items() if p > 0}
    likely = {number: p * len(drawn) for number, p in probability.items() if p > 0}
    statistic = sum((int((drawn == number).sum()) - n) ** 2 / n for number, n in likely.items())
    assert statistic < chi_square_limit(len(likely) - 1)


def test_rows_are_drawn_in_proportion_to_their_weight_within_each_group() -> None:
    buffer = make(30)  # wraps
    for _ in range(3):
        play(buffer, [Source.POLICY] * 10 + [Source.HUMAN] * 4)
    index = buffer.indices()
    weight = torch.arange(len(index)).remainder(5).float()
    buffer.update_weights(index, weight)
    mix = {POLICY: 0.25, HUMAN: 0.75}
    batches = buffer.sample_many(50, 200, mix, draw="weight")
    drawn = torch.stack([batch.index for batch in batches])
    of_row = dict(zip(index.tolist(), weight.tolist(), strict=True))
    for group, part in ((POLICY, drawn[:, :50]), (HUMAN, drawn[:, 50:])):
        members = buffer.indices(group).tolist()
        total = sum(of_row[number] for number in members)
        check_frequencies(part.reshape(-1), {number: of_row[number] / total for number in members})
    assert all(batch.weight.eq(1.0).all() for batch in batches)
    assert buffer.gather(index).weight.tolist() == weight.tolist()


def test_weights_that_cannot_be_drawn_by_are_refused() -> None:
    buffer = filled()
    buffer.update_weights(buffer.indices(), torch.zeros(len(buffer)))
    with pytest.raises(ReplayError, match=r"weights are from 0 to 0; allowed: none below 0 and at least one above"):
        buffer.sample(4, draw="weight")
    buffer.update_weights(buffer.indices()[:2], torch.tensor([-1.0, 2.0]))
    with pytest.raises(ReplayError, match="from -1 to 2"):
        buffer.sample(4, ALL, draw="weight")
    with pytest.raises(ConfigError, match="'uniform', 'weight'"):
        buffer.sample(4, draw="wieght")  # pyright: ignore[reportArgumentType]  it must fail at run time too
    with pytest.raises(ReplayError, match="POLICY 0"):
        make().sample(4, draw="weight")


@draws(100)
@given(st.lists(st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 7.0, 1e30]), max_size=12), st.integers(0, 2**31))
def test_only_places_with_weight_are_drawn(weights: list[float], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    if not any(weights):
        with pytest.raises(ReplayError, match=f"{len(weights)} weights"):
            draw_by_weight(torch.tensor(weights), (4,), generator)
        return
    drawn = draw_by_weight(torch.tensor(weights), (3, 8), generator)
    assert drawn.shape == (3, 8)
    assert all(weights[place] > 0 for place in drawn.view(-1).tolist())


def test_the_end_of_the_sums_is_never_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the largest number below 1 is drawn, and the last places have no weight."""

    def highest(shape: tuple[int, ...], **_: Any) -> torch.Tensor:
        return torch.full(shape, 1 - 2.0**-53, dtype=torch.float64)

    monkeypatch.setattr(torch, "rand", highest)
    for weights in ([0.3, 0.7, 0.0], [0.1] * 9 + [0.0, 0.0], [1e30, 0.0], [1e-40, 3.0, 0.0]):
        last = max(place for place, weight in enumerate(weights) if weight > 0)
        assert draw_by_weight(torch.tensor(weights), (2,), torch.Generator()).tolist() == [last, last]


def labelled() -> ReplayBuffer:
    """Of 40 rows 3 are successes, 20 failures."""
    buffer = filled()
    index = buffer.indices()
    assert buffer.update_labels(index[:3], torch.ones(3, dtype=torch.int64)) == 3
    assert buffer.update_labels(index[10:30], torch.zeros(20, dtype=torch.int64)) == 20
    return buffer


def test_batches_are_balanced_by_label() -> None:
    buffer = labelled()
    index = buffer.indices()
    batch, labels = buffer.sample_labelled(2000)
    assert torch.bincount(labels).tolist() == [1000, 1000]
    assert buffer.columns(batch.index)["label"].tolist() == labels.tolist()
    check_frequencies(batch.index[labels == 1], {int(n): 1 / 3 for n in index[:3]})
    check_frequencies(batch.index[labels == 0], {int(n): 1 / 20 for n in index[10:30]})
    _, labels = buffer.sample_labelled(8, {1: 0.25, 0: 0.75})
    assert labels.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    batch, labels = buffer.sample_labelled(8, group=DEMO)  # no failure among them
    assert labels.tolist() == [1] * 8
    _, labels = buffer.sample_labelled(8, {1: 0.5, 7: 0.5})
    assert labels.tolist() == [1] * 8


def test_labels_end_with_their_row_and_wrong_ones_are_refused() -> None:
    buffer = make(8)
    play(buffer, [Source.POLICY] * 4)
    buffer.update_labels(torch.arange(4), torch.full((4,), 3))
    play(buffer, [Source.POLICY] * 4)  # rows 5 to 9: 0 and 1 are gone
    assert buffer.columns(buffer.indices())["label"].tolist() == [3, 3, -1, -1, -1, -1]
    assert buffer.update_labels(torch.arange(4), torch.zeros(4, dtype=torch.int64)) == 2
    buffer.discard(0, 4)
    with pytest.raises(ReplayError, match=r"of 4 rows 0 have one, see update_labels\(\)"):
        buffer.sample_labelled(4)
    with pytest.raises(ConfigError, match="sum to 1"):
        buffer.sample_labelled(4, {1: 0.5})
    with pytest.raises(InvalidValueError, match="from -1 to 127"):
        buffer.update_labels(torch.tensor([5]), torch.tensor([128]))
    with pytest.raises(ShapeError):
        buffer.update_labels(torch.tensor([5]), torch.tensor([1, 2]))
    assert np.unique(buffer.columns(buffer.indices())["label"]).tolist() == [-1]
