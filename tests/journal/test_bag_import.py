"""A teleoperated arm's bag becomes demonstrations: compared with the path it was driven along, in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from robot_rlhf.datatypes import Driver, EpisodeKind, Outcome
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.episodes import EpisodeSettings
from robot_rlhf.journal.bags.importing import import_bag
from robot_rlhf.journal.bags.reading import GripperSettings, ReadingSettings
from robot_rlhf.journal.bags.settings import ImportReport, ImportSettings
from robot_rlhf.journal.bags.topics import BagTopics
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.runtime.reward import SparseReward
from tests.journal.teleop_bags import (
    JOINTS,
    SPEED,
    TURN,
    Drive,
    Message,
    compressed,
    image,
    joint_state,
    number,
    pose,
    transforms,
    vectors,
    write_bag,
)

PERIOD = 0.05
REWARD = SparseReward(judge="person")
SETTINGS = ImportSettings(
    task="slide",
    joints=JOINTS,
    reading=ReadingSettings(gripper=GripperSettings("finger", closed=0.0, open=0.04)),
    action_names=("x", "y", "z", "rz", "gripper"),
    action_scale=(0.02, 0.02, 0.02, 0.15, 1.0),
)
DRIVE = Drive()


def run(bag: Path, out: Path, settings: ImportSettings = SETTINGS) -> tuple[ImportReport, list[Episode]]:
    report = import_bag(bag, out, settings, robot=None, reward=REWARD.value, reward_source=REWARD.source)
    return report, list(episodes(out))


def reading(**changes: Any) -> ImportSettings:
    return replace(SETTINGS, reading=replace(SETTINGS.reading, **changes))


def imported(tmp_path: Path, messages: list[Message], settings: ImportSettings = SETTINGS) -> list[Episode]:
    return run(write_bag(tmp_path / "bag", messages), tmp_path / "out", settings)[1]


def moments(episode: Episode, start: float) -> list[float]:
    return [start + PERIOD * t for t in range(len(episode) + 1)]


@pytest.mark.parametrize(("storage", "compress"), [("mcap", False), ("sqlite3", False), ("mcap", True)])
def test_observations_and_actions_are_those_of_the_path(
    tmp_path: Path, storage: Literal["mcap", "sqlite3"], compress: bool
) -> None:
    messages = DRIVE.messages(picture=lambda t: image("/front/image_raw", t, DRIVE.picture(t)))
    bag = write_bag(tmp_path / "bag", messages, storage, compress=compress)
    report, found = run(bag, tmp_path / "out")
    assert report.episodes == {"success": 2}
    assert (report.steps, report.left_out, report.clipped) == (70, 0, 0.0)
    assert report.largest["x"] == pytest.approx(SPEED * PERIOD)
    assert report.topics["tool_target"] == "/target_pose"
    assert report.topics["gripper"] == "/joint_states, joint finger"
    assert [len(episode) for episode in found] == [40, 30]
    for episode, (start, _) in zip(found, DRIVE.driven, strict=True):
        times = moments(episode, start)
        columns = episode.observations
        assert columns["stamp"] == pytest.approx([t - DRIVE.driven[0][0] for t in times], abs=1e-9)
        assert np.allclose(columns["joint_position"], [DRIVE.joints(t)[0] for t in times], atol=1e-6)
        assert np.allclose(columns["joint_velocity"], [DRIVE.joints(t)[1] for t in times], atol=1e-6)
        assert np.allclose(columns["tool_pose_in_base"], [DRIVE.measured(t) for t in times], atol=1e-6)
        assert np.allclose(columns["tool_target_in_base"], [DRIVE.target(t) for t in times], atol=1e-6)
        assert columns["gripper"].tolist() == [DRIVE.opening(t) for t in times]
        assert columns["images/front"][:, 0, 0].tolist() == [
            [level, 255 - level, 7] for level in (math.floor(30 * t + 0.03) % 256 for t in times)
        ]
        # Every step: the same way along x and turn about z; the gripper as it is after the step.
        assert np.allclose(episode.executed[:, :4], [SPEED * PERIOD / 0.02, 0, 0, TURN * PERIOD / 0.15], atol=1e-5)
        assert episode.executed[:, 4].tolist() == [2.0 * DRIVE.opening(t) - 1.0 for t in times[1:]]
        assert (episode.driver == Driver.HUMAN).all()
        assert np.isnan(episode.proposed).all()
        assert episode.meta.kind is EpisodeKind.DEMONSTRATION
        assert episode.end is not None
        assert episode.end.outcome is Outcome.SUCCESS
        # One change of the gripper in each costs 0.02; success is worth 1.
        assert episode.reward.sum() == pytest.approx(1.0 - 0.02)
        assert episode.terminated.tolist() == [False] * (len(episode) - 1) + [True]
        assert set(episode.instructions) == {"slide"}
    spec = journal_spec(tmp_path / "out")
    assert spec.joint_names == JOINTS
    assert dict(spec.cameras) == {"front": (12, 16)}
    assert (spec.command.lower[0], spec.command.upper[0]) == pytest.approx((0.40, 0.75), abs=1e-9)


def test_twists_are_integrated_and_stop_when_they_are_old(tmp_path: Path) -> None:
    messages = DRIVE.messages(commands="twist")
    settings = replace(SETTINGS, episodes=EpisodeSettings(by="whole"))
    (episode,) = imported(tmp_path, messages, settings)
    times = moments(episode, 0.0)
    held = Drive(driven=[(start, end + 0.1) for start, end in DRIVE.driven])  # the last one holds for the time-out
    way = np.diff([held.way(t) for t in times])
    assert np.allclose(episode.executed[:, 0], SPEED * way / 0.02, atol=1e-5)
    assert np.allclose(episode.executed[:, 3], TURN * way / 0.15, atol=1e-5)
    ahead = episode.observations["tool_target_in_base"][:-1, 0] - episode.observations["tool_pose_in_base"][:-1, 0]
    assert np.allclose(ahead, SPEED * way, atol=1e-6)


def test_twists_in_the_tool_frame_are_turned_into_the_base(tmp_path: Path) -> None:
    """The tool looks down, half a turn about x: its y and z are the base's -y and -z."""
    still = replace(DRIVE, driven=((1.0, 2.0),))
    messages = [m for m in still.messages(commands="none") if m[0] != "/current_pose"]
    messages += [pose("/current_pose", i / 100, [0.4, 0, 0.3, 0, 1, 0, 0]) for i in range(250)]
    for i in range(50):
        twist = [0.0, 0.1, -0.2, 0.0, 0.0, 0.5]
        messages.append(vectors("/servo_node/delta_twist_cmds", "Twist", 1.0 + i / 50, twist, "tool0"))
    # This arm does not follow, which is what the check of commands with motion would say.
    (episode,) = imported(tmp_path, messages, reading(motion_check="say"))
    expected = [0.0, -0.1 * PERIOD / 0.02, 0.2 * PERIOD / 0.02, -0.5 * PERIOD / 0.15]
    assert np.allclose(episode.executed[:, :4], expected, atol=1e-5)


