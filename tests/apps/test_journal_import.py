"""`robot-rlhf journal import`: a bag becomes demonstrations of a robot that is known, and they teach."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.ros_host import HostOptions, parameters_given
from robot_rlhf.datatypes import Assignment, RobotSpec
from robot_rlhf.journal.bags.cameras import camera_names
from robot_rlhf.journal.bags.encodings import picture_of
from robot_rlhf.journal.bags.pictures import fitted
from robot_rlhf.journal.bags.topics import CONVENTIONS
from robot_rlhf.journal.format import encode_spec
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.reader import episodes, journal_spec, replay_into
from robot_rlhf.learner.cloning import CloningConfig
from robot_rlhf.policy.features import FeatureConfig
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.offline import JudgedFeed, learn_offline
from robot_rlhf_hardware.ros.messages import ENCODINGS, image_of
from robot_rlhf_hardware.ros.nodes import POLICY
from robot_rlhf_hardware.ros.parameters import read_parameters
from robot_rlhf_hardware.ros.senses import fitted as fitted_live
from robot_rlhf_hardware.ros.settings import RobotSettings, limits_of, settings_of
from robot_rlhf_hardware.ros.topics import POLICY_TOPICS
from tests.journal.teleop_bags import SPEED, TURN, Drive, image, number, pose, write_bag

ROBOT = """
/**/policy:
  ros__parameters:
    joint_names: [shoulder, elbow, wrist]
    joint_lower: [-3.0, -3.0, -3.0]
    joint_upper: [3.0, 3.0, 3.0]
    joint_speed_max: [2.0, 2.0, 2.0]
    base_frame: base
    gripper_joint: finger
    gripper_closed: 0.0
    gripper_open: 0.04
    cameras: [front]
    camera_fit: scale
    image_height: 16
    image_width: 16
    scene: [cube]
    control_period: 0.1
    action_names: ["x", "y", "z", "rz", "gripper"]
    action_scale: [0.02, 0.02, 0.02, 0.15, 1.0]
    limits: {workspace_lower: [0.2, -0.4, 0.0], workspace_upper: [0.9, 0.4, 0.6], tool_speed: 0.5, turn_rate: 2.0,
      tool_acceleration: 20.0, turn_acceleration: 50.0, leash: 0.06, leash_angle: 0.4, joint_margin: 0.01,
      force_soft: 20.0, force_hard: 60.0, torque_hard: 10.0, tilt_max: 0.5, command_validity: 0.25,
      observation_age_max: 0.25, jump_max: 0.1}
    task: slide
    instruction: slide the tool
    reset: service
