"""The drawer: what its predicates say, that it holds what it hides, and what goes wrong where it is asked to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, Assignment, Observation
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import DrawerStore
from robot_rlhf_sim.tasks.drawer_store import OPEN, SHUT, TRAVEL

PREDICATES = ("open", "grasped", "inside", "shut")


def begun(seed: int = 0, **options: Any) -> DrawerStore:
    task = DrawerStore(FakeClock(), **options)
    task.reset(np.random.default_rng(seed))
    return task


def placed(task: DrawerStore, opening: float, block: tuple[float, float, float] | None = None) -> Observation:
    """What is seen with the drawer open so far, and the block there, from the middle of the drawer, m."""
    data = task.arm.data
    data.qpos[task._slide] = opening
    if block is not None:
        x, y, _ = data.mocap_pos[0].tolist()
        data.qpos[task._address : task._address + 3] = (x + block[0], y - opening + block[1], block[2])
    task.arm.settle()
    return task.arm.observe()


def told(observation: Observation) -> dict[str, bool]:
    return {name: bool(observation.privileged[name][0]) for name in PREDICATES}


def episode(task: DrawerStore, seed: int, steps: int | None = None) -> list[Observation]:
    """What the expert's episode shows."""
    guard, rng, expert = GuardedRobot(task.arm, task.limits, task.arm.clock), np.random.default_rng(seed), task.expert()
    task.reset(rng)
    guard.anchor()
    seen = [guard.observe()]
    while len(seen) <= (task.time_limit if steps is None else steps) and not task.success(seen[-1]):
        guard.act(expert.act(seen[-1], Assignment(), rng))
        seen.append(guard.observe())
    return seen


def test_it_is_stored_when_it_is_inside_and_the_drawer_is_shut() -> None:
    task = begun()
    assert told(task.arm.observe()) == {"open": False, "grasped": False, "inside": False, "shut": True}
    for opening, block, stored in (
        (0.0, (0.0, 0.0, 0.025), True),
        (SHUT + 0.001, (0.0, 0.0, 0.025), False),
        (0.0, (0.0, -0.10, 0.025), False),
        (0.0, (0.07, 0.0, 0.025), False),
        (0.0, (0.0, 0.0, 0.08), False),
    ):
        assert task.success(placed(task, opening, block)) is stored
    assert told(placed(task, OPEN + 0.001, (0.03, 0.03, 0.02))) == {
        "open": True,
        "grasped": False,
        "inside": True,
        "shut": False,
    }


def test_the_handle_goes_with_the_drawer() -> None:
    task = begun()
    for opening in (0.0, 0.05, TRAVEL):
        seen = placed(task, opening)
        np.testing.assert_allclose(seen.scene["cabinet"][:3] - seen.scene["handle"][:3], [0.0, opening, 0.0], atol=1e-6)
        assert seen.privileged["opening"][0] == pytest.approx(opening)


def test_the_four_deeds_come_in_their_order() -> None:
    seen = [told(o) for o in episode(DrawerStore(FakeClock()), 1)]
    first = {name: [s[name] for s in seen].index(True) for name in ("open", "grasped", "inside")}
    assert 0 < first["open"] < first["grasped"] < first["inside"] < len(seen) - 1
    assert seen[-1] == {"open": False, "grasped": False, "inside": True, "shut": True}


def test_a_shut_drawer_cannot_be_put_into() -> None:
    """The block comes to lie on the cabinet."""
    task = begun()
    placed(task, 0.0, (0.0, 0.0, 0.09))
    task.arm.advance(1.0)
    seen = task.arm.observe()
    assert seen.privileged["block"][2] > 0.055
    assert not seen.privileged["inside"][0]


def test_it_stays_as_it_is_left_unless_it_falls_shut() -> None:
    for share, kept in ((0.0, True), (1.0, False)):
        task = begun(falls_shut=share)
        placed(task, TRAVEL)
        task.arm.data.userdata[:7] = task.arm.tool_pose()
        for _ in range(60):
            task.arm.advance(0.05)
        assert told(task.arm.observe())["open"] is kept


def test_it_falls_shut_once() -> None:
    task = DrawerStore(FakeClock(), falls_shut=1.0)
    opened = np.array([told(o)["open"] for o in episode(task, 2)], int)
    assert np.count_nonzero(np.diff(opened) == 1) == 2


def test_grasps_slip_as_often_as_asked_for_and_once() -> None:
    def drops(slip_rate: float) -> list[int]:
        task, found = DrawerStore(FakeClock(), slip_rate=slip_rate), []
        for seed in range(4):
            held = np.array([told(o)["grasped"] for o in episode(task, seed, 120)], int)
            found.append(int(np.count_nonzero(np.diff(held) == 1)))
        return found

    assert drops(0.0) == [1, 1, 1, 1]
    assert sum(drops(5.0)) >= 7


@pytest.mark.parametrize("option", [{"falls_shut": 1.0}, {"slip_rate": 0.5}])
def test_the_expert_begins_again_after_a_mishap(option: dict[str, Any]) -> None:
    """Nearly always: a block that falls beside the handle cannot be grasped there."""
    task = DrawerStore(FakeClock(), **option)
    assert sum(task.success(episode(task, seed)[-1]) for seed in range(10)) >= 8


def test_the_start_is_always_the_same_one_where_it_is_asked_for() -> None:
    starts = [begun(seed, start_spread=0.0).arm.tool_pose()[:3] for seed in range(3)]
    np.testing.assert_allclose(starts, [starts[0]] * 3, atol=1e-6)
    assert np.ptp([begun(seed).arm.tool_pose()[:3] for seed in range(5)], axis=0).min() > 0.01


@pytest.mark.parametrize("option", [{"slip_rate": -1.0}, {"falls_shut": 1.1}, {"start_spread": 9.0}])
def test_impossible_worlds_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(option))):
        DrawerStore(FakeClock(), **option)


def test_moving_at_random_stores_nothing() -> None:
    task = DrawerStore(FakeClock())
    guard = GuardedRobot(task.arm, task.limits, task.arm.clock)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        task.reset(rng)
        guard.anchor()
        for _ in range(task.time_limit):
            guard.act(Action(np.clip(rng.normal(size=4), -1.0, 1.0).astype(np.float32)))
            assert not task.success(guard.observe())
            if guard.faults:
                guard.release()
                break