def test_without_commands_the_measured_motion_counts(tmp_path: Path) -> None:
    settings = replace(SETTINGS, episodes=EpisodeSettings(by="whole"))
    report, (episode,) = run(write_bag(tmp_path / "bag", DRIVE.messages(commands="none")), tmp_path / "out", settings)
    assert report.action_from == "measured motion, /current_pose"
    times = moments(episode, 0.0)
    way = np.diff([DRIVE.way(t - DRIVE.lag) for t in times])
    assert np.allclose(episode.executed[:, 0], SPEED * way / 0.02, atol=1e-5)
    assert np.array_equal(episode.observations["tool_target_in_base"], episode.observations["tool_pose_in_base"])


def test_the_tool_pose_is_composed_from_tf(tmp_path: Path) -> None:
    messages = [m for m in DRIVE.messages() if m[0] != "/current_pose"]
    half = math.sqrt(0.5)
    messages.append(transforms("/tf_static", 0.0, [("flange", "tool0", [0.0, 0.0, 0.1, 1, 0, 0, 0])]))
    messages.append(transforms("/tf_static", 0.0, [("world", "base_link", [5.0, 5.0, 5.0, half, 0, 0, half])]))
    for i in range(700):
        x, y, z, *q = DRIVE.measured(i / 100)
        # The tool points down, so that its flange is 0.1 m above it; the link on the way turns and turns back.
        links = [
            ("base_link", "shoulder_link", [0.1, 0.2, 0.0, half, 0, 0, half]),
            ("shoulder_link", "turned_back", [0.0, 0.0, 0.0, half, 0, 0, -half]),
            ("turned_back", "flange", [x - 0.1, y - 0.2, z + 0.1, *q]),
        ]
        messages.append(transforms("/tf", i / 100, links))
    messages = [(t, k, s, _in_frame(m, "base_link") if t == "/target_pose" else m) for t, k, s, m in messages]
    report, found = run(write_bag(tmp_path / "bag", messages), tmp_path / "out")
    assert report.topics["tool_pose"] == "/tf"
    for episode, (start, _) in zip(found, DRIVE.driven, strict=True):
        expected = [DRIVE.measured(t) for t in moments(episode, start)]
        assert np.allclose(episode.observations["tool_pose_in_base"], expected, atol=1e-6)


