"""Skills that push a thing over the table: behind it, and to a place, around whatever else stands there."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, Observation
from robot_rlhf.safety.rotation import Vector
from robot_rlhf.skills.closed_loop import TRAVEL, ClosedLoop, Workplace, above_then_at, tool
from robot_rlhf.skills.reaching import ON_THE_WAY, TOUCHING

Flat = NDArray[np.float64]

PUSHES_FOR = 12.0
"""Seconds after which a push gives up."""
PASSING = TOUCHING + 0.012
"""At which the tool goes around the thing it will push, m."""
STRAIGHT = math.radians(25.0)
"""How far the tool may be off the line of the push and still push on."""
BEHIND = math.radians(12.0)
"""How far off that line is still behind the thing."""
STEP = 0.02
"""How far ahead the tool aims when it pushes, m."""
THERE = 0.018
"""A thing nearer than this to the place has been pushed there, m."""
SIZE, TIP, STANDS = 0.025, 0.016, 0.03
"""Radii, m: of what is pushed, of the tool, and of what stands around and may not be touched."""
PASSES = STANDS + SIZE + 0.030
"""Distance from what stands around at which a thing passes it, m."""
CAREFUL = 0.03
"""Distance from what stands around, m, below which the tool moves away from it."""


class Behind(ClosedLoop):
    """Around a thing, without touching it, to its side opposite to where it is to go."""

    def __init__(self, words: str, at: Workplace, thing: str, place: str, view_back: tuple[float, float]) -> None:
        """Args: place: as seen from which; empty: as seen by whoever says it. view_back: away from them."""
        super().__init__(words, at, ON_THE_WAY)
        self._thing, self._place = thing, place
        self._back = np.array(view_back, float)

    def _push(self, observation: Observation) -> Flat:
        """Direction of the push for which the tool gets ready. Shape (2,)."""
        if not self._place:
            return -self._back
        return _unit(next_stop(observation, self._thing, self._place) - _flat(observation, self._thing))

    def reached(self, observation: Observation) -> bool:
        thing, at = _flat(observation, self._thing), np.array(tool(observation))
        from_tool = thing - at[:2]
        low = not self.hand.rises or at[2] - observation.scene[self._thing][2] < 0.02
        behind = abs(_angle(self._push(observation), from_tool)) < BEHIND
        return low and behind and float(np.linalg.norm(from_tool)) < PASSING + 0.012

    def aim(self, observation: Observation) -> Action:
        push = self._push(observation)
        return self._go(observation, around(observation, self._thing, push))

    def _go(self, observation: Observation, goal: Flat) -> Action:
        x, y = clear_of_others(observation, goal, (self._thing, self._place)).tolist()
        thing = observation.scene[self._thing].tolist()
        place: Vector = (x, y, thing[2])
        if not self.hand.rises:
            return self.hand.towards(observation, place)
        if self._low(observation):
            return self.hand.towards(observation, place, opening=0.0)
        spot = _flat(observation, self._thing) - PASSING * self._push(observation)
        sx, sy = spot.tolist()
        height = thing[2] + TRAVEL
        opening = 0.0 if self.hand.grips else None
        return self.hand.towards(observation, above_then_at(observation, (sx, sy, thing[2]), height), opening=opening)

    def _low(self, observation: Observation) -> bool:
        """At the thing's height, and on the table all around it rather than above."""
        at = tool(observation)
        return at[2] - float(observation.scene[self._thing][2]) < 0.02


