"""Parameter files and values as rcl's own parser reads them: YAML 1.1, and what it refuses is refused.

A bare `y`, `n`, `yes`, `no`, `on` or `off` is a truth value, a number without a point an integer; a sequence holds
values of one type. Every backend goes by this, so that a file that starts a node without ROS starts it with ROS, too.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from robot_rlhf.errors import ConfigError

Scalar = bool | int | float | str
Value = Scalar | list[bool] | list[int] | list[float] | list[str]

KEY = "ros__parameters"
_TRUE = frozenset({"Y", "y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"N", "n", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SPECIAL = re.compile(r"[+-]?\.(nan|NaN|NAN|inf|Inf|INF)|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_STRING_TAG = "tag:yaml.org,2002:str"
_CALLED = {"mapping": yaml.MappingNode, "sequence": yaml.SequenceNode, "value": yaml.Node}
_NAMES: Mapping[type, str] = {bool: "bool", int: "integer", float: "double", str: "string"}


@dataclass
class Section:
    """What one section of a file says; sections of one name are one."""

    name: str
    """Pattern of full node names, for example /**/policy."""
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    """By parameter name, nested ones joined by dots."""

    def holds_for(self, node: str) -> bool:
        """Whether it is for a node of this full name; `*` stands for one part of a name, `**` for any number."""
        pattern = re.escape(f"/{self.name.lstrip('/')}").replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"(/\w+)")
        return re.fullmatch(pattern, node) is not None


def sections_of(text: str, where: str) -> list[Section]:
    """The sections of a parameter file, in the order in which they first stand there.

    Args:
        where: the file, for messages.

    Raises:
        ConfigError: what rcl refuses: no YAML, no sections, mixed types, empty values, aliases, sequences in sequences.
    """
    document, strings = _composed(text, where)
    return _Reader(where, strings).sections(document)


def value_of(text: str, where: str) -> Value:
    """The value of `-p NAME:=text`.

    Raises:
        ConfigError: what rcl refuses.
    """
    node, strings = _composed(text, where)
    if node is None:
        raise ConfigError(f"{where}: no value")
    return _Reader(where, strings).value(node, "value")


def for_node(sections: Iterable[Section], node: str) -> dict[str, Value]:
    """What sections say to a node of this full name, later ones over earlier ones; an empty sequence says nothing."""
    found: dict[str, Value] = {}
    for section in sections:
        if section.holds_for(node):
            found |= section.values
    return {name: value for name, value in found.items() if value != []}


def parameters_of(text: str, node: str, where: str) -> dict[str, Value]:
    """What a parameter file says to a node.

    Args:
        node: its full name, for example /policy.

    Raises:
        ConfigError: as `sections_of`.
    """
    return for_node(sections_of(text, where), node)


def dumped(document: Mapping[str, Any]) -> str:
    """A parameter file: every string in quotes, every float with its point, so that each keeps its type."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)


def merged(sections: Iterable[Section]) -> list[Section]:
    """Those of one name put together, at the place of the first, as rcl does with all its files and words."""
    found: dict[str, Section] = {}
    for section in sections:
        kept = found.setdefault(section.name, Section(section.name))
        for name, value in section.values.items():
            if name in kept.values and _kind(kept.values[name]) != _kind(value):
                # rcl would keep both, and hand out the first of bool, integer, double, string
                told = f"{kept.values[name]!r} and {value!r}"
                raise ConfigError(f"parameter {name} of {section.name}: given twice, with two types: {told}")
            kept.values[name] = value
    return list(found.values())


class _Dumper(yaml.SafeDumper):
    """Quotes strings, but for names; knows no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            key.style = None
        return node


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_STRING_TAG, text, style='"')


_Dumper.add_representer(str, _quoted)


def _kind(value: Value) -> tuple[bool, type | None]:
    if isinstance(value, list):
        return True, type(value[0]) if value else None
    return False, type(value)


class _Loader(yaml.SafeLoader):
    """Remembers which words were tagged as strings, whatever they look like."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.strings: set[int] = set()

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        event: Any = self.peek_event()
        node = super().compose_scalar_node(anchor)
        if event.tag == _STRING_TAG or event.style in ("'", '"'):
            self.strings.add(id(node))
        return node


def _composed(text: str, where: str) -> tuple[yaml.Node | None, set[int]]:
    """The document, and the ids of its nodes that are strings by their quotes or tag."""
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError(f"{where}: line {event.start_mark.line + 1}: ROS reads no aliases")
        loader = _Loader(text)
        return loader.get_single_node(), loader.strings
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not YAML ({str(error).splitlines()[0]})") from error


