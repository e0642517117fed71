"""What a bag leaves open is asked for, never guessed; and commands must be those of the arm that was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.agreement import Agreement, agreement
from robot_rlhf.journal.bags.cameras import camera_names
from robot_rlhf.journal.bags.episodes import EpisodeSettings, Span
from robot_rlhf.journal.bags.importing import import_bag, plan_bag
from robot_rlhf.journal.bags.plan import ImportPlan
from robot_rlhf.journal.bags.poses import Rows, moved
from robot_rlhf.journal.bags.reading import GripperSettings
from robot_rlhf.journal.bags.resampling import Grid
from robot_rlhf.journal.bags.rows import EpisodeRows
from robot_rlhf.journal.bags.settings import ImportSettings
from robot_rlhf.journal.bags.topics import BagTopics
from robot_rlhf.journal.reader import episodes, journal_spec
from tests.draws import draws
from tests.journal.teleop_bags import (
    JOINTS,
    SPEED,
    STORE,
    TURN,
    Drive,
    Message,
    compressed,
    image,
    joint_state,
    number,
    pose,
    vectors,
    write_bag,
)
from tests.journal.test_bag_import import REWARD, SETTINGS, reading, run
from tests.journal.test_bag_trouble import refused

SHORT = Drive(driven=((0.3, 1.8),), closes={0.0: 1.0})


def planned(tmp_path: Path, messages: list[Message], chosen: ImportSettings = SETTINGS) -> ImportPlan:
    return plan_bag(write_bag(tmp_path / "bag", messages), chosen, robot=None)


def asked(tmp_path: Path, messages: list[Message], chosen: ImportSettings = SETTINGS) -> str:
    return refused(tmp_path, write_bag(tmp_path / "bag", messages), chosen)


def pictures(topic: str, maker: Callable[..., Message] = image) -> list[Message]:
    return [maker(topic, i / 30, SHORT.picture(i / 30)) for i in range(int(SHORT.end * 30))]


def topics(**named: Any) -> ImportSettings:
    return reading(topics=BagTopics(**named))


# -- cameras ---------------------------------------------------------------------------------------------------------


def test_no_camera_is_dropped_because_another_has_its_name(tmp_path: Path) -> None:
    left, right = "/left_arm/camera/color/image_raw", "/right_arm/camera/color/image_raw"
    rect = "/wrist/image_rect_color"
    plan = planned(tmp_path, SHORT.messages() + pictures(left) + pictures(right) + pictures(rect))
    told = {row.role: row.topic for row in plan.rows if row.role.startswith("camera ")}
    assert told == {"camera left_arm_camera": left, "camera right_arm_camera": right, "camera wrist": rect}
    assert plan.left_out == {}


def test_names_of_cameras() -> None:
    assert camera_names(["/front/image_raw", "/camera/wrist/compressed", "/image_raw"]) == {
        "/front/image_raw": "front",
        "/camera/wrist/compressed": "wrist",
        "/image_raw": "camera",
    }
    assert set(camera_names(["/a/b/camera/image", "/c/b/camera/image", "/c/d/camera/image"]).values()) == {
        *("a_b_camera", "c_b_camera", "d_camera"),
    }


def test_two_topics_of_one_camera(tmp_path: Path) -> None:
    raw, packed = "/front/image_raw", "/front/image_raw/compressed"
    messages = SHORT.messages() + pictures(raw) + pictures(packed, compressed)
    said = asked(tmp_path, messages)
    assert (
        f"camera front may be any of {raw}, {packed}; say which: --camera front={raw}, --camera front={packed}" in said
    )
    plan = plan_bag(tmp_path / "bag", topics(cameras={"front": packed}), robot=None)
    assert plan.left_out == {raw: ("sensor_msgs/msg/Image", "not asked for")}


def test_the_robots_camera_is_asked_for_when_two_could_be_it(tmp_path: Path) -> None:
    front, side = "/left/front/image_raw", "/right/front/image_raw"
    bag = write_bag(tmp_path / "bag", SHORT.messages() + pictures(front) + pictures(side))
    import_bag(
        bag,
        tmp_path / "robot",
        topics(cameras={"front": front}),
        robot=None,
        reward=REWARD.value,
        reward_source=REWARD.source,
    )
    robot = journal_spec(tmp_path / "robot")
    with pytest.raises(JournalError, match=rf"camera front may be any of {front}, {side}; say which: --camera front="):
        plan_bag(bag, SETTINGS, robot=robot)
    with pytest.raises(JournalError, match="no topic for camera wrist; say which: --camera NAME=TOPIC; pict"):
        plan_bag(bag, SETTINGS, robot=replace(robot, cameras={"wrist": (12, 16)}))
    with pytest.raises(JournalError, match="the robot has no camera wrist; allowed: front"):
        plan_bag(bag, topics(cameras={"wrist": side}), robot=robot)
    plan = plan_bag(bag, topics(cameras={"front": side}), robot=robot)
    assert plan.left_out == {front: ("sensor_msgs/msg/Image", "the robot has no such camera")}


# -- arms, commands --------------------------------------------------------------------------------------------------


def renamed(messages: Sequence[Message], old: str, new: str) -> list[Message]:
    return [(new if topic == old else topic, kind, t, m) for topic, kind, t, m in messages]


def test_two_arms(tmp_path: Path) -> None:
    both = SHORT.messages() + renamed(SHORT.messages(), "/joint_states", "/left_arm/joint_states")
    said = asked(tmp_path / "topics", both)
    assert (
        "joint_states may be any of /joint_states, /left_arm/joint_states; say which: --reading.topics.joint-s" in said
    )
    names = ("left_elbow", "right_elbow")
    one = [m for m in SHORT.messages() if m[0] != "/joint_states"]
    one += [joint_state(i / 100, names, [0.0, 0.0]) for i in range(230)]
    chosen = replace(SETTINGS, joints=())
    assert "joints of two arms, left_elbow and right_elbow; say which: --joints" in asked(tmp_path / "one", one, chosen)
    turns = [m for m in SHORT.messages() if m[0] != "/joint_states"]
    turns += [joint_state(i / 100, ("a", "b") if i % 2 else ("c",), [0.0] * (1 + i % 2)) for i in range(230)]
    assert "joints a, b after messages with c; say which are the arm's: --joints" in asked(
        tmp_path / "turns", turns, chosen
    )


def test_which_commands(tmp_path: Path) -> None:
    messages = SHORT.messages()
    twists = [vectors("/servo_node/delta_twist_cmds", "Twist", i / 50, [0] * 6) for i in range(15, 90)]
    bag = write_bag(tmp_path / "bag", messages + twists)
    said = refused(tmp_path, bag)
    assert (
        "may be any of /target_pose, /servo_node/delta_twist_cmds; say which: --command /target_pose, "
        "--command /servo_node/delta_twist_cmds, --command measured"
    ) in said
    assert plan_bag(bag, topics(command="target_pose"), robot=None).action_from.endswith("/target_pose")
    plan = plan_bag(bag, topics(command="measured"), robot=None)
    assert plan.action_from == "measured motion, /current_pose"
    assert plan.left_out["/target_pose"] == ("geometry_msgs/msg/PoseStamped", "not asked for")


def test_commands_by_a_name_of_their_own(tmp_path: Path) -> None:
    messages = renamed(SHORT.messages(), "/target_pose", "/my/goal")
    bag = write_bag(tmp_path / "bag", messages)
    said = refused(tmp_path, bag)
    assert "say which: --command /my/goal, --command measured (the motion that was measured)" in said
    report, _ = run(bag, tmp_path / "out", topics(command="/my/goal"))
    assert report.action_from == "changes of the commanded pose, /my/goal"
    with pytest.raises(JournalError, match=r"topic /joint_states \(command\) is sensor_msgs/msg/JointState; allowed: "):
        plan_bag(bag, topics(command="/joint_states"), robot=None)


# -- units, frames, grippers -----------------------------------------------------------------------------------------


def test_joints_that_may_be_in_degrees(tmp_path: Path) -> None:
    messages = [m for m in SHORT.messages() if m[0] != "/joint_states"]
    for i in range(230):
        p, v = SHORT.joints(i / 100)
        names = ("finger", *JOINTS)
        messages.append(joint_state(i / 100, names, [0.04, *np.rad2deg(p)], [0.0, *np.rad2deg(v)]))
    bag = write_bag(tmp_path / "bag", messages)
    assert re_found("position of joint wrist reaches 17.19: say in which unit: --reading.joint-unit rad, or", bag)
    _, (episode,) = run(bag, tmp_path / "out", reading(joint_unit="deg"))
    times = [0.3 + 0.05 * t for t in range(len(episode) + 1)]
    assert np.allclose(episode.observations["joint_position"], [SHORT.joints(t)[0] for t in times], atol=1e-6)
    assert np.allclose(episode.observations["joint_velocity"], [SHORT.joints(t)[1] for t in times], atol=1e-6)


def re_found(words: str, bag: Path, chosen: ImportSettings = SETTINGS) -> bool:
    with pytest.raises(JournalError, match=words):
        plan_bag(bag, chosen, robot=None)
    return True


def test_what_the_grippers_numbers_mean(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", Drive().messages())
    words = r"topic /joint_states: tells the gripper from 0 to 0\.04; say what is closed and what is open"
    assert re_found(words, bag, reading(gripper=GripperSettings("finger")))
    assert re_found(words, bag, reading(gripper=GripperSettings("finger", open=0.04)))
    assert re_found(
        r"from 0 to 0\.04; allowed: 0 to 0\.02", bag, reading(gripper=GripperSettings("finger", closed=0.0, open=0.02))
    )
    two = [*SHORT.messages(), *(joint_state(i / 50, ("f1", "f2"), [0.0, 0.0]) for i in range(100))]
    two = [("/gripper/joint_states" if "f1" in getattr(m, "name", ()) else t, k, s, m) for t, k, s, m in two]
    pair = write_bag(tmp_path / "pair", two)
    plain = reading(gripper=GripperSettings(closed=0.0, open=1.0))
    assert re_found(r"joints f1, f2; say which: --reading.gripper.joint", pair, plain)
    kind = "Float64MultiArray"
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"]([], 0)
    message = STORE.types[f"std_msgs/msg/{kind}"](layout, np.zeros(2))
    array = write_bag(
        tmp_path / "array", [*SHORT.messages(), ("/gripper/commands", f"std_msgs/msg/{kind}", 0.5, message)]
    )
    assert re_found("an array of 2 numbers; allowed: one", array)


def unnamed(messages: Sequence[Message], topic: str) -> list[Message]:
    for name, _, _, message in messages:
        if name == topic:
            message.header.frame_id = ""
    return list(messages)


def test_frames_without_a_name(tmp_path: Path) -> None:
    poses = write_bag(tmp_path / "poses", unnamed(SHORT.messages(), "/target_pose"))
    assert re_found("topic /target_pose: poses in a frame without a name; .*--reading.unnamed-frame base", poses)
    assert plan_bag(poses, reading(unnamed_frame="base"), robot=None).check.contradictions == ()
    twists = unnamed(SHORT.messages(commands="twist"), "/servo_node/delta_twist_cmds")
    bag = write_bag(tmp_path / "twists", twists)
    assert re_found("in a frame without a name; say which: --reading.unnamed-frame base, or --reading.unn", bag)
    assert plan_bag(bag, reading(unnamed_frame="base"), robot=None).check.contradictions == ()
    # The tool looks down, so that its turns are the other way round.
    (turned,) = plan_bag(bag, reading(unnamed_frame="tool"), robot=None).check.contradictions
    assert "1.00 along -rz for rz" in turned


# -- commands and motion ---------------------------------------------------------------------------------------------


def driven(twist: Sequence[float]) -> list[Message]:
    """Twists that say something else than what moved the arm."""
    messages = SHORT.messages(commands="none")
    start, end = SHORT.driven[0]
    for i in range(round((end - start) * 50) + 1):
        messages.append(vectors("/servo_node/delta_twist_cmds", "Twist", start + i / 50, twist))
    return messages


@pytest.mark.parametrize(
    ("twist", "words"),
    [
        ([0.4, 0, 0, 0, 0, TURN], "translation: a command of 1 moved the tool by 0.25 along x for x"),
        ([-SPEED, 0, 0, 0, 0, TURN], "translation: a command of 1 moved the tool by 1.00 along -x for x"),
        ([0, SPEED, 0, 0, 0, TURN], "translation: a command of 1 moved the tool by 1.00 along x for y"),
        ([SPEED, 0, 0, 0, 0, -TURN], "rotation: a command of 1 moved the tool by 1.00 along -rz for rz"),
        ([SPEED, 0, 0, TURN, 0, 0], "rotation: a command of 1 moved the tool by 1.00 along rz for rx"),
    ],
)
def test_commands_that_contradict_the_motion(tmp_path: Path, twist: list[float], words: str) -> None:
    chosen = replace(SETTINGS, clipped_max=1.0)
    said = asked(tmp_path, driven(twist), chosen)
    assert "contradict one another" in said
    assert words in said
    kept = replace(chosen, reading=replace(chosen.reading, motion_check="say"))
    report, _ = run(tmp_path / "bag", tmp_path / "out", kept)
    assert report.steps == 30


def test_commands_without_a_unit_get_one(tmp_path: Path) -> None:
    """As joysticks and unitless Servo commands have none."""
    bag = write_bag(tmp_path / "bag", driven([0.5, 0, 0, 0, 0, 1.0]))
    assert plan_bag(bag, SETTINGS, robot=None).check.contradictions
    _, (episode,) = run(bag, tmp_path / "out", reading(twist_scale=(SPEED / 0.5, TURN / 1.0)))
    assert np.allclose(episode.executed[:, 0], SPEED * 0.05 / 0.02, atol=1e-5)


def test_too_little_motion_is_said(tmp_path: Path) -> None:
    check = planned(tmp_path, driven([0.0] * 6), replace(SETTINGS, episodes=EpisodeSettings(by="whole"))).check
    assert check.contradictions == ()
    assert "translation: 0 m commanded in all, too little to check" in check.said


def test_an_arm_that_does_not_move(tmp_path: Path) -> None:
    messages = [m for m in SHORT.messages() if m[0] != "/current_pose"]
    messages += [pose("/current_pose", i / 100, [0.4, 0, 0.3, 0, 1, 0, 0]) for i in range(230)]
    assert "0.15 m commanded, but only 0 m measured" in asked(tmp_path, messages)


def test_commanded_poses_of_another_frame(tmp_path: Path) -> None:
    messages = [m for m in SHORT.messages() if m[0] != "/current_pose"]
    for i in range(230):
        x, y, z, *turn = SHORT.measured(i / 100)
        messages.append(pose("/current_pose", i / 100, [x, y + 0.5, z, *turn]))
    assert "commanded poses lie 0.5 m from the measured ones (median; allowed: 0.2)" in asked(tmp_path, messages)


def test_a_gripper_that_closes_when_it_shall_open(tmp_path: Path) -> None:
    """The driver's command counts how far it shall close, its measurement how far it is open."""
    drive = Drive()
    messages = drive.messages()
    messages += [number("/gripper", "Float32", i / 50, 1.0 - drive.opening(max(i / 50 - 0.2, 0.0))) for i in range(350)]
    messages += [number("/gripper_controller/commands", "Float64", at, value) for at, value in drive.closes.items()]
    said = asked(tmp_path, messages, reading(gripper=GripperSettings(closed=0.0, open=1.0)))
    assert "gripper: opening measured and commanded go together by -" in said


