"""One episode of a bag, one row per control period: observations, and the actions that led from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from robot_rlhf.datatypes import ActionLayout
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.poses import Rows, canonical, motion, moved, normalised, rotate
from robot_rlhf.journal.bags.reading import GripperSettings, ReadingSettings, Recording
from robot_rlhf.journal.bags.resampling import (
    Grid,
    check_fresh,
    differenced,
    integrated,
    newest,
    sampled,
)
from robot_rlhf.journal.bags.series import Series
from robot_rlhf.journal.bags.source import Bag

AXES: tuple[str, ...] = ("x", "y", "z", "rx", "ry", "rz")
GRIPPER = "gripper"
OPEN_ABOVE = 0.5
"""A commanded opening from here on counts as open, as for the guard."""


@dataclass(frozen=True, eq=False)
class EpisodeRows:
    """T steps, T + 1 observations, n joints, m action entries."""

    grid: Grid
    joint_position: Rows
    joint_velocity: Rows
    pose: Rows
    target: Rows
    velocity: Rows
    wrench: Rows
    opening: Rows
    """Measured, 0 closed to 1 open. Shape (T + 1,)."""
    opening_target: Rows
    """Commanded. Shape (T + 1,)."""
    scene: Mapping[str, Rows]
    shifts: Rows
    """What was asked of the tool in each step: m, then rad, base frame. Shape (T, 6)."""
    actions: Rows
    """In scales of the layout, not yet clipped. Shape (T, m)."""
    pictures: list[dict[str, int]]
    """Per moment, camera name to number of the picture."""


def rows_of(
    bag: Bag,
    recording: Recording,
    grid: Grid,
    layout: ActionLayout,
    settings: ReadingSettings,
    *,
    stale: float,
    command_timeout: float,
) -> EpisodeRows:
    """Sample every topic, and reconstruct the actions.

    Args:
        stale: seconds for which a topic may be silent within an episode.
        command_timeout: seconds after which a commanded twist no longer moves the robot.

    Raises:
        JournalError: a topic is silent, not finite, or in a frame that cannot be used; names topic and time.
    """
    joints = _joints(bag, recording.joints, grid, stale)
    n = joints.shape[1] // 2
    pose = normalised(sampled(bag, recording.pose, grid, stale))
    target, shifts = _target(bag, recording, grid, pose, settings, stale, command_timeout)
    opening, opening_target = _openings(bag, recording, grid, settings.gripper, stale)
    change = (
        differenced_pose(pose, grid)
        if recording.velocity is None
        else _in_base(bag, recording.velocity, sampled(bag, recording.velocity, grid, stale), pose, recording, settings)
    )
    wrench = (
        np.zeros((len(pose), 6))
        if recording.wrench is None
        else _in_base(bag, recording.wrench, sampled(bag, recording.wrench, grid, stale), pose, recording, settings)
    )
    return EpisodeRows(
        grid=grid,
        joint_position=joints[:, :n],
        joint_velocity=joints[:, n:],
        pose=canonical(pose),
        target=canonical(target),
        velocity=change,
        wrench=wrench,
        opening=opening,
        opening_target=opening_target,
        scene={name: normalised(sampled(bag, series, grid, stale)) for name, series in recording.scene.items()},
        shifts=shifts,
        actions=actions_of(shifts, opening_target, layout),
        pictures=_pictures(bag, recording, grid, stale),
    )


def actions_of(shifts: Rows, opening_target: Rows, layout: ActionLayout) -> Rows:
    """Actions from the motion of each step and the opening commanded after it, not clipped.

    Args:
        shifts: metres, then radians, base frame. Shape (T, 6).
        opening_target: Shape (T + 1,).

    Returns:
        Shape (T, m).
    """
    columns = dict(zip(AXES, shifts.T, strict=True))
    columns[GRIPPER] = np.where(opening_target[1:] >= OPEN_ABOVE, 1.0, -1.0)
    scale = layout.scale.astype(np.float64)
    scale = np.where(np.array(layout.names) == GRIPPER, 1.0, scale)
    return np.stack([columns[name] for name in layout.names], axis=1) / scale


def differenced_pose(pose: Rows, grid: Grid) -> Rows:
    """Velocity of the tool from its poses, m/s and rad/s. Shape (T + 1, 6)."""
    if len(pose) < 2:
        return np.zeros((len(pose), 6))
    change = motion(pose[:-1], pose[1:]) / (np.diff(grid.times)[:, None] / 1e9)
    return np.concatenate([change[:1], change])


def _joints(bag: Bag, series: Series, grid: Grid, stale: float) -> Rows:
    """Positions and velocities; a velocity that is not told (NaN) is the change of the position."""
    n = series.values.shape[1] // 2
    part = replace(series, values=series.values[:, :n], names=series.names[:n])
    positions = sampled(bag, part, grid, stale)
    told = series.values[newest(series.time, grid), n:]
    return np.concatenate([positions, np.where(np.isnan(told), differenced(positions, grid.times), told)], axis=1)


def _target(
    bag: Bag,
    recording: Recording,
    grid: Grid,
    pose: Rows,
    settings: ReadingSettings,
    stale: float,
    command_timeout: float,
) -> tuple[Rows, Rows]:
    """Commanded poses (T + 1, 7), and the motion of each step (T, 6).

    From a commanded pose its changes; from a commanded twist its integral, the target being where one more period of
    it leads; else what was measured.
    """
    if recording.target is not None:
        target = _commanded(bag, recording.target, grid)
        return target, motion(target[:-1], target[1:])
    if recording.twist is None:
        return pose, motion(pose[:-1], pose[1:])
    shifts = integrated(recording.twist, grid, command_timeout)
    if not np.isfinite(shifts).all():
        bad = recording.twist.values[~np.isfinite(recording.twist.values).all(axis=1)][0]
        raise JournalError(f"{bag.path}: topic {recording.twist.topic}: a velocity of {bad.tolist()}")
    shifts = _in_base(bag, recording.twist, shifts, pose[:-1], recording, settings)
    ahead = np.concatenate([shifts, np.zeros((1, 6))])
    return moved(pose, ahead), shifts


def _commanded(bag: Bag, series: Series, grid: Grid) -> Rows:
    """The commanded pose at each moment. Shape (T + 1, 7).

    A target holds until the next one, so that silence is no fault. Between two that come in one period it is where the
    straight way from the one to the other is then: else the rates of commands and steps would beat against each other.
    """
    target = normalised(sampled(bag, series, grid, float("inf")))
    places = newest(series.time, grid)
    after = np.minimum(places + 1, len(series) - 1)
    span = series.time[after] - series.time[places]
    since = np.clip(grid.times - series.time[places], 0, None)
    streams = (span > 0) & (span <= grid.period) & (since < span)
    if not streams.any():
        return target
    share = np.divide(since, span, out=np.zeros(len(span)), where=streams)[:, None]
    following = np.where(streams[:, None], series.values[after], target)
    if not np.isfinite(following).all():  # told by whoever samples it
        return target
    return moved(target, motion(target, normalised(following)) * share)


def _in_base(
    bag: Bag, series: Series, vectors: Rows, pose: Rows, recording: Recording, settings: ReadingSettings
) -> Rows:
    """Pairs of vectors, told in the base frame or in the tool's, in the base frame. Shape (N, 6)."""
    base, tool = (settings.base_frame or recording.pose.frame).strip("/"), settings.tool_frame.strip("/")
    frame = series.frame.strip("/") or {"base": base, "tool": tool}.get(settings.unnamed_frame, "")
    if not frame:
        raise JournalError(
            f"{bag.path}: topic {series.topic}: in a frame without a name; say which: --reading.unnamed-frame base, or "
            "--reading.unnamed-frame tool"
        )
    if frame == base:
        return vectors
    if frame != tool:
        raise JournalError(
            f"{bag.path}: topic {series.topic}: in frame {series.frame!r}; allowed: {base!r} (--reading.base-frame) or "
            f"{settings.tool_frame!r} (--reading.tool-frame)"
        )
    return np.concatenate([rotate(pose[:, 3:], vectors[:, :3]), rotate(pose[:, 3:], vectors[:, 3:])], axis=1)


