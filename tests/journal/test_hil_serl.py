"""hil-serl's pickles become journals, and nothing that a pickle names is run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import ActionLayout, Driver, Outcome, RobotSpec
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.datasets.importing import DatasetSettings, import_dataset
from robot_rlhf.journal.datasets.layout import PickleLayout
from robot_rlhf.journal.reader import episodes, journal_spec
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.safety import rotation
from tests.journal.hil_serl_demos import ABSENT, AXES, FRANKA, SAID, SCALE, Arm, Rows, robot, written
from tests.journal.sessions import make_episode, tell

NO_FORCE = (*ABSENT, "tool_wrench")
SETTINGS = DatasetSettings(task="insert", kind="demonstration")


def read_back(
    path: Path, out: Path, settings: DatasetSettings = SETTINGS, spec: RobotSpec | None = None, **said: Any
) -> list[Episode]:
    import_dataset(path, out, settings, robot=spec or robot(), layout=PickleLayout(**{**SAID, **said}))
    return list(episodes(out))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_demonstrations_of_hil_serl_are_read(tmp_path: Path, protocol: int) -> None:
    """In the base frame, though they were told relative to the start and in the tool's frame."""
    arm = Arm(1)
    rows = [*arm.episode(9), *arm.episode(6)]
    found = read_back(written(tmp_path, rows, protocol), tmp_path / "out")
    assert [len(episode) for episode in found] == [9, 6]
    first, span = found[0], slice(0, 10)
    told = first.observations
    turned = np.array([rotation.multiply(rotation.conjugate(a), b) for a, b in _turns(told, arm.poses[span])])
    assert np.abs(turned[:, 1:]).max() < 1e-5
    assert np.allclose(told["tool_pose_in_base"][:, :3], np.array(arm.poses[span])[:, :3], atol=1e-6)
    assert np.allclose(told["tool_velocity"], arm.velocities[span], atol=1e-5)
    assert np.allclose(told["tool_wrench"], arm.forces[span], atol=1e-5)
    assert np.array_equal(told["gripper"].reshape(-1), np.array(arm.openings[span], np.float32))
    assert np.array_equal(told["gripper_target"].reshape(-1), np.array(arm.openings[span], np.float32))
    assert np.array_equal(told["tool_target_in_base"], told["tool_pose_in_base"])
    assert not told["joint_position"].any()
    assert np.allclose(first.executed[:, :6], np.array(arm.base_actions[:9])[:, :6], atol=1e-5)
    assert first.executed[:, 6].tolist() == [1, 1, -1, -1, -1, -1, 1, 1, 1]
    hand, rest = Driver.HUMAN, Driver.REFLEX
    assert first.driver.tolist() == [hand, hand, hand, rest, hand, hand, hand, rest, hand]
    assert np.isnan(first.proposed).all()
    assert first.reward.tolist() == [0.0] * 8 + [1.0]
    assert first.terminated.tolist() == [False] * 8 + [True]
    assert first.end is not None
    assert (first.end.outcome, first.meta.task) == (Outcome.SUCCESS, "insert")
    assert journal_spec(tmp_path / "out").cameras == {"wrist_1": (8, 12)}
    pictures = [row["observations"]["wrist_1"][0] for row in rows[9:]] + [rows[-1]["next_observations"]["wrist_1"][0]]
    assert np.array_equal(found[1].observations["images/wrist_1"], np.array(pictures))


def _turns(told: Any, poses: list[Any]) -> list[tuple[Any, Any]]:
    return [(a[3:].astype(float), b[3:]) for a, b in zip(told["tool_pose_in_base"], poses, strict=True)]


