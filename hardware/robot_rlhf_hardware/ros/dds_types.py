"""Type descriptions for Cyclone DDS, made from rosbags' definitions: samples are raw CDR bytes both ways.

Cyclone's own Python serialisation of sequences of bytes takes milliseconds per picture; its C layer takes and gives
bytes, so that a type whose `serialize` returns what rosbags wrote is enough. Names and fields are those that
rmw_cyclonedds announces.
"""

from __future__ import annotations

import functools
from typing import Any

from cyclonedds.idl import IdlStruct, make_idl_struct, types

from robot_rlhf_hardware.ros import wire

_HEADER = {"client_guid": types.uint64, "sequence": types.int64}
"""What rmw_cyclonedds puts before the body of a request and of a reply."""
_PLAIN: dict[str, Any] = {
    **{name: getattr(types, name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")},
    **{name: getattr(types, name) for name in ("int64", "uint64", "float32", "float64")},
    "byte": types.uint8,
    "char": types.uint8,
    "bool": bool,
    "string": str,
}


class RawSample(IdlStruct):
    """A message as its CDR bytes."""

    raw: bytes


def dds_name(msgtype: str, *, service: bool) -> str:
    """The type's name on the wire: sensor_msgs.msg.dds_.JointState_; part of a service or action where it is one."""
    package, kind, name = msgtype.split("/")
    if name.endswith("_Goal") or "_SendGoal_" in name:
        kind = "action"
    elif service:
        kind = "srv"
    return f"{package}.{kind}.dds_.{name}_"


@functools.cache
def sample_type(msgtype: str, *, service: bool = False) -> type[RawSample]:
    """The class of a topic's samples.

    Args:
        msgtype: as rosbags names it, for example sensor_msgs/msg/JointState.
        service: part of a service: the body has the header of rmw_cyclonedds.
    """
    made = _struct(msgtype, service)

    def serialize(self: Any, *_: Any, **__: Any) -> bytes:
        return self.raw

    def deserialize(data: bytes, *_: Any, **__: Any) -> Any:
        return sample(made, data)

    made.serialize = serialize
    made.deserialize = staticmethod(deserialize)
    return made


def sample(made: Any, raw: bytes) -> Any:
    """A sample of a class that `sample_type` made."""
    new = made.__new__(made)
    new.raw = raw
    return new


@functools.cache
def _struct(msgtype: str, service: bool) -> Any:
    fields: dict[str, Any] = dict(_HEADER) if service else {}
    for name, definition in wire.typestore().fielddefs[msgtype][1]:
        fields[name] = _field(definition)
    return make_idl_struct(msgtype.rpartition("/")[2] + "_", dds_name(msgtype, service=service), fields)


def _field(definition: Any) -> Any:
    kind, detail = definition
    if kind.name == "NAME":
        return _struct(detail, False)
    if kind.name == "BASE":
        return _PLAIN[detail[0]]
    inner = _field(detail[0])
    if kind.name == "ARRAY":
        return types.array[inner, detail[1]]
    return types.sequence[inner, detail[1]] if detail[1] else types.sequence[inner]
