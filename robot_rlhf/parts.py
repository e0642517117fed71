"""Parts of a state vector by name: 'name', or 'name[start:stop]' for some entries of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from robot_rlhf.errors import ConfigError, UnknownNameError

_PART = re.compile(r"^(?P<name>.*?)(?:\[(?P<start>\d+):(?P<stop>\d+)\])?$")


def find_part(text: str, spans: Mapping[str, slice]) -> slice:
    """Where a named part lies in the state vector.

    Args:
        text: 'name' or 'name[start:stop]', entries of it.
        spans: where each name lies.

    Raises:
        UnknownNameError: no such name.
        ConfigError: entries that it does not have.
    """
    match = _PART.match(text)
    name = text if match is None else match["name"]
    if match is None or name not in spans:
        raise UnknownNameError("part of the state", name, spans)
    whole = spans[name]
    size = whole.stop - whole.start
    start, stop = (0, size) if match["start"] is None else (int(match["start"]), int(match["stop"]))
    if not start < stop <= size:
        raise ConfigError(f"part of the state {text!r}: allowed are entries of {name}[0:{size}]")
    return slice(whole.start + start, whole.start + stop)
