"""What an import makes of a bag, told before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_rlhf.journal.bags.agreement import Agreement
from robot_rlhf.journal.bags.frames import TF
from robot_rlhf.journal.bags.reading import ReadingSettings, Recording
from robot_rlhf.journal.bags.series import Series, Times
from robot_rlhf.journal.bags.source import Bag
from robot_rlhf.journal.format import TOPIC_EVENT, TOPIC_STEP

_NO_TOPIC = "no ROS topic: {} stay behind; offline and --prior read the journal itself, with them"
OWN_RECORDS = {
    TOPIC_STEP: ("robot_rlhf.Step", _NO_TOPIC.format("proposals, rewards, scene, context and authority of the steps")),
    TOPIC_EVENT: ("robot_rlhf.Event", _NO_TOPIC.format("events")),
}
"""Topics of our own journals that an import as a bag does not read."""


@dataclass(frozen=True)
class PlanRow:
    """One role, and the topic that is read for it."""

    role: str
    topic: str
    kind: str
    """Message type."""
    unit: str
    frame: str
    rate: float
    """Messages per second; 0 for a topic that only tells changes."""
    holds: str
    """Joints, sizes, and what is odd about it."""


@dataclass(frozen=True)
class ImportPlan:
    """Everything that an import decided."""

    rows: tuple[PlanRow, ...]
    left_out: Mapping[str, tuple[str, str]]
    """Topic to its type, and why it is not read."""
    action_from: str
    """What the actions are reconstructed from."""
    judged: str
    """What says how episodes ended, in words."""
    episodes: Mapping[str, int]
    """Number of episodes by outcome."""
    steps: int
    check: Agreement
    """Of commands with measured motion."""


def rows_told(bag: Bag, recording: Recording, settings: ReadingSettings) -> tuple[PlanRow, ...]:
    """A row for each topic that was read, in the order of roles."""
    rows = [_row(bag, role, series, recording, settings) for role, series in recording.series().items()]
    for camera, times in recording.cameras.times().items():
        holds = [recording.cameras.remarks[camera], recording.cameras.disorder(camera)]
        height, width = recording.cameras.sizes[camera]
        if not holds[0].startswith(f"{height} x {width},"):
            holds.insert(1, f"cut and scaled to {height} x {width}")
        topic = recording.found.cameras[camera]
        rows.append(PlanRow(f"camera {camera}", topic, bag.kinds(topic), "", "", _rate(times), _listed(holds)))
    marks = recording.found.role.get("episodes")
    if marks is not None:
        rows.append(PlanRow("episodes", marks, bag.kinds(marks), "", "", 0.0, "when they begin and end"))
    return tuple(rows)


def left_out(bag: Bag, recording: Recording, *, own: bool) -> dict[str, tuple[str, str]]:
    """Topic to its type, and why it is not read. Args: own: the bag is a journal of ours."""
    told = {topic: (bag.kinds(topic), why) for topic, why in recording.found.left_out.items()}
    return {**told, **OWN_RECORDS} if own else told


def _row(bag: Bag, role: str, series: Series, recording: Recording, settings: ReadingSettings) -> PlanRow:
    gripper = settings.gripper
    closed, opened = gripper.span
    linear, angular = settings.twist_scale
    tool = "m, unit quaternion"
    units = {
        "joint_states": f"{settings.joint_unit or 'rad'}, {settings.joint_unit or 'rad'}/s",
        "tool_pose": tool,
        "tool_target": tool,
        "tool_twist": "m/s, rad/s" if (linear, angular) == (1.0, 1.0) else f"{linear:g} m/s, {angular:g} rad/s",
        "tool_velocity": "m/s, rad/s",
        "wrench": "N, N·m",
        "gripper": f"{closed:g} closed, {opened:g} open",
        "gripper_command": f"{closed:g} closed, {opened:g} open",
        "success": "above 0: succeeded",
    }
    holds = {"joint_states": ", ".join(recording.joint_names)}.get(role, "")
    if role.startswith("gripper") and series.names[0].startswith("position of "):
        holds = series.names[0].removeprefix("position of ")
    holds = _listed([holds, f"{settings.tool_frame} in {series.frame}" if series.topic == TF else "", series.disorder])
    frame = series.frame or (
        f"none told: {settings.unnamed_frame}" if role.startswith(("tool", "wrench", "scene")) else ""
    )
    kind = bag.kinds(series.topic)
    changes = role in ("gripper_command", "success")
    unit = units.get(role, tool)
    return PlanRow(role, series.topic, kind, unit, frame, 0.0 if changes else _rate(series.time), holds)


def _rate(times: Times) -> float:
    """Messages per second while they come."""
    gaps = np.diff(times)
    return float(1e9 / max(float(np.median(gaps)), 1.0)) if len(gaps) else 0.0


def _listed(parts: Sequence[str]) -> str:
    return "; ".join(part for part in parts if part)