class PushTo(Behind):
    """Behind a thing, and then pushing it to a place, around whatever else stands there."""

    def __init__(self, words: str, at: Workplace, thing: str, place: str) -> None:
        super().__init__(words, at, thing, place, (1.0, 0.0))
        self._left = self.periods(PUSHES_FOR)

    def reached(self, observation: Observation) -> bool:
        apart = _flat(observation, self._thing) - _flat(observation, self._place)
        return float(np.linalg.norm(apart)) < THERE

    def aim(self, observation: Observation) -> Action:
        push = self._push(observation)
        thing, at = _flat(observation, self._thing), np.array(tool(observation)[:2])
        from_tool = thing - at
        off, distance = _angle(push, from_tool), float(np.linalg.norm(from_tool))
        if abs(off) < STRAIGHT and distance < PASSING + 0.02:
            steadily = 1.0 - abs(off) / STRAIGHT
            return self._go(observation, thing + (STEP * steadily - TOUCHING) * push)
        return self._go(observation, around(observation, self._thing, push))


def around(observation: Observation, thing: str, push: Flat) -> Flat:
    """Where to go next on the way behind a thing: straight, or around it on the side where the tool is. Shape (2,)."""
    place, at = _flat(observation, thing), np.array(tool(observation)[:2])
    from_tool = place - at
    off, distance = _angle(push, from_tool), float(np.linalg.norm(from_tool))
    if abs(off) < 0.5 * math.pi and distance > PASSING:
        return place - PASSING * push
    turn = -math.copysign(min(abs(off), 0.6), off)
    return place + max(PASSING, distance - 0.01) * _turned(-_unit(from_tool), turn)


def next_stop(observation: Observation, thing: str, place: str) -> Flat:
    """Where a thing has to be pushed next: to the place, or past the nearest of what bars the way. Shape (2,).

    What bars the way is passed on its tangent, which turns steadily into the straight way as that becomes free.
    """
    start, end = _flat(observation, thing), _flat(observation, place)
    ahead = _unit(end - start)
    nearest, stop = float(np.linalg.norm(end - start)), end
    for other in _others(observation, (thing, place)):
        to = other - start
        along, aside = float(to @ ahead), float(ahead[0] * to[1] - ahead[1] * to[0])
        if 0.0 < along < nearest and abs(aside) < PASSES:
            nearest, stop = along, start + _past(to, left=aside < 0.0)
    return stop


def _past(to: Flat, left: bool) -> Flat:
    """The way along the tangent of the circle about what stands `to` away; inside it, along it and out. Shape (2,)."""
    distance, side = float(np.linalg.norm(to)), 1.0 if left else -1.0
    if distance > PASSES:
        return math.sqrt(distance**2 - PASSES**2) * _turned(_unit(to), side * math.asin(PASSES / distance))
    out = 2.0 * (1.0 - distance / PASSES)
    return PASSES * _unit(_turned(_unit(to), side * 0.5 * math.pi) - out * _unit(to))


def clear_of_others(observation: Observation, goal: Flat, but: tuple[str, ...]) -> Flat:
    """The goal, without what of the way there leads towards something that stands near the tool. Shape (2,)."""
    at = np.array(tool(observation)[:2])
    for other in _others(observation, but):
        away = at - other
        clear = float(np.linalg.norm(away)) - TIP - STANDS
        if clear < CAREFUL:
            outward = _unit(away)
            inward = min(0.0, float((goal - at) @ outward))
            goal = goal - (inward - max(0.0, 0.5 * CAREFUL - clear)) * outward
    return goal


def _others(observation: Observation, but: tuple[str, ...]) -> list[Flat]:
    """Where everything else stands on the table."""
    return [
        pose[:2].astype(float) for name, pose in observation.scene.items() if name not in but and len(pose) in (3, 7)
    ]


def _flat(observation: Observation, thing: str) -> Flat:
    return observation.scene[thing][:2].astype(float)


def _unit(vector: Flat) -> Flat:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _angle(start: Flat, end: Flat) -> float:
    """From one direction to another, rad, positive to the left."""
    return math.atan2(start[0] * end[1] - start[1] * end[0], float(start @ end))


def _turned(direction: Flat, angle: float) -> Flat:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * direction[0] - s * direction[1], s * direction[0] + c * direction[1]])
