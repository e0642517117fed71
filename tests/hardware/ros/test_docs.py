"""docs/ros2.md says what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

from robot_rlhf.apps.doctor import DoctorOptions
from robot_rlhf_hardware.ros.nodes import POLICY
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS, Topic

TEXT = (Path(__file__).parents[3] / "docs" / "ros2.md").read_text()
DIRECTION = {"publisher": "out", "subscription": "in", "service": "service", "client": "calls"}


def row(topic: Topic) -> str:
    qos = "reliable" if topic.qos.reliable else "best-effort"
    qos = f"{qos}, {topic.qos.depth}{', latched' if topic.qos.latched else ''}"
    if topic.role in ("service", "client"):
        qos = ""
    cells = (f"`{topic.name}`", DIRECTION[topic.role], topic.type, qos, topic.rate, topic.when, topic.what)
    return re.sub(r" +\|", " |", "| " + " | ".join(cells) + " |")


def table() -> str:
    head = "| topic | | type | QoS, depth | Hz | used with | what |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *map(row, POLICY_TOPICS)])


def test_the_table_of_topics_is_that_of_the_code() -> None:
    found = TEXT.split("<!-- topics -->\n")[1].split("\n<!-- end of topics -->")[0]
    assert found.strip() == table()


def test_parameters_and_options_that_the_page_names_exist() -> None:
    known = {parameter.name for parameter in POLICY.parameters}
    section = TEXT.split("## 2. Describe the robot")[1].split("### Topics")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            assert set(re.findall(r"`([a-z_]+)`", line.split("|")[1])) <= known, line
    assert set(re.findall(r"`limits\.([a-z_]+)`", TEXT)) <= {name.removeprefix("limits.") for name in known}
    options = set(DoctorOptions.__dataclass_fields__)
    for command in re.findall(r"robot-rlhf doctor (--.*)", TEXT):
        assert {word.strip("-") for word in re.findall(r"--[a-z-]+", command)} <= options
