"""A recorded bag of a teleoperated robot becomes a journal of demonstrations."""

from __future__ import annotations

import itertools
import os
import shutil
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mcap.exceptions import McapError
from mcap.reader import make_reader

from robot_rlhf import __version__
from robot_rlhf.datatypes import (
    Action,
    ActionLayout,
    CommandLayout,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Observation,
    Outcome,
    RobotSpec,
    Step,
)
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.episodes import Span, bursts, journal_episodes, judged
from robot_rlhf.journal.bags.pictures import Picture
from robot_rlhf.journal.bags.poses import Rows
from robot_rlhf.journal.bags.reading import Recording, read_recording
from robot_rlhf.journal.bags.resampling import Grid, grid_of_messages, regular_grid
from robot_rlhf.journal.bags.rows import AXES, GRIPPER, EpisodeRows, rows_of
from robot_rlhf.journal.bags.series import Series
from robot_rlhf.journal.bags.settings import ImportReport, ImportSettings
from robot_rlhf.journal.bags.source import Bag
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.format import LIBRARY_PREFIX
from robot_rlhf.journal.tail import journal_session
from robot_rlhf.journal.writer import JournalWriter

Reward = Callable[[Outcome | None, Observation, Observation], float]
"""The reward of a step that led from one observation to another and ended the episode so (None: not)."""

FINAL = frozenset({Outcome.SUCCESS, Outcome.FAILURE})
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

    Raises:
        JournalError: the bag cannot be used, names topic and time; or the target cannot be written.
        ConfigError: settings that the bag does not allow.
    """
    goal = Path(target)
    if goal.exists() and (not goal.is_dir() or any(goal.iterdir())):
        raise JournalError(f"{goal}: exists already; an import writes only to a new place")
    source = Path(path)
    files = _journal_files(source)
    own = source if files else None
    if own is not None:
        robot = robot or journal_session(own)[0]
        settings = replace(settings, one_step_per=settings.one_step_per or "/joint_states")
    with Bag(source, files) as bag:
        return _Import(bag, goal, settings, robot, own).run(reward, reward_source)


class _Import:
    """One import, from the open bag to the journal in its place."""

    def __init__(
        self, bag: Bag, goal: Path, settings: ImportSettings, robot: RobotSpec | None, journal: Path | None
    ) -> None:
        self._bag = bag
        self._goal = goal
        self._settings = settings
        self._robot = robot
        self._journal = journal
        self._period = settings.period if robot is None else robot.control_period
        self._layout = _layout(settings, robot)
        self._task = settings.task
        self._left_out = self._others = 0

    def run(self, reward: Reward, reward_source: str) -> ImportReport:
        settings, robot = self._settings, self._robot
        joints = settings.joints or (() if robot is None else robot.joint_names)
        recording = read_recording(self._bag, settings.reading, joints, robot)
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
        rows = [self._rows(recording, grid) for grid in self._grids(recording, spans)]
        if not rows:
            raise JournalError(
                f"{self._bag.path}: no episode: {self._left_out} spans shorter than {settings.episodes.shortest:g} s "
                f"(--episodes.shortest), {self._others} episodes that are no demonstrations"
            )
        actions = np.concatenate([episode.actions for episode in rows])
        clipped, largest = self._check_scale(actions)
        spec = self._spec(recording, rows)
        outcomes = self._write(spec, recording, rows, reward, reward_source)
        lacking = () if robot is None else tuple(thing for thing in robot.scene if thing not in recording.scene)
        return ImportReport(
            target=self._goal,
            episodes=outcomes,
            steps=len(actions),
            left_out=self._left_out,
            others=self._others,
            topics=_sources(recording, settings),
            action_from=_action_from(recording),
            clipped=clipped,
            largest=largest,
            lacking=lacking,
        )

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

    def _rows(self, recording: Recording, grid: Grid) -> EpisodeRows:
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

    def _write(
        self,
        spec: RobotSpec,
        recording: Recording,
        rows: Sequence[EpisodeRows],
        reward: Reward,
        reward_source: str,
    ) -> dict[str, int]:
        """Write the journal beside its place, then put it there; returns episodes by outcome."""
        temporary = self._goal.parent / f".{self._goal.name}.importing"
        offset = self._offset(rows)
        metadata = {"imported_from": self._bag.path.name, "robot_rlhf": __version__}
        metadata |= {f"topic of {role}": topic for role, topic in recording.found.described().items()}
        pictures = recording.cameras.pictures([moment for episode in rows for moment in episode.pictures])
        outcomes: Counter[str] = Counter()
        try:
            shutil.rmtree(temporary, ignore_errors=True)  # what an import that was killed has left
            with JournalWriter(temporary, spec, metadata=metadata, epoch_offset_ns=offset) as journal:
                for number, episode in enumerate(rows):
                    outcome = episode.grid.span.outcome or Outcome.STOPPED
                    meta = self._meta(number, reward_source)
                    _tell(journal, meta, outcome, episode, pictures, offset, self._instruction, reward)
                    outcomes[outcome.value] += 1
            os.replace(temporary, self._goal)
        except OSError as error:
            raise JournalError(f"{self._goal}: cannot write the journal: {error.strerror or error}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return dict(outcomes)

    def _offset(self, rows: Sequence[EpisodeRows]) -> int:
        """Nanoseconds at which the journal's clock begins."""
        if self._journal is not None:
            return int(journal_session(self._journal)[1].get("epoch_offset_ns", "0"))
        return int(rows[0].grid.times[0])

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


