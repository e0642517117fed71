"""Rules that a person has set by a sentence and that hold until they are taken back: slower near the glass, keep away.

A rule is a pure function of what is perceived and of an action, so that the same rule can hold back an action now and
say of many recorded rows what should have been done there. What a rule takes away is motion; the only motion that it
adds leads away from a thing, and no faster than GENTLE. The guard's limits hold after it as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, ActionLayout, Driver, Observation, RobotSpec
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import CLOSED, GAP, PLACES, Columns
from robot_rlhf.facts import NEAR as HELD_WITHIN
from robot_rlhf.meaning import PACE, Meaning

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]

FASTEST = PACE["faster"]
"""No rule makes anything faster than by this factor."""
NEAR = 0.12
"""How far around a thing a speed holds, m."""
RADIUS = 0.07
"""How far away to keep where it is not said, m: about the width of a hand."""
HIGH, AROUND = 0.10, 0.12
"""How high above a thing, and within what distance beside it, one may only come from above, m."""
CONE, SLOPE = 0.02, 0.35
"""Half the width of the way down at the thing's own height, m, and how much wider it is with each metre of height."""
LEAD = 0.06
"""How far outside a border it begins to slow down what moves towards it, m: from 0.7 m/s at BRAKING."""
BRAKING = 6.0
"""With what deceleration it slows down before a border, m/s^2: half of what the guards of quick arms allow."""
GENTLE = 0.25
"""How fast it moves away from a thing by itself, as a share of the fastest action."""
_TINY = 1e-6
"""What is shorter has no direction, m."""
_UP = (0.0, 0.0, 1.0)
_AXES = ("x", "y", "z")
_TURNS = ("rx", "ry", "rz")


def cannot_hold(meaning: Meaning, layout: ActionLayout) -> str:
    """Why a meaning can be no standing rule of a robot, in words; empty where it can."""
    if meaning.reading != "rule":
        return f"{meaning.words!r} is no rule"
    if layout.frame != "base" or not {*layout.names} & {*_AXES}:
        return "this robot's actions are no motions of a tool"
    if meaning.rule in ("keep_away", "from_above") and not meaning.thing:
        return f"it is not said what to {'keep away from' if meaning.rule == 'keep_away' else 'come to from above'}"
    return ""


def perceived(thing: str, columns: Columns) -> Rows:
    """In which rows it is seen where a thing is. Shape (T,)."""
    column = columns.get(f"scene/{thing}")
    if column is None or column.shape[1] not in PLACES:
        return np.zeros(len(columns["gripper"]), np.bool_)
    return np.asarray(np.isfinite(column[:, :3]).all(axis=1))


def in_scope(rule: Meaning, columns: Columns) -> Rows:
    """In which rows a rule may change an action; everywhere else it never does.

    Args:
        rule: a meaning with the reading 'rule'.
        columns: of T rows, named as Episode.observations is; only what is perceived is looked at.

    Returns:
        Shape (T,); False where the thing is not seen, and for a thing in the gripper, which cannot be kept away from.
    """
    return _within(rule, columns, 1.0)


def near_scope(rule: Meaning, columns: Columns) -> Rows:
    """In which rows it is nearly so: within twice the distances of the scope, and not in it. Shape (T,)."""
    return _within(rule, columns, 2.0) & ~in_scope(rule, columns)


def filtered(rule: Meaning, columns: Columns, actions: NDArray[np.float32], spec: RobotSpec) -> NDArray[np.float32]:
    """What a rule makes of actions.

    Args:
        rule: a meaning with the reading 'rule' that can hold (see `cannot_hold`).
        columns: of the T observations before them.
        actions: in [-1, 1]. Shape (T, m).

    Returns:
        In [-1, 1]; the very same numbers out of scope. Shape (T, m).
    """
    given = actions.copy()
    rows = np.flatnonzero(in_scope(rule, columns) & np.isfinite(actions).all(axis=1))
    if rows.size:
        chosen = {name: column[rows] for name, column in columns.items() if name in _needed(rule)}
        given[rows] = _CHANGES[rule.rule](rule, chosen, actions[rows], spec)
    return given