def made_up(seed: int, *, matrix: Rows, lag: int, noise: float, directions: int = 3, count: int = 150) -> Agreement:
    """The check of commands that wander, with an arm that answers by a matrix, late and with noise."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((3, 3)))[0][:directions]
    speeds = np.repeat(rng.standard_normal((count // 10, directions)), 10, axis=0) * 0.005
    told = speeds @ basis
    made = np.concatenate([np.zeros((lag, 3)), told])[:count] @ matrix.T
    places = np.concatenate([np.zeros((1, 3)), np.cumsum(made, axis=0)])
    places += rng.standard_normal(places.shape) * noise
    still = np.tile([1.0, 0.0, 0.0, 0.0], (count + 1, 1))
    here = np.concatenate([places, still], axis=1)
    shifts = np.concatenate([told, np.zeros((count, 3))], axis=1)
    grid = Grid(Span(0, 1), np.arange(count + 1) * 50_000_000, 50_000_000)
    none, one = np.zeros((count + 1, 0)), np.ones(count + 1)
    rows = EpisodeRows(
        grid=grid,
        joint_position=none,
        joint_velocity=none,
        pose=here,
        target=moved(here, np.concatenate([shifts, np.zeros((1, 6))])),
        velocity=np.zeros((count + 1, 6)),
        wrench=np.zeros((count + 1, 6)),
        opening=one,
        opening_target=one,
        scene={},
        shifts=shifts,
        actions=np.zeros((count, 0)),
        pictures=[],
    )
    return agreement([rows], rows.grid.period / 1e9, poses=False, gripper=False)


@given(
    seed=st.integers(0, 2**31),
    factor=st.floats(0.6, 1.8),
    lag=st.integers(0, 10),
    directions=st.integers(1, 3),
)
@draws(40)
def test_an_arm_that_follows_late_with_noise_agrees(seed: int, factor: float, lag: int, directions: int) -> None:
    check = made_up(seed, matrix=factor * np.eye(3), lag=lag, noise=0.0005, directions=directions)
    assert check.contradictions == ()
    assert len(check.said) == 2


@given(seed=st.integers(0, 2**31), wrong=st.sampled_from(["scale", "sign", "order", "turned", "other"]))
@draws(40)
def test_wrong_scale_sign_order_frame_or_arm_is_found(seed: int, wrong: str) -> None:
    c, s = math.cos(1.2), math.sin(1.2)
    matrix = {
        "scale": 0.3 * np.eye(3),
        "sign": np.diag([1.0, -1.0, 1.0]),
        "order": np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        "turned": np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]),
        "other": np.zeros((3, 3)),
    }[wrong]
    assert made_up(seed, matrix=matrix, lag=3, noise=0.0005 if wrong != "other" else 0.004).contradictions


# -- the plan --------------------------------------------------------------------------------------------------------


def test_the_plan_tells_everything_and_writes_nothing(tmp_path: Path) -> None:
    messages = SHORT.messages() + pictures("/front/image_raw") + [number("/battery", "Float32", 0.5, 1.0)]
    bag = write_bag(tmp_path / "bag", messages)
    plan = plan_bag(bag, SETTINGS, robot=None)
    rows = {row.role: row for row in plan.rows}
    assert rows["joint_states"].holds == ", ".join(JOINTS)
    assert (rows["joint_states"].unit, rows["tool_target"].frame) == ("rad, rad/s", "base")
    assert rows["tool_target"].rate == pytest.approx(50.0)
    assert rows["gripper"].unit == "0 closed, 0.04 open"
    assert rows["camera front"].holds == "12 x 16, rgb8"
    assert plan.left_out == {"/battery": ("std_msgs/msg/Float32", "not asked for")}
    assert (dict(plan.episodes), plan.steps) == ({"success": 1}, 30)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_the_plan_is_shown_before_anything_is_written(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", SHORT.messages())
    seen: list[tuple[ImportPlan, list[str]]] = []

    def show(plan: ImportPlan) -> None:
        seen.append((plan, [path.name for path in (tmp_path / "to").rglob("*.mcap")]))

    (tmp_path / "to").mkdir()
    report = import_bag(
        bag, tmp_path / "to/out", SETTINGS, robot=None, reward=REWARD.value, reward_source=REWARD.source, show=show
    )
    ((plan, written),) = seen
    assert written == []
    assert plan.steps == report.steps == sum(len(episode) for episode in episodes(tmp_path / "to/out"))
