"""An episode as a data set tells it, and the columns that an observation needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, RobotSpec
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.columns import column_names
from robot_rlhf.journal.recorded import Pictures

Rows = NDArray[np.float32]

WITHOUT = "--without-actions takes what was observed alone"
"""What to do about data without actions."""
SIZES = {"tool_pose_in_base": 7, "tool_target_in_base": 7, "tool_velocity": 6, "tool_wrench": 6}
"""Observation columns of one size on every robot."""


@dataclass(frozen=True, eq=False)
class ToldEpisode:
    """T steps of m action entries. What a data set does not tell is None, or empty."""

    where: str
    """Its place in the data set, for messages."""
    id: str
    task: str
    kind: str
    outcome: str
    operator: str
    reward_source: str
    columns: Mapping[str, Rows]
    """Observation column to values. Shapes (T + 1, size)."""
    executed: Rows | None
    """None where it is not known. Shape (T, m)."""
    proposed: Rows
    """NaN where no policy was asked. Shape (T, m)."""
    driver: NDArray[np.int64]
    """Shape (T,)."""
    reward: Rows
    """Shape (T,)."""
    terminated: bool
    """The last step ended the episode for good."""
    instructions: Sequence[str]
    pictures: Iterator[Pictures]
    """Of the T + 1 moments."""
    context: Mapping[str, Rows] = field(default_factory=dict[str, Rows])
    """What was asked for, by name; rows of NaN where it was not part of it. Shapes (T, d)."""
    authority: Rows | None = None
    """The person's share of each entry; rows of NaN where the whole action was the driver's. Shape (T, m)."""
    spoken: Sequence[str] = ()
    """By step the sentence by which a person decided their share, empty where none did; nothing where nobody spoke."""


@dataclass(frozen=True, eq=False)
class ToldData:
    """What a data set says of itself."""

    robot: RobotSpec | None
    """None where it does not say; the cameras and the scene are those of the data set."""
    period: float
    """Seconds; 0 where it does not say."""
    action_names: tuple[str, ...]
    cameras: Mapping[str, tuple[int, int]]
    columns: tuple[str, ...]
    """Observation entries, named as exports name them."""
    action: ActionLayout | None = None
    """What a 1 of its actions is, where that is said without a robot."""


def observation_columns(spec: RobotSpec) -> dict[str, int]:
    """Every observation column that a robot needs, with its size."""
    n = len(spec.joint_names)
    scene = {f"scene/{thing}": size for thing, size in spec.scene.items()}
    return {"joint_position": n, "joint_velocity": n, **SIZES, "gripper": 1, "gripper_target": 1, **scene}


def entries(spec: RobotSpec) -> dict[str, list[str]]:
    """Observation column to the names of its entries, as exports write them."""
    return {column: column_names(spec, column, size) for column, size in observation_columns(spec).items()}


def checked_spec(path: object, told: ToldData, robot: RobotSpec | None, *, actions: bool = True) -> RobotSpec:
    """The robot of an import: the one that is given, else the data set's, with the data set's cameras and scene.

    Args:
        actions: False where none are taken: what they are named is then no matter.

    Raises:
        JournalError: nobody says it, or it is not that of the data set; names what differs.
    """
    spec = robot or told.robot
    if spec is None:
        raise robot_missing(path)
    if actions and sorted(told.action_names) != sorted(spec.action.names):
        names = ", ".join(told.action_names) or "unnamed"
        raise JournalError(f"{path}: its actions are {names}; the robot's: {', '.join(spec.action.names)}")
    if told.period and abs(told.period - spec.control_period) > 1e-6 * spec.control_period:
        words = f"a step of {told.period:g} s; the robot's control period is {spec.control_period:g} s"
        raise JournalError(f"{path}: {words}")
    told_action = told.action if told.robot is None else told.robot.action
    if actions and robot is not None and told_action is not None:
        _check_meaning(path, robot.action, told_action)
    whole = {thing: size for thing, size in spec.scene.items() if f"scene.{thing}.0" in told.columns}
    spec = RobotSpec(
        joint_names=spec.joint_names,
        position_lower=spec.position_lower,
        position_upper=spec.position_upper,
        speed_max=spec.speed_max,
        control_period=spec.control_period,
        action=spec.action,
        command=spec.command,
        cameras=told.cameras,
        scene=whole,
    )
    lacking = [name for names in entries(spec).values() for name in names if name not in told.columns]
    if lacking:
        words = ", ".join(lacking[:4]) + (", …" if len(lacking) > 4 else "")
        raise JournalError(
            f"{path}: it lacks {words}; an import takes observations whose entries are named as our exports name them"
        )
    return spec


def robot_missing(path: object) -> JournalError:
    return JournalError(
        f"{path}: it does not say which robot it is of: --robot, a run, journal or parameter file of it"
    )


def _check_meaning(path: object, given: ActionLayout, told: ActionLayout) -> None:
    def meaning(layout: ActionLayout) -> str:
        scales = zip(layout.names, layout.scale.tolist(), strict=True)
        return ", ".join(f"{name} {scale:g}" for name, scale in sorted(scales)) + f" in frame {layout.frame!r}"

    if meaning(given) != meaning(told):
        raise JournalError(f"{path}: a 1 of its actions is {meaning(told)}; of the robot's: {meaning(given)}")
