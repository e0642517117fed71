"""Declarations of node parameters: name, type, default, range and words; checking values with clear errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robot_rlhf.errors import ConfigError, UnknownNameError

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]

TYPES: dict[str, tuple[type, bool]] = {
    "bool": (bool, False),
    "integer": (int, False),
    "double": (float, False),
    "string": (str, False),
    "integer_array": (int, True),
    "double_array": (float, True),
    "string_array": (str, True),
}
"""ROS's names of the types to (element, is an array)."""
ROS_OWN = frozenset({"use_sim_time", "start_type_description_service"})
"""Parameters that every node of ROS has."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node; read once, when the node is configured."""

    name: str
    type: str
    """One of TYPES."""
    default: Value | None
    """None: it must be given."""
    what: str
    low: float | None = None
    """Smallest allowed value, of each element."""
    high: float | None = None
    choices: tuple[str, ...] = ()
    """Allowed strings; empty for any."""
    size: int | None = None
    """Length of an array; None for any."""

    @property
    def required(self) -> bool:
        return self.default is None

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return " or ".join(self.choices)
        span = self.type.replace("_", " ")
        if self.size is not None:
            span += f" of {self.size}"
        if self.low is not None and self.high is not None:
            return f"{span}, {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{span}, at least {self.low:g}"
        return span

    def checked(self, value: Any, node: str) -> Value:
        """The value in its own type; raises ConfigError when it is not allowed."""
        kind, is_array = TYPES[self.type]
        if is_array:
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise self._refused(value, node)
            if self.size is not None and len(value) != self.size:
                raise self._refused(list(value), node)
            return tuple(self._element(item, kind, value, node) for item in value)
        return self._element(value, kind, value, node)

    def _element(self, item: Any, kind: type, whole: Any, node: str) -> Scalar:
        if not isinstance(item, kind) or (isinstance(item, bool) and kind is not bool):
            raise self._refused(whole, node)
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            below = self.low is not None and item < self.low
            above = self.high is not None and item > self.high
            if below or above or not math.isfinite(item):
                raise self._refused(whole, node)
        if self.choices and item not in self.choices:
            raise self._refused(whole, node)
        return item

    def _refused(self, value: Any, node: str) -> ConfigError:
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        whole = TYPES[self.type][0] is float and any(isinstance(i, int) and not isinstance(i, bool) for i in items)
        hint = " (ROS tells whole numbers from others: write 1.0 for 1)" if whole else ""
        return ConfigError(f"{node}: parameter {self.name}: got {value!r}, allowed: {self.allowed}{hint}")


def read_parameters(declared: Sequence[Parameter], given: Mapping[str, Any], node: str) -> dict[str, Value]:
    """Values of all declared parameters.

    Args:
        given: by name, nested names joined by dots.
        node: whose they are, for messages.

    Raises:
        UnknownNameError: a given one is not declared.
        ConfigError: one has another type, is out of range, or is missing.
    """
    known = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in known and name not in ROS_OWN and not name.startswith("qos_overrides."):
            raise UnknownNameError(f"parameter of {node}", name, known)
    missing = [p.name for p in declared if p.required and p.name not in given]
    if missing:
        raise ConfigError(f"{node}: parameter {', '.join(missing)} missing; {known[missing[0]].what}")
    values: dict[str, Value] = {}
    for parameter in declared:
        value = given.get(parameter.name, parameter.default)
        values[parameter.name] = parameter.checked(value, node)
    return values
