"""Messages of rclpy from nested fields, and the classes of types by their names."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from rosidl_runtime_py.utilities import get_action, get_message, get_service

_GOAL_SUFFIX = "_SendGoal"


def service_class(kind: str) -> Any:
    """The class of a service, also of that by which an action takes goals."""
    if "/action/" in kind:
        return get_action(kind.removesuffix(_GOAL_SUFFIX)).Impl.SendGoalService
    return get_service(kind)


def message_class(kind: str) -> Any:
    """The class of a message."""
    return get_message(kind)


def filled(message: Any, fields: Mapping[str, Any]) -> Any:
    """Set the fields of a message, nested ones too."""
    kinds = message.get_fields_and_field_types()
    for name, value in fields.items():
        present = getattr(message, name)
        if isinstance(value, Mapping):
            filled(present, value)
        elif kinds[name] == "octet":
            setattr(message, name, bytes([value]))
        elif isinstance(present, array.array):
            # From bytes: a list of numbers takes a thousand times as long.
            dtype = np.dtype(present.typecode)
            setattr(message, name, array.array(present.typecode, np.ascontiguousarray(value, dtype).tobytes()))
        elif isinstance(present, np.ndarray):
            setattr(message, name, np.asarray(value, present.dtype))
        elif isinstance(present, list) and len(value) and isinstance(value[0], Mapping):
            inner = get_message(kinds[name].removeprefix("sequence<").partition(">")[0].replace("/", "/msg/"))
            setattr(message, name, [filled(inner(), item) for item in value])
        else:
            setattr(message, name, value)
    return message
