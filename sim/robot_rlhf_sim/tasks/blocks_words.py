"""What a picture of blocks and bowls shows, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.facts import TRUTH, Attribute, Columns, Fact, Thing, number, place
from robot_rlhf_sim.captions import of_gripper, of_scene

AT = 0.05
"""Distance up to which the gripper is at a block, m."""

Inside = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.bool_]]
"""Places of a block and of a bowl, (T, 3) each, to whether the one is in the other, (T,)."""


def block_facts(colours: Mapping[str, Thing], bowls: Mapping[str, Thing], inside: Inside) -> list[Fact]:
    """Which block is in which bowl, as perceived and in truth; and what is held and asked for, in truth alone."""
    facts: list[Fact] = []
    held, thing, bowl = number("held"), *(_entry("goal", k) for k in (0, 1))
    for n, (colour, block) in enumerate(colours.items()):
        for name, called in bowls.items():
            words = (f"{block.called} is in {called.called}", f"{block.called} lies in {called.called}")
            for prefix, group in (("", "scene"), ("gold:", "privileged")):
                read = _in(inside, place(colour, group), place(name, group))
                facts.append(Fact(f"{prefix}in({colour}, {name})", TRUTH, words, read))
        facts += [
            Fact(f"gold:holds({colour})", TRUTH, (f"the gripper holds {block.called}",), _equals(held, n + 1)),
            Fact(f"gold:asked({colour})", TRUTH, (f"{block.called} is asked for",), _equals(thing, n)),
        ]
    for n, (name, called) in enumerate(bowls.items()):
        facts.append(Fact(f"gold:asked({name})", TRUTH, (f"{called.called} is asked for",), _equals(bowl, n)))
    return facts


def block_attributes(colours: Mapping[str, Thing], bowls: Mapping[str, Thing], inside: Inside) -> tuple[Attribute, ...]:
    """Where each of the blocks is, and at which of them the hand is."""
    held, tool = number("held"), place("tool")

    def where(n: int, colour: str) -> Callable[[Columns], NDArray[np.int64]]:
        readers = [_in(inside, place(colour, "privileged"), place(name, "privileged")) for name in bowls]

        def read(columns: Columns) -> NDArray[np.int64]:
            lies = np.zeros(len(columns["stamp"]), np.int64)
            for k, is_in in enumerate(readers):
                lies = np.where(is_in(columns), k + 2, lies)
            return np.where(held(columns) == n + 1, 1, lies)

        return read

    def hand(columns: Columns) -> NDArray[np.int64]:
        apart = np.stack([np.linalg.norm(place(c, "privileged")(columns) - tool(columns), axis=1) for c in colours])
        return np.where(apart.min(axis=0) < AT, apart.argmin(axis=0), len(colours))

    hands = {c: (f"the hand is at {t.called}", f"the fingers are at {t.called}") for c, t in colours.items()}
    return (
        *of_gripper(),
        of_scene("blocks", "there are four blocks and two bowls", "a robot, four blocks and two bowls"),
        *(Attribute(f"{c} place", _places(t, bowls), where(n, c)) for n, (c, t) in enumerate(colours.items())),
        Attribute("hand at block", {**hands, "none": ("the hand is at no block",)}, hand),
    )


def sentence(block: Thing, bowl: Thing) -> str:
    """What a person says who wants the one in the other."""
    return f"put {block.called} in {bowl.called}"


def _places(block: Thing, bowls: Mapping[str, Thing]) -> dict[str, tuple[str, ...]]:
    it = block.called
    lying = {
        name: (f"{it} is in {bowl.called}", f"{it} lies in {bowl.called}", sentence(block, bowl))
        for name, bowl in bowls.items()
    }
    return {
        "table": (f"{it} is on the table", f"{it} lies on the table"),
        "held": (f"{it} is held", f"the gripper holds {it}"),
        **lying,
    }


def _in(
    inside: Inside, block: Callable[[Columns], NDArray[np.floating]], bowl: Callable[[Columns], NDArray[np.floating]]
) -> Callable[[Columns], NDArray[np.bool_]]:
    return lambda columns: inside(block(columns), bowl(columns))


def _entry(name: str, index: int) -> Callable[[Columns], NDArray[np.floating]]:
    return lambda columns: columns[f"privileged/{name}"][:, index]


def _equals(read: Callable[[Columns], NDArray[np.floating]], value: int) -> Callable[[Columns], NDArray[np.bool_]]:
    return lambda columns: read(columns) == value