def _tell(
    journal: JournalWriter,
    meta: EpisodeMeta,
    outcome: Outcome,
    rows: EpisodeRows,
    pictures: Iterator[Mapping[str, Picture]],
    offset: int,
    instruction: str,
    reward: Reward,
) -> None:
    """Tell an episode to the journal as if it happened now."""
    before = _observation(rows, 0, next(pictures), offset)
    journal.on_episode_start(meta, before)
    for index in range(rows.grid.steps):
        after = _observation(rows, index + 1, next(pictures), offset)
        last = index == rows.grid.steps - 1
        step = Step(
            index=index,
            observation=before,
            proposed=None,
            executed=Action(np.clip(rows.actions[index], -1.0, 1.0).astype(np.float32)),
            driver=Driver.HUMAN,
            reward=reward(outcome if last else None, before, after),
            terminated=last and outcome in FINAL,
            truncated=last and outcome not in FINAL,
            policy_version=-1,
            instruction=instruction,
            next_observation=after,
        )
        journal.on_step(step)
        before = after
    journal.on_episode_end(EpisodeEnd(meta.id, outcome, rows.grid.steps, "imported"))


def _observation(rows: EpisodeRows, t: int, pictures: Mapping[str, Picture], offset: int) -> Observation:
    return Observation(
        stamp=(int(rows.grid.times[t]) - offset) / 1e9,
        joint_position=rows.joint_position[t].astype(np.float32),
        joint_velocity=rows.joint_velocity[t].astype(np.float32),
        tool_pose_in_base=rows.pose[t].astype(np.float32),
        tool_target_in_base=rows.target[t].astype(np.float32),
        tool_velocity=rows.velocity[t].astype(np.float32),
        tool_wrench=rows.wrench[t].astype(np.float32),
        gripper=float(rows.opening[t]),
        gripper_target=float(rows.opening_target[t]),
        images=pictures,
        scene={name: values[t].astype(np.float32) for name, values in rows.scene.items()},
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


def _action_from(recording: Recording) -> str:
    if recording.target is not None:
        return f"changes of the commanded pose, {recording.target.topic}"
    if recording.twist is not None:
        return f"integral of the commanded twist, {recording.twist.topic}"
    return f"measured motion, {recording.pose.topic}"


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
