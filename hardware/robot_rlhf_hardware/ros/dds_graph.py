"""The graph as DDS discovery and the announcements of ROS nodes tell of it; and our own announcement."""

from __future__ import annotations

import threading
import time
from typing import Any

from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
    BuiltinTopicDcpsSubscription,
)
from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy
from cyclonedds.qos import Qos as DdsQos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic as DdsTopic
from cyclonedds.util import duration

from robot_rlhf_hardware.ros import wire
from robot_rlhf_hardware.ros.dds_types import sample, sample_type
from robot_rlhf_hardware.ros.graph import Endpoint
from robot_rlhf_hardware.ros.topics import Qos

DISCOVERY = "ros_discovery_info"
ENTITIES = "rmw_dds_common/msg/ParticipantEntitiesInfo"
_MANY = 10_000
_NOT_ALIVE = InstanceState.NotAliveDisposed | InstanceState.NotAliveNoWriters
REMEMBERED = 0.2
"""Seconds for which a look at the graph, which takes milliseconds, is good enough."""


class DdsGraph:
    """Who is there: endpoints by topic, and the nodes they belong to."""

    def __init__(self, participant: DomainParticipant, name: str, namespace: str) -> None:
        self._participant = participant
        self._key = participant.get_guid()
        self._name = name
        self._namespace = "/" + namespace.strip("/")
        self._readers: list[bytes] = []
        self._writers: list[bytes] = []
        self._lock = threading.Lock()

        def qos(history: Any) -> DdsQos:
            return DdsQos(
                Policy.Reliability.Reliable(duration(milliseconds=100)),
                history,
                Policy.Durability.TransientLocal,
                Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False),
            )

        topic = DdsTopic(participant, DISCOVERY, sample_type(ENTITIES))
        self._announcement = DataWriter(participant, topic, qos=qos(Policy.History.KeepLast(1)))
        # The topic has no key: a reader that keeps the last would keep that of one participant.
        self._news = DataReader(participant, topic, qos=qos(Policy.History.KeepAll))
        self._publications = BuiltinDataReader(participant, BuiltinTopicDcpsPublication)
        self._subscriptions = BuiltinDataReader(participant, BuiltinTopicDcpsSubscription)
        self._participants = BuiltinDataReader(participant, BuiltinTopicDcpsParticipant)
        self._nodes: dict[bytes, str] = {}
        """By endpoint."""
        self._names: dict[bytes, list[str]] = {}
        """Nodes by participant, as it announced them last."""
        self._dead = {
            id(reader): ReadCondition(reader, ViewState.Any | SampleState.Any | _NOT_ALIVE)
            for reader in (self._publications, self._subscriptions, self._participants)
        }
        self._seen: tuple[Endpoint, ...] = ()
        self._seen_at = -REMEMBERED

    def add_writer(self, writer: DataWriter[Any]) -> None:
        self._writers.append(writer.get_guid().bytes)
        self.announce()

    def add_reader(self, reader: DataReader[Any]) -> None:
        self._readers.append(reader.get_guid().bytes)
        self.announce()

    def announce(self) -> None:
        """Tell ROS which endpoints belong to our node."""
        node = {
            "node_namespace": self._namespace,
            "node_name": self._name,
            "reader_gid_seq": [_gid(guid) for guid in self._readers],
            "writer_gid_seq": [_gid(guid) for guid in self._writers],
        }
        fields = {"gid": _gid(self._key.bytes), "node_entities_info_seq": [node]}
        raw = wire.encode(ENTITIES, fields)
        self._announcement.write(sample(self._announcement.data_type, raw))

    def others(self) -> tuple[Endpoint, ...]:
        """The living ROS topics' endpoints of other participants, as they were a moment ago; without services."""
        with self._lock:
            if time.monotonic() > self._seen_at + REMEMBERED:
                self._hear_names()
                self._seen = (*self._living(self._publications, True), *self._living(self._subscriptions, False))
                self._seen_at = time.monotonic()
            return self._seen

    def twins(self, name: str) -> int:
        """Nodes of this full name in other participants that live."""
        with self._lock:
            self._hear_names()
            self._participants.take(_MANY, condition=self._dead[id(self._participants)])
            living = {
                found.key.bytes
                for found in self._participants.read(_MANY)
                if found.sample_info.instance_state == InstanceState.Alive and found.sample_info.valid_data
            }
            others = (names for key, names in self._names.items() if key in living and key != self._key.bytes)
            return sum(names.count(name) for names in others)

    def _living(self, reader: BuiltinDataReader, writer: bool) -> list[Endpoint]:
        found: list[Endpoint] = []
        # Whoever has left stays in the reader until taken: a look would last the longer the more have come and gone.
        reader.take(_MANY, condition=self._dead[id(reader)])
        for end in reader.read(_MANY):
            info = end.sample_info
            if info.instance_state != InstanceState.Alive or not info.valid_data:
                continue
            if end.participant_key == self._key or not end.topic_name.startswith("rt/"):
                continue
            node = self._nodes.get(end.key.bytes, "")
            found.append(Endpoint(end.topic_name[2:], _ros_type(end.type_name), writer, _qos_of(end.qos), node))
        return found

    def _hear_names(self) -> None:
        for got in self._news.take(256):
            raw = getattr(got, "raw", None)
            if raw is None:
                continue
            told = wire.decode(raw, ENTITIES)
            names = self._names[bytes(told.gid.data)] = []
            for node in told.node_entities_info_seq:
                name = f"{node.node_namespace.rstrip('/')}/{node.node_name}"
                names.append(name)
                for gid in (*node.reader_gid_seq, *node.writer_gid_seq):
                    self._nodes[bytes(gid.data)] = name


def _gid(guid: bytes) -> dict[str, Any]:
    return {"data": list(guid)}


def _ros_type(name: str) -> str:
    """sensor_msgs/msg/JointState for sensor_msgs::msg::dds_::JointState_; other names as they are."""
    parts = name.split("::")
    if len(parts) != 4 or parts[2] != "dds_":
        return name
    return f"{parts[0]}/{parts[1]}/{parts[3].removesuffix('_')}"


def _qos_of(qos: DdsQos | None) -> Qos:
    reliability = qos[Policy.Reliability] if qos and Policy.Reliability in qos else None
    durability = qos[Policy.Durability] if qos and Policy.Durability in qos else None
    return Qos(
        reliable=isinstance(reliability, Policy.Reliability.Reliable),
        depth=0,
        latched=durability in (Policy.Durability.TransientLocal, Policy.Durability.Transient),
    )