class _Reader:
    """Goes through the nodes of one document."""

    def __init__(self, where: str, strings: set[int]) -> None:
        self._where = where
        self._strings = strings

    def sections(self, document: yaml.Node | None) -> list[Section]:
        if not isinstance(document, yaml.MappingNode):
            got = "nothing" if document is None else _called(document)
            raise ConfigError(f"{self._where}: got a {got}, allowed: sections /** or node names")
        found: list[Section] = []
        self._add_sections(document, "", found)
        return merged(found)

    def _add_sections(self, nodes: yaml.MappingNode, prefix: str, found: list[Section]) -> None:
        for key, body in nodes.value:
            name = f"{prefix}/{key.value}" if prefix else str(key.value)
            if not isinstance(body, yaml.MappingNode):
                self._no_parameters(name, body)
            inner = {str(inner_key.value): inner_body for inner_key, inner_body in body.value}
            if KEY not in inner and not all(isinstance(part, yaml.MappingNode) for part in inner.values()):
                self._no_parameters(name, body)
            for inner_key, inner_body in body.value:
                if inner_key.value == KEY:
                    found.append(Section(name))
                    self._add_values(inner_body, "", found[-1].values)
                elif difflib.get_close_matches(inner_key.value, [KEY], n=1, cutoff=0.8):
                    self._no_parameters(name, body)
                else:
                    group = yaml.MappingNode(body.tag, [(inner_key, inner_body)])
                    self._add_sections(group, name, found)

    def _no_parameters(self, name: str, body: yaml.Node) -> None:
        names = [str(key.value) for key, _ in body.value] if isinstance(body, yaml.MappingNode) else []
        near = difflib.get_close_matches(KEY, names, n=1)
        hint = f" (it has {near[0]!r})" if near else ""
        raise ConfigError(f"{self._where}: section {name!r} holds no {KEY}{hint}")

    def _add_values(self, body: yaml.Node, prefix: str, values: dict[str, Value]) -> None:
        if not isinstance(body, yaml.MappingNode):
            raise ConfigError(f"{self._at(body)}: {prefix or KEY}: got a {_called(body)}, allowed: names and values")
        for key, inner in body.value:
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                raise ConfigError(f"{self._at(key)}: a parameter without a name")
            name = f"{prefix}{key.value}"
            if isinstance(inner, yaml.MappingNode):
                self._add_values(inner, f"{name}.", values)
            else:
                values[name] = self.value(inner, name)

    def value(self, node: yaml.Node, name: str) -> Value:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, name)
        if not isinstance(node, yaml.SequenceNode):
            raise ConfigError(
                f"{self._at(node)}: {name}: got a {_called(node)}, allowed: a value or a sequence of values"
            )
        return self._sequence(node, name)

    def _sequence(self, node: yaml.SequenceNode, name: str) -> Any:
        items: list[Scalar] = []
        for item in node.value:
            if not isinstance(item, yaml.ScalarNode):
                raise ConfigError(
                    f"{self._at(item)}: {name}: got a {_called(item)} in a sequence, allowed: single values"
                )
            items.append(self._scalar(item, name))
            if type(items[-1]) is not type(items[0]):
                raise ConfigError(f"{self._at(item)}: {name}: {_mixed(node.value, items)}")
        return items

    def _scalar(self, node: yaml.ScalarNode, name: str) -> Scalar:
        text = str(node.value)
        if id(node) in self._strings:
            return text
        if not text:
            raise ConfigError(f"{self._at(node)}: {name}: no value")
        return scalar_of(text)

    def _at(self, node: yaml.Node) -> str:
        mark = getattr(node, "start_mark", None)
        return self._where if mark is None else f"{self._where}: line {mark.line + 1}"


def _called(node: yaml.Node) -> str:
    return next(word for word, kind in _CALLED.items() if isinstance(node, kind))


def scalar_of(text: str) -> Scalar:
    """The value of a word without quotes."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        whole = _whole(text)
        if whole is not None:
            return whole
    if _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text):
        number = float(text.replace(".", "", 1) if _SPECIAL.fullmatch(text) else text)
        if not math.isinf(number) or _SPECIAL.fullmatch(text):
            return number
    return text


def _whole(text: str) -> int | None:
    """As C reads integers: 0x is hexadecimal, a leading 0 octal; None beyond 64 bits and for digits that are none."""
    digits = text.lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        whole = int(digits, base)
    except ValueError:
        return None
    whole = -whole if text[0] == "-" else whole
    return whole if -(2**63) <= whole < 2**63 else None


def _mixed(nodes: Sequence[yaml.Node], items: Sequence[Scalar]) -> str:
    first, last = items[0], items[-1]
    said = f"a sequence of one type only: {nodes[0].value!r} is {_NAMES[type(first)]}, "
    said += f"{nodes[len(items) - 1].value!r} is {_NAMES[type(last)]}"
    if {type(first), type(last)} == {int, float}:
        return f"{said}; write every number with its point, 0.0 for 0"
    return f"{said}; put strings in quotes"
