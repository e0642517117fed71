"""The bytes of every used message: a golden file, so that no upgrade changes the wire unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf_hardware.ros import messages as m
from robot_rlhf_hardware.ros import topics as t
from robot_rlhf_hardware.ros import wire

GOLDEN = Path(__file__).parent / "golden_messages.json"
POSE = (0.1, -0.2, 0.3, 0.5, 0.5, -0.5, 0.5)
IMAGE = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)

EXAMPLES: dict[str, dict[str, Any]] = {
    t.JOINT_STATE: m.joint_state_fields(1.5, ["joint1", "finger"], [0.25, 0.04], [-1.0, 0.0]),
    t.POSE: m.pose_stamped_fields(1.5, "base", POSE),
    t.TWIST_STAMPED: m.twist_stamped_fields(1.5, "base", (0.1, 0.2, 0.3, 1, 2, 3)),
    t.TWIST: m.twist_fields((0.1, 0.2, 0.3, 1, 2, 3)),
    t.WRENCH: m.wrench_stamped_fields(1.5, "tool0", (1, 2, 3, 0.1, 0.2, 0.3)),
    t.TF: {"transforms": [m.transform_fields(1.5, "base", "tool0", POSE)]},
    t.IMAGE: m.image_fields(1.5, "front", IMAGE),
    t.COMPRESSED_IMAGE: {"header": m.header_fields(1.5, "front"), "format": "png", "data": np.arange(5)},
    t.CAMERA_INFO: m.camera_info_fields(1.5, "front", 128, 128, 1.0),
    t.JOY: m.joy_fields(1.5, [0.5, -1.0], [0, 1, 0]),
    t.BOOL: {"data": True},
    t.FLOAT: {"data": 0.5},
    t.STRING: {"data": "pick up the cube"},
    t.NUMBERS: m.numbers_fields([0.5, 0.25]),
    t.TRAJECTORY: m.trajectory_fields(1.5, ["joint1"], [0.5], 0.05),
    t.DIAGNOSTICS: {
        "header": m.header_fields(1.5, ""),
        "status": [{"level": 2, "name": "policy: joints", "message": "stale", "values": [{"key": "a", "value": "b"}]}],
    },
    wire.part_of(t.TRIGGER, "Request"): {},
    wire.part_of(t.TRIGGER, "Response"): {"success": True, "message": "start 1"},
    wire.part_of(t.GRIPPER_GOAL, "Request"): {
        "goal_id": {"uuid": list(range(16))},
        "goal": {"command": {"position": 0.04, "max_effort": 20.0}},
    },
    wire.part_of(t.GRIPPER_GOAL, "Response"): {"accepted": True, "stamp": {"sec": 1, "nanosec": 2}},
    wire.part_of(t.PARALLEL_GRIPPER_GOAL, "Request"): {
        "goal_id": {"uuid": list(range(16))},
        "goal": {"command": {"name": ["finger"], "position": [0.04], "effort": [20.0]}},
    },
    wire.part_of(t.PARALLEL_GRIPPER_GOAL, "Response"): {"accepted": True, "stamp": {"sec": 1, "nanosec": 2}},
}


def golden() -> dict[str, dict[str, str]]:
    return json.loads(GOLDEN.read_text())


def test_every_used_type_is_in_the_golden_file() -> None:
    services = {wire.part_of(s, part) for s in t.SERVICE_TYPES for part in ("Request", "Response")}
    assert set(golden()) == set(EXAMPLES) == {*t.MESSAGE_TYPES, *services}


@pytest.mark.parametrize("msgtype", EXAMPLES)
def test_bytes_and_hash_are_those_of_the_golden_file(msgtype: str) -> None:
    expected = golden()[msgtype]
    assert wire.encode(msgtype, EXAMPLES[msgtype]).hex() == expected["cdr"]
    assert wire.type_hash(msgtype) == expected["hash"]


@pytest.mark.parametrize("msgtype", EXAMPLES)
def test_what_is_decoded_encodes_to_the_same_bytes(msgtype: str) -> None:
    data = bytes.fromhex(golden()[msgtype]["cdr"])
    again = wire.typestore().serialize_cdr(wire.decode(data, msgtype), msgtype)
    assert bytes(again) == data


def test_known_hashes_of_ros_jazzy() -> None:
    """As `ros2 topic info -v` of a Jazzy installation prints them."""
    assert wire.type_hash(t.JOINT_STATE).startswith(
        "RIHS01_a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e"
    )
    assert wire.type_hash(t.STRING) == "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"


def test_the_body_of_a_pose_is_where_the_format_puts_it() -> None:
    """By hand: 4 bytes of encapsulation, sec, nanosec, length and text of the frame, then doubles from offset 24."""
    data = wire.encode(t.POSE, EXAMPLES[t.POSE])
    assert data[:4] == bytes([0, 1, 0, 0])
    assert np.frombuffer(data[4:12], "<u4").tolist() == [1, 500_000_000]
    assert np.frombuffer(data[12:16], "<u4").tolist() == [5]
    assert data[16:21] == b"base\0"
    # x, y, z of the position, then x, y, z, w of the orientation
    np.testing.assert_array_equal(np.frombuffer(data[28:], "<f8"), [0.1, -0.2, 0.3, 0.5, -0.5, 0.5, 0.5])
