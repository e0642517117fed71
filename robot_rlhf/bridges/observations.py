"""Between observations as Stable-Baselines3 lays them out, and as our replay keeps and our networks see them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import DTypeLike, NDArray
from stable_baselines3.common.preprocessing import (
    get_flattened_obs_dim,
    get_obs_shape,
    is_image_space,
    is_image_space_channels_first,
    preprocess_obs,
)
from torch import Tensor

from robot_rlhf.errors import ConfigError, ShapeError

WHOLE = ""
"""Key of an observation that is one array, not a dictionary."""


@dataclass(frozen=True)
class _Vector:
    """Numbers that lie in the state vector."""

    shape: tuple[int, ...]
    span: slice
    dtype: torch.dtype


@dataclass(frozen=True)
class _Picture:
    """Bytes that are kept as a picture (H, W, 3): as it is, or packed when it has not three channels."""

    name: str
    shape: tuple[int, ...]
    channels: int | None
    """Axis of the three channels of (C, H, W) or (H, W, C), or None for packed bytes."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as kept."""
        if self.channels is None:
            return (1, -(-math.prod(self.shape) // 3))
        return (self.shape[1], self.shape[2]) if self.channels == 0 else (self.shape[0], self.shape[1])


class ObservationLayout:
    """How the observations of one space are kept: numbers joined to one 'state', uint8 arrays as pictures.

    The order is that of the space. Nothing is rounded but numbers that float32 cannot hold.
    """

    def __init__(self, space: spaces.Space) -> None:
        """Raises ConfigError for a space that is no array and no flat dictionary of arrays."""
        self.is_dict = isinstance(space, spaces.Dict)
        self._parts: dict[str, _Vector | _Picture] = {}
        self.state_size = 0
        for key, part in _parts_of(space).items():
            shape = get_obs_shape(part)
            assert isinstance(shape, tuple)
            if part.dtype == np.uint8 and len(shape) >= 2:
                name = f"picture{len(self.cameras)}"
                self._parts[key] = _Picture(name, shape, _channel_axis(shape))
            else:
                span = slice(self.state_size, self.state_size + math.prod(shape))
                self._parts[key] = _Vector(shape, span, torch_dtype(part.dtype))
                self.state_size = span.stop

    @property
    def cameras(self) -> dict[str, tuple[int, int]]:
        """Name to (height, width) of the pictures, as kept."""
        return {part.name: part.size for part in self._parts.values() if isinstance(part, _Picture)}

    @property
    def spans(self) -> dict[str, slice]:
        """Key to where its numbers lie in the state vector."""
        return {key: part.span for key, part in self._parts.items() if isinstance(part, _Vector)}

    def check(self, observation: Mapping[str, NDArray]) -> None:
        """Whether these are a batch's arrays by key, each of shape (B, ...).

        Raises:
            ConfigError: other keys than the space has.
            ShapeError: other shapes.
        """
        if observation.keys() != self._parts.keys():
            raise ConfigError(f"observation {sorted(observation)}: the space has {sorted(self._parts)}")
        for key, part in self._parts.items():
            if observation[key].shape[1:] != part.shape:
                raise ShapeError(f"observation {key!r}", observation[key].shape, ("B", *part.shape))

    def arrays(self, observation: NDArray | Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Copies of a batch's arrays by key, each of shape (B, ...)."""
        given = observation if isinstance(observation, Mapping) else {WHOLE: observation}
        return {key: np.array(given[key]).reshape(-1, *part.shape) for key, part in self._parts.items()}

    def encode(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors (B, ...) by key to 'state' (B, D) float32 and pictures (B, H, W, 3) uint8: views where possible."""
        vectors: list[Tensor] = []
        result: dict[str, Tensor] = {}
        for key, part in self._parts.items():
            value = observation[key]
            if isinstance(part, _Vector):
                vectors.append(value.reshape(len(value), -1).float())
            elif part.channels is None:
                flat = value.reshape(len(value), -1)
                missing = 3 * part.size[1] - flat.shape[1]
                result[part.name] = torch.nn.functional.pad(flat, (0, missing)).view(-1, *part.size, 3)
            else:
                result[part.name] = value.movedim(1 + part.channels, 3)
        if not vectors:
            some = next(iter(observation.values()))
            vectors = [torch.zeros((len(some), 0), device=some.device)]
        result["state"] = vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=1)
        return result

    def decode(self, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `encode`."""
        result: dict[str, Tensor] = {}
        for key, part in self._parts.items():
            if isinstance(part, _Vector):
                result[key] = kept["state"][:, part.span].reshape(-1, *part.shape).to(part.dtype)
            elif part.channels is None:
                flat = kept[part.name].flatten(1)
                result[key] = flat[:, : math.prod(part.shape)].reshape(-1, *part.shape)
            else:
                result[key] = kept[part.name].movedim(3, 1 + part.channels)
        return result


class NetworkLayout:
    """How networks see the observations of one space: numbers joined to one 'state', pictures by themselves.

    What is a picture, and which axis is that of its channels, is decided as Stable-Baselines3 does; whole numbers that
    stand for choices (Discrete, MultiDiscrete) become one-hot.
    """

    def __init__(self, space: spaces.Space, *, normalise: bool = True) -> None:
        """
        Args:
            normalise: bytes of pictures become numbers within [-0.5, 0.5]. False takes all values as they are, and
                also arrays of three axes that are no bytes as pictures.

        Raises:
            ConfigError: the space is no array and no flat dictionary of arrays.
        """
        self._spaces = _parts_of(space)
        self._normalise = normalise
        self._channel_axis = {
            key: 0 if is_image_space_channels_first(part) else 2
            for key, part in self._spaces.items()
            if isinstance(part, spaces.Box) and is_image_space(part, normalized_image=not normalise)
        }
        self._names = {key: f"picture{number}" for number, key in enumerate(self._channel_axis)}
        self.spans: dict[str, slice] = {}
        """Key to where its numbers lie in the state vector."""
        self.state_size = 0
        for key, part in self._spaces.items():
            if key not in self._names:
                self.spans[key] = slice(self.state_size, self.state_size + get_flattened_obs_dim(part))
                self.state_size = self.spans[key].stop

    @property
    def cameras(self) -> dict[str, tuple[int, int]]:
        """Name to (height, width) of the pictures."""
        return {name: self._sizes(key)[:2] for key, name in self._names.items()}

    @property
    def channels(self) -> dict[str, int]:
        """Name to number of channels of the pictures."""
        return {name: self._sizes(key)[2] for key, name in self._names.items()}

    def _sizes(self, key: str) -> tuple[int, int, int]:
        """Height, width, channels."""
        shape = self._spaces[key].shape
        assert shape is not None
        return (shape[1], shape[2], shape[0]) if self._channel_axis[key] == 0 else (shape[0], shape[1], shape[2])

    def encode(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors (B, ...) by key to 'state' (B, D) float32 and pictures (B, H, W, C), uint8 or taken as they are."""
        vectors: list[Tensor] = []
        result: dict[str, Tensor] = {}
        for key, space in self._spaces.items():
            value = observation[key]
            if key in self._names:
                seen = value if self._normalise else value.float()
                result[self._names[key]] = seen.movedim(1 + self._channel_axis[key], 3)
            else:
                seen = preprocess_obs(value, space, normalize_images=False)
                assert isinstance(seen, Tensor)
                vectors.append(seen.reshape(len(value), -1))
        if not vectors:
            some = next(iter(observation.values()))
            vectors = [torch.zeros((len(some), 0), device=some.device)]
        result["state"] = vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=1)
        return result


def by_key(observation: Tensor | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """An observation as Stable-Baselines3 hands it on, by the keys of its space."""
    return {WHOLE: observation} if isinstance(observation, Tensor) else observation


def _parts_of(space: spaces.Space) -> dict[str, spaces.Space]:
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {WHOLE: space}
    for key, part in parts.items():
        if not isinstance(part, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
            raise ConfigError(f"observation space {key!r}: got {part}, allowed: arrays, or a flat Dict of arrays")
    return parts


def torch_dtype(dtype: DTypeLike | None) -> torch.dtype:
    """The type of tensors that stand for such arrays; float64 becomes float32."""
    found = torch.from_numpy(np.zeros(1, dtype)).dtype
    return torch.float32 if found is torch.float64 else found


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    if len(shape) != 3 or 3 not in (shape[0], shape[2]):
        return None
    return 2 if shape[2] == 3 else 0
