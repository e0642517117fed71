"""hil-serl's pickled transitions as episodes of ours, once it is told what their numbers mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Driver, RobotSpec
from robot_rlhf.errors import ConfigError, JournalError
from robot_rlhf.journal.bags.agreement import Agreement, agreement
from robot_rlhf.journal.bags.plan import PlanRow
from robot_rlhf.journal.bags.poses import canonical, compose, inverse, motion, multiply, normalised, rotate
from robot_rlhf.journal.bags.rows import AXES, GRIPPER, OPEN_ABOVE
from robot_rlhf.journal.datasets.layout import FILLED, PickleLayout
from robot_rlhf.journal.datasets.told import ToldData, ToldEpisode, entries, observation_columns, robot_missing
from robot_rlhf.journal.datasets.transitions import BASE_POSE, BASE_STATE, BY_HAND, SUCCEEDED, read_transitions

Rows = NDArray[np.float64]

AGREE = (0.005, 0.05)
"""Metres and radians within which relative poses and those in the base frame must tell the same."""
GRIPPER_MARGIN = 0.1
"""Share of its way by which a measured gripper may lie beyond closed or open."""
KEEPS_UP_TO = 0.5
"""Below this an action leaves hil-serl's gripper as it is."""


@dataclass(frozen=True, eq=False)
class HilSerlEpisode:
    """T steps in the base frame. What the check of motion reads, and what is written."""

    span: slice
    pose: Rows
    """Shape (T + 1, 7)."""
    target: Rows
    """Shape (T + 1, 7)."""
    opening: Rows
    """Shape (T + 1,)."""
    opening_target: Rows
    """Shape (T + 1,)."""
    actions: Rows
    """As the layout orders them. Shape (T, m)."""
    shifts: Rows
    """Shape (T, 6)."""
    columns: Mapping[str, Rows]
    """Observation column to values. Shapes (T + 1, size)."""


