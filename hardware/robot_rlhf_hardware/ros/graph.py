"""Endpoints as discovery tells of them, and what keeps two of them from meeting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robot_rlhf_hardware.ros.topics import Qos


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscription of some node."""

    topic: str
    """Full name, for example /joint_states."""
    type: str
    """For example sensor_msgs/msg/JointState."""
    writer: bool
    """True for a publisher."""
    qos: Qos
    """Its depth is not always known: then 0."""
    node: str = ""
    """Full name of the node, where it is known."""


def missing_policy(offered: Qos, asked: Qos) -> str:
    """The first QoS policy by which a publisher offers less than a subscription asks for; empty when they meet."""
    if asked.reliable and not offered.reliable:
        return "RELIABILITY"
    return "DURABILITY" if asked.latched and not offered.latched else ""


def mismatch(mine: Endpoint, other: Endpoint) -> str:
    """Why two endpoints of one topic, a publisher and a subscription, do not meet, in words; empty when they do."""
    if mine.topic != other.topic or mine.writer == other.writer:
        return ""
    whose = f"{'subscription' if mine.writer else 'publisher'}{f' of {other.node}' if other.node else ''}"
    if mine.type != other.type:
        return f"{mine.topic}: the {whose} has type {other.type}, ours is {mine.type}: nothing passes"
    missing = missing_policy(mine.qos, other.qos) if mine.writer else missing_policy(other.qos, mine.qos)
    if not missing:
        return ""
    deed = "asks for more than we offer" if mine.writer else "offers less than we ask for"
    return f"{mine.topic}: incompatible QoS ({missing}): the {whose} {deed}: nothing passes"


def mismatches(mine: Iterable[Endpoint], others: Iterable[Endpoint]) -> tuple[str, ...]:
    """All mismatches of a node's endpoints with the others', each once."""
    others = tuple(others)
    words = (mismatch(endpoint, other) for endpoint in mine for other in others)
    return tuple(dict.fromkeys(filter(None, words)))