def _openings(bag: Bag, recording: Recording, grid: Grid, gripper: GripperSettings, stale: float) -> tuple[Rows, Rows]:
    """Measured and commanded opening. Shapes (T + 1,); 1 without a gripper."""

    closed, opened = gripper.span

    def opening(series: Series, patience: float) -> Rows:
        values = sampled(bag, series, grid, patience)[:, 0]
        return np.clip((values - closed) / (opened - closed), 0.0, 1.0)

    told = recording.command
    measured = None if recording.opening is None else opening(recording.opening, stale)
    if told is None:
        still = np.ones(len(grid.times)) if measured is None else measured
        return still, still
    # A command is told on change: before the first one the gripper is as it is measured, or open.
    before = newest(told.time, grid) < 0
    first = Series(told.topic, told.time[:1] * 0, told.received[:1], told.values[:1], told.names)
    commanded = opening(_joined(first, told), float("inf"))
    commanded = np.where(before, 1.0 if measured is None else measured, commanded)
    return (commanded if measured is None else measured), commanded


def _joined(a: Series, b: Series) -> Series:
    return Series(
        b.topic,
        np.concatenate([a.time, b.time]),
        np.concatenate([a.received, b.received]),
        np.concatenate([a.values, b.values]),
        b.names,
        b.frame,
    )


def _pictures(bag: Bag, recording: Recording, grid: Grid, stale: float) -> list[dict[str, int]]:
    numbers: dict[str, list[int]] = {}
    for camera, times in recording.cameras.times().items():
        order = np.argsort(times, kind="stable")
        places = newest(times[order], grid)
        check_fresh(bag, recording.found.cameras[camera], times[order], grid, places, stale)
        numbers[camera] = order[places].tolist()
    return [{camera: places[t] for camera, places in numbers.items()} for t in range(len(grid.times))]