"""
DRIVE = Drive(driven=tuple((start, start + 1.5) for start in (1.0, 4.0, 7.0)), closes={0.0: 1.0})


def make_bag(folder: Path) -> Path:
    messages = DRIVE.messages(picture=lambda t: image("/front/image_raw", t, DRIVE.picture(t, (24, 32))))
    messages += [pose("/perception/cube", i / 20, [0.5, 0.1, 0.02, 1, 0, 0, 0]) for i in range(int(DRIVE.end * 20))]
    messages += [number("/success", "Bool", end + 0.1, number_ < 2) for number_, (_, end) in enumerate(DRIVE.driven)]
    return write_bag(folder / "bag", messages)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("import")
    (folder / "robot.yaml").write_text(ROBOT)
    out = folder / "out"
    command = ["journal", "import", str(make_bag(folder)), "--out", str(out), "--robot", str(folder / "robot.yaml")]
    assert main(command) == 0
    return out


def robot(folder: Path) -> RobotSpec:
    given = parameters_given(HostOptions("policy", params=(folder / "robot.yaml",)))
    values = read_parameters(POLICY.parameters, given, "robot.yaml")
    return settings_of(RobotSettings, values).spec(limits_of(values))


def test_the_robot_is_that_of_the_parameter_file(imported: Path) -> None:
    """So that what is learned from the bag can drive it: the very spec that the policy node has."""
    assert encode_spec(journal_spec(imported)) == encode_spec(robot(imported.parent))
    found = list(episodes(imported))
    assert [episode.end.outcome.value for episode in found if episode.end] == ["success", "success", "failure"]
    assert {(e.meta.task, e.instructions[0], len(e)) for e in found} == {("slide", "slide the tool", 15)}
    first = found[0]
    assert np.allclose(first.executed[:, :4], [SPEED * 0.1 / 0.02, 0, 0, TURN * 0.1 / 0.15], atol=1e-5)
    assert first.observations["images/front"].shape == (16, 16, 16, 3)
    assert np.allclose(first.observations["scene/cube"], [0.5, 0.1, 0.02, 1, 0, 0, 0])


def test_a_run_or_journal_names_the_robot_too(imported: Path, tmp_path: Path) -> None:
    bag = imported.parent / "bag"
    options = ["--task", "slide", "--reading.gripper.joint", "finger"]
    options += ["--reading.gripper.closed", "0", "--reading.gripper.open", "0.04"]
    command = ["journal", "import", str(bag), "--out", str(tmp_path / "again"), "--robot", str(imported), *options]
    assert main([*command, "--reading.fit", "scale"]) == 0
    assert encode_spec(journal_spec(tmp_path / "again")) == encode_spec(journal_spec(imported))
    first, again = (next(iter(episodes(path))) for path in (imported, tmp_path / "again"))
    assert np.array_equal(first.executed, again.executed)


def test_cloning_learns_from_it(imported: Path) -> None:
    """Replay takes the successes; cloning finds the one action that was ever shown."""
    spec = journal_spec(imported)
    config = defaults_for("pick_cube")
    config = replace(
        config,
        learner=CloningConfig(),
        features=FeatureConfig(scene=True),
        replay=replace(config.replay, rows=200),
        trainer=replace(config.trainer, batch_size=32),
    )
    torch.manual_seed(0)
    trainer = build_learning(config, spec).trainer
    feed = JudgedFeed(ReplayFeed(trainer.buffer, build_features(config, spec)), read_labels(imported), config.reward)
    counts = replay_into(imported, feed)
    assert (counts.episodes, counts.human_steps) == (3, 45)
    assert dict(feed.episodes) == {"demonstration success": 2}
    assert len(feed.successes) == 2
    assert list(learn_offline(trainer.learner, trainer.buffer, 150, 32))[-1] == 150
    policy = build_policy(config, spec, practises=False)
    policy.load(trainer.learner.averaged())
    episode = next(iter(episodes(imported)))
    wished = policy.act(episode.observation(5), Assignment("slide the tool"), np.random.default_rng(0)).values
    assert np.allclose(wished[:4], [0.5, 0.0, 0.0, TURN * 0.1 / 0.15], atol=0.15)
    assert wished[4] > 0


def test_mistakes_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ([], "journal import: missing: PATH (A rosbag2 folder"),
        ([str(tmp_path / "none"), "--out", str(tmp_path / "x"), "--task", "a"], "no such bag"),
        (["a", "--out", "b", "--topics.wrench", "c"], "journal import has no option --topics.wrench"),
        (["a", "--out", "b", "--robot", "missing.yaml"], "missing.yaml: cannot be read"),
        (["a", "--out", "b", "--robot", str(tmp_path)], "no journal files in this folder"),
    ):
        assert main(["journal", "import", *words]) == 2
        assert said in capsys.readouterr().err


def test_the_plan_alone(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no target, and writes nothing; what it says of topics comes before an import, too."""
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "robot.yaml").write_text(ROBOT)
    bag, robot_file = str(imported.parent / "bag"), str(tmp_path / "robot.yaml")
    for word in ("--plan", "--dry-run"):
        assert main(["journal", "import", bag, "--robot", robot_file, word]) == 0
        said = capsys.readouterr().out
        for words in (
            "what is read",
            "tool_target",
            "/target_pose",
            "shoulder",
            "checked: translation: a command of 1",
        ):
            assert words in said, words
    assert [path.name for path in tmp_path.iterdir()] == ["robot.yaml"]
    options = ["--camera", "front=/front/image_raw", "--command", "measured"]
    assert main(["journal", "import", bag, "--robot", robot_file, "--plan", *options]) == 0
    assert "actions: measured motion, /current_pose" in capsys.readouterr().out
    for options, words in (
        (["--camera", "front"], "--camera: got 'front', allowed: NAME=TOPIC"),
        (["--camera", "a=/x", "--camera", "a=/y"], "a is named twice, /x and /y"),
        (["--camera", "side=/front/image_raw"], "the robot has no camera side; allowed: front"),
        (["--command", "/nothing"], "no topic /nothing (command)"),
        ([], "--out is required"),
    ):
        plan = ["--plan"] if options else []
        assert main(["journal", "import", bag, "--robot", robot_file, *plan, *options]) == 2
        assert words in capsys.readouterr().err


def test_usual_names_are_those_of_the_policy_node() -> None:
    """What the policy node hears and says is found in a bag without a word."""
    roles = {
        "joint_states": "joint_states",
        "current_pose": "tool_pose",
        "current_twist": "tool_velocity",
        "target_pose": "tool_target",
        "servo_node/delta_twist_cmds": "tool_twist",
        "wrench": "wrench",
        "gripper/joint_states": "gripper",
        "gripper_controller/commands": "gripper_command",
        "success": "success",
    }
    topics = {topic.name: topic.type for topic in POLICY_TOPICS}
    for name, role in roles.items():
        patterns, types = CONVENTIONS[role]
        assert any(fnmatchcase(name, pattern) for pattern in patterns), name
        assert topics[name] in types, name
    for name in ("{camera}/image_raw", "{camera}/image_raw/compressed"):
        assert camera_names([f"/{name.replace('{camera}', 'front')}"]) == {
            f"/{name.replace('{camera}', 'front')}": "front"
        }
    patterns, types = CONVENTIONS["episodes"]
    assert topics["~/episode"] in types
    assert "policy/episode" in patterns


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pictures_are_what_the_policy_node_would_see(encoding: str) -> None:
    """Every encoding, with padded rows, and cut and scaled."""
    channels = ENCODINGS[encoding]
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (20, 30 * channels + 5)).astype(np.uint8).reshape(-1)
    message = SimpleNamespace(height=20, width=30, encoding=encoding, step=30 * channels + 5, data=data)
    picture = picture_of(message)
    assert np.array_equal(picture, image_of(message))
    assert np.array_equal(fitted(picture, 8, 8), fitted_live(picture, 8, 8))
