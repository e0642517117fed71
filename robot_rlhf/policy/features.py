"""From an Observation to the numbers a network sees."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.context import ContextSpec
from robot_rlhf.datatypes import RECENT, Array, Observation, RobotSpec, Step
from robot_rlhf.errors import ConfigError
from robot_rlhf.policy.encoders import FrozenEncoder
from robot_rlhf.policy.vectors import Difference, find_differences
from robot_rlhf.ranges import Range, check_ranges

LEAD_GAIN = 25.0
"""Per metre: how strongly the distance from tool to commanded target enters."""
TURN_GAIN = 4.0
"""Per radian: how strongly rotations enter."""
FORCE_SCALE = 20.0
"""Newton at which the force feature reaches tanh(1)."""
SAME_PLACE = 0.01
"""Things nearer to each other than this have less and less of a direction, m."""


@dataclass(frozen=True)
class FeatureConfig:
    """What of an observation a policy sees."""

    cameras: tuple[str, ...] = ()
    """Camera names whose pictures are given to the network."""
    scene: bool = True
    """Give the poses that perception reports."""
    force: bool = False
    """Give the tool's contact force."""
    fine: float = 0.01
    """Metres: relative positions enter once more, divided by this and clipped to [-1, 1], so that a last millimetre
    is still visible. 0 leaves that out."""
    absolute: bool = False
    """Give where in the workspace tool and things are, not only where they are from each other. Without it what is
    learned at one place holds at every other; height is always given."""
    between: bool = False
    """Give in which direction and how far every two things are from each other: for a thing that is brought to another
    or around it. Networks find the direction hard to tell from where each is from the tool."""
    near: float = 0.125
    """Metres of relative position that make 1.0."""
    relative: tuple[tuple[str, str], ...] = ()
    """Of a robot with native commands, whose numbers have no meaning we know: pairs of parts of its scene vectors whose
    difference is given too, for example 'state[9:12] state[6:9]' for where the first is from the second."""
    normalised: bool | None = None
    """Give networks the state by mean and spread of what was learned from, which are part of the weights; None does so
    for robots with native commands alone: those of others are scaled already."""
    ahead: bool = False
    """Give where things are from where the tool is told to be, not from where it was seen: of a robot that is late
    (`robot-rlhf doctor --delay` measures that) the tool is there once what is under way has arrived. How far it is
    behind is given in any case."""
    history: int = 0
    """Give what was executed in so many periods before, 0 to 8. With as many as command and observation are late
    together, what a late robot will do is known again, whatever its commands mean; a robot that tells its commanded
    tool pose wants `ahead` instead, which has fewer numbers to learn from."""
    past: int = 0
    """Give the states of so many periods before, 0 to 8: the cheapest memory, for what the present alone does not tell.
    Replay keeps each state once all the same."""
    context: dict[str, int] = field(default_factory=dict[str, int])
    """Give what is wanted: name to length of the vectors of a step's context that are looked at, for example goal 2."""

    def __post_init__(self) -> None:
        check_ranges(self, "features", fine=Range(0.0, 100.0), near=Range(1e-6, 100.0))
        check_ranges(self, "features", history=Range(0, RECENT), past=Range(0, RECENT))
        ContextSpec(self.context)


