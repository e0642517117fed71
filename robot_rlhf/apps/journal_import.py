"""`robot-rlhf journal import`: a recorded ROS bag becomes demonstrations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from robot_rlhf.apps.command import parse
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.journal.bags.importing import import_bag
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
    """A run or journal of the robot whose demonstrations these shall be: its joints, period, action, workspace and
    cameras then hold, and not the settings below."""


def run_import(argv: Sequence[str]) -> None:
    """Import, and say what was made of what."""
    options = parse(ImportOptions, "journal import", argv)
    fields = {field.name: getattr(options, field.name) for field in dataclasses.fields(ImportSettings)}
    reward = SparseReward(judge="person")
    report = import_bag(
        options.bag,
        options.out,
        ImportSettings(**fields),
        robot=None if options.robot is None else _robot(options.robot),
        reward=reward.value,
        reward_source=reward.source,
    )
    Console().print(_table(report))
    for thing in report.lacking:
        Console().print(f"no topic tells the robot's scene entry {thing!r}: --reading.topics.scene {thing} TOPIC")
    Console().print(f"look at it: robot-rlhf journal info {report.target}", highlight=False, soft_wrap=True)


def _robot(path: Path) -> RobotSpec:
    from robot_rlhf.apps.journal import journal_path

    return journal_spec(journal_path(path))


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
