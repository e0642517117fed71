from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.safety import rotation
from robot_rlhf_hardware.ros import messages as m
from robot_rlhf_hardware.ros import topics as t
from robot_rlhf_hardware.ros import wire


def sent(msgtype: str, fields: dict[str, Any]) -> Any:
    """What arrives when fields are sent."""
    return wire.decode(wire.encode(msgtype, fields), msgtype)


numbers = st.floats(-10.0, 10.0, allow_nan=False)
turns = st.tuples(numbers, numbers, numbers)


@given(st.floats(0.0, 4e9))
def test_times_come_back_to_the_microsecond(seconds: float) -> None:
    told = m.time_fields(seconds)
    assert 0 <= told["nanosec"] < 1_000_000_000
    assert m.seconds_of(SimpleNamespace(**told)) == pytest.approx(seconds, abs=1e-6)


@given(turns, turns)
def test_poses_come_back(position: tuple[float, ...], turn: Any) -> None:
    pose = np.array([*position, *rotation.exp(turn)])
    back = m.pose_of(sent(t.POSE, m.pose_stamped_fields(5.0, "base", pose)).pose)
    np.testing.assert_allclose(back, pose, atol=1e-12)
    transform = sent(t.TF, {"transforms": [m.transform_fields(5.0, "base", "tool", pose)]}).transforms[0]
    np.testing.assert_allclose(m.transform_of(transform.transform), pose, atol=1e-12)


def test_ros_has_the_scalar_of_a_quaternion_last() -> None:
    fields = m.pose_fields((1.0, 2.0, 3.0, 0.5, 0.1, 0.2, 0.3))
    assert fields["orientation"] == {"x": 0.1, "y": 0.2, "z": 0.3, "w": 0.5}


@given(st.lists(numbers, min_size=6, max_size=6))
def test_twists_and_wrenches_come_back(values: list[float]) -> None:
    twist = sent(t.TWIST_STAMPED, m.twist_stamped_fields(1.0, "base", values)).twist
    np.testing.assert_array_equal(m.twist_of(twist), values)
    wrench = sent(t.WRENCH, m.wrench_stamped_fields(1.0, "tool0", values))
    np.testing.assert_array_equal(m.wrench_of(wrench.wrench), values)
    assert wrench.header.frame_id == "tool0"


@given(st.permutations(["a", "b", "c", "d"]))
def test_joints_are_found_by_name(order: list[str]) -> None:
    angle = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    told = sent(
        t.JOINT_STATE,
        m.joint_state_fields(1.0, order, [angle[n] for n in order], [10 * angle[n] for n in order]),
    )
    assert m.joints_of(told, ("c", "a", "elsewhere")) == {"c": (0.3, 3.0), "a": (0.1, 1.0)}


@pytest.mark.parametrize("velocity", [[], [np.nan, 2.0]])
def test_velocities_may_be_left_out_or_nan(velocity: list[float]) -> None:
    told = sent(t.JOINT_STATE, m.joint_state_fields(1.0, ["a", "b"], [0.5, 0.6], velocity))
    assert m.joints_of(told, ("a",)) == {"a": (0.5, 0.0)}


def test_a_message_of_others_tells_of_no_joint_whatever_is_in_it() -> None:
    told = sent(t.JOINT_STATE, m.joint_state_fields(1.0, ["wheel", "wheel"], [np.nan], [1.0, 2.0, 3.0]))
    assert m.joints_of(told, ("a",)) == {}
    told = sent(t.JOINT_STATE, m.joint_state_fields(1.0, ["a"], [], [1.0]))
    assert m.joints_of(told, ("a",)) == {}, "velocities alone"


@pytest.mark.parametrize(
    ("names", "position", "velocity", "what"),
    [
        (["a", "c", "c"], [0.0, 0.0, 0.0], [], "2 joints 'c'"),
        (["a", "c"], [0.0, np.nan], [], "position: got c at"),
        (["a", "c"], [0.0, 0.0], [np.inf, 0.0], "velocity: got a at"),
        (["a", "c"], [0.0], [], "2 names, 1 positions"),
        (["a", "c"], [0.0, 0.0], [0.0], "1 velocities"),
    ],
)
def test_joint_states_that_cannot_be_used(names: list[str], position: Any, velocity: Any, what: str) -> None:
    told = sent(t.JOINT_STATE, m.joint_state_fields(1.0, names, position, velocity))
    with pytest.raises(m.MessageError, match=what):
        m.joints_of(told, ("a", "c"))


