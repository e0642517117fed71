"""What one message of a page carries: everything that is held right now, checked before it counts."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from robot_rlhf.console.keymap import AXES
from robot_rlhf.errors import InvalidValueError

MAX_KEYS = 32
MAX_KEY_LENGTH = 32
MAX_EPISODE_NAME = 120
MAX_PADS = 4
MAX_PAD_AXES = 16
MAX_PAD_BUTTONS = 32
STICKS = (*AXES, "lead")
"""On-screen sticks: typed motion in [-1, 1], and the lead button, 0 or 1."""
_ROUNDING = 1.01
"""Browsers give sticks at their end a little more than 1."""


@dataclass(frozen=True)
class Pad:
    """A gamepad in the browser's standard mapping; what it lacks at the end counts as untouched."""

    axes: tuple[float, ...] = ()
    """Left x, left y, right x, right y in [-1, 1], right and down positive."""
    buttons: tuple[float, ...] = ()
    """In [0, 1]."""

    def __post_init__(self) -> None:
        _at_most("Pad.axes", len(self.axes), MAX_PAD_AXES)
        _at_most("Pad.buttons", len(self.buttons), MAX_PAD_BUTTONS)
        axes = tuple(_number(f"Pad.axes[{i}]", v, -1.0) for i, v in enumerate(self.axes))
        buttons = tuple(_number(f"Pad.buttons[{i}]", v, 0.0) for i, v in enumerate(self.buttons))
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "buttons", buttons)


@dataclass(frozen=True)
class PageInput:
    """What one message of a page carries: everything that is held right now."""

    keys: frozenset[str] = frozenset()
    """KeyboardEvent.code of held keys. An on-screen button may say the key that it stands for."""
    pads: tuple[Pad, ...] = ()
    sticks: Mapping[str, float] = field(default_factory=dict[str, float])
    """On-screen controls: see STICKS. What is missing is 0."""
    shown: str = ""
    """The episode that the page last showed under way: what a judgement is about. Empty before the first."""

    def __post_init__(self) -> None:
        _at_most("PageInput.keys", len(self.keys), MAX_KEYS)
        for key in self.keys:
            if not isinstance(key, str) or len(key) > MAX_KEY_LENGTH:
                raise InvalidValueError("PageInput.keys", _shown(key), f"names of at most {MAX_KEY_LENGTH} characters")
        _at_most("PageInput.pads", len(self.pads), MAX_PADS)
        sticks: dict[str, float] = {}
        for name, value in self.sticks.items():
            if name not in STICKS:
                raise InvalidValueError("PageInput.sticks", _shown(name), f"names out of {STICKS}")
            sticks[name] = _number(f"PageInput.sticks[{name}]", value, -1.0)
        if sticks.get("lead", 0.0) not in (0.0, 1.0):
            raise InvalidValueError("PageInput.sticks[lead]", sticks["lead"], "0 or 1")
        if len(self.shown) > MAX_EPISODE_NAME:
            raise InvalidValueError("PageInput.shown", f"{len(self.shown)} characters", f"at most {MAX_EPISODE_NAME}")
        object.__setattr__(self, "keys", frozenset(self.keys))
        object.__setattr__(self, "pads", tuple(self.pads))
        object.__setattr__(self, "sticks", MappingProxyType(sticks))

    @classmethod
    def from_json(cls, value: object) -> PageInput:
        """A message as decoded from JSON.

        {"keys": [...], "pads": [{"axes": [...], "buttons": [...]}], "sticks": {}, "shown": "practice-000003"}.

        Every field may be missing; no other may be there.

        Raises:
            InvalidValueError: anything else.
        """
        fields = _fields("page input", value, ("keys", "pads", "sticks", "shown"))
        keys: Sequence[Any] = _list("PageInput.keys", fields.get("keys", []), MAX_KEYS)
        for key in keys:
            if not isinstance(key, str):
                raise InvalidValueError("PageInput.keys", _shown(key), "names of keys")
        pads: list[Pad] = []
        for i, entry in enumerate(_list("PageInput.pads", fields.get("pads", []), MAX_PADS)):
            pad = _fields(f"PageInput.pads[{i}]", entry, ("axes", "buttons"))
            axes = _list(f"PageInput.pads[{i}].axes", pad.get("axes", []), MAX_PAD_AXES)
            buttons = _list(f"PageInput.pads[{i}].buttons", pad.get("buttons", []), MAX_PAD_BUTTONS)
            pads.append(Pad(tuple(axes), tuple(buttons)))
        sticks = _fields("PageInput.sticks", fields.get("sticks", {}), STICKS)
        shown = fields.get("shown", "")
        if not isinstance(shown, str):
            raise InvalidValueError("PageInput.shown", _shown(shown), "name of an episode")
        return cls(frozenset(keys), tuple(pads), sticks, shown)


def _shown(value: object) -> str:
    """A value of unknown kind and size, for a message."""
    return reprlib.repr(value) if isinstance(value, str) else type(value).__name__


def _at_most(name: str, count: int, allowed: int) -> None:
    if count > allowed:
        raise InvalidValueError(name, f"{count} entries", f"at most {allowed}")


def _number(name: str, value: object, lowest: float) -> float:
    """A number in [lowest, 1]; a little more is taken for rounding."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError(name, _shown(value), f"a number in [{lowest:g}, 1]")
    if not lowest * _ROUNDING <= value <= _ROUNDING:
        raise InvalidValueError(name, "a number out of range or not finite", f"a number in [{lowest:g}, 1]")
    return min(max(float(value), lowest), 1.0)


def _fields(name: str, value: object, allowed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidValueError(name, _shown(value), f"an object with fields out of {allowed}")
    for key in value:
        if key not in allowed:
            raise InvalidValueError(name, f"field {_shown(key)}", f"fields out of {allowed}")
    return value


def _list(name: str, value: object, longest: int) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidValueError(name, _shown(value), "a list")
    _at_most(name, len(value), longest)
    return value