def filtered_by_all(
    rules: Sequence[Meaning], columns: Columns, actions: NDArray[np.float32], spec: RobotSpec
) -> NDArray[np.float32]:
    """What rules that stand together make of actions, as Rules.filter of one; in the order in which they were set.

    Args:
        columns, actions: as of `filtered`. Shape (T, m).
    """
    scopes = np.stack([in_scope(rule, columns) for rule in rules], axis=1)
    given = actions.copy()
    for which in np.unique(scopes, axis=0):
        rows = np.flatnonzero((scopes == which).all(axis=1))
        here = [rule for rule, within in zip(rules, which, strict=True) if within]
        needed = {"gripper", "gripper_target", *(name for rule in here for name in _needed(rule))}
        chosen = {name: column[rows] for name, column in columns.items() if name in needed}
        for rule in ordered(here):
            given[rows] = filtered(rule, chosen, given[rows], spec)
    return given


def pace(rule: Meaning) -> float:
    """The factor of a rule of speed: at most 1 for slower, and from 1 to FASTEST for faster."""
    if rule.rule == "slower":
        return min(PACE["slower"] if rule.amount is None else rule.amount, 1.0)
    return min(max(FASTEST if rule.amount is None else rule.amount, 1.0), FASTEST)


def _within(rule: Meaning, columns: Columns, times: float) -> Rows:
    """Whether the tool, or what it is commanded to, is within so many times the distances of the scope."""
    if not rule.thing:
        return np.ones(len(columns["gripper"]), np.bool_)
    seen = perceived(rule.thing, columns)
    if not seen.any():
        return seen
    ahead, behind = (_apart(rule.thing, columns, name) for name in ("tool_target_in_base", "tool_pose_in_base"))
    with np.errstate(invalid="ignore"):  # NaN is within nothing
        nearest = np.minimum(np.linalg.norm(ahead, axis=1), np.linalg.norm(behind, axis=1))
        if rule.rule in ("slower", "faster"):
            return seen & (nearest < times * NEAR)
        held = (columns["gripper"] > GAP) & (columns["gripper_target"] < CLOSED) & (nearest < HELD_WITHIN)
        if rule.rule == "keep_away":
            return seen & ~held & (nearest < times * (_or(rule.amount, RADIUS) + LEAD))
        beside = np.hypot(ahead[:, 0], ahead[:, 1]) < times * (AROUND + LEAD)
        return seen & ~held & beside & (ahead[:, 2] < times * (_or(rule.amount, HIGH) + LEAD))


def _apart(thing: str, columns: Columns, point: str) -> Floats:
    """The way from a thing to the tool, m. Shape (T, 3)."""
    return columns[point][:, :3].astype(np.float64) - columns[f"scene/{thing}"][:, :3]


def _or(amount: float | None, otherwise: float) -> float:
    return otherwise if amount is None else amount


def _needed(rule: Meaning) -> tuple[str, ...]:
    return "tool_pose_in_base", "tool_target_in_base", f"scene/{rule.thing}"


def _paced(rule: Meaning, columns: Columns, actions: NDArray[np.float32], spec: RobotSpec) -> NDArray[np.float32]:
    """Motion times a factor, in the same direction: as much faster as fits into the range of actions."""
    moving = [i for i, name in enumerate(spec.action.names) if name in (*_AXES, *_TURNS)]
    most = np.abs(actions[:, moving]).max(axis=1, keepdims=True)
    factor = np.float32(pace(rule))
    fits = np.minimum(factor, 1.0 / np.maximum(most, 1e-6)) if factor > 1.0 else factor
    given = actions.copy()
    given[:, moving] = np.clip(actions[:, moving] * fits, -1.0, 1.0)
    return given


def _brake(gap: Floats, period: float) -> Floats:
    """How far one may go this period towards a border at that distance, m, and still stop before it; 0 at or beyond it.

    The largest v with v T + v^2 / (2 a) at most the gap.
    """
    slack = 0.5 * BRAKING * period
    return period * 2.0 * (np.sqrt(slack * slack + 0.5 * BRAKING * np.maximum(gap, 0.0)) - slack)


def _moves(actions: NDArray[np.float32], layout: ActionLayout) -> tuple[Floats, Floats]:
    """What actions shift the tool by, m, and what the fastest would; 0 on axes that there are not. (T, 3), (3,)."""
    fastest = np.zeros(3)
    shift = np.zeros((len(actions), 3))
    for axis, name in enumerate(_AXES):
        if name in layout.names:
            entry = layout.names.index(name)
            fastest[axis] = layout.scale[entry]
            shift[:, axis] = actions[:, entry].astype(np.float64) * fastest[axis]
    return shift, fastest


