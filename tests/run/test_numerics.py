"""Tiny numbers are zero while a run learns, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from robot_rlhf.run.numerics import tiny_is_zero


def halved() -> float:
    return float(torch.tensor([1e-38]).mul(0.01))


def test_only_within_the_block_and_whatever_happens_in_it() -> None:
    assert halved() > 0.0
    with tiny_is_zero():
        assert halved() == 0.0
    assert halved() > 0.0
    with pytest.raises(ValueError, match="within"), tiny_is_zero():
        raise ValueError("within")
    assert halved() > 0.0
