"""Doubles of ROS's generated messages: the same fields, defaults and types, and setters that refuse what C would."""

from __future__ import annotations

import array
import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from robot_rlhf_hardware.ros import wire

_PYTHON: dict[str, type] = {"string": str, "bool": bool, "float32": float, "float64": float, "byte": bytes}
_CALLED = {"float32": "float", "float64": "double", "bool": "boolean", "byte": "octet"}
_CODES = {"float64": "d", "float32": "f", "int32": "i", "uint8": "B", "byte": "B", "char": "B"}
_ZERO: dict[str, Any] = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0, "byte": b"\x00"}


@functools.cache
def message_class(kind: str) -> Any:
    """The class of sensor_msgs/msg/JointState and the like."""
    return _class(kind.replace("/", "."), wire.typestore().fielddefs[kind][1])


@functools.cache
def service_class(kind: str) -> Any:
    """A class with Request and Response, as std_srvs/srv/Trigger."""
    if kind == "lifecycle_msgs/srv/ChangeState":
        return change_state()
    return SimpleNamespace(
        **{part: message_class(wire.part_of(kind, part)) for part in ("Request", "Response")}, called=kind
    )


@functools.cache
def change_state() -> Any:
    """lifecycle_msgs/srv/ChangeState."""

    class Request:
        def __init__(self) -> None:
            self.transition = SimpleNamespace(id=0, label="")

    class Response:
        success = False

    return SimpleNamespace(Request=Request, Response=Response, called="lifecycle_msgs/srv/ChangeState")


def _class(name: str, definitions: Any) -> Any:
    kinds = {field: _called(definition) for field, definition in definitions}
    checks = {field: _check(definition) for field, definition in definitions}

    class Message:
        __slots__ = tuple(kinds)

        def __init__(self) -> None:
            for field, definition in definitions:
                setattr(self, field, _empty(definition))

        def __setattr__(self, field: str, value: Any) -> None:
            if field not in kinds:
                raise AttributeError(f"{name} has no field {field!r}")
            if not checks[field](value):
                raise AssertionError(f"The {field!r} field must be of type {kinds[field]!r}, got {value!r}")
            object.__setattr__(self, field, value)

        @classmethod
        def get_fields_and_field_types(cls) -> dict[str, str]:
            return dict(kinds)

    Message.__qualname__ = Message.__name__ = name
    return Message


def _called(definition: Any) -> str:
    kind, detail = definition
    if kind.name == "NAME":
        return str(detail).replace("/msg/", "/")
    if kind.name == "BASE":
        return str(_CALLED.get(detail[0], detail[0]))
    inner = _called(detail[0])
    return f"{inner}[{detail[1]}]" if kind.name == "ARRAY" else f"sequence<{inner}>"


def _empty(definition: Any) -> Any:
    kind, detail = definition
    if kind.name == "NAME":
        return message_class(detail)()
    if kind.name == "BASE":
        return _ZERO.get(detail[0], 0)
    (inner_kind, inner), count = detail
    if inner_kind.name == "NAME" or inner[0] == "string":
        return []
    if kind.name == "ARRAY":
        return np.zeros(count, wire._NUMPY[inner[0]])
    return array.array(_CODES[inner[0]])


def _check(definition: Any) -> Any:
    kind, detail = definition
    if kind.name == "NAME":
        return lambda value: type(value) is message_class(detail)
    if kind.name == "BASE":
        return functools.partial(_is_scalar, detail[0])
    (inner_kind, inner), count = detail
    if inner_kind.name == "NAME" or inner[0] == "string":
        one = _check(detail[0])
        return lambda value: isinstance(value, list) and all(map(one, value))
    if kind.name == "ARRAY":
        return lambda value: isinstance(value, np.ndarray) and value.shape == (count,)
    return lambda value: isinstance(value, array.array) and value.typecode == _CODES[inner[0]]


def _is_scalar(kind: str, value: Any) -> bool:
    wanted = _PYTHON.get(kind, int)
    if wanted is bytes:
        return isinstance(value, bytes) and len(value) == 1
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
