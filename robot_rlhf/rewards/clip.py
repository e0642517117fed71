"""Pictures and sentences in one space, by any model of open_clip or a small one of ours."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from robot_rlhf.errors import (
    CheckpointError,
    ConfigError,
    InvalidValueError,
    ShapeError,
    UnknownNameError,
    in_our_words,
)
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.rewards.vocabulary import Vocabulary, warn_of_unknown

FORMAT = "robot_rlhf clip 1"
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""What CLIP's pictures are normalised by (Radford et al. 2021)."""
CHUNK = 256
"""Pictures or sentences encoded at a time: bounds the memory."""
NEAREST = 6
"""Names of models that an error offers."""

log = logging.getLogger(__name__)


def load_open_clip() -> Any:
    """The package open_clip, which is an extra.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ConfigError(f"CLIP needs open_clip ({error}): pip install 'robot-rlhf[vlm]'") from error
    return open_clip


def preprocessed(
    pictures: Tensor, size: tuple[int, int], mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> Tensor:
    """Pictures as a CLIP model takes them: all at once, bicubic, squashed to its size, normalised.

    Args:
        pictures: uint8, or x / 255 - 0.5 as replay gives them on a GPU. Shape (B, H, W, 3).
        size: Height and width wanted.
        mean, std: Per colour, of values in [0, 1].

    Returns:
        float32, shape (B, 3, *size).

    Raises:
        ShapeError: not pictures.
    """
    if pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise ShapeError("pictures", tuple(pictures.shape), ("B", "H", "W", 3))
    x = pictures.float() / 255.0 if pictures.dtype == torch.uint8 else pictures.float() + 0.5
    x = x.permute(0, 3, 1, 2)
    if tuple(x.shape[2:]) != size:
        x = functional.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False).clamp(0.0, 1.0)
    return (x - x.new_tensor(mean).view(3, 1, 1)) / x.new_tensor(std).view(3, 1, 1)


class ClipEncoder:
    """Encodes pictures and sentences as unit vectors (D,) whose cosine says how well they fit."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        tokenize: Callable[[list[str]], Tensor],
        *,
        size: tuple[int, int],
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        vocabulary: Vocabulary | None = None,
        facts: Mapping[str, object] | None = None,
        device: str = "cpu",
    ) -> None:
        """Take a model that is there; `pretrained`, `load` and `open_encoder` find one.

        Args:
            name: model and weights, for people and records.
            model: with encode_image and encode_text, as open_clip's are.
            tokenize: sentences to int64 (N, length).
            size: height and width of its pictures.
            vocabulary: the words it learned, if it is known.
            facts: what else its checkpoint says of it.
        """
        self.name = name
        self.facts = dict(facts or {})
        self.vocabulary = vocabulary
        self._model: Any = model.to(device).requires_grad_(False).eval()
        self._tokenize = tokenize
        self._size, self._mean, self._std = size, tuple(mean), tuple(std)
        self._device = torch.device(device)
        self.size = self.texts(["the robot"], warn=False).shape[1]
        """Length D of an embedding."""

    @classmethod
    def pretrained(cls, model: str, weights: str, device: str = "cpu") -> ClipEncoder:
        """A model of open_clip, for example 'ViT-B-32' with 'laion2b_s34b_b79k' or a file of such weights.

        Raises:
            ConfigError: open_clip is not installed, or has no such model.
            UnknownNameError: no such tag.
            CheckpointError: the weights cannot be downloaded or read, or are another architecture's.
        """
        open_clip = load_open_clip()
        model = model.replace("/", "-")
        names = open_clip.list_models()
        if model not in names:
            near = difflib.get_close_matches(model, names, n=NEAREST, cutoff=0.3)
            raise ConfigError(f"open_clip has no model {model!r}; nearest: {', '.join(near) or 'none'}")
        tags = open_clip.list_pretrained_tags_by_model(model)
        file = Path(weights)
        is_file = file.is_file()
        if not is_file and weights.lower().replace("-", "_") not in tags:
            if file.suffix or len(file.parts) > 1:
                raise CheckpointError(f"{weights}: no such file")
            raise UnknownNameError(f"pretrained tag of {model}", weights, tags)
        try:
            net = open_clip.create_model(model, None if is_file else weights, pretrained_text=False)
            tokenize = open_clip.get_tokenizer(model)
        except (OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{model} {weights}: cannot be had ({_first_line(error)}); "
                "without the internet give a file of weights, or train a small one: robot-rlhf reward clip"
            ) from error
        if is_file:
            _load_weights(open_clip, net, file)
        picture = net.visual.preprocess_cfg
        height, width = _pair(net.visual.image_size)
        return cls(
            f"{model} {weights}",
            net,
            _english_only(model, tokenize) if isinstance(tokenize, open_clip.SimpleTokenizer) else tokenize,
            size=(height, width),
            mean=picture["mean"],
            std=picture["std"],
            device=device,
        )

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> ClipEncoder:
        """A small model of ours, as `save_clip` wrote it.

        Raises:
            ConfigError: open_clip is not installed.
            CheckpointError: missing, corrupt, not such a checkpoint, or of another architecture.
        """
        open_clip = load_open_clip()
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        except FileNotFoundError as error:
            raise CheckpointError(f"{path}: no such checkpoint; robot-rlhf reward clip trains one") from error
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: corrupt or not a checkpoint ({_first_line(error)})") from error
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path}: format is {metadata.get('format')!r}, this program reads {FORMAT!r}")
        try:
            facts = json.loads(metadata["facts"])
            vocabulary = Vocabulary(tuple(facts["tokens"]), frozenset(facts["words"]), facts["length"])
            net = open_clip.CLIP(**facts["architecture"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: does not say what it holds (facts: {error!r})") from error
        check_same_shapes(str(path), shapes_in(tensors), shapes_in(net.state_dict()))
        net.load_state_dict(tensors)
        return encoder_of(net, vocabulary, f"{path.stem} of robot-rlhf", facts=facts, device=device)

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """As `texts`: a text encoder of anything that takes one."""
        return self.texts(sentences)

    def images(self, pictures: Tensor | NDArray[np.uint8]) -> Tensor:
        """Embed pictures: uint8, or x / 255 - 0.5. Shape (B, H, W, 3) -> (B, D), of unit length."""
        whole = torch.as_tensor(np.array(pictures) if isinstance(pictures, np.ndarray) else pictures)
        if whole.ndim != 4 or whole.shape[-1] != 3:
            raise ShapeError("pictures", tuple(whole.shape), ("B", "H", "W", 3))
        with torch.no_grad():
            parts = [
                self._model.encode_image(preprocessed(chunk.to(self._device), self._size, self._mean, self._std))
                for chunk in whole.split(CHUNK)
            ]
        return functional.normalize(torch.cat(parts).float(), dim=1)

    def texts(self, sentences: Sequence[str], *, warn: bool = True) -> Tensor:
        """Embed sentences. Returns (N, D), of unit length.

        Args:
            warn: say which words the model never learned.

        Raises:
            InvalidValueError: no sentence, or an empty one.
        """
        if not sentences or not all(sentence.strip() for sentence in sentences):
            raise InvalidValueError("sentences", list(sentences), "one or more, none of them empty")
        if warn and self.vocabulary is not None:
            warn_of_unknown(sentences, self.vocabulary, self.name)
        tokens = self._tokenize(list(sentences)).to(self._device)
        with torch.no_grad():
            parts = [self._model.encode_text(chunk) for chunk in tokens.split(CHUNK)]
        return functional.normalize(torch.cat(parts).float(), dim=1)


def open_encoder(name: str, device: str = "cpu") -> ClipEncoder:
    """An encoder by one word: a file of ours, or 'MODEL:TAG' or 'MODEL:FILE' of open_clip.

    Raises:
        ConfigError, UnknownNameError, CheckpointError: see ClipEncoder.load and ClipEncoder.pretrained.
    """
    path = Path(name)
    model, colon, weights = name.partition(":")
    if path.is_file() or (path.suffix == ".safetensors" and not colon):
        return ClipEncoder.load(path, device)
    if not colon:
        raise ConfigError(f"CLIP model {name!r}: no such file; allowed: a checkpoint, or MODEL:TAG of open_clip")
    return ClipEncoder.pretrained(model, weights, device)


def encoder_of(
    model: nn.Module,
    vocabulary: Vocabulary,
    name: str,
    *,
    facts: Mapping[str, object] | None = None,
    device: str = "cpu",
) -> ClipEncoder:
    """An encoder around a small model of ours."""
    encode = load_open_clip().SimpleTokenizer().encode
    visual: Any = model.visual
    return ClipEncoder(
        name,
        model,
        lambda sentences: vocabulary.numbers(sentences, encode),
        size=_pair(visual.image_size),
        vocabulary=vocabulary,
        facts=facts,
        device=device,
    )


def save_clip(
    path: Path,
    model: nn.Module,
    architecture: Mapping[str, object],
    vocabulary: Vocabulary,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Write a small model of ours: one safetensors file, its architecture and vocabulary in it as JSON.

    Raises:
        CheckpointError: it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    said = {
        **(facts or {}),
        "architecture": dict(architecture),
        "tokens": list(vocabulary.tokens),
        "words": sorted(vocabulary.words),
        "length": vocabulary.length,
    }
    scratch = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(save(tensors, {"format": FORMAT, "facts": json.dumps(said, sort_keys=True)}))
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from error


def _load_weights(open_clip: Any, model: Any, path: Path) -> None:
    def said(error: Exception) -> CheckpointError:
        with in_our_words(lambda _: CheckpointError(f"{path}: not a file of weights ({_first_line(error)})")):
            shapes = shapes_in(open_clip.factory.load_state_dict(str(path)))
        check_same_shapes(str(path), shapes, shapes_in(model.state_dict()))
        return CheckpointError(f"{path}: cannot be loaded ({_first_line(error)})")

    with in_our_words(said):
        try:
            open_clip.load_checkpoint(model, str(path))
        except FileNotFoundError as error:
            raise CheckpointError(f"{path}: no such file") from error


def _english_only(model: str, tokenize: Callable[[list[str]], Tensor]) -> Callable[[list[str]], Tensor]:
    """Warn of letters that this tokenizer's models, which learned from English, hardly know."""

    def checked(sentences: list[str]) -> Tensor:
        foreign = [s for s in sentences if any(letter.isalpha() and not letter.isascii() for letter in s)]
        if foreign:
            log.warning("%s learned from English: what it says of %r means little", model, foreign[0])
        return tokenize(sentences)

    return checked


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