def test_our_own_columns_in_that_form(tmp_path: Path) -> None:
    """A state vector of columns of ours in the base frame comes back as it was."""
    spec = robot(scene={"cube": 7})
    words = ("joint_position", "joint_velocity", "tool_pose_in_base", "tool_target_in_base", "tool_velocity")
    words = (*words, "tool_wrench", "gripper", "-", "gripper_target", "scene/cube")
    told = make_episode(robot(action=ActionLayout(AXES, SCALE), scene={"cube": 7}, privileged={}), 3, 6)
    columns = {
        name: np.asarray(column, np.float32).reshape(7, -1)
        for name, column in told.observations.items()
        if not name.startswith(("images/", "privileged/"))
    }
    for name in ("tool_pose_in_base", "tool_target_in_base"):
        turns = columns[name][:, 3:]
        turns = turns / np.linalg.norm(turns, axis=1, keepdims=True) * np.where(turns[:, 1:2] < 0, -1, 1)
        columns[name] = np.concatenate([columns[name][:, :3], turns], axis=1).astype(np.float32)
    columns["-"] = np.full((7, 1), 42.0, np.float32)
    states = np.concatenate([columns[word] for word in words], axis=1)
    rows = [
        {
            "observations": {"state": states[t]},
            "actions": told.executed[t],
            "next_observations": {"state": states[t + 1]},
            "rewards": np.float32(told.reward[t]),
            "masks": np.float32(t < 5),
            "dones": np.bool_(t == 5),
        }
        for t in range(6)
    ]
    said: dict[str, Any] = {
        **{"state": words, "frame": "base", "wrench_frame": "base", "gripper_action": "sign", "absent": ()},
        **{"driver": "human", "motion_check": "say"},
    }
    settings = DatasetSettings(task="t", kind="practice", outcome="time_limit")
    (back,) = read_back(written(tmp_path, rows), tmp_path / "out", settings, spec, **said)
    for name, column in columns.items():
        if name not in ("-", "stamp"):
            assert np.allclose(back.observations[name].reshape(7, -1), column, atol=1e-6), name
    assert np.array_equal(back.executed[:, :6], told.executed[:, :6])
    assert np.array_equal(back.executed[:, 6], np.where(told.executed[:, 6] >= 0, 1.0, -1.0))
    assert np.array_equal(back.reward, told.reward)
    assert set(back.driver.tolist()) == {Driver.HUMAN}
    assert back.truncated.tolist() == [False] * 5 + [True]


