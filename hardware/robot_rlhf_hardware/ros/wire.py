"""Messages as the wire has them, by rosbags: from fields to CDR bytes and back, with type hashes; no middleware."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from robot_rlhf.errors import InvalidValueError

_SERVICES: dict[str, tuple[str, str]] = {
    # rosbags knows no services: each is two messages under a name of our own. An empty one has a byte on the wire.
    "std_srvs/srv/Trigger": ("uint8 structure_needs_at_least_one_member", "bool success\nstring message"),
    "control_msgs/action/GripperCommand_SendGoal": (
        "unique_identifier_msgs/UUID goal_id\ncontrol_msgs/GripperCommand_Goal goal",
        "bool accepted\nbuiltin_interfaces/Time stamp",
    ),
    "control_msgs/action/ParallelGripperCommand_SendGoal": (
        "unique_identifier_msgs/UUID goal_id\ncontrol_msgs/ParallelGripperCommand_Goal goal",
        "bool accepted\nbuiltin_interfaces/Time stamp",
    ),
}
_PARTS: dict[str, str] = {
    "control_msgs/msg/GripperCommand": "float64 position\nfloat64 max_effort",
    "control_msgs/msg/GripperCommand_Goal": "control_msgs/GripperCommand command",
    "control_msgs/msg/ParallelGripperCommand_Goal": "sensor_msgs/JointState command",
}
ENCAPSULATION = 4
"""Bytes before the CDR body: little endian, no options."""


@functools.cache
def typestore() -> Any:
    """Message types of ROS 2 Jazzy and the services used here."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in _PARTS.items():
        store.register(get_types_from_msg(text, name))
    for service, (request, reply) in _SERVICES.items():
        for suffix, text in (("Request", request), ("Response", reply)):
            store.register(get_types_from_msg(text, part_of(service, suffix)))
    return store


def part_of(service: str, suffix: str) -> str:
    """Our message name for the request or response of a service: std_srvs/msg/Trigger_Request."""
    package, _, name = service.split("/")
    return f"{package}/msg/{name}_{suffix}"


def type_hash(msgtype: str) -> str:
    """RIHS01 hash of a message type, as ROS 2 Jazzy announces it."""
    return str(typestore().hash_rihs01(msgtype))


def message(msgtype: str, fields: Mapping[str, Any]) -> Any:
    """A message with the given fields; the others are zero or empty.

    Raises:
        InvalidValueError: the type has no such field.
    """
    make, parts = _plan(msgtype)
    values = [fill(fields[name]) if name in fields else empty() for name, fill, empty in parts]
    if len(fields) > len(parts) or not all(name in _names(msgtype) for name in fields):
        bad = next(name for name in fields if name not in _names(msgtype))
        raise InvalidValueError(f"{msgtype}.{bad}", "a field", f"one of {sorted(_names(msgtype))}")
    return make(*values)


def encode(msgtype: str, fields: Mapping[str, Any]) -> bytes:
    """CDR bytes, little endian, with their encapsulation header."""
    return bytes(typestore().serialize_cdr(message(msgtype, fields), msgtype))


def decode(data: bytes | memoryview, msgtype: str) -> Any:
    """The inverse of encode, as an object with the fields as attributes."""
    return typestore().deserialize_cdr(data, msgtype)


Part = tuple[str, Callable[[Any], Any], Callable[[], Any]]
"""Name of a field, what makes its value of what is given, and what makes one of nothing."""


@functools.cache
def _plan(msgtype: str) -> tuple[Callable[..., Any], tuple[Part, ...]]:
    store = typestore()
    parts = ((name, *_filler(definition)) for name, definition in store.fielddefs[msgtype][1])
    return store.types[msgtype], tuple(parts)


@functools.cache
def _names(msgtype: str) -> frozenset[str]:
    return frozenset(name for name, _, _ in _plan(msgtype)[1])


def _filler(definition: Any) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    kind, detail = definition
    if kind.name == "NAME":
        return functools.partial(message, detail), functools.partial(message, detail, {})
    if kind.name == "BASE":
        zero = _ZERO.get(detail[0], 0)
        return _same, lambda: zero
    count = detail[1] if kind.name == "ARRAY" else 0
    inner_kind, inner_detail = detail[0]
    if inner_kind.name == "NAME":
        one = functools.partial(message, inner_detail)
        return (lambda items: [one(item) for item in items]), (lambda: [one({}) for _ in range(count)])
    if inner_detail[0] == "string":
        return list, lambda: [""] * count
    dtype = np.dtype(_NUMPY[inner_detail[0]])
    return (lambda items: np.ascontiguousarray(items, dtype)), (lambda: np.zeros(count, dtype))


def _same(value: Any) -> Any:
    return value


_ZERO: dict[str, Any] = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}
_NUMPY: dict[str, str] = {
    "bool": "bool",
    "byte": "uint8",
    "char": "uint8",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float32",
    "float64": "float64",
}
