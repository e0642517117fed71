"""The automatic precision: what the device multiplies by itself, and nothing that it only emulates."""

from __future__ import annotations

import pytest
import torch

from robot_rlhf.learner.precision import Precision, multiplies_bfloat16, precision_on

CPU = torch.device("cpu")


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(wanted: Precision) -> None:
    assert precision_on(CPU, wanted) == wanted


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False}, "float32"),
        ({"avx512_f": True, "avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_auto_follows_what_the_processor_says(
    told: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert precision_on(CPU, "auto") == expected


def test_an_older_torch_that_cannot_tell_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bfloat16(CPU)
    assert precision_on(CPU, "auto") == "float32"
