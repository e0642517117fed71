"""The tables of docs/ros2.md are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.ros.nodes import NODES
from hardware.ros.topics import POLICY_TOPICS, Qos, Topic

DOCS = Path(__file__).parents[2] / "docs" / "ros2.md"


def qos_in_words(qos: Qos) -> str:
    latched = ", transient local" if qos.latched else ""
    return f"{'reliable' if qos.reliable else 'best effort'} {qos.depth}{latched}"


def row(topic: Topic) -> str:
    """One line of the table of topics."""
    kind = {"publisher": "out", "subscription": "in", "service": "service", "client": "calls"}[topic.role]
    qos = qos_in_words(topic.qos) if topic.role in ("publisher", "subscription") else ""
    cells = (f"`{topic.name}`", kind, f"`{topic.type}`", topic.what, qos, topic.rate, topic.when)
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("topic", POLICY_TOPICS, ids=lambda topic: topic.name)
def test_every_topic_of_the_policy_is_told(topic: Topic) -> None:
    assert row(topic) in DOCS.read_text().splitlines()


def test_no_topic_is_told_that_does_not_exist() -> None:
    told = [line for line in DOCS.read_text().splitlines() if line.startswith("| `") and "/msg/" in line]
    assert set(told) <= {row(topic) for topic in POLICY_TOPICS}


def test_every_limit_and_node_is_told() -> None:
    text = DOCS.read_text()
    limits = [p.name.removeprefix("limits.") for p in NODES["policy"].parameters if p.name.startswith("limits.")]
    assert [name for name in limits if f"`{name}`" not in text] == []
    assert [name for name in NODES if f"`{name}`" not in text] == []
