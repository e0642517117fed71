from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf_hardware.ros import wire
from robot_rlhf_hardware.ros.bus import qualified
from robot_rlhf_hardware.ros.graph import Endpoint, mismatch
from robot_rlhf_hardware.ros.nodes import NODES
from robot_rlhf_hardware.ros.parameters import TYPES, Parameter, read_parameters
from robot_rlhf_hardware.ros.rcl_yaml import parameters_of
from robot_rlhf_hardware.ros.topics import MESSAGE_TYPES, SERVICE_TYPES, Qos


@pytest.mark.parametrize("node", NODES.values(), ids=lambda node: node.executable)
def test_the_tables_are_sound(node: Any) -> None:
    names = [parameter.name for parameter in node.parameters]
    assert len(set(names)) == len(names)
    for parameter in node.parameters:
        assert parameter.type in TYPES
        assert parameter.what
        if not parameter.required:
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert parameter.checked(default, "/node") == parameter.default
        if parameter.type in ("double", "integer") and parameter.name not in ("gripper_closed", "gripper_open"):
            assert parameter.low is not None, f"{parameter.name}: a number has a range"
    for topic in node.topics:
        known = SERVICE_TYPES if topic.role in ("service", "client") else MESSAGE_TYPES
        assert topic.type in known
        assert topic.what


def test_every_limit_of_the_guard_is_a_parameter_without_a_default() -> None:
    from robot_rlhf.safety.limits import ToolLimits

    limits = [p for p in NODES["policy"].parameters if p.name.startswith("limits.")]
    assert {p.name.removeprefix("limits.") for p in limits} == set(ToolLimits.__dataclass_fields__)
    assert all(p.required for p in limits)


DECLARED = (
    Parameter("speed", "double", 0.5, "m/s", 0.0, 1.0),
    Parameter("count", "integer", 3, "pieces", 1, 9),
    Parameter("mode", "string", "a", "letter", choices=("a", "b")),
    Parameter("corner", "double_array", None, "m", size=3),
    Parameter("on", "bool", False, "switch"),
)
GOOD = {"corner": [1.0, 2.0, 3.0]}


def test_values_get_the_declared_types() -> None:
    values = read_parameters(DECLARED, {**GOOD, "speed": 1.0}, "/node")
    assert values == {"speed": 1.0, "count": 3, "mode": "a", "corner": (1.0, 2.0, 3.0), "on": False}
    assert isinstance(values["speed"], float)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"speed": 1.5}, r"/node: parameter speed: got 1.5, allowed: double, 0 to 1"),
        ({"speed": float("nan")}, "speed"),
        ({"speed": "fast"}, "speed: got 'fast'"),
        ({"speed": 1}, r"speed: got 1, allowed: double, 0 to 1 \(ROS .*: write 1\.0 for 1\)"),
        ({"corner": [1, 2, 3]}, r"write 1\.0 for 1"),
        ({"count": 0}, "count: got 0, allowed: integer, 1 to 9"),
        ({"count": 2.5}, "count"),
        ({"count": True}, "count"),
        ({"on": 1}, "on: got 1, allowed: bool"),
        ({"mode": "c"}, "mode: got 'c', allowed: a or b"),
        ({"corner": [1.0, 2.0]}, "corner: got .*, allowed: double array of 3"),
        ({"corner": "1 2 3"}, "corner"),
        ({"corner": 1.0}, "corner"),
    ],
)
def test_values_out_of_range_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_parameters(DECLARED, {**GOOD, **given}, "/node")


def test_unknown_and_missing_parameters_are_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'speed'"):
        read_parameters(DECLARED, {**GOOD, "sped": 1.0}, "/node")
    with pytest.raises(ConfigError, match="parameter corner missing"):
        read_parameters(DECLARED, {}, "/node")
    read_parameters(DECLARED, {**GOOD, "use_sim_time": False}, "/node")


def test_parameter_files_have_the_form_of_ros() -> None:
    text = """
    /**: {ros__parameters: {speed: 0.1, limits: {force: 1.0}}}
    policy: {ros__parameters: {speed: 0.2}}
    /arm/policy: {ros__parameters: {count: 5}}
    other: {ros__parameters: {speed: 0.9}}
    """
    assert parameters_of(text, "/policy", "file") == {"speed": 0.2, "limits.force": 1.0}
    assert parameters_of(text, "/arm/policy", "file") == {"speed": 0.1, "limits.force": 1.0, "count": 5}


@pytest.mark.parametrize("text", ["[]", "policy: {speed: 1}", "policy: {ros_parameters: {speed: 1}}"])
def test_files_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"file: (got a sequence|section 'policy' holds no ros__parameters)"):
        parameters_of(text, "/policy", "file")


@pytest.mark.parametrize(
    ("name", "namespace", "expected"),
    [
        ("joint_states", "", "/joint_states"),
        ("joint_states", "arm", "/arm/joint_states"),
        ("/tf", "arm", "/tf"),
        ("~/estop", "", "/policy/estop"),
        ("~/estop", "/arm/", "/arm/policy/estop"),
    ],
)
def test_names_are_qualified_as_ros_does(name: str, namespace: str, expected: str) -> None:
    assert qualified(name, namespace, "policy") == expected


def test_remapping_matches_names_however_they_are_written() -> None:
    remaps = {"/arm/joint_states": "/left/joint_states", "~/estop": "stop_state"}
    assert qualified("joint_states", "arm", "policy", remaps) == "/left/joint_states"
    assert qualified("~/estop", "arm", "policy", remaps) == "/arm/stop_state"
    assert qualified("wrench", "arm", "policy", remaps) == "/arm/wrench"


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_endpoints_meet_as_dds_says(reliable: bool, latched: bool, wants_reliable: bool, wants_latched: bool) -> None:
    writer = Endpoint("/a", "t", True, Qos(reliable, 1, latched))
    reader = Endpoint("/a", "t", False, Qos(wants_reliable, 1, wants_latched))
    meets = (reliable or not wants_reliable) and (latched or not wants_latched)
    assert bool(mismatch(writer, reader)) == bool(mismatch(reader, writer)) == (not meets)


def test_messages_of_the_journal_and_of_the_bus_have_the_same_bytes() -> None:
    """The journal writes poses and joint states by a way of its own; a bag tool must not tell them apart."""
    from robot_rlhf.journal.sensors import pose_message, typestore

    values = np.array([0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5])
    theirs = bytes(typestore().serialize_cdr(pose_message("base", values), "geometry_msgs/msg/PoseStamped"))
    xyz, quaternion = values[:3].tolist(), values[3:].tolist()
    ours = wire.encode(
        "geometry_msgs/msg/PoseStamped",
        {
            "header": {"frame_id": "base"},
            "pose": {
                "position": dict(zip("xyz", xyz, strict=True)),
                "orientation": dict(zip("xyzw", quaternion, strict=True)),
            },
        },
    )
    assert ours == theirs