class HilSerlData:
    """A file of transitions, and what its numbers mean."""

    def __init__(self, path: Path, layout: PickleLayout, robot: RobotSpec | None) -> None:
        """Raises JournalError for a file that cannot be used; ConfigError for a meaning that is missing or wrong."""
        self._path, self._layout = path, layout
        self._rows = read_transitions(path)
        if robot is None:
            raise robot_missing(path)
        self._words = layout.places(robot, self._rows.before.shape[1])
        layout.check_complete(self._words, robot)
        if self._rows.actions.shape[1] != len(layout.actions):
            raise ConfigError(
                f"--actions: names {len(layout.actions)}; an action of {path} has {self._rows.actions.shape[1]} entries"
            )
        if self._rows.by_hand is None and not layout.driver:
            raise ConfigError(f"missing --driver: human, or policy; {path} has no infos that tell who drove")
        if self._rows.by_hand is not None and layout.driver:
            raise ConfigError(f"--driver: the infos of {path} tell who drove; allowed: without the option")
        layout.check_used(self._words)
        self._joints = len(robot.joint_names)
        self.read = [self._read(span) for span in self._rows.episodes()]
        names = entries(robot)
        self.told = ToldData(
            robot=None,
            period=layout.period,
            action_names=layout.actions,
            cameras=self._rows.cameras,
            columns=tuple(name for column in self.read[0].columns for name in names[column]),
            action=layout.action,
        )
        self._scene = [column for column in observation_columns(robot) if column not in self.read[0].columns]

    def episodes(self, spec: RobotSpec) -> Iterator[ToldEpisode]:
        """The episodes in order. Args: spec: the robot, checked against `told`."""
        order = [self._layout.actions.index(name) for name in spec.action.names]
        for number, episode in enumerate(self.read):
            span, rows = episode.span, self._rows
            last = span.stop - 1
            success = bool(rows.succeeded[last])
            executed = episode.actions[:, order].astype(np.float32)
            yield ToldEpisode(
                where=f"{self._path}: episode {number} (transitions {span.start} to {last})",
                id="",
                task="",
                kind="",
                outcome="success" if success else "",
                operator="",
                reward_source="",
                columns={name: column.astype(np.float32) for name, column in episode.columns.items()},
                executed=executed,
                proposed=np.full_like(executed, np.nan),
                driver=self._drivers(span),
                reward=rows.rewards[span].astype(np.float32),
                terminated=success and float(rows.masks[last]) == 0.0,
                instructions=[""] * (span.stop - span.start),
                pictures=rows.pictures(span),
            )

    def check(self) -> Agreement:
        """Actions against the measured motion."""
        gripper = GRIPPER in self._layout.actions and "gripper" in self._words
        return agreement(self.read, self._layout.period, poses=False, gripper=gripper)

    # -- what is made of what ----------------------------------------------------------------------------------------

    def rows(self) -> tuple[PlanRow, ...]:
        """A row for everything that is read or filled in."""
        layout, rate = self._layout, 1.0 / self._layout.period
        units = {
            **dict.fromkeys(("position", "tool_pose_in_base", "tool_target_in_base"), "m"),
            **dict.fromkeys(("euler", "joint_position"), "rad"),
            **dict.fromkeys(("force", "torque", "tool_wrench"), "N, N·m"),
            **{"quaternion": "x, y, z, w", "tool_velocity": "m/s, rad/s", "joint_velocity": "rad/s"},
            "gripper": f"{layout.gripper_closed} closed, {layout.gripper_open} open",
        }
        frames: dict[str, str] = dict.fromkeys(
            ("position", "euler", "quaternion", "tool_pose_in_base", "tool_velocity"), layout.frame
        )
        frames |= dict.fromkeys(("force", "torque", "tool_wrench"), layout.wrench_frame)
        seen = np.concatenate([self._rows.before, self._rows.after[-1:]])
        told = [
            PlanRow(
                word,
                f"state[{place.start}:{place.stop}]",
                "vector",
                units.get(word, ""),
                frames.get(word, ""),
                rate,
                ", ".join(
                    f"{low:.3g} to {high:.3g}"
                    for low, high in zip(seen[:, place].min(axis=0), seen[:, place].max(axis=0), strict=True)
                ),
            )
            for word, place in self._words.items()
        ]
        scales = ", ".join(f"{n} {s:g}" for n, s in zip(layout.actions, layout.action_scale, strict=True))
        told.append(PlanRow("action", "actions", "vector", scales, layout.frame, rate, self._gripper_words()))
        if layout.frame == "relative":
            pose = PlanRow(
                "pose in base", f"infos.{BASE_STATE}.{BASE_POSE}", "vector", "m, x, y, z, w", "base", rate, ""
            )
            told.append(pose)
        told += [PlanRow(column, "-", "filled in", "", "", rate, FILLED[column]) for column in layout.absent]
        told += [
            PlanRow(f"camera {camera}", f"observations.{camera}", "uint8", "RGB", "", rate, f"{height} x {width}")
            for camera, (height, width) in self._rows.cameras.items()
        ]
        return tuple(told)

    def left_out(self) -> dict[str, tuple[str, str]]:
        """What is not read, its kind, and why."""
        size = self._rows.before.shape[1]
        used = {i for place in self._words.values() for i in range(place.start, place.stop)}
        out = {f"state[{i}]": ("number", "passed over by --state") for i in range(size) if i not in used}
        out |= {name: ("entry", why) for name, why in self._rows.passed_over.items()}
        return out | dict.fromkeys(self._scene, ("scene", "the robot has it, --state does not name it"))

    def judged(self) -> str:
        return f"judged by infos.{SUCCEEDED}" if self._rows.succeeded.any() else "judged by --outcome"

    def driven(self) -> str:
        by_hand = self._rows.by_hand
        if by_hand is None:
            return f"driven by the {self._layout.driver} (--driver)"
        return f"{int(by_hand.sum())} of {len(by_hand)} driven by hand (infos.{BY_HAND})"

    def _gripper_words(self) -> str:
        words = {"sign": "from 0 on it opens", "keep": "opens from 0.5 on, closes to -0.5, else stays"}
        return words.get(self._layout.gripper_action, "") if GRIPPER in self._layout.actions else ""

    # -- one episode -------------------------------------------------------------------------------------------------

    def _read(self, span: slice) -> HilSerlEpisode:
        rows, layout = self._rows, self._layout
        seen = np.concatenate([rows.before[span], rows.after[span.stop - 1 : span.stop]])
        parts = {word: seen[:, place] for word, place in self._words.items()}
        pose = self._pose(parts, span)
        actions = rows.actions[span]
        if layout.frame == "relative":
            actions = self._actions_in_base(actions, pose)
        worst = float(np.abs(actions).max(initial=0.0))
        if worst > 1.0 + 1e-3:
            number = span.start + int(np.argmax(np.abs(actions).max(axis=1)))
            raise JournalError(f"{self._path}: transition {number}: actions: {worst:.4g}; allowed: -1 to 1")
        actions = np.clip(actions, -1.0, 1.0)
        opening = self._opening(parts, span)
        commanded = self._commanded(actions, 1.0 if opening is None else float(opening[0]))
        if GRIPPER in layout.actions:
            actions[:, layout.actions.index(GRIPPER)] = np.where(commanded[1:] >= OPEN_ABOVE, 1.0, -1.0)
        opening = commanded if opening is None else opening
        opening_target = parts["gripper_target"][:, 0] if "gripper_target" in parts else commanded
        target = canonical(normalised(parts["tool_target_in_base"])) if "tool_target_in_base" in parts else pose
        velocity = self._velocity(parts, pose)
        columns: dict[str, Rows] = {
            "joint_position": parts.get("joint_position", np.zeros((len(pose), self._joints))),
            "joint_velocity": parts.get("joint_velocity", np.zeros((len(pose), self._joints))),
            "tool_pose_in_base": pose,
            "tool_target_in_base": target,
            "tool_velocity": velocity,
            "tool_wrench": self._wrench(parts, pose),
            "gripper": opening[:, None],
            "gripper_target": opening_target[:, None],
            **{word: values for word, values in parts.items() if word.startswith("scene/")},
        }
        shifts = self._shifts(actions)
        return HilSerlEpisode(span, pose, target, opening, opening_target, actions, shifts, columns)

    def _pose(self, parts: Mapping[str, Rows], span: slice) -> Rows:
        """In the base frame. Shape (T + 1, 7)."""
        told = _told_pose(parts)
        lengths = np.linalg.norm(told[:, 3:], axis=1)
        if (np.abs(lengths - 1.0) > 0.01).any():
            number = min(span.start + int(np.argmax(np.abs(lengths - 1.0))), span.stop - 1)
            raise JournalError(
                f"{self._path}: transition {number}: a quaternion of length {lengths.max():.3g}; allowed: 1"
            )
        told = normalised(told)
        if self._layout.frame == "base":
            return canonical(told)
        if self._rows.base_poses is None:
            raise JournalError(
                f"{self._path}: --frame relative: not every transition has infos.{BASE_STATE}.{BASE_POSE}, the pose in "
                "the base frame"
            )
        made = self._rows.base_poses[span]
        after = normalised(made[:, (0, 1, 2, 6, 3, 4, 5)])
        start = compose(after[:1], inverse(told[1:2]))
        whole = np.concatenate([compose(start, told[:1]), after])
        apart = motion(compose(np.repeat(start, len(told), axis=0), told), whole)
        for unit, most, sizes in zip(("m", "rad"), AGREE, np.split(apart, 2, axis=1), strict=True):
            size = float(np.linalg.norm(sizes, axis=1).max())
            if size > most:
                raise JournalError(
                    f"{self._path}: transitions {span.start} to {span.stop - 1}: poses of the state and of "
                    f"infos.{BASE_STATE} lie {size:.3g} {unit} apart; allowed: {most:g}; are --frame and --state right?"
                )
        return canonical(whole)

    def _actions_in_base(self, actions: Rows, pose: Rows) -> Rows:
        """As hil-serl's RelativeFrame turns them before its robot clips them. Shape (T, m)."""
        names = self._layout.actions
        six = np.stack([actions[:, names.index(a)] if a in names else np.zeros(len(actions)) for a in AXES], axis=1)
        moved = _out_of_tool(pose[:-1], six)
        made = actions.copy()
        for place, axis in enumerate(AXES):
            if axis in names:
                made[:, names.index(axis)] = np.clip(moved[:, place], -1.0, 1.0)
        return made

    def _velocity(self, parts: Mapping[str, Rows], pose: Rows) -> Rows:
        if "tool_velocity" not in parts:
            change = motion(pose[:-1], pose[1:]) / self._layout.period
            return np.concatenate([change[:1], change])
        told = parts["tool_velocity"]
        return told if self._layout.frame == "base" else _out_of_tool(pose, told)

    def _wrench(self, parts: Mapping[str, Rows], pose: Rows) -> Rows:
        if "force" in parts:
            told = np.concatenate([parts["force"], parts["torque"]], axis=1)
        elif "tool_wrench" in parts:
            told = parts["tool_wrench"]
        else:
            return np.zeros((len(pose), 6))
        told = told * self._layout.wrench_sign
        if self._layout.wrench_frame == "base":
            return told
        return np.concatenate([rotate(pose[:, 3:], told[:, :3]), rotate(pose[:, 3:], told[:, 3:])], axis=1)

    def _opening(self, parts: Mapping[str, Rows], span: slice) -> Rows | None:
        closed, opened = self._layout.gripper_closed, self._layout.gripper_open
        if "gripper" not in parts or closed is None or opened is None:
            return None
        share = (parts["gripper"][:, 0] - closed) / (opened - closed)
        if share.min() < -GRIPPER_MARGIN or share.max() > 1.0 + GRIPPER_MARGIN:
            told = parts["gripper"]
            raise JournalError(
                f"{self._path}: transitions {span.start} to {span.stop - 1}: the gripper is told from {told.min():g} "
                f"to {told.max():g}; allowed: {closed:g} to {opened:g} (--gripper-closed, --gripper-open)"
            )
        return np.clip(share, 0.0, 1.0)

    def _commanded(self, actions: Rows, first: float) -> Rows:
        """Commanded opening; as it was first where no action tells the gripper. Shape (T + 1,)."""
        commanded = np.full(len(actions) + 1, first)
        if GRIPPER not in self._layout.actions:
            return commanded
        threshold = KEEPS_UP_TO if self._layout.gripper_action == "keep" else 0.0
        for t, value in enumerate(actions[:, self._layout.actions.index(GRIPPER)].tolist()):
            keeps = threshold and abs(value) < threshold
            commanded[t + 1] = commanded[t] if keeps else float(value >= 0.0)
        return commanded

    def _shifts(self, actions: Rows) -> Rows:
        names, scale = self._layout.actions, self._layout.action_scale
        columns = [
            actions[:, names.index(axis)] * scale[names.index(axis)] if axis in names else np.zeros(len(actions))
            for axis in AXES
        ]
        return np.stack(columns, axis=1)

    def _drivers(self, span: slice) -> NDArray[np.int64]:
        """Where hands drove the infos say it; else a rest is nobody's, and a motion the policy's."""
        steps = int(span.stop - span.start)
        by_hand = self._rows.by_hand
        if by_hand is None:
            said = Driver.HUMAN if self._layout.driver == "human" else Driver.POLICY
            return np.full(steps, said.value, np.int64)
        drivers = np.full(steps, Driver.REFLEX.value, np.int64)
        drivers[self._rows.actions[span].any(axis=1)] = Driver.POLICY
        drivers[by_hand[span]] = Driver.HUMAN
        return drivers


