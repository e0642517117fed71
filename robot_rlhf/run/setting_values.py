"""Settings as plain values, as a YAML file holds them, and back; each value checked against its field's type."""

from __future__ import annotations

import copy
import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.naming import OWN, OfKind

T = TypeVar("T")
KIND = "kind"
"""Of settings of which there are several kinds: which one."""
LARGE = 1e300
"""Above it a number is as good as infinite."""


def check_values(settings: Any, where: str = "") -> None:
    """Check what no comparison would refuse, anywhere in settings.

    Raises:
        ConfigError: a number that is NaN or infinite, or text that no UTF-8 file can hold; names it.
    """
    if isinstance(settings, float) and not math.isfinite(settings):
        raise ConfigError(f"{where}: got {settings}, allowed: a finite number")
    if isinstance(settings, str | Path) and not _is_unicode(str(settings)):
        raise ConfigError(f"{where}: got {str(settings)!a}, which is not UTF-8")
    entries: list[tuple[object, Any]] = []
    if dataclasses.is_dataclass(settings):
        entries = [(field.name, getattr(settings, field.name)) for field in dataclasses.fields(settings)]
    elif isinstance(settings, dict):
        entries = list(settings.items())
    elif isinstance(settings, tuple):
        entries = list(enumerate(settings))
    for name, entry in entries:
        check_values(entry, f"{where}.{name}" if where else str(name))


def _is_unicode(text: str) -> bool:
    """Whether it is text: bytes that are none come from the command line as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> Any:
    """Settings as mappings, lists and plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        settings = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {KIND: value.kind, **settings} if isinstance(value, OfKind) else settings
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def build(cls: type[T], data: object, where: str) -> T:
    """The inverse of plain.

    Raises:
        ConfigError: a setting of another type, or settings that do not go together; says where.
        UnknownNameError: a setting that does not exist.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: got {type(data).__name__}, allowed: settings by name")
    if issubclass(cls, OfKind):
        data = dict(data)
        if not isinstance(kind := data.pop(KIND, None), str):
            raise ConfigError(f"{where}: {KIND}: got {kind!r}, allowed: {', '.join((*cls.KINDS, OWN))}")
        cls = cls.of_kind(kind)
    types_of = typing.get_type_hints(cls)
    hints = {field.name: types_of[field.name] for field in dataclasses.fields(typing.cast("Any", cls))}
    for name in data:
        if name not in hints:
            raise UnknownNameError(f"setting in {where}", str(name), hints)
    settings = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in data.items()}
    return typing.cast("Any", cls)(**settings)


def changed(settings: T, changes: Mapping[str, Any], where: str) -> T:
    """Other values of some settings: all at once, and each checked against its type.

    Args:
        changes: plain values, by name in full, for example features.fine.
        where: they come from, for errors.

    Raises:
        UnknownNameError, ConfigError: as of `build`.
    """
    data = copy.deepcopy(plain(settings))
    for name, value in changes.items():
        *path, last = name.split(".")
        inner = data
        for part in path:
            if part in inner and inner[part] is None:
                inner[part] = {}
            if not isinstance(inner.get(part), dict):
                raise UnknownNameError(f"setting in {where}", name, data)
            inner = inner[part]
        inner[last] = value
    return build(type(settings), data, where)


def _convert(hint: Any, value: Any, where: str) -> Any:
    options: tuple[Any, ...] = (
        typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    )
    if value is None and type(None) in options:
        return None
    if isinstance(value, str) and str in options:
        return value
    hint = next(option for option in options if option is not type(None))
    if dataclasses.is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, OfKind)):
        return build(typing.cast("type[Any]", hint), value, where)
    if typing.get_origin(hint) is Literal:
        allowed = {str(option): option for option in typing.get_args(hint)}
        if str(value) not in allowed:
            raise UnknownNameError(where, str(value), allowed)
        return allowed[str(value)]
    if typing.get_origin(hint) is tuple:
        return _converted_tuple(typing.get_args(hint), _expect(list, value, where), where)
    if typing.get_origin(hint) is dict:
        kind = typing.get_args(hint)[1]
        entries = _expect(dict, value, where).items()
        return {_expect(str, name, where): _convert(kind, entry, f"{where}: {name}") for name, entry in entries}
    if hint is Path:
        return Path(_expect(str, value, where))
    if hint is float:
        number = (
            value if isinstance(value, int | float) and not isinstance(value, bool) else _expect(float, value, where)
        )
        if not abs(number) < LARGE:
            raise ConfigError(f"{where}: got {value}, allowed: a finite number")
        return float(number)
    return _expect(hint, value, where) if isinstance(hint, type) else value


def _converted_tuple(kinds: tuple[Any, ...], values: list[Any], where: str) -> tuple[Any, ...]:
    """A tuple of any length, or of a fixed one."""
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        raise ConfigError(f"{where}: got {values!r}, allowed: a list of {len(kinds)}")
    pairs = enumerate(zip(kinds, values, strict=True))
    return tuple(_convert(kind, value, f"{where}[{position}]") for position, (kind, value) in pairs)


def _expect(kind: type[T], value: Any, where: str) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: got {value!r}, allowed: {kind.__name__}")
    return value
