"""What a picture of block and drawer shows, and what to do next, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Observation
from robot_rlhf.facts import Attribute, Columns, number, place, truth
from robot_rlhf.meaning import Meaning
from robot_rlhf_sim.captions import bins, of_gripper, of_scene, side_of

LOW = 0.02
"""Higher than this above where it would lie, m, nobody lets go of the block."""
AT = 0.05
"""Distance up to which the gripper is at a thing, m."""


def drawer_attributes(shut: float, open_from: float) -> tuple[Attribute, ...]:
    """Args: shut, open_from: openings of the drawer below and above which it is shut and open, m."""
    block, handle, tool = place("block", "privileged"), place("handle", "privileged"), place("tool")
    opening, grasped, inside = number("opening"), truth("grasped"), truth("inside")

    def drawer(columns: Columns) -> NDArray[np.int64]:
        return bins(opening(columns), shut, open_from)

    def block_place(columns: Columns) -> NDArray[np.int64]:
        stored = inside(columns) & (opening(columns) < shut)
        lies = np.where(stored, 0, np.where(inside(columns), 1, 3))
        return np.where(grasped(columns), 2, lies)

    def hand(columns: Columns) -> NDArray[np.int64]:
        to_handle, to_block = (np.linalg.norm(thing(columns) - tool(columns), axis=1) for thing in (handle, block))
        return np.where(to_block < AT, 0, np.where(to_handle < AT, 1, 2))

    return (
        *of_gripper(),
        of_scene("drawer", "there is a block and a drawer", "a robot, a block and a drawer"),
        Attribute(
            "drawer",
            {
                "shut": ("the drawer is shut", "the drawer is closed"),
                "ajar": ("the drawer is half open", "the drawer is ajar", "the drawer is neither open nor shut"),
                "open": ("the drawer is open", "the drawer is pulled out"),
            },
            drawer,
        ),
        Attribute(
            "block place",
            {
                "stored": (
                    "the block is in the shut drawer",
                    "the block is stored",
                    "the block has been put away",
                    "put the block into the drawer and shut it",
                ),
                "inside": ("the block is in the open drawer", "the block lies in the drawer that is not shut"),
                "held": ("the block is held", "the gripper holds the block", "the block is between the fingers"),
                "outside": ("the block is outside", "the block is not in the drawer", "the block lies on the table"),
            },
            block_place,
        ),
        side_of("block side", "block", "block"),
        side_of("handle side", "handle", "handle"),
        Attribute(
            "hand place",
            {
                "block": ("the hand is at the block", "the fingers are at the block"),
                "handle": ("the hand is at the handle", "the fingers are at the drawer's handle"),
                "away": ("the hand is away", "the hand is neither at the block nor at the handle"),
            },
            hand,
        ),
    )


def drawer_advice(observation: Observation, open_from: float, lies_at: float) -> Meaning:
    """What a person would tell the robot to do next.

    Args:
        open_from: opening of the drawer above which it is open, m.
        lies_at: height of the block on the table, m.
    """
    opening = float(observation.privileged["opening"][0])
    grasped, inside = (observation.privileged[name][0] > 0.5 for name in ("grasped", "inside"))
    if grasped and opening < 0.8 * open_from:  # it has fallen shut meanwhile
        high = float(observation.privileged["block"][2]) - lies_at
        return Meaning("down", amount=round(high, 2)) if high > LOW else Meaning("open", skill="open")
    if inside:
        return Meaning("open", skill="open") if grasped else Meaning("goal", skill="shut", thing="handle")
    if grasped or opening > open_from:
        return Meaning("goal", skill="put_in", thing="block", place="drawer")
    return Meaning("goal", skill="pull", thing="handle")