class Evil:
    """Makes a folder when it is unpickled, as any function of any module could."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self.told = make, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.told


def test_nothing_that_a_pickle_names_is_run(tmp_path: Path) -> None:
    import os

    trap = tmp_path / "trap"
    for thing in (Evil(os.mkdir, str(trap)), Evil(eval, f"__import__('os').mkdir({str(trap)!r})")):
        rows = Arm(2).episode(4)
        rows[2]["infos"]["left"] = thing
        path = written(tmp_path, rows)
        name = f"{thing.told[0].__module__}.{thing.told[0].__name__}"
        with pytest.raises(JournalError, match=rf"it asks for {name}; a pickle may run what it names") as told:
            read_back(path, tmp_path / "out")
        assert "\n" not in str(told.value)
        assert not trap.exists()
        assert not (tmp_path / "out").exists()
        pickle.loads(path.read_bytes())  # the trap is a real one
        assert trap.exists()
        trap.rmdir()


def test_cut_and_foreign_files_are_one_line(tmp_path: Path) -> None:
    whole = written(tmp_path, Arm(3).episode(5)).read_bytes()
    path = tmp_path / "demos.pkl"
    for left in (0, 1, 10, len(whole) // 3, len(whole) - 1):
        path.write_bytes(whole[:left])
        with pytest.raises(JournalError, match=r"demos\.pkl: cannot be read") as told:
            read_back(path, tmp_path / "out")
        assert "\n" not in str(told.value)
    path.write_bytes(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.")  # bytes of a length that no machine has
    with pytest.raises(JournalError, match=r"demos\.pkl: cannot be read"):
        read_back(path, tmp_path / "out")
    path.write_bytes(b"not a pickle")
    with pytest.raises(JournalError, match=r"demos\.pkl: cannot be read"):
        read_back(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_bytes_are_one_line_or_harmless(tmp_path: Path) -> None:
    """Any exception but the two that name the file or the option is a fault."""
    rng = np.random.default_rng(0)
    rows = Arm(7).episode(2)
    told: list[str] = []
    for protocol in (2, 4):
        whole = written(tmp_path, rows, protocol).read_bytes()
        for number in range(150):
            data = bytearray(whole)
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
            path = tmp_path / "demos.pkl"
            path.write_bytes(data)
            try:
                read_back(path, tmp_path / f"out-{protocol}-{number}")
            except (JournalError, ConfigError) as error:
                told.append(str(error))
    assert len(told) > 150
    assert not [words for words in told if "\n" in words or not words.startswith((str(tmp_path), "--"))]


def change(rows: Rows, number: int, *names: str, to: Any) -> None:
    place: Any = rows[number]
    for name in names[:-1]:
        place = place[name]
    place[names[-1]] = to


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: {"a": 1}, "holds a dict; allowed: hil-serl's list of transitions"),
        (lambda rows: [], "holds an empty list"),
        (lambda rows: [1], "transition 0 is a int; allowed: a dict"),
        (lambda rows: rows[2].pop("masks"), "transition 2 lacks masks"),
        (lambda rows: change(rows, 1, "observations", to=[1]), "transition 1: observations: a list; allowed: a dict"),
        (lambda rows: change(rows, 1, "actions", to=None), "transition 1: actions: NoneType stands where numbers"),
        (lambda rows: change(rows, 1, "actions", to=np.zeros(6)), "actions of 6, 7 entries; allowed: one"),
        (lambda rows: change(rows, 3, "rewards", to=np.zeros(2)), "transition 3: rewards: 2 numbers; allowed: one"),
        (lambda rows: change(rows, 3, "rewards", to=float("nan")), "transition 3: rewards: a number that is NaN"),
        (lambda rows: change(rows, 3, "dones", to="yes"), "transition 3: dones: str stands where numbers are expected"),
        (lambda rows: change(rows, 0, "actions", to=np.full(7, 30.0)), "transition 0: actions: 30; allowed: -1 to 1"),
        (
            lambda rows: change(rows, 0, "observations", "state", to={"tcp_pose": 1}),
            "state: a dict; allowed: one vector",
        ),
        (lambda rows: rows[1]["observations"].pop("state"), "transition 1: observations: it lacks state"),
        (
            lambda rows: change(rows, 1, "observations", "state", to=np.zeros((1, 19))),
            "transition 1 does not begin where 0 ended, and 0 is not done; allowed: whole episodes one after another",
        ),
        (lambda rows: rows[-1].update(dones=False), "its last transition, 5, is not done"),
        (lambda rows: rows[1].pop("infos"), "5 of 6 transitions have infos; allowed: all, or none"),
        (lambda rows: [row.pop("infos") for row in rows] and None, "missing --driver: human, or policy"),
        (
            lambda rows: rows[1]["infos"].pop("original_state_obs"),
            "--frame relative: not every transition has infos.original_state_obs.tcp_pose",
        ),
        (
            lambda rows: change(
                rows, 3, "infos", "original_state_obs", "tcp_pose", to=np.array([9.0, 0, 0, 0, 0, 0, 1])
            ),
            "poses of the state and of infos.original_state_obs lie .* apart; allowed: 0.005",
        ),
        (
            lambda rows: change(rows, 1, "observations", "wrist_1", to=np.zeros((1, 8, 12, 3))),
            "transition 1: observations.wrist_1: float64 of shape .*; allowed: uint8",
        ),
        (
            lambda rows: change(rows, 1, "next_observations", "wrist_1", to=np.zeros((9, 9, 3), np.uint8)),
            r"transition 1: next_observations.wrist_1: a picture of \(9, 9\); the first is \(8, 12\)",
        ),
        (
            lambda rows: rows[1]["observations"].update(b=1),
            "transition 1: observations: state, wrist_1, b; those of the",
        ),
        (
            lambda rows: rows[0]["observations"].update({"../wrist": rows[0]["observations"]["wrist_1"]}),
            r"transition 0: observations: a camera named '\.\./wrist'; allowed: letters, digits, _, - and \.",
        ),
        (lambda rows: rows[0]["observations"].update({1: 1}), "transition 0: observations: a camera named 1; allowed:"),
        (lambda rows: change(rows, 2, "rewards", to=10**400), "transition 2: rewards: int too large to convert to fl"),
    ],
)
def test_odd_transitions_are_named(tmp_path: Path, spoil: Callable[[Rows], Any], words: str) -> None:
    rows = Arm(4).episode(6)
    new = spoil(rows)
    path = written(tmp_path, new if isinstance(new, list | dict) and new in ({"a": 1}, [], [1]) else rows)
    with pytest.raises((JournalError, ConfigError), match=words) as told:
        read_back(path, tmp_path / "out", DatasetSettings(task="t", kind="demonstration", outcome="failure"))
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_values_that_stand_again_and_again_are_refused(tmp_path: Path) -> None:
    """Else 40 kB would become gigabytes of states, or of pictures of a journal."""
    row = Arm(8).episode(1)[0]
    picture = row["observations"]["wrist_1"]
    for seen in ({"state": np.zeros(5000)}, {"state": row["observations"]["state"], "wrist_1": picture}):
        path = written(tmp_path, [{**row, "observations": seen, "next_observations": seen}] * 1000)
        with pytest.raises(JournalError, match=r"demos\.pkl: \d+ bytes in which the same values stand again and again"):
            read_back(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"state": FRANKA[1:]}, r"the state vector has 19 entries, told are 18 \(force 3, position 3"),
        ({"state": ()}, r"the state vector has 19 entries, told are 0 \(none\)"),
        (
            {"state": ("arm", *FRANKA)},
            "--state: got 'arm', allowed: position, euler, quaternion, force, torque, -, joint",
        ),
        (
            {"state": ("-", "force", "position", "-", "-", "-", "torque", "tool_velocity")},
            "told by position and one of eu",
        ),
        ({"state": ("-", *("-",) * 3, "position", "euler", "torque", "tool_velocity")}, "force and torque go together"),
        ({"actions": (), "action_scale": ()}, "missing --actions: what the action's entries move"),
        ({"actions": AXES[:6], "action_scale": (1.0,) * 6}, r"--actions: names 6; an action of .* has 7 entries"),
        ({"action_scale": (0.01,)}, "--action-scale: got 1 numbers, allowed: one above 0 for each of --actions"),
        ({"period": 0.0}, "missing --period"),
        ({"frame": ""}, "missing --frame: base, or relative"),
        ({"wrench_frame": ""}, "missing --wrench-frame: base, or tool"),
        ({"gripper_open": None}, "missing --gripper-closed, --gripper-open"),
        ({"gripper_open": 0.1}, "the gripper is told from 0 to 1; allowed: 0 to 0.1"),
        ({"gripper_action": ""}, "missing --gripper-action: sign, or keep"),
        (
            {"absent": ("joint_position",)},
            "--state names no joint_velocity, tool_target_in_base, gripper_target; if the fi",
        ),
        ({"absent": (*ABSENT, "gripper")}, "--absent: gripper stands in --state"),
        ({"driver": "policy"}, r"--driver: the infos of .*demos\.pkl tell who drove; allowed: without the option"),
        (
            {"state": ("gripper", *("-",) * 3, "position", "euler", *("-",) * 3, "tool_velocity"), "absent": NO_FORCE},
            "--wrench-frame, --wrench-sign: --state names nothing of that kind",
        ),
        (
            {"state": ("-", *FRANKA[1:]), "absent": (*ABSENT, "gripper")},
            "--gripper-closed, --gripper-open: --state names nothing of that kind",
        ),
        ({"absent": ("images",)}, "--absent: got images, allowed: joint_position"),
        ({"period": 0.05}, r"a step of 0\.05 s; the robot's control period is 0\.1 s"),
        (
            {"action_scale": (0.02, *SAID["action_scale"][1:])},
            "a 1 of its actions is .* x 0.02, .*; of the robot's: .* x 0",
        ),
        ({"actions": ("y", "x", *AXES[2:])}, "actions and measured motion contradict one another: "),
    ],
)
def test_what_the_numbers_mean_is_asked_for(tmp_path: Path, said: dict[str, Any], words: str) -> None:
    path = written(tmp_path, Arm(5).episode(40))
    with pytest.raises((JournalError, ConfigError), match=words):
        read_back(path, tmp_path / "out", **said)
    assert not (tmp_path / "out").exists()
    with pytest.raises(JournalError, match="it does not say which robot it is of: --robot"):
        import_dataset(path, tmp_path / "out", SETTINGS, layout=PickleLayout(**SAID))


def test_a_way_of_gripping_without_a_gripper_is_an_error() -> None:
    layout = PickleLayout(**{**SAID, "actions": AXES[:6], "action_scale": (1.0,) * 6})
    with pytest.raises(ConfigError, match="--gripper-action: --actions names nothing of that kind"):
        layout.check_used({"gripper": slice(0, 1), "force": slice(1, 4)})


def test_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made of what is said before anything is written, and also without writing."""
    monkeypatch.setenv("COLUMNS", "250")
    own = tmp_path / "own"
    with JournalWriter(own, robot()) as writer:
        tell(writer, make_episode(robot(), 1, 3))
    path = written(tmp_path, Arm(6).episode(40))
    words = ["journal", "import", str(path), "--robot", str(own), "--task", "insert", "--kind", "demonstration"]
    for there, wrong in (
        ("DEMOS.PKL", "cannot be read as a pickle (ValueError: "),
        ("gone.pkl", "cannot be opened (No "),
    ):
        (tmp_path / "DEMOS.PKL").write_text("no pickle")
        assert main(["journal", "import", str(tmp_path / there), "--state", "position", "--plan"]) == 2
        assert f"{tmp_path / there}: {wrong}" in capsys.readouterr().err
    assert main(["journal", "import", str(path), "--help"]) == 0
    assert "The .pkl file, as hil-serl's" in capsys.readouterr().out
    assert main([*words, "--plan"]) == 2
    assert "--state: the state vector has 19 entries, told are 0" in capsys.readouterr().err
    for name, value in SAID.items():
        words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else [value])]
    assert main(words) == 2
    assert "--out is required" in capsys.readouterr().err
    assert main([*words, "--plan"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for piece in (
        "state[7:10]",
        "infos.original_state_obs.tcp_pose",
        "the measured pose",
        "infos.left",
        "grasp_penalty",
        "30 of 40 driven by hand",
        "episodes: 1 (1 success), 40 steps; judged by infos.succeed",
        "checked: translation: a command of 1 moved the tool by 1.00 along",
    ):
        assert piece in said, piece
    assert not (tmp_path / "out").exists()
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "1 episodes (1 demonstration success), 40 steps of hil-serl" in capsys.readouterr().out
    assert len(next(iter(episodes(tmp_path / "out")))) == 40
