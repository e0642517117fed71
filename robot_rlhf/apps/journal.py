"""`robot-rlhf journal`: info, replay, export, import, salvage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from robot_rlhf.apps.command import parse
from robot_rlhf.datatypes import Driver, Feedback
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError, RenderError, UnknownNameError
from robot_rlhf.journal.export import NONE, export
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.salvage import salvage
from robot_rlhf.journal.summary import BROKEN_OFF, describe
from robot_rlhf.run.recordings import journal_path
from robot_rlhf.run.screen import print_under, screen

HUMAN_COLOUR = (245, 158, 11)
"""Frames the pictures of steps that a person drove."""


@dataclass(frozen=True)
class InfoOptions:
    """What a journal holds, counted."""

    path: tyro.conf.Positional[Path]
    """A journal's folder, one of its files, or a run's folder."""


@dataclass(frozen=True)
class ReplayOptions:
    """Go through the recorded episodes, one line each."""

    path: tyro.conf.Positional[Path]
    """A journal's folder, one of its files, or a run's folder."""
    speed: float = 0.0
    """1: at the recorded pace, 2: twice as fast; 0: without waiting."""
    video: Path | None = None
    """Also write the recorded pictures to this mp4; an orange frame marks steps that a person drove."""
    camera: str | None = None
    """Which camera's pictures; the first one when left out."""
    rate: int = 20
    """Pictures per second in the video: the control rate of the robot."""


@dataclass(frozen=True)
class ExportOptions:
    """Write the recorded episodes in a format that others train on."""

    path: tyro.conf.Positional[Path]
    """A journal's folder, one of its files, or a run's folder."""
    out: Path
    """What to make: a folder for lerobot, a file for robomimic and csv. Must not exist."""
    format: str = "lerobot"
    """lerobot (LeRobotDataset v3.0), robomimic (HDF5) or csv."""
    include_privileged: bool = False
    """Also write the simulator's truth: privileged state and gold reward."""
    include_discarded: bool = False
    """Also write episodes that a person discarded."""
    cameras: tuple[str, ...] = ()
    """Only these cameras' pictures, or `none`; all when left out, which every file must then have in one size."""


@dataclass(frozen=True)
class SalvageOptions:
    """Write what is whole in a damaged journal into a new one; the damaged one stays as it is."""

    path: tyro.conf.Positional[Path]
    """A journal's folder, one of its files, or a run's folder."""
    out: Path
    """Folder of the journal to make; must not exist, or be empty."""
    unchecked: bool = False
    """Also take what no checksum covers: files of version 1 that were not closed, or are damaged. A number in them may
    be another than was recorded."""


def run(argv: Sequence[str]) -> int:
    """Run info, replay, export, import or salvage; returns the exit code."""
    actions = {"info": _info, "replay": _replay, "export": _export, "import": _import, "salvage": _salvage}
    if not argv or argv[0] in ("-h", "--help"):
        screen().print(
            "usage: robot-rlhf journal {info,replay,export,import,salvage} PATH [options]\n\n"
            "  info     what a journal holds, counted; whether it is whole\n"
            "  replay   go through its episodes, make a video\n"
            "  export   write them as lerobot, robomimic or csv\n"
            "  import   make demonstrations of a ROS bag, or a journal of LeRobot, robomimic or hil-serl data\n"
            "  salvage  write what is whole in a damaged journal into a new one",
            highlight=False,
        )
        return 0
    if argv[0] not in actions:
        raise UnknownNameError("journal command", argv[0], actions)
    actions[argv[0]](argv[1:])
    return 0


# -- info ------------------------------------------------------------------------------------------------------------


