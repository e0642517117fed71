"""Numbers that mean something else are never mixed: in a reader, an export, a run, a data set."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import ActionLayout, CommandLayout, Feedback, RobotSpec
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.labels import LabelWriter, read_labels
from robot_rlhf.journal.reader import episodes, read_journal, replay_into
from robot_rlhf.journal.robots import LEARNED, MEANING, PICTURED, RUN, differences
from robot_rlhf.journal.shared import SharedTail
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.tail import JournalTail
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec({"front": (2, 3)})


def action(**change: Any) -> RobotSpec:
    return dataclasses.replace(SPEC, action=dataclasses.replace(SPEC.action, **change))


OTHERS = {
    "action.scale": action(scale=np.array([0.04, 0.02, 0.02, 0.1, 1.0], np.float32)),
    "action.names": dataclasses.replace(SPEC, action=ActionLayout(("y", "x", "z", "rz", "gripper"), SPEC.action.scale)),
    "action.frame": action(frame="tool"),
    "control_period": dataclasses.replace(SPEC, control_period=0.1),
    "joint_names": dataclasses.replace(SPEC, joint_names=tuple(reversed(SPEC.joint_names))),
    "command.kind": dataclasses.replace(SPEC, command=dataclasses.replace(SPEC.command, kind="direct")),
    "command.names": dataclasses.replace(
        SPEC, command=dataclasses.replace(SPEC.command, names=tuple(f"c{i}" for i in range(8)))
    ),
    "cameras": dataclasses.replace(SPEC, cameras={"front": (4, 6)}),
    "scene": dataclasses.replace(SPEC, scene={"ball": 7}),
    "privileged": dataclasses.replace(SPEC, privileged={"cube": 7}),
}
GUARDED = {
    "position_lower": dataclasses.replace(SPEC, position_lower=SPEC.position_lower + 0.1),
    "speed_max": dataclasses.replace(SPEC, speed_max=SPEC.speed_max / 2),
}
WORKSPACE = dataclasses.replace(
    SPEC, command=CommandLayout("tool_pose", SPEC.command.names, SPEC.command.lower * 0.5, SPEC.command.upper)
)


def record(folder: Path, spec: RobotSpec, seed: int) -> Path:
    with JournalWriter(folder, spec) as writer:
        tell(writer, make_episode(spec, seed, 3))
    return writer.path


@pytest.fixture(params=OTHERS)
def mixed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A journal as 0.1.0 would write it: its second file of another robot."""
    folder = tmp_path / "journal"
    record(folder, SPEC, 0)
    record(tmp_path / "other", OTHERS[request.param], 1).rename(folder / "001.mcap")
    return request.param, folder


def test_every_field_of_a_robot_is_decided_about() -> None:
    named = {name.split(".")[0] for name in RUN} | {"position_lower", "position_upper", "speed_max"}
    assert named == {field.name for field in dataclasses.fields(RobotSpec)}
    within = {name for name in RUN if "." in name}
    assert within == {
        *(f"action.{field.name}" for field in dataclasses.fields(ActionLayout)),
        *(f"command.{field.name}" for field in dataclasses.fields(CommandLayout)),
    }
    assert set(OTHERS) == set(PICTURED)
    assert set(LEARNED) <= set(MEANING) <= set(PICTURED) <= set(RUN)


def test_a_mixed_journal_is_refused_by_name(mixed: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = mixed
    wanted = rf"001\.mcap: recorded numbers mean something else than in .*000\.mcap: {name} is .*, before "
    with pytest.raises(JournalError, match=wanted):
        list(read_journal(folder))
    with pytest.raises(JournalError, match=wanted):
        list(episodes(folder))
    with pytest.raises(JournalError, match=wanted), JournalWriter(tmp_path / "again", SPEC) as writer:
        replay_into(folder, writer)
    with pytest.raises(JournalError, match=rf"001\.mcap: .*{name}"), SharedTail(folder) as shared:
        shared.poll()
    for form in ("lerobot", "robomimic", *([] if name == "cameras" else ["csv"])):  # csv has no pictures
        assert main(["journal", "export", str(folder), "--format", form, "--out", str(tmp_path / form)]) == 2
        assert not (tmp_path / form).exists()


def test_each_file_of_it_can_be_read(
    mixed: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, folder = mixed
    assert [len(list(episodes(folder / file))) for file in ("000.mcap", "001.mcap")] == [1, 1]
    out = tmp_path / "x.csv"
    assert main(["journal", "export", str(folder / "001.mcap"), "--format", "csv", "--out", str(out)]) == 0
    assert main(["journal", "info", str(folder)]) == 0
    assert f"001.mcap: another robot than in 000.mcap: {name} is" in capsys.readouterr().out
    assert describe(folder).total_episodes == 2
    assert read_labels(folder).told > 0


@pytest.mark.parametrize("name", [*OTHERS, "command.lower"])
def test_a_run_goes_on_with_the_same_robot_only(name: str, tmp_path: Path) -> None:
    record(tmp_path, SPEC, 0)
    other = OTHERS.get(name, WORKSPACE)
    with pytest.raises(JournalError, match=rf"the robot of this session: .*{name} is .*, before "):
        JournalWriter(tmp_path, other).open()
    assert [path.name for path in sorted(tmp_path.glob("*.mcap"))] == ["000.mcap"]
    record(tmp_path, SPEC, 1)  # the refused one let go of the folder
    assert len(list(episodes(tmp_path))) == 2


@pytest.mark.parametrize("name", GUARDED)
def test_limits_that_only_guard_may_change(name: str, tmp_path: Path) -> None:
    record(tmp_path, SPEC, 0)
    record(tmp_path, GUARDED[name], 1)
    assert len(list(episodes(tmp_path))) == 2


def test_another_workspace_changes_no_recorded_number(tmp_path: Path) -> None:
    record(tmp_path / "journal", SPEC, 0)
    record(tmp_path / "other", WORKSPACE, 1).rename(tmp_path / "journal" / "001.mcap")
    assert len(list(episodes(tmp_path / "journal"))) == 2
    assert differences(WORKSPACE, SPEC, RUN)
    assert not differences(WORKSPACE, SPEC)


def test_labels_go_on_with_the_journals_own_robot(tmp_path: Path) -> None:
    record(tmp_path, SPEC, 0)
    episode = make_episode(SPEC, 0, 3)
    with LabelWriter(tmp_path) as labels:
        for event in episode.events:
            if isinstance(event, Feedback):
                labels.give(event)
    with JournalTail(tmp_path) as tail:
        assert tail.poll()