def _in_frame(message: Any, frame: str) -> Any:
    message.header.frame_id = frame
    return message


def test_velocities_and_wrenches(tmp_path: Path) -> None:
    """Velocities follow from the poses where none are told; a wrench in the tool's frame is turned into the base's."""
    messages = DRIVE.messages()
    messages += [vectors("/ft_sensor/wrench", "Wrench", i / 100, [1, 2, 3, 4, 5, 6], "tool0") for i in range(700)]
    first, _ = imported(tmp_path, messages)
    assert np.allclose(first.observations["tool_velocity"][5:], [SPEED, 0, 0, 0, 0, TURN], atol=1e-4)
    turned = first.observations["tool_wrench"]
    assert np.allclose(turned[0], [1, -2, -3, 4, -5, -6], atol=1e-5)  # it has not turned yet
    angle = TURN * (DRIVE.way(2.0 - DRIVE.lag))  # after one second
    c, s = math.cos(angle), math.sin(angle)
    assert np.allclose(turned[20, :3], [c + 2 * s, s - 2 * c, -3], atol=1e-5)


def test_velocities_of_joints_that_none_tells(tmp_path: Path) -> None:
    messages = [m for m in DRIVE.messages() if m[0] != "/joint_states"]
    for i in range(700):
        names, positions = ("finger", *JOINTS), [0.04, *DRIVE.joints(i / 100)[0]]
        messages.append(joint_state(i / 100, names, positions))
    first, _ = imported(tmp_path, messages)
    expected = [DRIVE.joints(t - PERIOD / 2)[1] for t in moments(first, 1.0)]
    assert np.allclose(first.observations["joint_velocity"][1:], expected[1:], atol=1e-3)


def test_gripper_told_by_topics_of_its_own(tmp_path: Path) -> None:
    """Measured in millimetres, commanded on change: before the first command it is as it is measured."""
    messages = DRIVE.messages()
    messages += [number("/gripper", "Float32", i / 50, 80.0) for i in range(350)]
    messages.append(number("/gripper_controller/commands", "Float64", 2.0, 0.0))
    settings = reading(gripper=GripperSettings(closed=0.0, open=80.0))
    first, second = imported(tmp_path, messages, settings)
    assert first.observations["gripper"].tolist() == [1.0] * 41
    assert first.observations["gripper_target"].tolist() == [1.0] * 20 + [0.0] * 21
    assert first.executed[:, 4].tolist() == [1.0] * 19 + [-1.0] * 21
    assert set(second.observations["gripper_target"]) == {0.0}


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_compressed_pictures_and_scene(tmp_path: Path, kind: str) -> None:
    messages = DRIVE.messages(
        picture=lambda t: compressed("/wrist/image_raw/compressed", t, DRIVE.picture(t, (24, 32)), kind)
    )
    messages += [pose("/perception/cube", i / 50, [0.5, 0.1, 0.02, 1, 0, 0, 0]) for i in range(350)]
    settings = reading(image_size=16, topics=BagTopics(scene={"cube": "perception/cube"}))
    first, _ = imported(tmp_path, messages, settings)
    pictures = first.observations["images/wrist"]
    assert pictures.shape == (41, 16, 16, 3)
    levels = np.array([math.floor(30 * t + 0.03) % 256 for t in moments(first, 1.0)])
    assert np.abs(pictures[:, 8, 8, 0].astype(int) - levels).max() <= (0 if kind == "png" else 3)
    assert np.allclose(first.observations["scene/cube"], [0.5, 0.1, 0.02, 1, 0, 0, 0])
    assert dict(journal_spec(tmp_path / "out").scene) == {"cube": 7}


def test_by_the_stamps_of_the_headers(tmp_path: Path) -> None:
    """Everything arrives 0.2 s late and in bursts; by the stamps it is where it belongs."""
    messages = [(topic, kind, 0.2 + math.ceil(t * 10) / 10, m) for topic, kind, t, m in DRIVE.messages()]
    found = imported(tmp_path, messages, reading(clock="stamp"))
    for episode, (start, _) in zip(found, DRIVE.driven, strict=True):
        times = moments(episode, start)
        assert np.allclose(episode.observations["tool_pose_in_base"], [DRIVE.measured(t) for t in times], atol=1e-6)
        assert np.allclose(episode.executed[:, 0], SPEED * PERIOD / 0.02, atol=1e-5)


