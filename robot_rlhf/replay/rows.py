"""The rows of the ring on the device: one per observation, with the transition that leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array, Source
from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.replay.pictures import PictureConfig, make_pictures

ALIGNMENT = 4
"""A row's width in floats is a multiple of this: 16 bytes, what a GPU loads at once."""
FLOAT_BYTES = 4
LARGEST = 2**24 - 1
"""Episodes that float32 can tell apart; of two that cannot be, one is long overwritten."""
PEOPLE = frozenset({Source.HUMAN, Source.DEMO})
"""Sources of actions that a person decided, where no shares are known."""
Seen = Mapping[str, NDArray[Any] | Tensor]
"""An observation: 'state' (D,), and pictures (H, W, 3) uint8 by camera name."""


class Rows:
    """Two kinds of storage of equal length: one float32 matrix, and one store of pictures per camera.

    The float row is [state (D) | action (m) | reward | leaves | goes_on | weight | source | context (C) | episode, step
    | padding], so that one gather brings everything but the pictures. `leaves` is 1 where a transition leaves the
    observation, 0 on the last observation of an episode; `goes_on` is 1 - terminated. Episode and step are there where
    past states are looked at. Pictures lie as (capacity, H * W * 3), each frame once.
    """

    def __init__(
        self,
        capacity: int,
        state_size: int,
        action_size: int,
        cameras: Mapping[str, tuple[int, int]],
        pictures: PictureConfig,
        device: str,
        context_size: int = 0,
        past: int = 0,
    ) -> None:
        """Args: past: states before its own that an observation has."""
        self.state_size = state_size
        self.action_size = action_size
        self.cameras = dict(cameras)
        self.device = torch.device(device)
        self.reward = state_size + action_size
        self.leaves, self.goes_on = self.reward + 1, self.reward + 2
        self.weight, self.source = self.reward + 3, self.reward + 4
        self.context = slice(self.source + 1, self.source + 1 + context_size)
        self.past = past
        self._back = torch.arange(1, past + 1, device=self.device)
        self._place = slice(self.context.stop, self.context.stop + 2)
        self.authority: Tensor | None = None
        """A person's share of each entry; None until a step has one. Shape (capacity, m)."""
        width = float_width(state_size, action_size, context_size, past)
        self.floats = torch.zeros((capacity, width), dtype=torch.float32, device=self.device)
        self.config = pictures
        self.pictures = {
            name: make_pictures(capacity, size, pictures, self.device) for name, size in self.cameras.items()
        }
        # A CPU tensor shares its memory with an array, which is faster to write one row at a time.
        self._float_view: Array | None = None
        if self.device.type == "cpu":
            self._float_view = self.floats.numpy()

    def check_observation(self, observation: Seen) -> Array:
        """The state vector, after all entries were checked."""
        return check_observation(observation, self.state_size, self.cameras)

    def write_observation(self, row: int, state: Array, observation: Seen, episode: int, step: int) -> None:
        """Begin a row: an observation that no transition leaves yet."""
        values = np.zeros(self.floats.shape[1], np.float32)
        values[: self.state_size] = state
        if self.past:
            values[self._place] = 1 + episode % LARGEST, step  # a slot that was never written is of episode 0
        self._write(row, 0, values)
        for name, store in self.pictures.items():
            store.write(row, observation[name])

    def write_transition(
        self,
        row: int,
        action: Array,
        reward: float,
        terminated: bool,
        weight: float,
        source: Source,
        context: Array,
        authority: Array | None,
    ) -> None:
        """Complete a row with the transition that leaves its observation."""
        tail = np.array((reward, 1.0, 0.0 if terminated else 1.0, weight, float(source)), np.float32)
        self._write(row, self.state_size, np.concatenate((action, tail, context) if len(context) else (action, tail)))
        if authority is not None and self.authority is None:
            people = torch.isin(self.floats[:, self.source], torch.tensor(sorted(PEOPLE), device=self.device))
            self.authority = people.to(torch.float32)[:, None].repeat(1, self.action_size)
        if self.authority is not None:
            whole = float(source in PEOPLE)
            self.authority[row] = whole if authority is None else torch.as_tensor(authority.copy())

    def write_column(self, rows: Tensor, column: int, values: Tensor) -> None:
        """Set one column of some rows; both tensors have shape (N,)."""
        self.floats[rows, column] = values

    def _write(self, row: int, start: int, values: Array) -> None:
        if self._float_view is not None:
            self._float_view[row, start : start + len(values)] = values
        else:
            self.floats[row, start : start + len(values)] = torch.as_tensor(values)

    def observation(self, floats: Tensor, rows: Tensor, generator: torch.Generator | None) -> dict[str, Tensor]:
        """'state' (N, D) as a view of gathered float rows, and pictures (N, H, W, 3).

        Args:
            generator: draws the shifts of pictures that are made as configured; None gives them as they are stored.
        """
        result = {"state": floats[:, : self.state_size]}
        for name, store in self.pictures.items():
            if generator is None:
                result[name] = store.stored(rows)
            else:
                result[name] = store.take(rows, self._offsets(len(rows), generator))
        return result

    def states_before(self, floats: Tensor, numbers: Tensor) -> Tensor:
        """The states before rows, newest first, 0 before their episode began or where they were overwritten.

        Args:
            floats: gathered rows. Shape (N, width).
            numbers: theirs, int64. Shape (N,).

        Returns:
            Shape (N, past, D).
        """
        back = self._back
        slots = (numbers[:, None] - back).remainder_(len(self.floats))  # (N, past)
        before = self.floats.index_select(0, slots.view(-1)).view(*slots.shape, self.floats.shape[1])
        place, own = before[..., self._place], floats[:, None, self._place]
        same = (place[..., 0] == own[..., 0]) & (place[..., 1] == own[..., 1] - back)
        return torch.where(same[..., None], before[..., : self.state_size], before.new_zeros(()))

    def _offsets(self, size: int, generator: torch.Generator) -> Tensor | None:
        """Pixels down and right, int32 (2, N); nothing is drawn where nothing is shifted."""
        pad = self.config.shift
        if not pad:
            return None
        return torch.randint(-pad, pad + 1, (2, size), generator=generator, device=self.device, dtype=torch.int32)


