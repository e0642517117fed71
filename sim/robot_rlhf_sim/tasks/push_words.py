"""What a picture of the pushed puck shows, and what to do next, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Observation
from robot_rlhf.facts import Attribute, Columns, number, place
from robot_rlhf.meaning import Meaning
from robot_rlhf_sim.captions import bins, of_gripper, of_scene, side_of

NEAR_RING = 0.09
"""Distance of puck and goal up to which the puck is near the ring, m."""
TOO_NEAR = 0.006
"""Distance of puck or fingers from the glass's zone at which one says so, m."""
BEHIND = 0.5
"""Cosine of the angle at the puck from which on the fingers are behind it."""
AT_PUCK = 0.055
"""Distance of tool and puck up to which the tool is at the puck, m."""


def push_attributes(in_ring: float, below: float) -> tuple[Attribute, ...]:
    """
    Args:
        in_ring: distance of puck and goal below which the puck is in the ring, m.
        below: how far the tool point is above the lower end of what pushes, m.
    """
    puck, goal, tool = place("puck", "privileged"), place("goal", "privileged"), place("tool")
    clear, lit = number("clear"), number("lit")

    def puck_place(columns: Columns) -> NDArray[np.int64]:
        apart = np.linalg.norm((puck(columns) - goal(columns))[:, :2], axis=1)
        return np.where(apart < in_ring, 0, np.where(apart < NEAR_RING, 1, 2))

    def hand(columns: Columns) -> NDArray[np.int64]:
        apart = np.linalg.norm(puck(columns) - tool(columns), axis=1)
        return bins(apart, AT_PUCK, AT_PUCK).clip(max=1)

    return (
        *of_gripper(below=-below, fingers=False),
        of_scene("puck", "there is a puck and a glass", "a robot, a puck and a glass"),
        Attribute(
            "puck place",
            {
                "in": (
                    "the puck is in the ring",
                    "the disc is in the ring",
                    "the puck has reached the goal",
                    "push the puck into the ring without touching the glass",
                ),
                "near": ("the puck is near the ring", "the disc is close to the ring"),
                "away": ("the puck is away from the ring", "the disc is far from the ring"),
            },
            puck_place,
        ),
        side_of("puck side", "puck", "puck", "disc"),
        Attribute(
            "glass",
            {
                "touched": (
                    "the glass is touched",
                    "something touches the glass",
                    "the puck or the tool is at the glass",
                ),
                "clear": ("the glass is clear", "nothing touches the glass", "the glass stands free"),
            },
            lambda columns: np.where(clear(columns) <= 0.0, 0, 1),
        ),
        Attribute(
            "lamp",
            {"lit": ("the lamp is lit", "the lamp is on"), "dark": ("the lamp is dark", "the lamp is off")},
            lambda columns: np.where(lit(columns) > 0.5, 0, 1),
        ),
        Attribute(
            "hand at puck",
            {
                "at": ("the tool is at the puck", "the tool touches the puck"),
                "away": ("the tool is away from the puck", "the tool is beside the puck"),
            },
            hand,
        ),
    )


def push_advice(observation: Observation, stop: NDArray[np.float64]) -> Meaning:
    """What a person would tell the robot to do next.

    Args:
        stop: where the puck has to go next. Shape (2,).
    """
    puck, tool = observation.privileged["puck"][:2], observation.tool_pose_in_base[:2]
    if observation.privileged["clear"][0] < TOO_NEAR and float(np.linalg.norm(puck - tool)) > AT_PUCK:
        return Meaning("goal", skill="away_from", thing="glass")
    along, to_puck = stop - puck, puck - tool
    cosine = float(along @ to_puck) / max(float(np.linalg.norm(along) * np.linalg.norm(to_puck)), 1e-9)
    if cosine < BEHIND:
        return Meaning("goal", skill="behind", thing="puck", place="goal")
    return Meaning("goal", skill="push_to", thing="puck", place="goal")