def _shifted(actions: NDArray[np.float32], shift: Floats, before: Floats, layout: ActionLayout) -> NDArray[np.float32]:
    """Actions that shift the tool like this: shorter where it does not fit, the very same where nothing changed."""
    entries = [(layout.names.index(name), axis) for axis, name in enumerate(_AXES) if name in layout.names]
    columns, axes = [entry for entry, _ in entries], [axis for _, axis in entries]
    values = shift[:, axes] / layout.scale[columns]
    values /= np.maximum(np.abs(values).max(axis=1, keepdims=True), 1.0)
    given = actions.copy()
    changed = (shift != before).any(axis=1)
    given[np.ix_(changed, columns)] = values[changed]
    return given


def _kept_away(rule: Meaning, columns: Columns, actions: NDArray[np.float32], spec: RobotSpec) -> NDArray[np.float32]:
    """Without what leads towards the thing, and gently away where the tool or its target is too near already."""
    before, fastest = _moves(actions, spec.action)
    shift, there = before.copy(), fastest > 0
    radius = _or(rule.amount, RADIUS)
    # The arm lags behind its target: neither may come too near, and the nearer one says which way is out.
    ways = [_apart(rule.thing, columns, point) for point in ("tool_pose_in_base", "tool_target_in_base")]
    fars = [np.linalg.norm(way, axis=1, keepdims=True) for way in ways]
    outs = [np.where(far > _TINY, way / np.maximum(far, _TINY), _UP) for way, far in zip(ways, fars, strict=True)]
    for out, far in zip(outs, fars, strict=True):
        usable = out * there
        towards = -(shift * out).sum(axis=1)
        excess = np.maximum(towards - _brake(far[:, 0] - radius, spec.control_period), 0.0)
        shift += (excess / np.maximum((usable * usable).sum(axis=1), _TINY))[:, None] * usable
    out, far = np.where(fars[0] < fars[1], *outs), np.minimum(*fars)[:, 0]
    leaving = np.maximum((shift * out).sum(axis=1), 0.0)
    wanted = np.clip(radius - far, 0.0, GENTLE * fastest.max())
    shift += np.maximum(wanted - leaving, 0.0)[:, None] * (out * there)
    return _shifted(actions, shift, before, spec.action)


def _from_above(rule: Meaning, columns: Columns, actions: NDArray[np.float32], spec: RobotSpec) -> NDArray[np.float32]:
    """Sideways motion near the thing only above a height, and below it only towards the axis of a cone that stands on
    the thing; what is refused becomes a gentle rise, so that one who insists comes in over the top.
    """
    before, fastest = _moves(actions, spec.action)
    away, high = _apart(rule.thing, columns, "tool_target_in_base"), _or(rule.amount, HIGH)
    beside, height = np.hypot(away[:, 0], away[:, 1]), away[:, 2]
    out = np.where(beside[:, None] > _TINY, away[:, :2] / np.maximum(beside, _TINY)[:, None], (1.0, 0.0))
    inside = beside <= CONE + SLOPE * np.maximum(height, 0.0)
    low = height < high
    inward = -(before[:, :2] * out).sum(axis=1)
    # Below, outside the cone: no nearer than to the border, and not at all once within.
    nearer = np.minimum(inward, np.where(low & ~inside, _brake(beside - AROUND, spec.control_period), np.inf))
    sideways = before[:, :2] + (inward - nearer)[:, None] * out
    # Below, in the cone: towards its axis and no farther.
    sideways = np.where((low & inside)[:, None], -np.clip(inward, 0.0, beside)[:, None] * out, sideways)
    refused = np.linalg.norm(before[:, :2] - sideways, axis=1)
    after = beside - np.where(inside, np.clip(inward, 0.0, beside), 0.0)
    floor = np.where(inside, np.where(after > CONE, (after - CONE) / SLOPE, -np.inf), high)
    floor = np.where(beside < AROUND, floor, -np.inf)
    deepest = np.where(low, np.maximum(height - floor, 0.0), _brake(height - floor, spec.control_period))
    deepest = np.where(low & ~inside & (beside < AROUND), 0.0, deepest)
    vertical = np.maximum(before[:, 2], -deepest)
    rise = np.minimum(refused, GENTLE * fastest[2])
    vertical = np.where(low & (refused > 0.0) & (~inside | (vertical >= 0.0)), np.maximum(vertical, rise), vertical)
    return _shifted(actions, np.column_stack([sideways, vertical]), before, spec.action)


_CHANGES: Mapping[str, Callable[[Meaning, Columns, NDArray[np.float32], RobotSpec], NDArray[np.float32]]] = {
    "slower": _paced,
    "faster": _paced,
    "keep_away": _kept_away,
    "from_above": _from_above,
}
_ORDER = ("slower", "faster", "from_above", "keep_away")
"""The surest last: what it takes away stays away."""

