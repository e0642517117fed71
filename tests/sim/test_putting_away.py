"""Tasks in which blocks are put away have the same tool and the same blocks."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks.blocks import Blocks
from robot_rlhf_sim.tasks.drawer_store import DrawerStore


def test_their_tool_is_limited_alike_but_for_its_workspace() -> None:
    one, other = Blocks.limits, DrawerStore.limits
    same = replace(one, workspace_lower=other.workspace_lower, workspace_upper=other.workspace_upper)
    assert all(np.array_equal(getattr(same, each.name), getattr(other, each.name)) for each in fields(other))


def test_their_blocks_are_alike() -> None:
    blocks, drawer = Blocks(FakeClock()).arm.model, DrawerStore(FakeClock()).arm.model
    red, block = blocks.geom("red"), drawer.geom("block")
    for what in ("size", "friction", "solref", "condim", "contype", "conaffinity"):
        assert np.array_equal(getattr(red, what), getattr(block, what)), what
    assert blocks.body("red").mass == drawer.body("block").mass
