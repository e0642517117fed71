"""Marks over the pictures as people see them: where the fingers would close, what is below, where keys lead.

They are points beside a picture, never in it: what is recorded and what is learned from stays as the camera took it.
Every point is (share of the width from the left, share of the height from the top), or None where it cannot be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.console.frames import Directions, View, directions, rotation_matrix
from robot_rlhf.console.keymap import AXES, GUIDE_KEYS, MOTION_KEYS
from robot_rlhf.console.wire import Present
from robot_rlhf.datatypes import whole_episode
from robot_rlhf.sight import CameraMount, Sight

FINGER = 0.011
"""Half the width of a finger along the tool's x axis, m: of its mark, not of any robot's."""
SPREAD = 0.03
"""Distance of the marks of fingers where the gripper's width is not known, m."""
NEAR = 0.05
"""What is nearer to a camera than this is not drawn, m."""
LEVEL_FROM, LEVEL_TO = 0.075, 0.115
"""Distances from the foot at which the arrow of a key begins and ends, m: a thing between the fingers stays in view."""
UPRIGHT_FROM, UPRIGHT_TO = 0.01, 0.05
"""The same for up and down, beside the hand."""
ASIDE = 0.125
"""How far beside the hand that is, to the right in the picture, m; what turns is as far to the left."""
ARC_FROM, ARC_TO = math.radians(20.0), math.radians(110.0)
"""Where the arrow of a key that turns begins and ends, from the near side on."""
ARC_RADIUS = 0.04
ARC_POINTS = 9

_Matrix = NDArray[np.float64]
Point = list[float] | None


class Projection:
    """One camera at one moment."""

    def __init__(self, mount: CameraMount, size: tuple[int, int], tool_pose: ArrayLike) -> None:
        """
        Args:
            mount: with position and focal length.
            size: height and width of the picture.
            tool_pose: x, y, z, qw, qx, qy, qz in the base frame. Shape (7,).
        """
        assert mount.position is not None
        assert mount.focal is not None
        rotation, place = np.reshape(mount.rotation, (3, 3)), np.array(mount.position)
        if mount.parent == "tool":
            pose = np.asarray(tool_pose, np.float64)
            turn = rotation_matrix(pose[3:])
            rotation, place = turn @ rotation, pose[:3] + turn @ place
        self._rotation, self._place = rotation, place
        self._focal = np.array([mount.focal * size[0] / size[1], mount.focal])

    @property
    def right(self) -> _Matrix:
        """The direction in the base frame that leads to the right in the picture. Shape (3,)."""
        return self._rotation[:, 0]

    def __call__(self, points: ArrayLike) -> list[Point]:
        """Where points of the base frame, m, are in the picture; also outside of it. Shape (n, 3)."""
        seen = (np.reshape(points, (-1, 3)) - self._place) @ self._rotation
        return [
            [round(0.5 + float(v), 4) for v in self._focal * (x, y) / z] if z > NEAR else None
            for x, y, z in seen.tolist()
        ]


def guides(
    sight: Sight,
    cameras: Mapping[str, tuple[int, int]],
    present: Present,
    means: Directions,
    axes: Sequence[str],
) -> dict[str, Any]:
    """What to draw over each picture at this moment: by camera, only for those whose place is known.

    Args:
        cameras: name to height and width.
        means: what typed motion means right now.
        axes: names of the entries of the robot's actions: keys of others do nothing, and are not drawn.
    """
    known = {n: m for n, m in sight.mounts.items() if n in cameras and None not in (m.position, m.focal)}
    if present.tool_pose is None or not known:
        return {}
    pose = np.array(present.tool_pose)
    tip, tool = pose[:3], rotation_matrix(pose[3:])
    foot = None if sight.surface is None or tip[2] < sight.surface else np.array([tip[0], tip[1], sight.surface])
    width = SPREAD if sight.grip_width is None else sight.grip_width * present.gripper
    fingers = _fingers(tip, tool, width)
    drawn: dict[str, Any] = {}
    for name, mount in known.items():
        project = Projection(mount, cameras[name], pose)
        arrows = _arrows(means, axes, tip, tip if foot is None else foot, project.right)
        drawn[name] = {
            "tip": project(tip)[0],
            "fingers": project(fingers),
            "foot": None if foot is None else project(foot)[0],
            "print": [] if foot is None else project(np.column_stack([fingers[:, :2], np.full(4, foot[2])])),
            "arrows": [{"code": code, "line": project(line)} for code, line in arrows],
        }
    return drawn


def ghost(
    sight: Sight, cameras: Mapping[str, tuple[int, int]], present: Present, way: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What to draw of each moment of another way through this episode; empty when it is of another one.

    Args:
        way: 'episode', and 'moments' of the tool's pose (7) and the opening each.
    """
    if not way or whole_episode(str(way["episode"])) != whole_episode(present.episode):
        return []
    still = directions("base", View((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)))
    moments = (replace(present, tool_pose=tuple(m[:7]), gripper=m[7]) for m in way["moments"])
    return [drawn for moment in moments if (drawn := guides(sight, cameras, moment, still, ()))]


def _fingers(tip: _Matrix, tool: _Matrix, width: float) -> _Matrix:
    """Ends of the two fingers' inner faces: both of the one, then both of the other. Shape (4, 3)."""
    across, along = 0.5 * width * tool[:, 1], FINGER * tool[:, 0]
    return np.array([tip - across - along, tip - across + along, tip + across + along, tip + across - along])


def _arrows(
    means: Directions, axes: Sequence[str], tip: _Matrix, foot: _Matrix, right: _Matrix
) -> list[tuple[str, _Matrix]]:
    """Code of each key, and the line of its arrow, m: level motion around the foot, all else beside the hand.

    Args:
        right: what leads to the right in the picture. Shape (3,).
    """
    lines: list[tuple[str, _Matrix]] = []
    for code in GUIDE_KEYS:
        axis, sign = MOTION_KEYS[code]
        if axis not in axes:
            continue
        if axis == "rz":
            lines.append((code, _arc(tip - ASIDE * right, means.turning[:, 2], right, sign)))
            continue
        to = sign * means.moving[:, AXES.index(axis)]
        level = abs(to[2]) < 0.5
        ends = (LEVEL_FROM, LEVEL_TO) if level else (UPRIGHT_FROM, UPRIGHT_TO)
        lines.append((code, (foot if level else tip + ASIDE * right) + np.outer(ends, to)))
    return lines


def _arc(middle: _Matrix, axis: _Matrix, right: _Matrix, sign: float) -> _Matrix:
    """Part of a circle about an axis, from its near side on. Shape (ARC_POINTS, 3)."""
    near = np.cross(right, axis)
    angles = sign * np.linspace(ARC_FROM, ARC_TO, ARC_POINTS)[:, None]
    return middle + ARC_RADIUS * (np.cos(angles) * near + np.sin(angles) * np.cross(axis, near))