def float_width(state_size: int, action_size: int, context_size: int = 0, past: int = 0) -> int:
    """Floats per row, padding included."""
    used = state_size + action_size + 5 + context_size + (2 if past else 0)
    return -(-used // ALIGNMENT) * ALIGNMENT


def check_observation(observation: Seen, state_size: int, cameras: Mapping[str, tuple[int, int]]) -> Array:
    """The state vector as an array, after all entries were found to have the right names, shapes and types."""
    if set(observation) != {"state", *cameras}:
        raise InvalidValueError(
            "replay observation", sorted(observation), f"exactly the entries {sorted({'state', *cameras})}"
        )
    state = as_vector("observation[state]", observation["state"], state_size)
    for name, (height, width) in cameras.items():
        image = observation[name]
        if tuple(image.shape) != (height, width, 3):
            raise ShapeError(f"replay observation[{name}]", tuple(image.shape), (height, width, 3))
        if image.dtype not in (np.uint8, torch.uint8):
            raise InvalidValueError(f"replay observation[{name}]", f"dtype {image.dtype}", "uint8")
    return state


def as_vector(name: str, value: NDArray[Any] | Tensor, size: int) -> Array:
    """A finite float32 vector on the host.

    Raises:
        ShapeError: another shape than (size,).
        InvalidValueError: NaN or infinite entries.
    """
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    if array.shape != (size,):
        raise ShapeError(f"replay {name}", array.shape, (size,))
    array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise InvalidValueError(f"replay {name}", array.tolist(), "finite numbers")
    return array
