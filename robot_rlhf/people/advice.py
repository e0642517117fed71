"""What somebody who knows the task would say: which way to go, or the next small step of a larger one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from robot_rlhf.datatypes import ActionLayout, Assignment, Observation
from robot_rlhf.facts import CLOSED, GAP, View
from robot_rlhf.meaning import Meaning
from robot_rlhf.people.person import Expert

LEVER = 0.1
"""What a radian of turning counts against a metre of motion, m."""
AROUND = 0.015
"""Fingers this near to a thing are around it, m."""
HELD = 0.03
"""A thing this near to closed fingers is held, m."""


def as_axis(
    expert: Expert, seen: Observation, layout: ActionLayout, view: View, rng: np.random.Generator
) -> Meaning | None:
    """The way, of those that have a name, in which an expert would move most; None where it would rest.

    Args:
        layout: of actions in the base frame.
        view: of whoever speaks.
    """
    values = expert.act(seen, Assignment(), rng).values
    wish = dict(zip(layout.names, (values * layout.scale).tolist(), strict=True))
    if "gripper" in wish and (wish["gripper"] > 0.0) != (seen.gripper_target > 0.5):
        return Meaning("open" if wish["gripper"] > 0.0 else "close")
    x, y = wish.get("x", 0.0), wish.get("y", 0.0)
    right, away = (x * way[0] + y * way[1] for way in (view.right, view.back))
    ways = {
        "right": right,
        "left": -right,
        "forward": away,
        "back": -away,
        "up": wish.get("z", 0.0),
        "down": -wish.get("z", 0.0),
        "turn_left": LEVER * wish.get("rz", 0.0),
        "turn_right": -LEVER * wish.get("rz", 0.0),
    }
    most = max(ways, key=lambda name: ways[name])
    return Meaning(most) if ways[most] > 1e-4 else None


def in_small_steps(meaning: Meaning, seen: Observation, over: float) -> Meaning:
    """The next small step of a skill that has several: above, down on it, close; then into its place.

    Args:
        over: beside a thing by less than this is above it, m.
    """
    if meaning.skill not in ("grasp", "put_in") or not meaning.thing:
        return meaning
    place = {**seen.scene, **seen.privileged}[meaning.thing][:3]
    tool = seen.tool_pose_in_base[:3]
    apart = math.dist(tool.tolist(), place.tolist())
    closed = seen.gripper_target < CLOSED
    if closed and seen.gripper > GAP and apart < HELD:
        return meaning if meaning.skill == "put_in" else replace(meaning, skill="lift", thing="")
    if closed:
        return Meaning("open", skill="open")
    if apart < AROUND:
        return Meaning("close", skill="close")
    beside = math.hypot(*(tool - place)[:2].tolist())
    return replace(meaning, skill="down_on" if beside < 0.5 * over else "above", place="")
