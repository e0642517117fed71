"""A recorded bag of a teleoperated robot becomes a journal of demonstrations."""

from __future__ import annotations

import itertools
import os
import struct
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from mcap.exceptions import McapError
from mcap.reader import make_reader

from robot_rlhf import __version__
from robot_rlhf.datatypes import (
    ActionLayout,
    CommandLayout,
    EpisodeKind,
    EpisodeMeta,
    Outcome,
    RobotSpec,
)
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.agreement import Agreement, agreement
from robot_rlhf.journal.bags.episodes import Span, bursts, journal_episodes, judged
from robot_rlhf.journal.bags.plan import ImportPlan, left_out, rows_told
from robot_rlhf.journal.bags.poses import Rows
from robot_rlhf.journal.bags.reading import Recording, read_recording
from robot_rlhf.journal.bags.resampling import Grid, grid_of_messages, regular_grid
from robot_rlhf.journal.bags.rows import AXES, GRIPPER, EpisodeRows, rows_of
from robot_rlhf.journal.bags.series import Series
from robot_rlhf.journal.bags.settings import ImportReport, ImportSettings
from robot_rlhf.journal.bags.source import Bag
from robot_rlhf.journal.bags.telling import Reward, tell_episode
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.format import LIBRARY_PREFIX
from robot_rlhf.journal.placing import placed
from robot_rlhf.journal.tail import journal_session
from robot_rlhf.journal.writer import JournalWriter

CLIPPED = 1.001
"""Actions up to here are those of a hand at its limit, and no larger motion."""


def import_bag(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    settings: ImportSettings,
    *,
    robot: RobotSpec | None,
    reward: Reward,
    reward_source: str,
    show: Callable[[ImportPlan], None] = lambda _plan: None,
) -> ImportReport:
    """Write a bag's episodes as demonstrations into a new journal.

    It appears under its name only when all of it is written.

    Args:
        path: the bag: a rosbag2 folder, a .mcap or .db3 file, or a file or folder of one of our own journals.
        target: folder of the journal to make; must not exist, or be empty.
        settings: topics, episodes, and the robot where it is not given.
        robot: whose demonstrations these shall be: order of joints, period, action, workspace, cameras.
        reward: of each step.
        reward_source: its name and version.
        show: is told what was made of what, before anything is written.

    Raises:
        JournalError: the bag cannot be used, or can be understood in more than one way, names topic and time; or the
            target cannot be written.
        ConfigError: settings that the bag does not allow.
    """
    with placed(target, "importing", folder=True, empty=True) as place, _opened(path, settings, robot) as reading:
        reading.read()
        show(reading.plan())
        reading.check()
        return reading.write(place, Path(target), reward, reward_source)


def plan_bag(path: str | os.PathLike[str], settings: ImportSettings, *, robot: RobotSpec | None) -> ImportPlan:
    """What an import would make of a bag; nothing is written. Arguments and errors as for import_bag."""
    with _opened(path, settings, robot) as reading:
        reading.read()
        return reading.plan()


@contextmanager
def _opened(path: str | os.PathLike[str], settings: ImportSettings, robot: RobotSpec | None) -> Generator[_Import]:
    source = Path(path)
    files = _journal_files(source)
    own = source if files else None
    if own is not None:
        robot = robot or journal_session(own)[0]
        settings = _as_own(settings)
    elif not settings.task:
        raise ConfigError("--task: missing; allowed: a name for the skill, for example pick_cube")
    with Bag(source, files) as bag:
        yield _Import(bag, settings, robot, own)


def _as_own(settings: ImportSettings) -> ImportSettings:
    """With what the format of our own journals says."""
    reading = settings.reading
    gripper = replace(reading.gripper, joint=GRIPPER, closed=0.0, open=1.0)
    reading = replace(reading, gripper=gripper, joint_unit=reading.joint_unit or "rad")
    return replace(settings, reading=reading, one_step_per=settings.one_step_per or "/joint_states")


