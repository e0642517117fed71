"""Who else is on the graph, as rclpy tells; ours are known by the identity of each endpoint, never by a node's name."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy

from robot_rlhf_hardware.ros.graph import Endpoint
from robot_rlhf_hardware.ros.topics import Qos

T = TypeVar("T")
_UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""Name of the node of an endpoint that is discovered before it."""
_OF_EVERY_NODE = ("/rosout", "/parameter_events")


class Graph:
    """The endpoints of other nodes: those whose id (GID) is none of ours."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._name: tuple[str, str] = (node.get_name(), node.get_namespace())
        self.own: list[Endpoint] = []
        self._ids: set[bytes] = set()
        self._unknown: list[tuple[str, bool]] = []
        """Topic and side of endpoints of ours whose id could not be told from another's."""

    def made(self, endpoint: Endpoint, make: Callable[[], T]) -> T:
        """Make an endpoint of ours and remember its id: rclpy does not tell it, but the graph knows it at once."""
        before = {_id(info) for info in self._told(endpoint.topic, endpoint.writer)}
        made = make()
        told = self._told(endpoint.topic, endpoint.writer)
        new = {_id(info) for info in told if (info.node_name, info.node_namespace) == self._name} - before
        if len(new) == 1:
            self._ids |= new
        else:
            self._unknown.append((endpoint.topic, endpoint.writer))
        self.own.append(endpoint)
        return made

    def forget(self) -> None:
        """What was ours is destroyed."""
        self.own.clear()
        self._unknown.clear()

    def others(self, topic: str) -> list[Endpoint]:
        """Publishers and subscriptions of one topic, full name."""
        return [end for writer in (True, False) for end in self._others(topic, writer)]

    def all_others(self) -> list[Endpoint]:
        """Those of all topics; walks the graph, which takes a while: not for a callback."""
        names = [name for name, _ in self._node.get_topic_names_and_types()]
        passed_over = (*_OF_EVERY_NODE, f"{self._node.get_fully_qualified_name()}/transition_event")
        return [end for name in names if name not in passed_over for end in self.others(name)]

    def twins(self) -> int:
        """Other nodes of our full name."""
        return max(0, self._node.get_node_names_and_namespaces().count(self._name) - 1)

    def _others(self, topic: str, writer: bool) -> list[Endpoint]:
        found: list[Endpoint] = []
        unknown = self._unknown.count((topic, writer))
        for info in self._told(topic, writer):
            if _id(info) in self._ids:
                continue
            if unknown and (info.node_name, info.node_namespace) == self._name:
                unknown -= 1
                continue
            found.append(_endpoint(topic, writer, info))
        return found

    def _told(self, topic: str, writer: bool) -> list[Any]:
        node = self._node
        look = node.get_publishers_info_by_topic if writer else node.get_subscriptions_info_by_topic
        return list(look(topic))


def _id(info: Any) -> bytes:
    return bytes(info.endpoint_gid)


def _endpoint(topic: str, writer: bool, info: Any) -> Endpoint:
    profile = info.qos_profile
    qos = Qos(
        reliable=profile.reliability == QoSReliabilityPolicy.RELIABLE,
        depth=profile.depth,
        latched=profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )
    name = "" if info.node_name == _UNKNOWN else f"{info.node_namespace.rstrip('/')}/{info.node_name}"
    return Endpoint(topic, info.topic_type, writer, qos, name)
