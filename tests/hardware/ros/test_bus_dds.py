"""What holds for the bus without ROS alone; what every bus must do is in test_bus.py."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hardware.ros.bus import BusError
from hardware.ros.topics import POLICY_TOPICS, STRING, Topic, named
from tests.hardware.ros.processes import TIMEOUT, FarSide, wait_for

pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from hardware.ros.bus_dds import DdsBus


def test_who_leaves_is_gone_though_somebody_holds_on_to_it(domain: int) -> None:
    with DdsBus("stays", domain=domain) as stays:
        heard: list[str] = []
        ears = stays.subscription(Topic("talk", STRING, "subscription", ""), lambda message: heard.append(message.data))
        with DdsBus("leaves", domain=domain) as leaves:
            mouth = leaves.publisher(Topic("talk", STRING, "publisher", ""))
            client = leaves.client(named(POLICY_TOPICS, "reset"))
            wait_for(lambda: ears.publishers() == 1)
        wait_for(lambda: ears.publishers() == 0)
        with pytest.raises(BusError, match="/talk: cannot be published"):
            mouth.publish({"data": "nobody hears this"})
        with pytest.raises(BusError, match="service /reset: cannot be called, the node has left"):
            client.call({}, 0.05)
        assert heard == []


def test_a_look_at_the_graph_lasts_no_longer_for_those_who_have_left(domain: int) -> None:
    """The readers of discovery keep the dead until they are taken; the thread that looks is the one that watches."""
    topics = [Topic(f"talk{i}", STRING, "publisher", "") for i in range(5)]
    with DdsBus("stays", domain=domain) as bus:
        graph = bus._graph
        for _ in range(3):
            with DdsBus("comes", domain=domain) as other:
                for topic in topics:
                    other.publisher(topic)
                wait_for(lambda: len(bus.endpoints()) == len(topics))
            wait_for(lambda: not bus.endpoints())
        kept = [end for end in graph._publications.read(10_000) if end.topic_name.startswith("rt/talk")]
        assert len(kept) == 0


def test_a_service_answers_after_its_server_was_killed_and_started_again(domain: int) -> None:
    """The killed one counts as there for seconds: the request must not be lost with it."""
    with DdsBus("policy", domain=domain) as bus:
        client = bus.client(named(POLICY_TOPICS, "reset"))
        side = FarSide(domain)
        assert client.call({}, TIMEOUT).success
        side.kill()
        replies: list[Any] = []
        caller = threading.Thread(target=lambda: replies.append(client.call({}, TIMEOUT)))
        caller.start()
        side = FarSide(domain)
        caller.join(TIMEOUT)
        side.close()
        assert replies[0].success


def test_domains_out_of_range_are_refused() -> None:
    with pytest.raises(BusError, match="0 to 101"):
        DdsBus("policy", domain=102)