class _Import:
    """One import, from the open bag to the journal in its place."""

    def __init__(self, bag: Bag, settings: ImportSettings, robot: RobotSpec | None, journal: Path | None) -> None:
        self._bag = bag
        self._settings = settings
        self._robot = robot
        self._journal = journal
        self._period = settings.period if robot is None else robot.control_period
        self._layout = _layout(settings, robot)
        self._task = settings.task
        self._left_out = self._others = 0

    def read(self) -> None:
        """Read all but the pictures.

        Raises:
            JournalError, ConfigError: as import_bag says.
        """
        settings, robot = self._settings, self._robot
        joints = settings.joints or (() if robot is None else robot.joint_names)
        self._recording = recording = read_recording(self._bag, settings.reading, joints, robot)
        if GRIPPER in self._layout.names and recording.opening is None and recording.command is None:
            raise JournalError(
                f"{self._bag.path}: no topic tells the gripper; name its joint (--reading.gripper.joint) or topic "
                "(--reading.topics.gripper), or leave 'gripper' out of --action-names"
            )
        spans = self._spans(recording)
        if not self._task:
            raise ConfigError("--task: missing; allowed: a name for the skill, for example pick_cube")
        for before, after in itertools.pairwise(spans):
            if after.start < before.end:
                raise JournalError(
                    f"{self._bag.path}: the episode at {self._bag.moment(after.start)} begins before the one before it "
                    "has ended; import the recordings of several arms one by one"
                )
        self._rows = [self._sampled(recording, grid) for grid in self._grids(recording, spans)]
        if not self._rows:
            raise JournalError(
                f"{self._bag.path}: no episode: {self._left_out} spans shorter than {settings.episodes.shortest:g} s "
                f"(--episodes.shortest), {self._others} episodes that are no demonstrations"
            )
        self._check = self._agreement()

    def plan(self) -> ImportPlan:
        """What was made of what; after `read`."""
        recording, settings = self._recording, self._settings
        judges = [f"judged by {topic}" for what in ("episodes", "success") if (topic := recording.found.role.get(what))]
        unjudged = f"an episode that nothing judges counts as {settings.episodes.unmarked} (--episodes.unmarked)"
        own = self._journal is not None and settings.episodes.by in ("auto", "marks")
        return ImportPlan(
            rows=rows_told(self._bag, recording, settings.reading),
            left_out=left_out(self._bag, recording, own=self._journal is not None),
            action_from=self._action_from,
            judged="judged by the journal itself" if own else "; ".join([*judges, unjudged]),
            episodes=Counter((episode.grid.span.outcome or Outcome.STOPPED).value for episode in self._rows),
            steps=sum(episode.grid.steps for episode in self._rows),
            check=self._check,
        )

    def check(self) -> None:
        """Raises JournalError when commands contradict the measured motion, or do not fit the action's scale."""
        if self._settings.without_actions:
            self._clipped, self._largest = 0.0, {}
            return
        if self._check.contradictions and self._settings.reading.motion_check == "error":
            words = "; ".join(self._check.contradictions)
            raise JournalError(
                f"{self._bag.path}: commands ({self._action_from}) and measured motion "
                f"({self._recording.pose.topic}) contradict one another: {words}; allowed: another --command, "
                "--reading.twist-scale, --reading.base-frame or --reading.tool-frame; or --reading.motion-check say, "
                "if it is right as it is"
            )
        self._clipped, self._largest = self._check_scale(np.concatenate([episode.actions for episode in self._rows]))

    def write(self, place: Path, target: Path, reward: Reward, reward_source: str) -> ImportReport:
        """Write the journal; after `check`. Args: place: an empty folder, which will be called target."""
        recording, rows = self._recording, self._rows
        outcomes = self._write(place, self._spec(recording, rows), reward, reward_source)
        things = () if self._robot is None else self._robot.scene
        return ImportReport(
            target=target,
            episodes=outcomes,
            steps=sum(episode.grid.steps for episode in rows),
            left_out=self._left_out,
            others=self._others,
            topics=_sources(recording, self._settings),
            action_from=self._action_from,
            clipped=self._clipped,
            largest=self._largest,
            lacking=tuple(thing for thing in things if thing not in recording.scene),
        )

    def _agreement(self) -> Agreement:
        """Of commands with measured motion; our own journals say what their numbers are."""
        recording = self._recording
        if self._journal is not None:
            return Agreement(("one of our own journals: its format tells units and frames",), ())
        gripper = recording.opening is not None and recording.command is not None
        if self._settings.without_actions:
            return Agreement((), ())
        if recording.target is None and recording.twist is None:
            return Agreement(("no commands: actions are the measured motion, and nothing checks it",), ())
        return agreement(self._rows, self._period, poses=recording.target is not None, gripper=gripper)

    def _spans(self, recording: Recording) -> Sequence[Span]:
        """When the episodes were, in order, and how each ended."""
        settings = self._settings.episodes
        if self._journal is not None and settings.by in ("auto", "marks"):
            told = journal_episodes(self._journal)
            self._others, self._task = told.others, self._task or told.task
            return told.spans
        if settings.by == "marks" and recording.marks is None:
            raise JournalError(f"{self._bag.path}: no topic tells episodes; name it: --reading.topics.episodes")
        commands = next((s for s in (recording.target, recording.twist) if s is not None), recording.joints)
        if settings.by == "whole":
            spans = [Span(int(recording.joints.time[0]), int(recording.joints.time[-1]))]
        elif recording.marks is not None and settings.by != "gaps":
            spans = recording.marks.spans(recording.last)
        else:
            spans = bursts(commands, settings.gap)
        return judged(spans, recording.success, settings)

    def _grids(self, recording: Recording, spans: Sequence[Span]) -> Iterator[Grid]:
        """The moments of each episode that is long enough; it begins once everything has been told once."""
        series = (recording.joints, recording.pose, recording.target, recording.wrench, recording.opening)
        begin = max(int(s.time[0]) for s in series if s is not None)
        begin = max([begin, *(int(times[0]) for times in recording.cameras.times().values())])
        shortest = self._settings.episodes.shortest
        for span in spans:
            span = replace(span, start=max(span.start, begin) if span.start < begin <= span.end else span.start)
            if self._settings.one_step_per:
                grid = grid_of_messages(span, self._counted(recording), self._period)
            else:
                grid = regular_grid(span, self._period)
            if grid.steps < 1 or (self._journal is None and grid.steps * self._period < shortest):
                self._left_out += 1
                continue
            yield grid

    def _counted(self, recording: Recording) -> Series:
        """The topic each of whose messages is a step."""
        wanted = self._settings.one_step_per.strip("/")
        told = (recording.joints, recording.pose, recording.target, recording.twist)
        known = {series.topic.strip("/"): series for series in told if series is not None}
        if wanted not in known:
            names = ", ".join(f"/{name}" for name in known)
            raise JournalError(f"{self._bag.path}: --one-step-per {self._settings.one_step_per}; allowed: {names}")
        return known[wanted]

    def _sampled(self, recording: Recording, grid: Grid) -> EpisodeRows:
        s = self._settings
        return rows_of(
            self._bag, recording, grid, self._layout, s.reading, stale=s.stale, command_timeout=s.command_timeout
        )

    def _check_scale(self, actions: Rows) -> tuple[float, dict[str, float]]:
        """Share of steps that move more than the scale, and what would hold 99 % of them.

        Raises:
            JournalError: too many do: what is imported would not be what was shown.
        """
        moving = [i for i, name in enumerate(self._layout.names) if name != GRIPPER]
        names = [self._layout.names[i] for i in moving]
        size = np.abs(actions[:, moving])
        clipped = float((size > CLIPPED).any(axis=1).mean()) if moving else 0.0
        quantile = np.quantile(size, 0.99, axis=0) * self._layout.scale[moving]
        largest = dict(zip(names, (float(q) for q in quantile), strict=True))
        if clipped > self._settings.clipped_max:
            over = [i for i in range(len(names)) if (size[:, i] > CLIPPED).any()]
            words = ", ".join(
                f"{names[i]} {self._layout.scale[moving[i]]:g} (99 % of the steps stay below {largest[names[i]]:.3g})"
                for i in over
            )
            raise JournalError(
                f"{self._bag.path}: {clipped:.0%} of the steps move more than the action's scale: {words}; allowed: "
                f"{self._settings.clipped_max:.0%} (--clipped-max), with a larger --action-scale or a shorter --period"
            )
        return clipped, largest

    def _spec(self, recording: Recording, rows: Sequence[EpisodeRows]) -> RobotSpec:
        """The robot as these demonstrations show it, or as it is given."""
        scene = dict.fromkeys(recording.scene, 7)
        cameras = {name: recording.cameras.sizes[name] for name in recording.found.cameras}
        if self._robot is not None:
            return replace(self._robot, scene=scene, cameras=cameras, privileged={})
        positions = np.concatenate([episode.joint_position for episode in rows])
        speeds = np.concatenate([np.abs(episode.joint_velocity) for episode in rows])
        targets = np.concatenate([episode.target[:, :3] for episode in rows])
        s = self._settings
        lower = s.workspace_lower or tuple(np.floor(100.0 * targets.min(axis=0)) / 100.0)
        upper = s.workspace_upper or tuple(np.ceil(100.0 * targets.max(axis=0)) / 100.0)
        return RobotSpec(
            joint_names=recording.joint_names,
            position_lower=positions.min(axis=0).astype(np.float32),
            position_upper=positions.max(axis=0).astype(np.float32),
            speed_max=speeds.max(axis=0).astype(np.float32),
            control_period=self._period,
            action=self._layout,
            command=CommandLayout(
                "tool_pose",
                ("x", "y", "z", "qw", "qx", "qy", "qz", GRIPPER),
                np.array([*lower, -1, -1, -1, -1, 0], np.float64),
                np.array([*upper, 1, 1, 1, 1, 1], np.float64),
            ),
            cameras=cameras,
            scene=scene,
        )

    def _write(self, place: Path, spec: RobotSpec, reward: Reward, reward_source: str) -> dict[str, int]:
        """Returns episodes by outcome."""
        recording, rows = self._recording, self._rows
        offset = self._offset(rows)
        metadata = {"imported_from": self._bag.path.name, "robot_rlhf": __version__}
        metadata |= {f"topic of {role}": topic for role, topic in recording.found.described().items()}
        pictures = recording.cameras.pictures([moment for episode in rows for moment in episode.pictures])
        outcomes: Counter[str] = Counter()
        with JournalWriter(place, spec, metadata=metadata, epoch_offset_ns=offset) as journal:
            for number, episode in enumerate(rows):
                outcome = episode.grid.span.outcome or Outcome.STOPPED
                meta = self._meta(number, reward_source)
                told = (journal, meta, outcome, episode, pictures, offset, self._instruction, reward)
                tell_episode(*told, actions=not self._settings.without_actions)
                outcomes[outcome.value] += 1
        return dict(outcomes)

    def _offset(self, rows: Sequence[EpisodeRows]) -> int:
        """Nanoseconds at which the journal's clock begins."""
        if self._journal is not None:
            return int(journal_session(self._journal)[1].get("epoch_offset_ns", "0"))
        return int(rows[0].grid.times[0])

    @property
    def _action_from(self) -> str:
        recording = self._recording
        if self._settings.without_actions:
            return "nothing: they stay unknown (--without-actions)"
        if recording.target is not None:
            return f"changes of the commanded pose, {recording.target.topic}"
        if recording.twist is not None:
            return f"integral of the commanded twist, {recording.twist.topic}"
        return f"measured motion, {recording.pose.topic}"

    @property
    def _instruction(self) -> str:
        return self._settings.instruction or self._task.replace("_", " ")

    def _meta(self, number: int, reward_source: str) -> EpisodeMeta:
        return EpisodeMeta(
            id=f"demonstration-{number:06d}",
            task=self._task,
            kind=EpisodeKind.DEMONSTRATION,
            seed=number,
            operator=self._settings.operator,
            reward_source=reward_source,
            versions={"robot-rlhf": __version__},
        )


