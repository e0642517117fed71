"""What holds for the bus without ROS alone; what every bus must do is in test_bus.py."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from robot_rlhf_hardware.ros.bus import BusError
from robot_rlhf_hardware.ros.messages import transform_fields
from robot_rlhf_hardware.ros.topics import FIXED_FRAMES, POLICY_TOPICS, STRING, TF, Topic, named
from tests.hardware.ros.processes import TIMEOUT, FarSide, wait_for

pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")

from cyclonedds.core import DDSException

from robot_rlhf_hardware.ros.bus_dds import DdsBus


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


def test_a_thread_that_can_go_on_no_longer_says_so_once(domain: int) -> None:
    told: list[str] = []
    with DdsBus("policy", domain=domain) as bus:
        ticks: list[int] = []
        bus.timer(0.01, lambda: ticks.append(1))
        wait_for(lambda: len(ticks) > 1)
        bus.failure.listeners.append(told.append)
        rounds, bad = bus._round, iter([True] * 5 + [False])

        def five_bad_ones() -> None:
            if next(bad, False):
                raise DDSException(DDSException.DDS_RETCODE_ERROR)
            rounds()

        bus._round = five_bad_ones
        count = len(ticks)
        wait_for(lambda: len(ticks) > count + 3)
        assert not told, "a few that fail are followed by others"
        bad = iter(lambda: True, False)
        wait_for(lambda: bool(told))
        assert told == [bus.failure.reason]
        assert "/policy: no callback comes any more: Cyclone DDS failed 20 times" in told[0]


def test_a_second_node_of_the_same_name_is_known(domain: int) -> None:
    with DdsBus("policy", domain=domain) as first, DdsBus("other", domain=domain) as other:
        assert first.twins() == other.twins() == 0
        with DdsBus("policy", domain=domain) as second, DdsBus("policy", domain=domain, namespace="arm") as arm:
            wait_for(lambda: first.twins() == second.twins() == 1)
            assert arm.twins() == other.twins() == 0
            mine = first.publisher(named(POLICY_TOPICS, "target_pose"))
            second.publisher(named(POLICY_TOPICS, "target_pose"))
            wait_for(lambda: mine.rivals() == 1)
        wait_for(lambda: first.twins() == 0)


def test_the_fixed_frames_of_three_broadcasters_reach_who_comes_later(domain: int) -> None:
    with ExitStack() as stack:
        children = {"urdf", "calibration", "mount"}
        for child in children:
            publisher = stack.enter_context(DdsBus(child, domain=domain)).publisher(
                Topic("/tf_static", TF, "publisher", "", replace(FIXED_FRAMES, depth=1))
            )
            publisher.publish({"transforms": [transform_fields(1.0, "base", child, (0, 0, 0.1, 1, 0, 0, 0))]})
        policy = stack.enter_context(DdsBus("policy", domain=domain))
        wait_for(lambda: len(policy.endpoints()) == 3)
        heard: set[str] = set()
        policy.subscription(
            named(POLICY_TOPICS, "/tf_static"), lambda told: heard.update(one.child_frame_id for one in told.transforms)
        )
        wait_for(lambda: heard == children)


def test_domains_out_of_range_are_refused() -> None:
    with pytest.raises(BusError, match="0 to 101"):
        DdsBus("policy", domain=102)
