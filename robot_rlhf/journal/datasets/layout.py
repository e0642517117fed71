"""What the numbers of a pickled list of transitions mean: told by whoever imports it, since the file does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_rlhf.datatypes import ActionLayout, RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.bags.rows import AXES, GRIPPER
from robot_rlhf.journal.datasets.told import observation_columns

SKIP = "-"
PARTS = {"position": 3, "euler": 3, "quaternion": 4, "force": 3, "torque": 3, SKIP: 1}
"""Words for parts of the state that are no columns of ours, with their sizes."""
ORIENTATIONS = ("euler", "quaternion")
FILLED = {
    "joint_position": "0 throughout",
    "joint_velocity": "0 throughout",
    "tool_wrench": "0 throughout",
    "tool_velocity": "the change of the measured pose",
    "tool_target_in_base": "the measured pose",
    "gripper": "what was commanded last, open at first",
    "gripper_target": "what was commanded last, as measured at first",
}
"""Columns that a file may lack when that is said, and what they hold then."""


@dataclass(frozen=True)
class PickleLayout:
    """What the numbers of a pickled list of transitions mean."""

    state: tuple[str, ...] = ()
    """What the state vector holds, in order: position, euler (about fixed axes x, y, z; rad) or quaternion (x, y, z,
    w), force, torque, a column of ours (tool_velocity, gripper, joint_position, scene/NAME, …), - for an entry to pass
    over. hil-serl's own for its Franka: gripper force position euler torque tool_velocity."""
    actions: tuple[str, ...] = ()
    """What the action's entries move, in order, out of x, y, z, rx, ry, rz, gripper."""
    action_scale: tuple[float, ...] = ()
    """What a 1 of each is per period: m, rad; 1 for the gripper. hil-serl: its ACTION_SCALE, for each entry."""
    period: float = 0.0
    """Seconds between two transitions; hil-serl: 1 / hz, 0.1 unless changed."""
    frame: Literal["", "base", "relative"] = ""
    """base: poses, velocities and actions are in the base frame. relative: as hil-serl's RelativeFrame makes them, and
    poses in the base frame stand in the infos as original_state_obs."""
    wrench_frame: Literal["", "base", "tool"] = ""
    """In which frame force and torque are told; a Franka's own estimate: tool."""
    wrench_sign: Literal[1, -1] = 1
    """1: force of the world on the tool; -1: of the tool on the world."""
    gripper_closed: float | None = None
    """What the measured gripper is when it is closed."""
    gripper_open: float | None = None
    """What the measured gripper is when it is open."""
    gripper_action: Literal["", "sign", "keep"] = ""
    """sign: from 0 on it opens, below it closes; keep: from 0.5 on it opens, to -0.5 it closes, and between them it
    stays as it is, as hil-serl's does."""
    absent: tuple[str, ...] = ()
    """Columns that the file lacks and that may be filled in: joint_position, joint_velocity, tool_wrench (with 0),
    tool_velocity (the pose's change), tool_target_in_base (the measured pose), gripper, gripper_target (as
    commanded)."""
    driver: Literal["", "human", "policy"] = ""
    """Who drove, where the file has no infos that say it."""
    motion_check: Literal["error", "say"] = "error"
    """What becomes of actions that contradict the measured motion."""

    def __post_init__(self) -> None:
        known = (*AXES, GRIPPER)
        if any(name not in known for name in self.actions) or len(set(self.actions)) != len(self.actions):
            raise ConfigError(
                f"--actions: got {_listed(self.actions)}, allowed: distinct names out of {_listed(known)}"
            )
        if len(self.action_scale) != len(self.actions) or not all(scale > 0 for scale in self.action_scale):
            raise ConfigError(
                f"--action-scale: got {len(self.action_scale)} numbers, allowed: one above 0 for each of --actions "
                f"({_listed(self.actions) or 'none'})"
            )
        wrong = [name for name in self.absent if name not in FILLED]
        if wrong:
            raise ConfigError(f"--absent: got {_listed(wrong)}, allowed: {_listed(FILLED)}")
        twice = [word for word in self.state if word != SKIP and self.state.count(word) > 1]
        if twice:
            raise ConfigError(f"--state: {twice[0]} stands there twice")
        if self.gripper_closed is not None and self.gripper_closed == self.gripper_open:
            raise ConfigError(f"--gripper-closed, --gripper-open: both {self.gripper_open:g}, allowed: two numbers")
        if not self.period >= 0:
            raise ConfigError(f"--period: got {self.period}, allowed above 0")

    @property
    def action(self) -> ActionLayout:
        return ActionLayout(self.actions, np.array(self.action_scale, np.float32), "base")

    def places(self, robot: RobotSpec, size: int) -> dict[str, slice]:
        """Where each word's numbers stand in a state vector.

        Args:
            size: the vector's length.

        Raises:
            ConfigError: a word that is not known, or lengths that do not sum up to the size.
        """
        sizes = {**PARTS, **observation_columns(robot)}
        unknown = [word for word in self.state if word not in sizes]
        if unknown:
            raise ConfigError(f"--state: got {unknown[0]!r}, allowed: {_listed(sizes)}")
        told = sum(sizes[word] for word in self.state)
        if told != size:
            words = _listed([f"{word} {sizes[word]}" for word in self.state]) or "none"
            raise ConfigError(f"--state: the state vector has {size} entries, told are {told} ({words})")
        places: dict[str, slice] = {}
        begin = 0
        for word in self.state:
            if word != SKIP:
                places[word] = slice(begin, begin + sizes[word])
            begin += sizes[word]
        return places

    def check_complete(self, words: dict[str, slice], robot: RobotSpec) -> None:
        """Raises ConfigError for what must be said of these words and is not; names the option."""
        needed: list[tuple[bool, str]] = [
            (not self.actions, "--actions: what the action's entries move, in order"),
            (not self.period, "--period: seconds between two transitions"),
            (not self.frame, "--frame: base, or relative"),
            (
                not self.wrench_frame and bool({"force", "torque", "tool_wrench"} & set(words)),
                "--wrench-frame: base, or tool",
            ),
            (
                "gripper" in words and (self.gripper_closed is None or self.gripper_open is None),
                "--gripper-closed, --gripper-open: what the measured gripper is when closed and when open",
            ),
            (GRIPPER in self.actions and not self.gripper_action, "--gripper-action: sign, or keep"),
        ]
        for lacks, option in needed:
            if lacks:
                raise ConfigError(f"missing {option}; the file does not tell")
        self._check_parts(words)
        told = {*words, *self._made_of_parts(words)}
        lacking = [column for column in observation_columns(robot) if column in FILLED and column not in told]
        unsaid = [column for column in lacking if column not in self.absent]
        if unsaid:
            held = "; ".join(f"{column}: {FILLED[column]}" for column in unsaid)
            raise ConfigError(
                f"--state names no {_listed(unsaid)}; if the file lacks them: --absent {' '.join(unsaid)} ({held})"
            )
        both = [column for column in self.absent if column in told]
        if both:
            raise ConfigError(f"--absent: {_listed(both)} stands in --state")

    def check_used(self, words: dict[str, slice]) -> None:
        """Raises ConfigError for a meaning of what nobody says to be there."""
        forces = {"force", "torque", "tool_wrench"} & set(words)
        unused: list[tuple[bool, str]] = [
            (
                (bool(self.wrench_frame) or self.wrench_sign != 1) and not forces,
                "--wrench-frame, --wrench-sign: --state",
            ),
            (
                (self.gripper_closed is not None or self.gripper_open is not None) and "gripper" not in words,
                "--gripper-closed, --gripper-open: --state",
            ),
            (bool(self.gripper_action) and GRIPPER not in self.actions, "--gripper-action: --actions"),
        ]
        for said, option in unused:
            if said:
                raise ConfigError(f"{option} names nothing of that kind; allowed: without the option")

    def _check_parts(self, words: dict[str, slice]) -> None:
        ways = [word for word in ORIENTATIONS if word in words]
        whole = "tool_pose_in_base" in words
        if whole == ("position" in words) or len(ways) != (0 if whole else 1):
            raise ConfigError(
                f"--state: the tool's pose is told by position and one of {_listed(ORIENTATIONS)}, or by "
                "tool_pose_in_base; allowed: one of the two"
            )
        halves = [word for word in ("force", "torque") if word in words]
        if len(halves) == 1 or (halves and "tool_wrench" in words):
            raise ConfigError("--state: force and torque go together, or tool_wrench tells both")
        if self.frame == "relative" and "tool_target_in_base" in words:
            raise ConfigError("--frame relative: tool_target_in_base is no part of it; allowed: --frame base")

    @staticmethod
    def _made_of_parts(words: dict[str, slice]) -> list[str]:
        return [
            column for part, column in (("force", "tool_wrench"), ("position", "tool_pose_in_base")) if part in words
        ]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
