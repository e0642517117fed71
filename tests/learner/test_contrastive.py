"""The contrastive loss by hand and against CLIP's own, and what is measured of a model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.learner.contrastive import (
    ContrastiveConfig,
    choice_accuracy,
    contrastive_loss,
    recall,
    train_contrastive,
)


def units(seed: int, count: int, size: int = 6) -> Tensor:
    return functional.normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_with_one_true_sentence_each_it_is_clips_loss() -> None:
    open_clip = pytest.importorskip("open_clip")
    x, y = units(0, 5), units(1, 5)
    theirs = open_clip.ClipLoss()(x, y, torch.tensor(7.0))
    torch.testing.assert_close(contrastive_loss(x, y, torch.eye(5, dtype=torch.bool), 7.0), theirs)


def test_by_hand() -> None:
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    true = torch.tensor([[True, False, False], [False, True, False]])  # the third is true of nothing
    # logits [[log 2, 0, 0], [0, log 2, log 2]]: chances of pictures 2/4 and 2/5, of sentences 2/3 and 2/3
    by_hand = 0.5 * (0.5 * (math.log(4 / 2) + math.log(5 / 2)) + math.log(3 / 2))
    assert math.isclose(float(contrastive_loss(x, y, true, math.log(2.0))), by_hand, rel_tol=1e-6)
    with pytest.raises(ShapeError, match="true"):
        contrastive_loss(x, y, true.T, 1.0)


def test_what_is_true_of_a_picture_too_is_not_pushed_away() -> None:
    """Two sentences, both true of two pictures that lie between them."""
    sentences = torch.eye(2)
    for true, expected in ((torch.ones(2, 2), 0.0), (torch.eye(2), 1.0)):
        x = functional.normalize(torch.ones(2, 2), dim=1).requires_grad_()
        contrastive_loss(x, sentences, true.bool(), 4.0).backward()
        assert x.grad is not None
        # half the loss, a mean of two rows, scale 4: chance 1/2 less target, from either side
        torch.testing.assert_close(x.grad, expected * torch.tensor([[-1.0, 1.0], [1.0, -1.0]]), atol=1e-6, rtol=0)


class TwoTables(nn.Module):
    """Pictures and sentences as rows of tables, with open_clip's names."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.pictures = nn.Parameter(torch.randn(6, 4, generator=generator))
        self.words = nn.Parameter(torch.randn(3, 4, generator=generator))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, x: Tensor, normalize: bool = False) -> Tensor:
        return functional.normalize(x @ self.pictures, dim=1)

    def encode_text(self, tokens: Tensor, normalize: bool = False) -> Tensor:
        return functional.normalize(self.words[tokens], dim=1)


def toy() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Six pictures, three sentences, each true of two."""
    return itertools.repeat((torch.eye(6), torch.arange(3), torch.arange(6).unsqueeze(1) // 2 == torch.arange(3)))


def test_training_finds_what_is_true_and_repeats() -> None:
    models = [TwoTables(), TwoTables()]
    config = ContrastiveConfig(learning_rate=0.05)
    told: list[float] = []
    for model in models:
        steps = train_contrastive(
            model, toy(), config, minutes=1.0, steps=80, on_step=lambda step, loss, progress: told.append(loss)
        )
        assert steps == 80
    assert told[79] < 0.5 * told[0]
    assert told[:80] == told[80:]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)
    x, y = models[0].encode_image(torch.eye(6)), models[0].encode_text(torch.arange(3))
    assert choice_accuracy(x, y, torch.arange(6) // 2) == 1.0
    assert not models[0].training


def test_minutes_end_training_too() -> None:
    ticks = itertools.count(step=6.0)  # seconds
    assert train_contrastive(TwoTables(), toy(), ContrastiveConfig(), minutes=1.0, clock=lambda: next(ticks)) == 9


def test_recall_by_hand() -> None:
    sentences = torch.eye(3)
    x = functional.normalize(torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), dim=1)
    own = torch.tensor([0, 1, 2, 2])
    assert recall(x, sentences, own, (1, 2, 3)) == {1: 0.5, 2: 0.75, 3: 1.0}
    assert choice_accuracy(x, sentences, own) == 0.5


def test_recall_of_what_tells_nothing_apart_is_no_better_than_chance() -> None:
    same = torch.ones(50, 4) / 2
    assert recall(same, same, torch.arange(50), (1, 5, 50)) == pytest.approx({1: 1 / 50, 5: 5 / 50, 50: 1.0})


@pytest.mark.parametrize("bad", [{"batch_size": 1}, {"learning_rate": 0.0}, {"unknown": 1.0}])
def test_settings_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        ContrastiveConfig(**bad)  # pyright: ignore[reportArgumentType]  (on purpose)