def _layout(settings: ImportSettings, robot: RobotSpec | None) -> ActionLayout:
    """The action layout; raises ConfigError for a robot that is not moved by its tool in the base frame."""
    if robot is None:
        return ActionLayout(settings.action_names, np.array(settings.action_scale, np.float32))
    layout = robot.action
    if robot.command.kind != "tool_pose" or layout.frame != "base" or set(layout.names) - {*AXES, GRIPPER}:
        raise ConfigError(f"robot: actions {layout.names} in frame {layout.frame!r}; allowed: a tool moved in its base")
    return layout


def _sources(recording: Recording, settings: ImportSettings) -> dict[str, str]:
    """Role to the topic it was read from."""
    found, joint = recording.found.described(), settings.reading.gripper.joint
    if "gripper" not in found and recording.opening is not None:
        found["gripper"] = f"{recording.opening.topic}, joint {joint}"
    return found


def _journal_files(path: Path) -> list[Path]:
    """The files of one of our own journals, or the one file; empty for any other bag."""
    files = journal_files(path) if path.is_dir() else [path] if path.suffix == ".mcap" and path.is_file() else []
    if not files:
        return []
    try:
        with files[0].open("rb") as file:
            ours = make_reader(file).get_header().library.startswith(LIBRARY_PREFIX)
    except (McapError, OSError, ValueError, struct.error):  # no journal: the bag reader says what is wrong with it
        return []
    return files if ours else []