State = Literal["waits", "rests", "holds"]


@dataclass(frozen=True)
class Standing:
    """A rule as a person is shown it."""

    sentence: str
    """Of which sentence it is."""
    rule: Meaning
    state: State = "rests"
    """Whether it waits for something that is not seen, rests elsewhere, or holds here and now."""

    @property
    def words(self) -> str:
        said = self.rule.words
        return f"{said} ({self.rule.thing.replace('_', ' ')} is not seen)" if self.state == "waits" else said


class Rules:
    """Keeps to the rules that people have set, from episode to episode: for the policy and for what is done because of
    a sentence, and never for a person's own hands.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._standing: dict[tuple[str, str, str], Standing] = {}
        """By sentence, kind and thing: a sentence may set several."""

    @property
    def standing(self) -> tuple[Standing, ...]:
        """In the order in which they were set."""
        return tuple(self._standing.values())

    def add(self, sentence: str, rule: Meaning) -> None:
        """Set a rule; one of the same sentence, kind and thing is replaced.

        Raises:
            InvalidValueError: it cannot hold (see `cannot_hold`).
        """
        why = cannot_hold(rule, self._spec.action)
        if why:
            raise InvalidValueError("rule", rule.words, f"one that can hold here; {why}")
        key = (sentence, rule.rule, rule.thing)
        self._standing.pop(key, None)
        self._standing[key] = Standing(sentence, rule)

    def remove(self, sentence: str) -> bool:
        """Take the rules of a sentence back; whether there was one."""
        its = [key for key in self._standing if key[0] == sentence]
        for key in its:
            del self._standing[key]
        return bool(its)

    def filter(self, observation: Observation, action: Action, driver: Driver, spoken: bool = False) -> Action:
        """The action as the rules allow it; itself where none changes it.

        Args:
            spoken: it is done because of a sentence, and not by a person's hands.
        """
        if not self._standing:
            return action
        names = {f"scene/{one.rule.thing}" for one in self._standing.values()}
        columns = _row_of(observation, names)
        here = self._noted(columns)
        if not here or not (driver is Driver.POLICY or spoken):
            return action
        given = action.values[None]
        for rule in ordered(here):
            given = filtered(rule, columns, given, self._spec)
        return action if np.array_equal(given[0], action.values) else Action(given[0])

    def _noted(self, columns: Columns) -> list[Meaning]:
        """The rules in whose scope this is, the state of each noted."""
        here: list[Meaning] = []
        states: dict[Meaning, State] = {}  # hundreds of sentences may say the same
        for key, one in self._standing.items():
            if (state := states.get(one.rule)) is None:
                state = states[one.rule] = _state(one.rule, columns)
            if state != one.state:
                self._standing[key] = Standing(one.sentence, one.rule, state)
            if state == "holds":
                here.append(one.rule)
        return here


def _state(rule: Meaning, columns: Columns) -> State:
    """Of a rule in a moment, one row."""
    if rule.thing and not perceived(rule.thing, columns)[0]:
        return "waits"
    return "holds" if in_scope(rule, columns)[0] else "rests"


def ordered(rules: list[Meaning]) -> list[Meaning]:
    """Those of the rules that count where all of them hold, in the order in which to apply them.

    Of two of one kind about one thing the later counts; of several speeds the slowest, whatever was said of faster.
    """
    kinds = {("pace" if one.rule in ("slower", "faster") else one.rule, one.thing): one for one in rules}
    paces = [one for (kind, _), one in kinds.items() if kind == "pace"]
    slowest = min((one for one in paces if pace(one) < 1.0), key=pace, default=None)
    chosen = slowest or max(paces, key=pace, default=None)
    others = [one for (kind, _), one in kinds.items() if kind != "pace"]
    return sorted([*([chosen] if chosen else []), *others], key=lambda one: _ORDER.index(one.rule))


def _row_of(observation: Observation, names: set[str]) -> Columns:
    """An observation as one row of what rules look at."""
    columns: dict[str, NDArray[np.float32]] = {
        "tool_pose_in_base": observation.tool_pose_in_base[None],
        "tool_target_in_base": observation.tool_target_in_base[None],
        "gripper": np.array([observation.gripper], np.float32),
        "gripper_target": np.array([observation.gripper_target], np.float32),
    }
    for key, value in observation.scene.items():
        if f"scene/{key}" in names:
            columns[f"scene/{key}"] = value[None]
    return columns
