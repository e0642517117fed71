"""Contrastive learning of pictures and sentences where it is known which sentence is true of which picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.errors import ConfigError, ShapeError

HIGHEST_SCALE = math.log(100.0)
"""Of the logits, as in CLIP (Radford et al. 2021)."""


def contrastive_loss(pictures: Tensor, sentences: Tensor, true: Tensor, scale: Tensor | float) -> Tensor:
    """Cross entropy of pictures over sentences, and of sentences over pictures, every true pair being a positive.

    UniCL's loss (Yang et al. 2022) with truth in place of class labels; with one true sentence per
    picture it is CLIP's. A sentence that is said of another picture but true of this one is not pushed away.

    Args:
        pictures: Unit vectors. Shape (B, D).
        sentences: Unit vectors. Shape (C, D).
        true: Whether sentence c is true of picture b. bool, shape (B, C).
        scale: Of the cosines, 1 / temperature.

    Raises:
        ShapeError: `true` is not (B, C).
    """
    if true.shape != (len(pictures), len(sentences)):
        raise ShapeError("contrastive_loss.true", tuple(true.shape), (len(pictures), len(sentences)))
    logits = scale * pictures @ sentences.T  # (B, C)
    positives = true.to(logits.dtype)
    return 0.5 * (_cross_entropy(logits, positives) + _cross_entropy(logits.T, positives.T))


def _cross_entropy(logits: Tensor, positives: Tensor) -> Tensor:
    """Against the uniform distribution over a row's positives, averaged over the rows that have one."""
    count = positives.sum(dim=1)
    each = -(functional.log_softmax(logits, dim=1) * positives).sum(dim=1) / count.clamp(min=1.0)
    return each.sum() / (count > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class ContrastiveConfig:
    """How a small CLIP model is trained."""

    batch_size: int = 64
    """Pictures per step."""
    learning_rate: float = 1e-3
    """Highest; reached after a twentieth of the training, then falling to zero along a cosine."""
    weight_decay: float = 0.05
    unknown: float = 0.03
    """Chance that a word's token is replaced by the unknown one, so that an unknown word does little harm."""

    def __post_init__(self) -> None:
        if self.batch_size < 2 or self.learning_rate <= 0.0 or not 0.0 <= self.unknown < 1.0:
            raise ConfigError(f"{self}: allowed batch_size >= 2, learning_rate > 0, unknown from 0 to below 1")


Batches = Iterator[tuple[Tensor, Tensor, Tensor]]
"""Pictures as the model takes them (B, 3, H, W), tokens (C, length), and what is true of what (B, C)."""


def train_contrastive(
    model: nn.Module,
    batches: Batches,
    config: ContrastiveConfig,
    *,
    minutes: float,
    steps: int | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_step: Callable[[int, float, float], None] = lambda step, loss, progress: None,
) -> int:
    """Train for so many minutes, or for exactly so many steps, which alone can be repeated.

    Args:
        model: with encode_image, encode_text and logit_scale, as open_clip's are.
        batches: without end.
        on_step: is told the step, its loss, and the share that is done.

    Returns:
        Steps taken.
    """
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
    )
    model.train()
    began, step = clock(), 0
    while True:
        progress = step / steps if steps is not None else (clock() - began) / (60.0 * minutes)
        if progress >= 1.0:
            break
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _schedule(progress)
        loss = _step(model, optimiser, *next(batches))
        step += 1
        on_step(step, loss, progress)
    model.eval()
    return step


def _step(model: nn.Module, optimiser: torch.optim.Optimizer, pictures: Tensor, tokens: Tensor, true: Tensor) -> float:
    scale: Tensor = model.logit_scale  # pyright: ignore[reportAssignmentType]  (a parameter)
    encode_image: Callable[..., Tensor] = model.encode_image  # pyright: ignore[reportAssignmentType]  (a method)
    encode_text: Callable[..., Tensor] = model.encode_text  # pyright: ignore[reportAssignmentType]  (a method)
    loss = contrastive_loss(
        encode_image(pictures, normalize=True), encode_text(tokens, normalize=True), true, scale.exp()
    )
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        scale.clamp_(max=HIGHEST_SCALE)
    return float(loss.detach())


def _schedule(progress: float) -> float:
    return min(progress / 0.05 + 1e-2, 0.5 * (1.0 + math.cos(math.pi * progress)))


def recall(pictures: Tensor, sentences: Tensor, own: Tensor, places: Sequence[int] = (1, 5)) -> dict[int, float]:
    """Share of pictures whose own sentence is among the k nearest of all different sentences; as many of equally near
    ones are, on average, as a fair draw would place there.

    Args:
        pictures: Unit vectors. Shape (B, D).
        sentences: Different ones. Shape (C, D).
        own: Which sentence is the picture's. int64, shape (B,).
        places: The values of k.
    """
    cosines = pictures @ sentences.T  # (B, C)
    mine = cosines.gather(1, own.unsqueeze(1))
    nearer, ties = (found.sum(dim=1).float() for found in (cosines > mine, cosines == mine))
    return {k: float(((k - nearer) / ties).clamp(0.0, 1.0).mean()) for k in places}


def choice_accuracy(pictures: Tensor, sentences: Tensor, right: Tensor) -> float:
    """Share of pictures whose nearest sentence is the right one. Shapes (B, D), (C, D), (B,)."""
    return float(((pictures @ sentences.T).argmax(dim=1) == right).float().mean())