@pytest.mark.parametrize("pose", [(0, 0, np.nan, 1, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 2, 0, 0, 0)])
def test_poses_that_are_none(pose: tuple[float, ...]) -> None:
    with pytest.raises(m.MessageError):
        m.pose_of(sent(t.POSE, m.pose_stamped_fields(1.0, "base", pose)).pose)


def picture(height: int = 6, width: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_pictures_come_back(encoding: str) -> None:
    image = picture()
    told = sent(t.IMAGE, m.image_fields(1.0, "camera", image, encoding))
    assert told.data[0] == image[0, 0, 0 if encoding == "rgb8" else 2]
    np.testing.assert_array_equal(m.image_of(told), image)


def test_grey_pictures_get_three_equal_channels() -> None:
    grey = np.repeat(picture()[..., :1], 3, axis=2)
    told = sent(t.IMAGE, m.image_fields(1.0, "camera", grey, "mono8"))
    assert len(told.data) == 30
    np.testing.assert_array_equal(m.image_of(told), grey)


def test_pictures_with_alpha_and_with_padded_rows() -> None:
    image = picture(2, 2)
    for encoding in ("rgba8", "bgra8"):
        own = image if encoding == "rgba8" else image[..., ::-1]
        rows = np.concatenate([own, np.full((2, 2, 1), 9, np.uint8)], axis=2).reshape(2, 8)
        padded = np.concatenate([rows, np.zeros((2, 3), np.uint8)], axis=1)
        fields = {"height": 2, "width": 2, "encoding": encoding, "step": 11, "data": padded.reshape(-1)}
        np.testing.assert_array_equal(m.image_of(sent(t.IMAGE, fields)), image)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"encoding": "bayer_rggb8"}, "bayer_rggb8"),
        ({"encoding": "16UC1"}, "16UC1"),
        ({"height": 7}, "90 bytes"),
        ({"width": 6}, "rows of 15"),
        ({"height": 0}, "90 bytes"),
    ],
)
def test_pictures_that_cannot_be_used(change: dict[str, Any], what: str) -> None:
    fields = m.image_fields(1.0, "camera", picture()) | change
    with pytest.raises(m.MessageError, match=what):
        m.image_of(sent(t.IMAGE, fields))


def test_compressed_pictures_come_back() -> None:
    image = picture(16, 16)
    told = sent(t.COMPRESSED_IMAGE, m.compressed_image_fields(1.0, "camera", image))
    np.testing.assert_array_equal(m.compressed_image_of(told), image)
    smooth = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    jpeg = sent(t.COMPRESSED_IMAGE, m.compressed_image_fields(1.0, "camera", smooth, "jpeg"))
    assert np.abs(m.compressed_image_of(jpeg).astype(int) - smooth).max() < 8


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_what_is_no_compressed_picture(data: bytes) -> None:
    fields = {"format": "jpeg", "data": np.frombuffer(data, np.uint8)}
    with pytest.raises(m.MessageError, match="jpeg"):
        m.compressed_image_of(sent(t.COMPRESSED_IMAGE, fields))


def test_camera_info_projects_the_middle_to_the_middle() -> None:
    told = sent(t.CAMERA_INFO, m.camera_info_fields(1.0, "camera", 100, 200, np.pi / 2))
    k = np.array(told.k).reshape(3, 3)
    np.testing.assert_allclose(k @ [0, 0, 1], [100, 50, 1])
    assert (k @ [0, 1, 1])[1] == pytest.approx(100.0), "half the view of 90 degrees ends at the lower edge"


def test_numbers_and_trajectories() -> None:
    told = sent(t.NUMBERS, m.numbers_fields([0.5, 1.5]))
    np.testing.assert_array_equal(m.numbers_of(told, 2), [0.5, 1.5])
    with pytest.raises(ShapeError):
        m.numbers_of(told, 3)
    moved = sent(t.TRAJECTORY, m.trajectory_fields(1.0, ["a", "b"], [0.5, 1.5], 0.05))
    assert moved.points[0].time_from_start.nanosec == 50_000_000
    np.testing.assert_array_equal(moved.points[0].positions, [0.5, 1.5])


def test_a_field_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(InvalidValueError, match="framed_id"):
        wire.encode(t.POSE, {"header": {"framed_id": "base"}})
