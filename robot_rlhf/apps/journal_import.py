"""`robot-rlhf journal import`: a recorded ROS bag becomes demonstrations, a data set of others a journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import tyro
from rich.table import Table

from robot_rlhf.apps.command import parse
from robot_rlhf.apps.ros_host import HostOptions, parameters_given
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.bags.importing import import_bag, plan_bag
from robot_rlhf.journal.bags.plan import ImportPlan
from robot_rlhf.journal.bags.reading import GripperSettings
from robot_rlhf.journal.bags.settings import ImportReport, ImportSettings
from robot_rlhf.journal.datasets.importing import (
    DatasetReport,
    DatasetSettings,
    dataset_form,
    import_dataset,
    plan_pickle,
)
from robot_rlhf.journal.datasets.layout import PickleLayout
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.run.recordings import journal_path
from robot_rlhf.run.screen import print_under, screen
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf_hardware.ros.nodes import POLICY
from robot_rlhf_hardware.ros.parameters import read_parameters
from robot_rlhf_hardware.ros.settings import RobotSettings, limits_of, settings_of

NO_OUT = "journal import: --out is required: the folder of the journal to make; or --plan"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ImportOptions(ImportSettings):
    """Turn a recorded rosbag2 (SQLite or MCAP) of a teleoperated robot into demonstrations.

    Topics with usual names are found by themselves. Before anything is written a table says what was taken for what, in
    which unit and frame, and what was left out; where there is more than one way to understand the bag, the import
    asks.

    A LeRobotDataset, a robomimic file or a pickle of hil-serl has options of its own: robot-rlhf journal import DATASET
    --help.
    """

    bag: tyro.conf.Positional[Path]
    """A rosbag2 folder, or one .mcap or .db3 file."""
    out: Path | None = None
    """Folder of the journal to make; must not exist, or be empty. Not needed with --plan."""
    plan: Annotated[bool, tyro.conf.arg(aliases=["--dry-run"])] = False
    """Only show what would be made of what; nothing is written."""
    command: str = ""
    """Topic that told the tool where to go; `measured` for none: short for --reading.topics.command."""
    camera: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """NAME=TOPIC, once per camera: short for --reading.topics.cameras."""
    robot: Path | None = None
    """Whose demonstrations these shall be: the parameter file (.yaml) of the policy node, or a run or journal of that
    robot. Joints, period, action, workspace, cameras and scene are then the robot's; from a parameter file also frames
    and the gripper."""


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(DatasetSettings):
    """Turn a LeRobotDataset v3.0 or a robomimic HDF5 file into a journal.

    Its columns must be named as our exports name them. What it does not tell is asked for.
    """

    path: tyro.conf.Positional[Path]
    """Folder of the LeRobot data set, or the HDF5 file."""
    out: Path
    """Folder of the journal to make; must not exist, or be empty."""
    robot: Path | None = None
    """Whose data it is, where it does not say (exports of ours do, until LeRobot merges them): a run or journal of that
    robot, or the policy node's parameter file."""


@dataclass(frozen=True, kw_only=True)
class PickleOptions(DatasetSettings, PickleLayout):
    """Turn a pickled list of hil-serl's transitions into a journal. Nothing that the pickle names is run.

    The file tells no names, units or frames: they are asked for. Before anything is written a table says what was taken
    for what, what is filled in, and what was left out; actions are checked against the measured motion.
    """

    path: tyro.conf.Positional[Path]
    """The .pkl file, as hil-serl's record_demos writes it: whole episodes one after another."""
    out: Path | None = None
    """Folder of the journal to make; must not exist, or be empty. Not needed with --plan."""
    plan: Annotated[bool, tyro.conf.arg(aliases=["--dry-run"])] = False
    """Only show what would be made of what; nothing is written."""
    robot: Path | None = None
    """Whose data it is: a run or journal of that robot, or the policy node's parameter file. Actions, period and frame
    must be that robot's."""


def run_import(argv: Sequence[str]) -> None:
    """Import a bag, or a data set."""
    forms = [form for word in argv if not word.startswith("-") and (form := dataset_form(Path(word)))]
    if not forms:
        _run_bag_import(argv)
    elif forms[0] == "hil-serl":
        _run_pickle_import(argv)
    else:
        _run_dataset_import(argv)


def _run_dataset_import(argv: Sequence[str]) -> None:
    options = parse(DatasetOptions, "journal import", argv)
    report = import_dataset(
        options.path, options.out, _part(DatasetSettings, options), robot=_robot_given(options.robot)
    )
    _say(report)


