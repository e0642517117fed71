"""Rules that stand: they only take motion away, only where they say, and only from whom they may."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from robot_rlhf.conformance import ShieldConformance
from robot_rlhf.datatypes import Action, ActionLayout, CommandLayout, Driver, Observation, RobotSpec
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import columns_of
from robot_rlhf.language import rules
from robot_rlhf.language.rules import Rules, cannot_hold, filtered, filtered_by_all, in_scope, near_scope, ordered, pace
from robot_rlhf.meaning import Meaning
from robot_rlhf.ports import Shield
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig

PERIOD = 0.05
NAMES = ("x", "y", "z", "rx", "ry", "rz", "gripper")


def spec_of(names: tuple[str, ...] = NAMES, frame: Any = "base") -> RobotSpec:
    scale = np.array([{"gripper": 1.0}.get(name, 0.1 if "r" in name else 0.02) for name in names], np.float32)
    command = CommandLayout("tool_pose", tuple("xyzabcdg"), -np.ones(8), np.ones(8))
    one = np.ones(1, np.float32)
    return RobotSpec(("joint",), -one, one, one, PERIOD, ActionLayout(names, scale, frame), command, scene={"glass": 3})


SPEC = spec_of()
RULES = {
    "slower": Meaning("rule", rule="slower", thing="glass"),
    "faster": Meaning("rule", rule="faster", thing="glass"),
    "keep_away": Meaning("rule", rule="keep_away", thing="glass"),
    "from_above": Meaning("rule", rule="from_above", thing="glass"),
}


def seen(
    tool: Any,
    target: Any = None,
    glass: Any = (0.0, 0.0, 0.0),
    *,
    gripper: tuple[float, float] = (1.0, 1.0),
    privileged: Mapping[str, Any] | None = None,
) -> Observation:
    down = (0.0, 1.0, 0.0, 0.0)
    one, six = np.zeros(1, np.float32), np.zeros(6, np.float32)
    scene = {} if glass is None else {"glass": np.array(glass, np.float32)}
    pose, wish = (np.array([*at, *down], np.float32) for at in (tool, tool if target is None else target))
    truth = {name: np.array(value, np.float32) for name, value in (privileged or {}).items()}
    return Observation(0.0, one, one, pose, wish, six, six, *gripper, scene=scene, privileged=truth)


def action(*values: float) -> Action:
    return Action(np.array([*values, *([0.0] * (7 - len(values)))], np.float32))


def through(rule: Meaning, observation: Observation, wish: Action, driver: Driver = Driver.POLICY) -> Action:
    shield = Rules(SPEC)
    shield.add("e/1", rule)
    return shield.filter(observation, wish, driver)


class Standing(Rules):
    """As a shield: an episode begins, and the rules stand."""

    def reset(self) -> None:
        pass


class TestRules(ShieldConformance):
    action_size = 7

    def make_shield(self) -> Shield:
        shield = Standing(SPEC)
        for number, rule in enumerate(RULES.values()):
            shield.add(f"e/{number}", rule)
        return shield

    def make_observation(self) -> Observation:
        return seen((0.05, 0.02, 0.05))


places = hnp.arrays(np.float32, (6, 3), elements=st.floats(-0.25, 0.25, width=32))
wishes = hnp.arrays(np.float32, (6, 7), elements=st.floats(-1, 1, width=32))
anything = hnp.arrays(np.float32, (6, 3), elements=st.floats(width=32))


def rows(tool: NDArray[Any], target: NDArray[Any], glass: NDArray[Any]) -> dict[str, NDArray[Any]]:
    ones = np.ones(len(tool), np.float32)
    turned = np.tile(np.array([0, 1, 0, 0], np.float32), (len(tool), 1))
    return {
        "tool_pose_in_base": np.hstack([tool, turned]),
        "tool_target_in_base": np.hstack([target, turned]),
        "scene/glass": glass,
        "gripper": ones,
        "gripper_target": ones,
    }


@pytest.mark.parametrize("name", RULES)
@given(tool=places, target=places, glass=anything, wish=wishes, amount=st.none() | st.floats(0.1, 0.5))
def test_stays_within_the_range_whatever_is_seen(
    name: str, tool: NDArray[Any], target: NDArray[Any], glass: NDArray[Any], wish: NDArray[Any], amount: float | None
) -> None:
    rule = replace(RULES[name], amount=amount)
    columns = rows(tool, target, glass)
    before = wish.copy()
    given = filtered(rule, columns, wish, SPEC)
    assert given.dtype == np.float32
    assert np.isfinite(given).all()
    assert np.abs(given).max() <= 1.0 + 1e-6
    assert (wish == before).all()
    np.testing.assert_array_equal(given[:, 6], wish[:, 6], "fingers are not held back")
    out = ~in_scope(rule, columns)
    np.testing.assert_array_equal(given[out], wish[out])
    assert not (in_scope(rule, columns) & near_scope(rule, columns)).any()
    assert not in_scope(rule, columns)[~np.isfinite(glass).all(axis=1)].any()
    for t in range(6):
        one = {key: column[t : t + 1] for key, column in columns.items()}
        np.testing.assert_array_equal(filtered(rule, one, wish[t : t + 1], SPEC)[0], given[t], "row by row, too")


@given(tool=places, target=places, wish=wishes)
def test_nothing_leads_towards_the_thing_that_was_not_wished(
    tool: NDArray[Any], target: NDArray[Any], wish: NDArray[Any]
) -> None:
    glass = np.zeros_like(tool)
    given = filtered(RULES["keep_away"], rows(tool, target, glass), wish, SPEC)
    far = np.linalg.norm(target, axis=1)
    out = target / np.maximum(far, 1e-6)[:, None]
    speed, wished = (-(a[:, :3] * out).sum(axis=1) for a in (given, wish))
    inside = (far < rules.RADIUS) & (far > 1e-3) & (np.linalg.norm(tool - target, axis=1) < 1e-6)
    assert (speed[inside] <= 1e-5).all()
    slower = np.linalg.norm(given[:, :3], axis=1) - np.linalg.norm(wish[:, :3], axis=1)
    assert (slower <= rules.GENTLE + 1e-5).all(), "the only motion of its own is gentle"
    apart = np.linalg.norm(tool - target, axis=1) < 1e-6
    assert (speed[apart & (far > 1e-3)] <= np.maximum(wished, 0)[apart & (far > 1e-3)] + 1e-5).all()


def test_halves_the_motion_near_and_nothing_else() -> None:
    wish = action(1.0, -0.5, 0.25, 0.5, 0.0, 0.0, -1.0)
    near = through(RULES["slower"], seen((0.1, 0, 0)), wish)
    np.testing.assert_array_equal(near.values, np.array([0.5, -0.25, 0.125, 0.25, 0, 0, -1], np.float32))
    assert through(RULES["slower"], seen((0.13, 0, 0)), wish) is wish
    crawl = through(replace(RULES["slower"], amount=0.2), seen((0.1, 0, 0)), wish)
    np.testing.assert_allclose(crawl.values[:4], [0.2, -0.1, 0.05, 0.1], rtol=1e-6)
    everywhere = through(Meaning("rule", rule="slower"), seen((9, 0, 0), glass=None), wish)
    assert everywhere.values[0] == 0.5


def test_faster_fits_into_the_range_and_is_bounded() -> None:
    assert pace(Meaning("rule", rule="faster", amount=3.0)) == 1.5
    assert pace(Meaning("rule", rule="faster", amount=0.5)) == 1.0
    assert pace(Meaning("rule", rule="slower", amount=3.0)) == 1.0
    near = seen((0.1, 0, 0))
    np.testing.assert_allclose(through(RULES["faster"], near, action(0.4, 0.2)).values[:2], [0.6, 0.3], rtol=1e-6)
    same_way = through(RULES["faster"], near, action(0.8, 0.4)).values
    np.testing.assert_allclose(same_way[:2], [1.0, 0.5], rtol=1e-6)
    full = action(1.0, -0.2)
    assert through(RULES["faster"], near, full) is full


@pytest.mark.parametrize("axes", [NAMES, ("x", "y", "gripper")])
@settings(max_examples=20)
@given(
    start=hnp.arrays(np.float64, 3, elements=st.floats(-0.3, 0.3)),
    seed=st.integers(0, 10),
    deceleration=st.sampled_from([7.0, 14.0]),
)
def test_an_approach_never_comes_nearer_than_the_radius(
    axes: tuple[str, ...], start: NDArray[Any], seed: int, deceleration: float
) -> None:
    """A target that keeps its velocity for as long as its guard must, and an arm that lags behind it."""
    spec, rng = spec_of(axes), np.random.default_rng(seed)
    planar = "z" not in axes
    start = start * (1.0, 1.0, 0.0 if planar else 1.0)
    if np.linalg.norm(start) < rules.RADIUS + 0.01:
        return
    target, tool, velocity, nearest = start.copy(), start.copy(), np.zeros(3), 1.0
    shield = Rules(spec)
    shield.add("e/1", RULES["keep_away"])
    for _ in range(60):
        way = -target / max(np.abs(target).max(), 1e-6) * (1, 1, 0 if planar else 1) + 0.3 * rng.normal(size=3)
        values = np.array([way[0], way[1], *([] if planar else [way[2], 0, 0, 0]), 0], np.float32)
        passed = shield.filter(seen(tool, target), Action(values.clip(-1, 1)), Driver.POLICY).values
        wanted = np.array([passed[0], passed[1], 0.0 if planar else passed[2]]) * 0.02 / PERIOD
        change = wanted - velocity
        most = deceleration * PERIOD
        velocity = velocity + change * min(1.0, most / max(np.linalg.norm(change), 1e-9))
        target = target + velocity * PERIOD
        tool = tool + 0.6 * (target - tool)
        nearest = min(nearest, float(np.linalg.norm(target)), float(np.linalg.norm(tool)))
    assert nearest >= rules.RADIUS - 0.01


def test_goes_away_gently_when_too_near_already() -> None:
    at = np.array([0.03, 0.0, 0.02])
    shield = Rules(SPEC)
    shield.add("e/1", RULES["keep_away"])
    for _ in range(60):
        passed = shield.filter(seen(at), action(*(-at / np.abs(at).max())), Driver.POLICY).values
        assert passed[:3] @ at / np.linalg.norm(at) <= rules.GENTLE + 1e-5
        at = at + passed[:3] * 0.02
    assert np.linalg.norm(at) == pytest.approx(rules.RADIUS, abs=0.005)


def test_what_is_held_is_not_kept_away_from() -> None:
    wish = action(0.0, 0.0, -1.0)
    grip = (0.4, 0.0)
    assert through(RULES["keep_away"], seen((0.01, 0, 0.01), gripper=grip), wish) is wish
    assert through(RULES["from_above"], seen((0.01, 0, 0.01), gripper=grip), action(1.0)).values[0] == 1.0
    assert through(RULES["keep_away"], seen((0.01, 0, 0.01)), wish) is not wish


@settings(max_examples=30)
@given(
    angle=st.floats(0, 6.3),
    far=st.floats(0.14, 0.3),
    height=st.floats(0.0, 0.2),
    seed=st.integers(0, 10),
)
def test_who_insists_comes_from_above(angle: float, far: float, height: float, seed: int) -> None:
    """Straight at the thing from anywhere: it gets there, and was never low beside it."""
    rng = np.random.default_rng(seed)
    at = np.array([far * np.cos(angle), far * np.sin(angle), height])
    shield = Rules(SPEC)
    shield.add("e/1", RULES["from_above"])
    beside_low = 0.0
    for _ in range(150):
        way = -at / max(np.abs(at).max(), 0.02) + 0.1 * rng.normal(size=3)
        wish = Action(np.array([*way, 0, 0, 0, 0], np.float32).clip(-1, 1))
        at = at + shield.filter(seen(at), wish, Driver.POLICY).values[:3].astype(np.float64) * 0.02
        beside, low = np.hypot(at[0], at[1]), max(at[2], 0.0)
        if beside < rules.AROUND - 0.02 and at[2] < rules.HIGH - 0.025:
            beside_low = max(beside_low, beside - (rules.CONE + rules.SLOPE * low))
    assert np.linalg.norm(at) < 0.03
    assert beside_low < 0.005


def test_above_the_thing_only_up_and_down() -> None:
    given = through(RULES["from_above"], seen((0.0, 0.0, 0.05)), action(0.5, 0.5, -0.5)).values
    np.testing.assert_allclose(given[:3], [0, 0, -0.5], atol=1e-6)
    leaving = through(RULES["from_above"], seen((0.0, 0.0, 0.02)), action(1.0)).values
    np.testing.assert_allclose(leaving[:3], [0, 0, rules.GENTLE], atol=1e-6)
    up = action(0.0, 0.0, 1.0)
    assert through(RULES["from_above"], seen((0.0, 0.0, 0.02)), up) is up


def test_holds_for_policies_and_words_and_never_for_hands() -> None:
    shield, wish = Rules(SPEC), action(1.0)
    shield.add("e/1", RULES["slower"])
    here = seen((0.05, 0, 0))
    assert shield.filter(here, wish, Driver.POLICY).values[0] == 0.5
    assert shield.filter(here, wish, Driver.HUMAN, spoken=True).values[0] == 0.5
    assert shield.filter(here, wish, Driver.HUMAN) is wish
    assert shield.filter(here, wish, Driver.REFLEX) is wish


def test_taken_back_nothing_is_left() -> None:
    shield, wish, here = Rules(SPEC), action(0.3, -0.7, 0.1), seen((0.05, 0, 0.05))
    assert shield.filter(here, wish, Driver.POLICY) is wish
    for name, rule in RULES.items():
        shield.add(name, rule)
    changed = shield.filter(here, wish, Driver.POLICY)
    assert not np.array_equal(changed.values, wish.values)
    assert [shield.remove(name) for name in RULES] == [True] * 4
    assert not shield.remove("slower")
    assert shield.filter(here, wish, Driver.POLICY) is wish
    assert shield.standing == ()


def test_a_sentence_may_set_several_rules_and_they_are_taken_back_together() -> None:
    shield = Rules(SPEC)
    for rule in ("keep_away", "slower", "slower"):
        shield.add("e/1", RULES[rule])
    shield.add("e/2", RULES["from_above"])
    assert [one.rule.rule for one in shield.standing] == ["keep_away", "slower", "from_above"]
    assert shield.remove("e/1")
    assert [one.rule.rule for one in shield.standing] == ["from_above"]


def test_what_hundreds_of_sentences_say_alike_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Meaning] = []
    monkeypatch.setattr(rules, "in_scope", lambda rule, columns: looked.append(rule) or in_scope(rule, columns))
    shield, wish, here = Rules(SPEC), action(1.0), seen((0.05, 0, 0))
    for number in range(500):
        shield.add(f"e/{number}", RULES["slower"])
    assert shield.filter(here, wish, Driver.POLICY).values[0] == 0.5
    assert len(looked) <= 2, "once to know whether it holds, and once to do it"
    assert {one.state for one in shield.standing} == {"holds"}


@given(seed=st.integers(0, 10_000))
def test_many_rows_through_all_rules_are_each_through_the_shield(seed: int) -> None:
    """Of rules of one kind about one thing, of several speeds, and in whatever order they were set."""
    rng = np.random.default_rng(seed)
    kinds = [str(kind) for kind in rng.choice(list(RULES), size=rng.integers(1, 6))]
    ranges = {"slower": (0.3, 0.9), "faster": (1.1, 1.5)}
    amounts = [None if rng.random() < 0.5 else float(rng.uniform(*ranges.get(kind, (0.05, 0.2)))) for kind in kinds]
    said = [Meaning("rule", rule=kind, thing="glass", amount=m) for kind, m in zip(kinds, amounts, strict=True)]
    tools, targets = rng.uniform(-0.2, 0.2, (2, 12, 3))
    observations = [seen(tool, target) for tool, target in zip(tools, targets, strict=True)]
    wishes = rng.uniform(-1.0, 1.0, (12, 7)).astype(np.float32)
    shield = Rules(SPEC)
    for number, rule in enumerate(said):
        shield.add(f"e/{number}", rule)
    together = filtered_by_all(said, columns_of(observations), wishes, SPEC)
    for observation, wish, row in zip(observations, wishes, together, strict=True):
        alone = shield.filter(observation, Action(wish), Driver.POLICY).values
        np.testing.assert_allclose(row, alone, atol=1e-6)


def test_waits_for_what_is_not_seen_and_says_so() -> None:
    shield, wish = Rules(SPEC), action(1.0)
    shield.add("e/1", RULES["keep_away"])
    shield.add("e/2", Meaning("rule", rule="slower"))
    assert [one.state for one in shield.standing] == ["rests", "rests"]
    truth = {"glass": (0.0, 0.0, 0.0)}
    assert shield.filter(seen((0.05, 0, 0), glass=None, privileged=truth), wish, Driver.POLICY).values[0] == 0.5
    assert [one.state for one in shield.standing] == ["waits", "holds"]
    assert shield.standing[0].words == "rule: keep away from glass (glass is not seen)"
    shield.filter(seen((0.5, 0, 0)), wish, Driver.HUMAN)
    assert [one.state for one in shield.standing] == ["rests", "holds"], "noted whoever drives"
    assert shield.standing[0].words == "rule: keep away from glass"


def test_of_two_about_one_thing_the_later_counts() -> None:
    slow, slower = RULES["slower"], replace(RULES["slower"], amount=0.2)
    assert ordered([slower, slow]) == [slow]
    assert ordered([slow, RULES["faster"]]) == [RULES["faster"]], "about the same thing"
    assert ordered([slow, Meaning("rule", rule="faster")]) == [slow], "faster everywhere, but not near the glass"
    assert ordered([RULES["keep_away"], RULES["from_above"], slow]) == [
        slow,
        RULES["from_above"],
        RULES["keep_away"],
    ]


@pytest.mark.parametrize(
    ("meaning", "layout", "why"),
    [
        (Meaning("left"), SPEC.action, "is no rule"),
        (Meaning("rule", rule="keep_away"), SPEC.action, "not said what to keep away from"),
        (Meaning("rule", rule="from_above"), SPEC.action, "not said what to come to from above"),
        (RULES["slower"], spec_of(("torque",), "none").action, "no motions of a tool"),
        (RULES["slower"], spec_of(("gripper",)).action, "no motions of a tool"),
    ],
)
def test_says_what_cannot_hold(meaning: Meaning, layout: ActionLayout, why: str) -> None:
    assert why in cannot_hold(meaning, layout)
    shield = Rules(replace(SPEC, action=layout))
    with pytest.raises(InvalidValueError, match=why):
        shield.add("e/1", meaning)
    assert not shield.standing


def test_holds_in_a_world_behind_its_guard() -> None:
    """The simulated arm goes straight at the cube at full speed."""
    with contextlib.closing(SimConfig().open("pick_cube", clock=FakeClock(), cameras={})) as place:
        spec = place.guard.spec
        shield = Rules(spec)
        shield.add("e/1", Meaning("rule", rule="keep_away", thing="cube"))
        for seed in range(3):
            nearest, free = 1.0, 1.0
            for kept in (False, True):
                place.guard.begin(lambda seed=seed: place.task.reset(np.random.default_rng(seed)))
                for _ in range(40):
                    observation = place.guard.observe()
                    way = observation.scene["cube"][:3] - observation.tool_target_in_base[:3]
                    values = np.zeros(spec.action.size, np.float32)
                    values[:3] = way / max(np.abs(way).max(), 1e-6)
                    values[-1] = 1.0
                    wish = Action(values)
                    place.guard.act(shield.filter(observation, wish, Driver.POLICY) if kept else wish)
                    apart = float(np.linalg.norm(way))
                    nearest, free = (min(nearest, apart), free) if kept else (nearest, min(free, apart))
            assert free < 0.05, "without the rule it gets there"
            assert nearest >= rules.RADIUS - 0.005


def test_columns_of_an_episode_are_what_it_asks() -> None:
    told = columns_of([seen((0.05, 0, 0)), seen((0.2, 0, 0)), seen((0.9, 0, 0))])
    assert in_scope(RULES["slower"], told).tolist() == [True, False, False]
    assert near_scope(RULES["slower"], told).tolist() == [False, True, False]
    everywhere = Meaning("rule", rule="slower")
    assert in_scope(everywhere, told).all()
    assert not near_scope(everywhere, told).any()
