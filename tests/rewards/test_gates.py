"""Rules that no reward outweighs: by hand, and as laws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.facts import FactBook, holds
from robot_rlhf.rewards.gates import KEPT, RULES, GateConfig, Gates
from robot_rlhf.run.rewarded import build_gates
from robot_rlhf.timing import Clock
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.tasks import DrawerStore
from tests.journal.sessions import make_spec

BOX = np.array([0.3, -0.2, 0.0]), np.array([0.7, 0.2, 0.4])


def seen(opening: list[float], target: list[float], force: list[float], x: list[float]) -> dict[str, np.ndarray]:
    count = len(opening)
    wrench, pose = np.zeros((count, 6), np.float32), np.zeros((count, 7), np.float32)
    wrench[:, 2], wrench[:, 5] = force, 1_000.0  # a torque is no force
    pose[:, 0], pose[:, 2], pose[:, 3] = x, 0.1, 1.0
    return {
        "gripper": np.array(opening),
        "gripper_target": np.array(target),
        "tool_wrench": wrench,
        "tool_pose_in_base": pose,
    }


def test_fingers_hold_what_stops_them() -> None:
    opening = np.array([1.0, 0.5, 0.5, 0.5, 0.2, 0.0, 0.0, 0.5, 0.5])
    target = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    # Open; closing; stopped; held; slipping; shut on nothing; shut; opened; open.
    assert holds({"gripper": opening, "gripper_target": target}).tolist() == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]


def test_the_first_broken_rule_counts() -> None:
    opening, target = [0.5, 0.5, 0.5, 0.1, 0.0], [0.0] * 5
    columns = seen(opening, target, force=[0.0, 0.0, 50.0, 50.0, 0.0], x=[0.5, 0.5, 0.5, 0.8, 0.8])
    gates = Gates(GateConfig(RULES, force=40.0), *BOX)
    assert gates.broken(columns).tolist() == [KEPT, 1, 0, 2]
    other = Gates(GateConfig(("out_of_workspace",), lower=(0.0, -1.0, 0.0), upper=(0.9, 1.0, 1.0)), *BOX)
    assert other.broken(columns).tolist() == [KEPT] * 4, "the settings' own box"


def test_the_more_important_costs_more() -> None:
    gates = Gates(GateConfig(RULES, cost=0.6), *BOX)
    reward = torch.tensor([0.9, 0.9, 0.9, 0.9, -2.0, float("nan")])
    broken = torch.tensor([KEPT, 0, 1, 2, 0, 1], dtype=torch.int8)
    wanted = torch.tensor([0.9, -0.6, -0.4, -0.2, -2.0, -0.4])
    torch.testing.assert_close(gates.applied(reward, broken), wanted)


def test_any_fact_can_be_a_rule() -> None:
    columns = seen([1.0] * 5, [1.0] * 5, force=[0.0] * 5, x=[0.5, 0.5, 0.48, 0.4, 0.3])
    glass = np.zeros((5, 7), np.float32)
    glass[:, 0], glass[:, 2] = 0.3, 0.1
    columns |= {"scene/glass": glass, "privileged/cup": glass + 1.0}
    book = FactBook.of_scene(["glass"], ["cup"])
    gates = Gates(GateConfig(("near(tool,glass)", "left_of(glass, tool)", "gold:near(tool, cup)")), *BOX, book)
    assert gates.broken(columns).tolist() == [KEPT, KEPT, KEPT, 0]
    for rule, error, said in (
        ("near(tool, cup)", ConfigError, r"only the simulator knows it.*'gold:near\(tool, cup\)'"),
        ("near(tool, gloss)", UnknownNameError, r"Did you mean 'near\(tool, glass\)'"),
        ("distance(tool, glass)", ConfigError, "is a number of m"),
    ):
        with pytest.raises(error, match=said):
            Gates(GateConfig((rule,)), *BOX, book)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(-1, 2)), min_size=1), st.floats(0.01, 1.0))
def test_breaking_a_rule_never_pays(rows: list[tuple[float, int]], cost: float) -> None:
    gates = Gates(GateConfig(RULES, cost=cost), *BOX)
    reward, broken = torch.tensor([r for r, _ in rows]), torch.tensor([b for _, b in rows], dtype=torch.int8)
    got = gates.applied(reward, broken)
    assert (got <= reward).all()
    assert (got[broken == KEPT] == reward[broken == KEPT]).all()
    assert (got[broken != KEPT] < 0.0).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rules": ("dropped", "dropped")}, "each rule once"),
        ({"cost": 0.0}, "gates.cost"),
        ({"cost": 1.5}, "gates.cost"),
        ({"force": -1.0}, "gates.force"),
        ({"lower": (0.0, 1.0)}, "x y z"),
        ({"lower": (0.0, 0.0, 0.5), "upper": (1.0, 1.0, 0.5)}, "lower below upper"),
    ],
)
def test_settings_that_cannot_hold(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        GateConfig(**changes)  # type: ignore[arg-type]


def test_an_unknown_rule_is_named_at_once() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'dropped'"):
        GateConfig(("droped",))


def recorded(privileged: bool) -> tuple[RobotSpec, dict[str, np.ndarray]]:
    """A drawer that is pulled open in four steps: robot and columns."""
    handle, opened = np.zeros((5, 7), np.float32), np.array([0.0, 0.0, 0.05, 0.09, 0.09], np.float32)
    cabinet = handle.copy()
    handle[:, 1] = -opened
    columns = seen([1.0] * 5, [1.0] * 5, [0.0] * 5, [0.5] * 5) | {"scene/handle": handle, "scene/cabinet": cabinet}
    sizes = DrawerStore.scene_sizes
    spec = replace(make_spec(), scene=sizes, privileged=DrawerStore.privileged_sizes if privileged else {})
    return spec, columns


def test_rules_may_be_about_what_the_task_says() -> None:
    spec, columns = recorded(privileged=True)
    facts = SimConfig().facts("drawer_store", spec)
    gates = build_gates(GateConfig(("shut(drawer)", "open(drawer)")), spec, facts)
    assert gates.broken(columns).tolist() == [0, KEPT, 1, 1]
    with pytest.raises(
        ConfigError, match=r"'opening\(drawer\)': is a number of m; allowed: .*open\(drawer\), shut\(drawer\)"
    ):
        build_gates(GateConfig(("opening(drawer)",)), spec, facts)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'shut\(drawer\)'"):
        build_gates(GateConfig(("shut(drawers)",)), spec, facts)
    assert "shut(drawer)" not in SimConfig().facts("reach", replace(spec, scene={"target": 7}))


def test_of_a_recording_only_what_is_in_it_is_told() -> None:
    spec, columns = recorded(privileged=False)
    facts = SimConfig().facts("drawer_store", spec)
    assert build_gates(GateConfig(("shut(drawer)",)), spec, facts).broken(columns).tolist() == [0, KEPT, KEPT, KEPT]
    assert not [name for name in facts if name.startswith("gold:")]
    bare = replace(spec, scene={"block": 7})
    with pytest.raises(UnknownNameError, match=r"shut\(drawer\)"):
        build_gates(GateConfig(("shut(drawer)",)), bare, SimConfig().facts("drawer_store", bare))
    own = f"{__file__}:told_by_each_one"
    assert "shut(drawer)" in SimConfig().facts(own, replace(spec, privileged=DrawerStore.privileged_sizes))


def told_by_each_one(clock: Clock, cameras: Mapping[str, tuple[int, int]] | None = None) -> DrawerStore:
    """A task of a user's own that is a function: what it tells is known once it is there."""
    return DrawerStore(clock, cameras)
