"""What the drivers of a person's hands share: the error of a device, and a motion of the tool as an action."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Array
from robot_rlhf.errors import ConfigError, RobotRlhfError
from robot_rlhf.safety import rotation
from robot_rlhf.safety.rotation import Quaternion, Vector

_SHIFT = ("x", "y", "z")
_TURN = ("rx", "ry", "rz")
_GRIPPER = "gripper"


class DeviceError(RobotRlhfError, OSError):
    """A person's input device cannot be opened or read: absent, forbidden, unplugged, silent."""


class ToolMotion:
    """Writes motions of a tool in the base frame as the entries of an action layout.

    Motions that the layout has no entry for are left out. What is larger than 1 is made smaller with its direction
    kept, translation and rotation each by itself.
    """

    def __init__(self, layout: ActionLayout, device: str) -> None:
        """
        Args:
            layout: of the actions; its frame is 'base' or 'tool'.
            device: what the motions come from, for messages.

        Raises:
            ConfigError: the layout has unknown or double names, no motion, another frame, or a scale that is not > 0.
        """
        known = (*_SHIFT, *_TURN, _GRIPPER)
        if not set(layout.names) <= set(known) or len(set(layout.names)) != layout.size:
            raise ConfigError(
                f"ActionLayout.names {layout.names}: a {device} moves a tool by distinct names of {known}"
            )
        if not set(layout.names) - {_GRIPPER}:
            raise ConfigError(f"ActionLayout.names {layout.names}: a {device} needs at least one of {known[:-1]}")
        if layout.frame == "none":
            raise ConfigError(f"ActionLayout.frame 'none': a {device} moves a tool in frame 'base' or 'tool'")
        if not (layout.scale > 0).all():
            raise ConfigError(f"ActionLayout.scale {layout.scale.tolist()}: every entry must be > 0")
        self.in_tool_frame = layout.frame == "tool"
        """True when `action` and `motion` depend on the orientation of the tool."""
        self.has_gripper = _GRIPPER in layout.names
        self._names = layout.names
        self._scale = layout.scale.astype(np.float64)
        self._groups = [[i for i, name in enumerate(layout.names) if name in group] for group in (_SHIFT, _TURN)]

    def full(self, shift: Vector, turn: Vector, tool: Quaternion) -> Array:
        """Entries of a motion given as parts of the largest one.

        Args:
            shift: translation in the base frame; 1 is the layout's scale.
            turn: rotation vector in the base frame; 1 is the layout's scale.
            tool: orientation of the tool in the base frame; used by layouts of frame 'tool' only.

        Returns:
            Entries in [-1, 1], 0 for the gripper. Shape (m,).
        """
        return self._entries(shift, turn, tool, np.ones_like(self._scale))

    def metric(self, shift: Vector, turn: Vector, tool: Quaternion) -> Array:
        """Entries of a motion in one control period, given as translation, m, and rotation vector, rad.

        Args and Returns: as `full`.
        """
        return self._entries(shift, turn, tool, self._scale)

    def action(self, entries: Array, *, gripper_open: bool) -> Action:
        """The action of such entries: the gripper entry is 1 to open and -1 to close."""
        values = entries.copy()
        if self.has_gripper:
            values[self._names.index(_GRIPPER)] = 1.0 if gripper_open else -1.0
        return Action(values)

    def _entries(self, shift: Vector, turn: Vector, tool: Quaternion, unit: np.ndarray) -> Array:
        if self.in_tool_frame:
            shift, turn = (rotation.rotate(rotation.conjugate(tool), v) for v in (shift, turn))
        amounts: dict[str, float] = dict(zip((*_SHIFT, *_TURN), (*shift, *turn), strict=True))
        values = np.array([amounts.get(name, 0.0) for name in self._names]) / unit
        for group in self._groups:
            if group:
                values[group] /= max(1.0, float(np.abs(values[group]).max()))
        return values.astype(np.float32)


def orientation_of(pose: Array) -> Quaternion:
    """The unit quaternion of a pose x, y, z, qw, qx, qy, qz. Shape (7,)."""
    w, x, y, z = pose[3:7].tolist()
    return rotation.normalise((w, x, y, z))