def _info(argv: Sequence[str]) -> None:
    options = parse(InfoOptions, "journal info", argv)
    summary = describe(journal_path(options.path))
    table = Table(show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    versions = "/".join(map(str, summary.journal_versions)) or "-"
    table.add_row("files", f"{summary.files}, {summary.bytes / 1e6:.2f} MB, journal version {versions}")
    table.add_row("checked", f"{summary.whole} of {summary.files} closed, and every byte as it was written")
    table.add_row("tasks", _counts(summary.tasks))
    for kind, outcomes in summary.episodes.items():
        table.add_row(f"{kind} episodes", f"{sum(outcomes.values())}: {_counts(outcomes)}")
    table.add_row("steps", f"{summary.steps}: {_counts(summary.steps_by_driver)}")
    if summary.steps_without_actions:
        table.add_row("actions", f"not known in {summary.steps_without_actions} of the steps")
    table.add_row("duration", f"{summary.duration:.1f} s of robot time")
    minutes = (f"{summary.hands_on_seconds / 60:.2f} minutes", "bold")
    hands = Text.assemble(minutes, f" ({summary.human_share:.1%} of the steps)")
    table.add_row(Text("hands on", "bold"), hands)
    table.add_row("at the machine", f"{summary.at_machine_seconds / 60:.2f} minutes")
    table.add_row("events", _counts(summary.events))
    labels = {**{f"relabelled {name}": n for name, n in summary.relabelled.items()}, "deleted": summary.deleted}
    labels["preferences"] = summary.preferences
    table.add_row("labels", _counts({name: count for name, count in labels.items() if count}))
    table.add_row("software", ", ".join(f"{name} {'/'.join(v)}" for name, v in summary.versions.items()) or "-")
    table.add_row("topics", "\n".join(f"{name}  {count}" for name, count in summary.topics.items()) or "-")
    print_under(summary.path, table)
    for problem in summary.problems:
        screen().print(problem, highlight=False, soft_wrap=True)
    if summary.broken_off:
        screen().print(f"{summary.broken_off} episode(s) {BROKEN_OFF}: the recording stopped inside them")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "-"


# -- replay ----------------------------------------------------------------------------------------------------------


def _replay(argv: Sequence[str]) -> None:
    options = parse(ReplayOptions, "journal replay", argv)
    if not options.speed >= 0.0:
        raise ConfigError(f"--speed: got {options.speed}, allowed >= 0")
    path = journal_path(options.path)
    told = _told(episodes(path), options.speed)
    if options.video is None:
        for _ in told:
            pass
        return
    from robot_rlhf.run.results.video import write_video

    count = write_video(options.video, _pictures(told, options.camera, path), options.rate)
    screen().print(f"{options.video}: {count} pictures", highlight=False, soft_wrap=True)


def _told(recorded: Iterator[Episode], speed: float) -> Iterator[Episode]:
    """Pass the episodes on, each with a line for people, at the given pace."""
    console = screen()
    for episode in recorded:
        stamps = episode.observations["stamp"]
        seconds = float(stamps[-1] - stamps[0])
        if speed > 0.0:
            time.sleep(seconds / speed)
        outcome = episode.end.outcome.value if episode.end else BROKEN_OFF
        takeovers = sum(isinstance(e, Feedback) and e.kind.value == "intervention" for e in episode.events)
        console.print(
            f"{episode.meta.id}  {episode.meta.task}  {outcome:<11} {len(episode):4d} steps  {seconds:5.1f} s  "
            f"human {episode.by_human.mean():4.0%}  takeovers {takeovers}  reward {float(episode.reward.sum()):6.2f}",
            highlight=False,
            soft_wrap=True,
        )
        yield episode


def _pictures(recorded: Iterator[Episode], camera: str | None, path: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures of one camera, framed where a person drove; with the same size throughout.

    Raises:
        RenderError: no pictures were recorded.
        UnknownNameError: not by this camera.
    """
    for episode in recorded:
        cameras = [name.removeprefix("images/") for name in episode.observations if name.startswith("images/")]
        if not cameras:
            raise RenderError(f"{path}: episode {episode.meta.id} has no pictures; record with --cameras front")
        camera = camera or cameras[0]
        if camera not in cameras:
            raise UnknownNameError("camera", camera, cameras)
        for t, picture in enumerate(episode.observations[f"images/{camera}"]):
            picture = picture.copy()
            if t < len(episode) and episode.driver[t] == Driver.HUMAN:
                picture[:3], picture[-3:], picture[:, :3], picture[:, -3:] = (HUMAN_COLOUR,) * 4
            yield picture


def _import(argv: Sequence[str]) -> None:
    from robot_rlhf.apps.journal_import import run_import

    run_import(argv)


# -- export ----------------------------------------------------------------------------------------------------------


def _export(argv: Sequence[str]) -> None:
    options = parse(ExportOptions, "journal export", argv)
    report = export(
        journal_path(options.path),
        options.out,
        options.format,
        include_privileged=options.include_privileged,
        include_discarded=options.include_discarded,
        cameras=None if not options.cameras else [] if options.cameras == (NONE,) else options.cameras,
    )
    text = f"{report.target}: {report.episodes} episodes, {report.steps} steps as {options.format}"
    screen().print(text, highlight=False, soft_wrap=True)
    screen().print(f"{options.format} has no place for: {', '.join(report.left_out)}", highlight=False, soft_wrap=True)


# -- salvage ---------------------------------------------------------------------------------------------------------


def _salvage(argv: Sequence[str]) -> None:
    options = parse(SalvageOptions, "journal salvage", argv)
    report = salvage(journal_path(options.path), options.out, unchecked=options.unchecked)
    lines = [f"{report.target}: {report.episodes} whole episodes, {report.steps} steps"]
    lines += [f"passed over: {gap}" for gap in report.gaps]
    if report.broken_off:
        lines.append(f"{BROKEN_OFF}, saved up to there: {', '.join(report.broken_off)}")
    if report.left_out:
        lines.append(f"{report.left_out} steps, ends and events left out: what they go on with, or are about, is lost")
    lines += [
        f"no checksum covers {file}: a number of it may be another than was recorded" for file in report.unchecked
    ]
    for line in lines:
        screen().print(line, highlight=False, soft_wrap=True)