def _told_pose(parts: Mapping[str, Rows]) -> Rows:
    if "tool_pose_in_base" in parts:
        return parts["tool_pose_in_base"]
    turn = parts["quaternion"][:, (3, 0, 1, 2)] if "quaternion" in parts else _of_euler(parts["euler"])
    return np.concatenate([parts["position"], turn], axis=1)


def _of_euler(angles: Rows) -> Rows:
    """Unit quaternions of turns about the fixed axes x, then y, then z. Shape (N, 3) to (N, 4)."""
    turns: list[Rows] = []
    for axis in range(3):
        turn = np.zeros((len(angles), 4))
        turn[:, 0], turn[:, 1 + axis] = np.cos(0.5 * angles[:, axis]), np.sin(0.5 * angles[:, axis])
        turns.append(turn)
    return multiply(turns[2], multiply(turns[1], turns[0]))


def _out_of_tool(pose: Rows, pairs: Rows) -> Rows:
    """Linear and angular parts from the tool's frame to the base's, as the adjoint of hil-serl maps them.

    Its lower left block adds p x v to the angular part: an action there turns about the base's origin. Shapes (N, 6).
    """
    linear, angular = rotate(pose[:, 3:], pairs[:, :3]), rotate(pose[:, 3:], pairs[:, 3:])
    across: Any = np.cross(pose[:, :3], linear)
    made: Rows = np.empty_like(pairs)
    made[:, :3], made[:, 3:] = linear, angular + across
    return made