def _run_pickle_import(argv: Sequence[str]) -> None:
    """Import, and say what is made of what before anything is written."""
    options = parse(PickleOptions, "journal import", argv)
    settings, layout = _part(DatasetSettings, options), _part(PickleLayout, options)
    robot = _robot_given(options.robot)
    if options.plan:
        _show(plan_pickle(options.path, settings, layout, robot))
        return
    if options.out is None:
        raise ConfigError(NO_OUT)
    _say(import_dataset(options.path, options.out, settings, robot=robot, layout=layout, show=_show))


def _part(cls: type[T], options: Any) -> T:
    """The settings among options that hold them with others."""
    return cls(**{f.name: getattr(options, f.name) for f in dataclasses.fields(cast("Any", cls))})


def _robot_given(path: Path | None) -> RobotSpec | None:
    return None if path is None else with_robot(ImportSettings(), path)[1]


def _say(report: DatasetReport) -> None:
    outcomes = ", ".join(f"{count} {words}" for words, count in report.episodes.items())
    text = (
        f"{report.target}: {sum(report.episodes.values())} episodes ({outcomes}), {report.steps} steps of {report.form}"
    )
    screen().print(text, highlight=False, soft_wrap=True)
    screen().print(f"look at it: robot-rlhf journal info {report.target}", highlight=False, soft_wrap=True)


def _run_bag_import(argv: Sequence[str]) -> None:
    """Import, and say what is made of what before anything is written."""
    options = parse(ImportOptions, "journal import", argv)
    settings = _with_topics(_part(ImportSettings, options), options)
    robot = None
    if options.robot is not None:
        settings, robot = with_robot(settings, options.robot)
    if options.plan:
        _show(plan_bag(options.bag, settings, robot=robot))
        return
    if options.out is None:
        raise ConfigError(NO_OUT)
    reward = SparseReward(judge="person")
    report = import_bag(
        options.bag,
        options.out,
        settings,
        robot=robot,
        reward=reward.value,
        reward_source=reward.source,
        show=_show,
    )
    print_under(report.target, _table(report))
    for thing in report.lacking:
        screen().print(f"no topic tells the robot's scene entry {thing!r}: --reading.topics.scene {thing} TOPIC")
    screen().print(f"look at it: robot-rlhf journal info {report.target}", highlight=False, soft_wrap=True)


def _with_topics(settings: ImportSettings, options: ImportOptions) -> ImportSettings:
    """With what the short options name.

    Raises:
        ConfigError: an option that is not NAME=TOPIC, or one thing that is named twice.
    """
    topics, cameras = settings.reading.topics, dict(settings.reading.topics.cameras)
    for word in options.camera:
        name, found, topic = word.partition("=")
        if not (name and found and topic):
            raise ConfigError(f"--camera: got {word!r}, allowed: NAME=TOPIC, for example front=/front/image_raw")
        if name in cameras:
            raise ConfigError(f"--camera: {name} is named twice, {cameras[name]} and {topic}")
        cameras[name] = topic
    if options.command and topics.command:
        raise ConfigError("--command and --reading.topics.command: allowed: one of them")
    topics = replace(topics, cameras=cameras, command=options.command or topics.command)
    return replace(settings, reading=replace(settings.reading, topics=topics))


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


def _show(plan: ImportPlan) -> None:
    """Print what is made of what, and what is left out."""
    taken = Table(title="what is read", title_justify="left", title_style="bold")
    for heading in ("role", "topic, type", "unit, frame", "rate", "holds"):
        taken.add_column(heading, overflow="fold")
    for row in plan.rows:
        rate = f"{row.rate:.1f} Hz" if row.rate else "on change"
        frame = f"\nframe {row.frame}" if row.frame else ""
        taken.add_row(
            row.role, f"{row.topic}\n{row.kind.split('/')[-1]}", f"{row.unit}{frame}".strip(), rate, row.holds
        )
    console = screen()
    console.print(taken)
    if plan.left_out:
        left = Table(title="what is left out", title_justify="left", title_style="bold")
        for heading in ("topic", "type", "why"):
            left.add_column(heading, overflow="fold")
        for topic, (kind, why) in plan.left_out.items():
            left.add_row(topic, kind, why)
        console.print(left)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in plan.episodes.items())
    lines = [
        f"actions: {plan.action_from}",
        f"episodes: {sum(plan.episodes.values())} ({outcomes}), {plan.steps} steps; {plan.judged}",
        *(f"checked: {words}" for words in plan.check.said),
        *(f"CONTRADICTION: {words}" for words in plan.check.contradictions),
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _table(report: ImportReport) -> Table:
    table = Table(show_header=False)
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
