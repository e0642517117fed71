"""Bags that cannot be used: each is named with topic and time, and nothing is left behind."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.importing import import_bag
from robot_rlhf.journal.bags.settings import ImportSettings
from robot_rlhf.journal.bags.topics import BagTopics
from robot_rlhf.journal.reader import episodes
from tests.journal.teleop_bags import (
    JOINTS,
    Drive,
    Message,
    image,
    number,
    pose,
    transforms,
    vectors,
    write_bag,
)
from tests.journal.test_bag_import import REWARD, SETTINGS, reading

SHORT = Drive(driven=((0.3, 1.3),), closes={0.0: 1.0})
Change = Callable[[list[Message]], list[Message]]


def refused(tmp_path: Path, bag: Path, settings: ImportSettings = SETTINGS) -> str:
    """What the import says; it leaves nothing."""
    folder = tmp_path / "target"
    folder.mkdir()
    with pytest.raises(JournalError) as caught:
        import_bag(bag, folder / "out", settings, robot=None, reward=REWARD.value, reward_source=REWARD.source)
    assert list(folder.iterdir()) == []
    words = str(caught.value)
    assert str(bag) in words
    return words


def without(topic: str) -> Change:
    return lambda messages: [m for m in messages if m[0] != topic]


def also(*added: Message) -> Change:
    return lambda messages: [*messages, *added]


def instead(topic: str, seconds: float, change: Callable[[Any], Any]) -> Change:
    """Change one message of a topic: the first one from `seconds` on."""

    def changed(messages: list[Message]) -> list[Message]:
        first = min(m[2] for m in messages if m[0] == topic and m[2] >= seconds - 1e-9)
        for m in messages:
            if m[0] == topic and m[2] == first:
                change(m[3])
        return messages

    return changed


def set_nan(message: Any) -> None:
    message.position[2] = math.nan  # the shoulder's, in the bag's own order


def set_nan_velocity(message: Any) -> None:
    message.velocity[1] = math.inf


def forget_names(message: Any) -> None:
    message.name.clear()


def lose_a_joint(message: Any) -> None:
    message.name[1] = "other"


def go_back(message: Any) -> None:
    message.header.stamp.sec -= 2


def turn_to_zero(message: Any) -> None:
    message.pose.orientation.x = message.pose.orientation.y = 0.0


def lose_the_stamp(message: Any) -> None:
    message.header.stamp.sec = message.header.stamp.nanosec = 0


def set_frame(message: Any) -> None:
    message.header.frame_id = "map"


def camera(size: tuple[int, int] = (12, 16), until: float = 9.0, encoding: str = "rgb8") -> list[Message]:
    count = round(min(SHORT.end, until) * 30)
    return [image("/front/image_raw", i / 30, SHORT.picture(i / 30, size), encoding) for i in range(count)]


TROUBLES: dict[str, tuple[Change, ImportSettings, str]] = {
    "no joints": (
        without("/joint_states"),
        SETTINGS,
        r"no topic for joint_states \(sensor_msgs/msg/JointState\); the bag has /current_pose",
    ),
    "no pose": (without("/current_pose"), SETTINGS, "no topic for tool_pose .* and no /tf"),
    "misspelt topic": (also(), reading(topics=BagTopics(wrench="/wrnech")), r"no topic /wrnech \(wrench\)"),
    "wrong type": (
        also(),
        reading(topics=BagTopics(wrench="/joint_states")),
        r"topic /joint_states \(wrench\) is sensor_msgs/msg/JointState; allowed: geometry_msgs/msg/WrenchStamped",
    ),
    "NaN": (
        instead("/joint_states", 0.5, set_nan),
        SETTINGS,
        r"topic /joint_states at 0\.500 s: position of joint shoulder is nan",
    ),
    "infinite velocity": (
        instead("/joint_states", 0.5, set_nan_velocity),
        SETTINGS,
        r"at 0\.500 s: velocity of joint wrist is inf",
    ),
    "no joint names": (
        instead("/joint_states", 0.7, forget_names),
        SETTINGS,
        r"topic /joint_states at 0\.700 s: a JointState without joint names",
    ),
    "a joint missing": (
        instead("/joint_states", 0.7, lose_a_joint),
        SETTINGS,
        r"at 0\.700 s: joint wrist missing; the message has finger, other",
    ),
    "unknown joint": (also(), replace(SETTINGS, joints=("base", *JOINTS)), r"at 0\.000 s: joint base missing"),
    "no joint of ours": (
        also(),
        replace(SETTINGS, joints=("a", "b")),
        r"topic /joint_states: no usable message; none of its 180 messages has position of joint a",
    ),
    "time backwards": (
        instead("/joint_states", 0.6, go_back),
        SETTINGS,
        r"topic /joint_states at 0\.600 s: time goes backwards by 1\.990 s",
    ),
    "picture time backwards": (
        lambda m: instead("/front/image_raw", 0.6, go_back)([*m, *camera()]),
        SETTINGS,
        r"topic /front/image_raw at 0\.600 s: time goes backwards",
    ),
    "no rotation": (
        instead("/current_pose", 0.6, turn_to_zero),
        SETTINGS,
        r"topic /current_pose at 0\.600 s: orientation .* is no unit quaternion",
    ),
    "no stamp": (
        instead("/current_pose", 0.6, lose_the_stamp),
        reading(clock="stamp"),
        r"topic /current_pose at 0\.600 s: no stamp in its header",
    ),
    "other frame": (
        instead("/target_pose", 0.6, set_frame),
        SETTINGS,
        r"topic /target_pose at 0\.600 s: frame 'map' after frame 'base'",
    ),
    "foreign frame": (
        lambda m: [(t, k, s, (set_frame(x), x)[1] if t == "/target_pose" else x) for t, k, s, x in m],
        SETTINGS,
        r"topic /target_pose: poses in frame 'map'; allowed: 'base'",
    ),
    "wrench frame": (
        also(*(vectors("/wrench", "Wrench", i / 100, [0] * 6, "sensor") for i in range(180))),
        SETTINGS,
        r"topic /wrench: in frame 'sensor'; allowed: 'base' .* or 'tool0'",
    ),
    "silent joints": (
        lambda m: [x for x in m if x[0] != "/joint_states" or not 0.6 < x[2] < 1.0],
        SETTINGS,
        r"topic /joint_states is silent for 0\.350 s at 0\.950 s, within an episode; allowed: 0\.25 s",
    ),
    "dead camera": (lambda m: [*m, *camera(until=0.7)], SETTINGS, r"topic /front/image_raw is silent for"),
    "other picture size": (
        lambda m: [*m, *camera(until=0.7), *(x for x in camera((24, 32)) if x[2] >= 0.7)],
        SETTINGS,
        r"topic /front/image_raw at 0\.\d+ s: 24 x 32 pixels; allowed: 12 x 16",
    ),
    "depth": (
        lambda m: [*m, *camera(encoding="16UC1")],
        reading(topics=BagTopics(cameras={"front": "/front/image_raw"})),
        r"topic /front/image_raw at 0\.000 s: encoding '16UC1' is depth; allowed: rgb8",
    ),
    "no gripper": (also(), reading(gripper=replace(SETTINGS.reading.gripper, joint="")), r"no topic tells the gripper"),
    "no gripper joint": (
        also(),
        reading(gripper=replace(SETTINGS.reading.gripper, joint="thumb")),
        r"no usable message; none of its 180 messages has position of joint thumb",
    ),
    "all too short": (
        also(),
        replace(SETTINGS, episodes=replace(SETTINGS.episodes, shortest=3.0)),
        r"no episode: 1 spans shorter than 3 s",
    ),
    "marks that are missing": (
        also(),
        replace(SETTINGS, episodes=replace(SETTINGS.episodes, by="marks")),
        "no topic tells episodes",
    ),
    "an unknown mark": (
        also(number("/recording", "String", 0.5, "go")),
        SETTINGS,
        r"topic /recording at 0\.500 s: 'go'; allowed: start, end",
    ),
    "marks without stamps": (
        also(number("/recording", "Bool", 0.5, True)),
        reading(clock="stamp"),
        "topic /recording has no header",
    ),
    "unknown steps": (
        also(),
        replace(SETTINGS, one_step_per="/tick"),
        "--one-step-per /tick; allowed: /joint_states, /current_pose, /target_pose",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_is_named(tmp_path: Path, trouble: str) -> None:
    change, settings, words = TROUBLES[trouble]
    bag = write_bag(tmp_path / "bag", change(SHORT.messages()))
    said = refused(tmp_path, bag, settings)
    assert re.search(words, said), said


def test_two_topics_with_the_same_claim(tmp_path: Path) -> None:
    extra = [pose(f"/{side}/current_pose", 0.1, [0, 0, 0, 1, 0, 0, 0]) for side in ("left", "right")]
    bag = write_bag(tmp_path / "bag", [*without("/current_pose")(SHORT.messages()), *extra])
    said = refused(tmp_path, bag)
    assert (
        "tool_pose may be any of /left/current_pose, /right/current_pose; say which: --reading.topics.tool-pose" in said
    )


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ([("base_link", "link", [0, 0, 0, 1, 0, 0, 0])], "no frame 'tool0'; it has base_link, link"),
        ([("base_link", "link", [0, 0, 0, 1, 0, 0, 0]), ("other", "tool0", [0, 0, 0, 1, 0, 0, 0])], "not connected"),
        ([("base_link", "tool0", [0, math.nan, 0, 1, 0, 0, 0])], "frame 'tool0' has no transform of finite numbers"),
        ([("base_link", "tool0", [0, 0, 0, 1, 0, 0, 0]), ("odd", "tool0", [0, 0, 0, 1, 0, 0, 0])], "has two parents"),
    ],
)
def test_frames_that_do_not_hang_together(
    tmp_path: Path, links: list[tuple[str, str, list[float]]], words: str
) -> None:
    messages = without("/current_pose")(SHORT.messages())
    bag = write_bag(tmp_path / "bag", [*messages, *(transforms("/tf", i / 50, links) for i in range(90))])
    said = refused(tmp_path, bag)
    assert "topic /tf" in said
    assert words in said


def test_what_is_no_bag(tmp_path: Path) -> None:
    good = write_bag(tmp_path / "good", SHORT.messages())
    (tmp_path / "text.mcap").write_text("hello")
    (tmp_path / "text.db3").write_text("hello" * 1000)
    (tmp_path / "text.txt").write_text("hello")
    cut = tmp_path / "cut.mcap"
    (file,) = good.glob("*.mcap")
    cut.write_bytes(file.read_bytes()[:-2000])
    empty = tmp_path / "empty.db3"
    sqlite3.connect(empty).close()
    for path, words in (
        (tmp_path / "nothing", "no such bag; allowed: a rosbag2 folder"),
        (tmp_path / "text.mcap", "not a bag that can be read .*cut off"),
        (tmp_path / "text.db3", "not a bag that can be read"),
        (tmp_path / "text.txt", "not a bag that can be read"),
        (cut, "not a bag that can be read .*`ros2 bag reindex FOLDER`, or `mcap recover FILE`"),
        (empty, "not a bag that can be read"),
    ):
        with pytest.raises(JournalError, match=words):
            import_bag(path, tmp_path / "out", SETTINGS, robot=None, reward=REWARD.value, reward_source="")
    (good / "metadata.yaml").unlink()
    with pytest.raises(JournalError, match=r"it has no metadata\.yaml; name one of its files \(.*\.mcap\)"):
        import_bag(good, tmp_path / "out", SETTINGS, robot=None, reward=REWARD.value, reward_source="")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_named_with_the_time_up_to_which_it_was_read(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", SHORT.messages())
    (file,) = bag.glob("*.mcap")
    data = bytearray(file.read_bytes())
    place = data.index(b"finger", len(data) // 2)
    data[place - 4 : place] = b"\xff" * 4  # the length of a joint's name
    file.write_bytes(data)
    assert re.search(r"damaged at or after \d\.\d{3} s, while reading .*/joint_states", refused(tmp_path, bag))


def test_an_empty_bag(tmp_path: Path) -> None:
    assert "an empty bag: it holds no message" in refused(tmp_path, write_bag(tmp_path / "bag", []))


def test_the_task_must_have_a_name(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", SHORT.messages())
    with pytest.raises(ConfigError, match="--task: missing"):
        import_bag(bag, tmp_path / "out", replace(SETTINGS, task=""), robot=None, reward=REWARD.value, reward_source="")


def test_a_target_that_is_there_already(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", SHORT.messages())
    target = tmp_path / "out"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(JournalError, match="exists already"):
        import_bag(bag, target, SETTINGS, robot=None, reward=REWARD.value, reward_source="")
    assert [path.name for path in target.iterdir()] == ["notes.txt"]


def test_a_target_that_cannot_be_is_found_out_before_the_bag_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / "bag", SHORT.messages())
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr("robot_rlhf.journal.bags.source.Bag.messages", lambda *_: pytest.fail("read"))
    for target, words in (
        (".", "is the current folder, which cannot be replaced; allowed: a new name in it, ./NAME"),
        ("../link", "exists already"),
        (tmp_path / "file" / "out", "cannot write the journal"),
        ("/proc/self/out", "cannot write the journal"),
    ):
        with pytest.raises(JournalError, match=re.escape(words)):
            import_bag(bag, target, SETTINGS, robot=None, reward=REWARD.value, reward_source="")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "empty", "file", "link"]


def test_a_link_to_an_empty_or_missing_folder_is_what_it_points_to(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", SHORT.messages())
    (tmp_path / "empty").mkdir()
    for number_, place in enumerate(("empty", "missing")):
        link = tmp_path / f"link-{number_}"
        link.symlink_to(tmp_path / place)
        import_bag(bag, link, SETTINGS, robot=None, reward=REWARD.value, reward_source="")
        assert link.is_symlink()
        assert len(list(episodes(tmp_path / place))) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_half_written_is_left_as_if_whole(tmp_path: Path, error: type[BaseException]) -> None:
    bag = write_bag(tmp_path / "bag", Drive().messages())
    target = tmp_path / "runs" / "out"
    told: list[int] = []

    def reward(*arguments: Any) -> float:
        told.append(1)
        if len(told) == 50:  # in the second episode
            raise error(28, "No space left on device")
        return 0.0

    target.parent.mkdir()
    with pytest.raises((error, JournalError)):
        import_bag(bag, target, SETTINGS, robot=None, reward=reward, reward_source="")
    assert list(target.parent.iterdir()) == []
    # What a killed import has left is no obstacle, and no journal by the name that was asked for.
    half = target.parent / ".out.importing"
    half.mkdir()
    (half / "000.mcap").write_bytes(b"half")
    import_bag(bag, target, SETTINGS, robot=None, reward=REWARD.value, reward_source="")
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert [len(episode) for episode in episodes(target)] == [40, 30]
    assert np.isfinite([episode.reward.sum() for episode in episodes(target)]).all()