def test_one_step_per_command(tmp_path: Path) -> None:
    found = imported(tmp_path, DRIVE.messages(), replace(SETTINGS, period=0.02, one_step_per="/target_pose"))
    assert [len(episode) for episode in found] == [100, 75]
    assert np.allclose(found[0].executed[:, 0], SPEED * 0.02 / 0.02, atol=1e-5)


# -- episodes --------------------------------------------------------------------------------------------------------


def outcomes(found: list[Episode]) -> list[str]:
    return [episode.end.outcome.value for episode in found if episode.end is not None]


@pytest.mark.parametrize(
    ("kind", "marks", "expected"),
    [
        ("Bool", [(1.5, True), (2.5, False), (5.5, True)], [(20, "success"), (29, "success")]),
        ("Int32", [(0.5, 0), (1.0, 1), (2.0, 2), (3.0, 0)], [(20, "success"), (20, "success")]),
        (
            "String",
            [(1.0, "start"), (2.0, "success"), (5.0, "start"), (6.0, "failure")],
            [(20, "success"), (20, "failure")],
        ),
        ("String", [(1.0, "start"), (2.0, "end"), (2.5, "discard")], [(20, "discarded")]),
    ],
)
def test_episodes_by_marks(
    tmp_path: Path, kind: str, marks: list[tuple[float, Any]], expected: list[tuple[int, str]]
) -> None:
    messages = DRIVE.messages() + [number("/recorder/recording", kind, t, value) for t, value in marks]
    bag = write_bag(tmp_path / "bag", messages)
    import_bag(bag, tmp_path / "out", SETTINGS, robot=None, reward=REWARD.value, reward_source=REWARD.source)
    found = list(episodes(tmp_path / "out", include_deleted=True))
    assert list(zip(map(len, found), outcomes(found), strict=True)) == expected
    assert found[0].terminated[-1] == (expected[0][1] != "discarded")


def test_success_ends_an_episode_and_judges_it(tmp_path: Path) -> None:
    """The first succeeds on the way; of the second somebody says after its end that it failed."""
    messages = DRIVE.messages()
    messages += [
        number("/success", "Bool", t, value) for t, value in ((0.5, True), (2.0, True), (2.1, True), (6.8, False))
    ]
    found = imported(tmp_path, messages)
    assert list(zip(map(len, found), outcomes(found), strict=True)) == [(20, "success"), (30, "failure")]
    assert found[1].reward[-1] == pytest.approx(-0.5)


def test_what_nothing_judges_and_what_is_short(tmp_path: Path) -> None:
    drive = Drive(driven=((1.0, 1.3), (3.0, 4.0)))
    settings = replace(SETTINGS, episodes=EpisodeSettings(unmarked="unjudged"))
    report, found = run(write_bag(tmp_path / "bag", drive.messages()), tmp_path / "out", settings)
    assert report.left_out == 1
    assert outcomes(found) == ["stopped"]
    assert (found[0].terminated[-1], found[0].truncated[-1]) == (False, True)


def test_settings_that_cannot_hold() -> None:
    for changes, words in (
        ({"action_names": ("x", "w")}, "distinct names out of"),
        ({"action_scale": (1.0,)}, "5 numbers above 0"),
        ({"workspace_lower": (0.0, 0.0, 0.0)}, "both three numbers"),
        ({"period": 0.0}, "period: got 0.0"),
        ({"clipped_max": 2.0}, "clipped_max"),
    ):
        with pytest.raises(ConfigError, match=words):
            replace(SETTINGS, **changes)
    with pytest.raises(ConfigError, match=r"gripper\.closed"):
        GripperSettings(closed=1.0, open=1.0)


def test_motion_beyond_the_scale_is_an_error_that_names_a_scale_that_would_do(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", DRIVE.messages())
    small = replace(SETTINGS, action_scale=(0.004, 0.02, 0.02, 0.15, 1.0))
    with pytest.raises(JournalError, match=r"100% of the steps move more .*x 0\.004 .* below 0\.005\)"):
        run(bag, tmp_path / "out", small)
    assert not (tmp_path / "out").exists()
    report, found = run(bag, tmp_path / "out", replace(small, clipped_max=1.0))
    assert report.clipped == 1.0
    assert set(found[0].executed[:, 0]) == {1.0}
