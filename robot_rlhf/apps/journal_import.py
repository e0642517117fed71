"""`robot-rlhf journal import`: a recorded ROS bag becomes demonstrations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from hardware.ros.nodes import POLICY
from hardware.ros.parameters import read_parameters
from hardware.ros.settings import RobotSettings, limits_of, settings_of
from robot_rlhf.apps.command import parse
from robot_rlhf.apps.recordings import journal_path
from robot_rlhf.apps.ros_host import HostOptions, parameters_given
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.journal.bags.importing import import_bag
from robot_rlhf.journal.bags.reading import GripperSettings
from robot_rlhf.journal.bags.settings import ImportReport, ImportSettings
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.runtime.reward import SparseReward


@dataclass(frozen=True, kw_only=True)
class ImportOptions(ImportSettings):
    """Turn a recorded rosbag2 (SQLite or MCAP) of a teleoperated robot into demonstrations.

    Topics with usual names are found by themselves; the report says which one was taken for what.
    """

    bag: tyro.conf.Positional[Path]
    """A rosbag2 folder, or one .mcap or .db3 file."""
    out: Path
    """Folder of the journal to make; must not exist, or be empty."""
    robot: Path | None = None
    """Whose demonstrations these shall be: the parameter file (.yaml) of the policy node, or a run or journal of that
    robot. Joints, period, action, workspace, cameras and scene are then the robot's; from a parameter file also frames
    and the gripper."""


def run_import(argv: Sequence[str]) -> None:
    """Import, and say what was made of what."""
    options = parse(ImportOptions, "journal import", argv)
    settings = ImportSettings(**{f.name: getattr(options, f.name) for f in dataclasses.fields(ImportSettings)})
    robot = None
    if options.robot is not None:
        settings, robot = with_robot(settings, options.robot)
    reward = SparseReward(judge="person")
    report = import_bag(
        options.bag, options.out, settings, robot=robot, reward=reward.value, reward_source=reward.source
    )
    Console().print(_table(report))
    for thing in report.lacking:
        Console().print(f"no topic tells the robot's scene entry {thing!r}: --reading.topics.scene {thing} TOPIC")
    Console().print(f"look at it: robot-rlhf journal info {report.target}", highlight=False, soft_wrap=True)


def with_robot(settings: ImportSettings, path: Path) -> tuple[ImportSettings, RobotSpec]:
    """The robot that a file or folder describes, and settings that know what its parameters say.

    Raises:
        ConfigError: a parameter file that cannot be read, or lacks a parameter.
        JournalError: no journal.
    """
    if path.suffix not in (".yaml", ".yml") or path.name == "config.yaml":
        return settings, journal_spec(journal_path(path.parent if path.name == "config.yaml" else path))
    given = parameters_given(HostOptions(POLICY.executable, params=(path,)))
    values = read_parameters(POLICY.parameters, given, str(path))
    robot = settings_of(RobotSettings, values)
    reading = settings.reading
    gripper = reading.gripper
    if robot.gripper_joint and gripper == GripperSettings():
        gripper = GripperSettings(joint=robot.gripper_joint, closed=robot.gripper_closed, open=robot.gripper_open)
    reading = replace(
        reading,
        gripper=gripper,
        base_frame=reading.base_frame or robot.base_frame,
        tool_frame=robot.tool_frame,
        fit="scale" if robot.camera_fit == "scale" else reading.fit,
    )
    task = settings.task or str(values["task"])
    instruction = settings.instruction or str(values["instruction"])
    return replace(settings, reading=reading, task=task, instruction=instruction), robot.spec(limits_of(values))


def _table(report: ImportReport) -> Table:
    table = Table(title=str(report.target), title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.episodes.items())
    table.add_row("demonstrations", f"{sum(report.episodes.values())}: {outcomes}")
    table.add_row("steps", str(report.steps))
    if report.left_out:
        table.add_row("left out", f"{report.left_out} spans too short to be an episode")
    if report.others:
        table.add_row("left out", f"{report.others} episodes that are no demonstrations")
    table.add_row("actions from", report.action_from)
    table.add_row("cut to the scale", f"{report.clipped:.1%} of the steps")
    largest = ", ".join(f"{name} {value:.3g}" for name, value in report.largest.items())
    table.add_row("99 % of steps", f"{largest} (m, rad per period)")
    table.add_row("topics", "\n".join(f"{role}  {topic}" for role, topic in report.topics.items()))
    return table