class Features:
    """Encodes observations of one robot into {'state': (D,) float32, camera: (H, W, 3) uint8}.

    The state vector is put together from the action layout: positions for a robot that translates, rotation vectors
    for one that turns, the opening for one with a gripper. Every relative position is given in the base frame, in
    which the actions are. A robot with a 'direct' command layout gives its scene vectors as they are; what networks
    are to make of those, differences and normalising, is in `relative` and `normalised`.
    """

    def __init__(self, spec: RobotSpec, config: FeatureConfig, frozen: FrozenEncoder | None = None) -> None:
        """
        Args:
            frozen: sees the configured cameras' pictures; its features then end the state vector instead of them.

        Raises:
            ConfigError: the robot lacks a camera, or is one whose relative positions are always given.
            UnknownNameError: features.relative names no scene vector.
        """
        missing = [name for name in config.cameras if name not in spec.cameras]
        if missing:
            raise ConfigError(f"features.cameras: robot has no camera {missing}; it has {sorted(spec.cameras)}")
        self.spec = spec
        self.config = config
        self.cartesian = spec.command.kind == "tool_pose"
        if config.ahead and not self.cartesian:
            raise ConfigError("features.ahead: this robot's commands are native; allowed: one moved by its tool pose")
        if config.between and not self.cartesian:
            raise ConfigError("features.between: this robot's commands are native; features.relative names differences")
        names = spec.action.names
        self.turns = any(name in names for name in ("rx", "ry", "rz"))
        self.grips = "gripper" in names
        self._center = 0.5 * (spec.command.lower[:3] + spec.command.upper[:3])
        self._half = np.maximum(0.5 * (spec.command.upper[:3] - spec.command.lower[:3]), 1e-6)
        self._encoder = frozen
        self._pairs = np.triu_indices(len(spec.scene) if config.between and config.scene else 0, 1)
        sizes = {name: spec.cameras[name] for name in config.cameras}
        self.cameras: dict[str, tuple[int, int]] = sizes if frozen is None else {}
        self.frozen: dict[str, int] = {} if frozen is None else {n: frozen.size(sizes[n]) for n in sorted(sizes)}
        """Camera to the length of its frozen features."""
        self.size = self._count() + sum(self.frozen.values())
        self.relative = self._find_relative()
        """Differences that networks see beside the state vector."""
        self.normalised = not self.cartesian if config.normalised is None else config.normalised
        """Whether networks normalise the state vector."""
        self.context = ContextSpec(config.context)
        """What networks see of what is wanted."""

    def _count(self) -> int:
        return self._count_seen() + self.config.history * self.spec.action.size

    def _count_seen(self) -> int:
        if not self.cartesian:
            return sum(self.spec.scene.values()) if self.config.scene else 0
        place = 3 if self.config.absolute else 1
        size = place + 6 + (3 if self.turns else 0) * 3 + (2 if self.grips else 0) + (3 if self.config.force else 0)
        if self.config.scene:
            per_pose = place + 3 + (3 if self.config.fine else 0) + (3 if self.turns else 0)
            size += per_pose * len(self.spec.scene) + 4 * len(self._pairs[0])
        return size

    def _find_relative(self) -> tuple[Difference, ...]:
        if self.cartesian and self.config.relative:
            raise ConfigError("features.relative: a robot moved by its tool pose gives all relative positions anyway")
        ends = np.cumsum([0, *self.spec.scene.values()]).tolist()
        spans = {name: slice(ends[k], ends[k + 1]) for k, name in enumerate(self.spec.scene)}
        return find_differences(self.config.relative, spans if self.config.scene else {})

    def same_as(self, other: Features) -> bool:
        """Whether both make the same of every observation."""
        mine, theirs = (None if f._encoder is None else f._encoder.digest for f in (self, other))
        return (self.config, self.frozen, mine) == (other.config, other.frozen, theirs)

    def __call__(self, observation: Observation) -> Mapping[str, NDArray[Any]]:
        """'state' (D,) and the configured pictures."""
        state = self.state(observation)
        if self._encoder is not None:
            state = np.concatenate([state, *(self._encoder(observation.images[name]) for name in self.frozen)])
        return {"state": state, **{name: observation.images[name] for name in self.cameras}}

    def asked(self, observation: Observation, context: Mapping[str, Array], past: Past) -> dict[str, NDArray[Any]]:
        """All that the networks see: also 'context' (C,) and 'past' (H, D), where there is any.

        Args:
            context: what is wanted, by name.
            past: of the same recording; it is told this state.

        Raises:
            InvalidValueError: the context lacks a vector, or has one of another length.
        """
        seen = dict(self(observation))
        if self.config.past:
            seen["past"] = past(seen["state"], len(observation.recent))
        if self.context.sizes:
            seen["context"] = self.context.joined(context)
        return seen

    def in_order(self, steps: Sequence[Step]) -> dict[str, NDArray[Any]]:
        """What the networks saw in steps that follow one another: as `asked`, stacked along a first axis."""
        past = Past(self.config.past, self.size)
        rows = [self.asked(step.observation, step.context, past) for step in steps]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def state(self, o: Observation) -> Array:
        """The flat state vector, without frozen features. Shape (D,)."""
        parts = self._seen(o)
        if self.config.history:
            parts.append(self._history(o.recent))
        return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)

    def _seen(self, o: Observation) -> list[NDArray[Any]]:
        if not self.cartesian:
            return [o.scene[name] for name in self.spec.scene] if self.config.scene else []
        tool = o.tool_pose_in_base.astype(np.float64)
        target = o.tool_target_in_base.astype(np.float64)
        position = tool[:3]
        parts = [
            self._place(position),
            (target[:3] - position) * LEAD_GAIN,
            o.tool_velocity[:3] * 2.0,
        ]
        if self.turns:
            parts += [
                turn_from_down(tool[3:]) * TURN_GAIN,
                turn_between(tool[3:], target[3:]) * TURN_GAIN * 2.0,
                o.tool_velocity[3:] * 0.5,
            ]
        if self.grips:
            parts.append(np.array([o.gripper, o.gripper_target]) * 2.0 - 1.0)
        if self.config.force:
            parts.append(np.tanh(o.tool_wrench[:3] / FORCE_SCALE))
        if self.config.scene:
            for name in self.spec.scene:
                parts += self._pose_features(o.scene[name].astype(np.float64), target if self.config.ahead else tool)
            if len(self._pairs[0]):
                parts += self._between(np.stack([o.scene[name][:3] for name in self.spec.scene], dtype=np.float64))
        return parts

    def _history(self, recent: Array) -> Array:
        """What was executed before, newest first, 0 where the episode had not begun. Shape (history * m,).

        With the last d actions the state of a robot that is d periods late is Markov (Katsikopoulos & Engelbrecht,
        Markov decision processes with delays and asynchronous cost collection, 2003).
        """
        known = recent[: self.config.history]
        history = np.zeros((self.config.history, self.spec.action.size), np.float32)
        if len(known):
            history[: len(known)] = known
        return history.ravel()

    def _pose_features(self, pose: NDArray[np.float64], tool: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        away = pose[:3] - tool[:3]
        parts = [self._place(pose[:3]), away / self.config.near]
        if self.config.fine:
            parts.append(np.clip(away / self.config.fine, -1.0, 1.0))
        if self.turns:
            parts.append(turn_between(tool[3:], flip(pose[3:])) * TURN_GAIN)
        return parts

    def _between(self, places: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Unit vectors from each thing to each later one, and their distances. Args: places: Shape (n, 3)."""
        one, other = self._pairs
        ways = places[other] - places[one]
        far = np.linalg.norm(ways, axis=1)
        return [(ways / np.maximum(far, SAME_PLACE)[:, None]).ravel(), far / self.config.near]

    def _place(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where in the workspace; height alone unless the absolute place is asked for. Shape (3,) or (1,)."""
        place = (position - self._center) / self._half
        return place if self.config.absolute else place[2:]


class Past:
    """The states before the present one, as replay finds them again in its rows."""

    def __init__(self, length: int, size: int) -> None:
        """
        Args:
            length: H, states to remember.
            size: D, entries of a state vector.
        """
        self._states: deque[Array] = deque(maxlen=length)
        self._shape = length, size

    def forget(self) -> None:
        """An episode begins."""
        self._states.clear()

    def __call__(self, state: Array, known: int) -> Array:
        """The states before this one, newest first, 0 before the recording began; then this one is remembered.

        Args:
            state: Shape (D,).
            known: actions that the observation remembers: so many periods ago its recording began, or longer ago when
                there are RECENT of them. Whatever was seen before is not this state's past.

        Returns:
            Shape (H, D).
        """
        while len(self._states) > known:
            self._states.pop()
        past = np.zeros(self._shape, np.float32)
        if self._states:
            past[: len(self._states)] = self._states
        self._states.appendleft(state)
        return past


def flip(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orientation of a tool pointing straight down onto a thing of orientation q: q times a half turn about x."""
    w, x, y, z = q
    return np.array([-x, w, z, -y])


def turn_from_down(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation vector, base frame, from pointing straight down to q, rad. Shape (3,)."""
    return turn_between(np.array([0.0, 1.0, 0.0, 0.0]), q)


def turn_between(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation vector r in the base frame with exp(r) * start = end, rad, shortest way. Shape (3,)."""
    aw, ax, ay, az = start.tolist()
    bw, bx, by, bz = end.tolist()
    # end * conjugate(start)
    w = bw * aw + bx * ax + by * ay + bz * az
    x = -bw * ax + bx * aw - by * az + bz * ay
    y = -bw * ay + bx * az + by * aw - bz * ax
    z = -bw * az - bx * ay + by * ax + bz * aw
    sign = -1.0 if w < 0.0 else 1.0
    sine = (x * x + y * y + z * z) ** 0.5
    if sine < 1e-9:
        return np.array([x, y, z]) * 2.0 * sign
    return np.array([x, y, z]) * (sign * 2.0 * np.arctan2(sine, w * sign) / sine)
