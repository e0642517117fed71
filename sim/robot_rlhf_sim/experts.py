"""Scripted experts, one per task: policies that look at the privileged truth, as a person's eyes would.

Each is a function of the observation alone (Markov), so that its demonstrations can be cloned; only the wobble of a
noisy one has a memory.
"""

from __future__ import annotations

import math

import numpy as np

from robot_rlhf.datatypes import Action, ActionLayout, Observation
from robot_rlhf.errors import InvalidValueError
from robot_rlhf_sim.rotation import POINTING_DOWN, Quaternion, Vector, about_z, difference, multiply, wrap, yaw

_TRUST_TARGET = 0.7
"""Share of the commanded against the measured pose in what the script servoes on: with the measured one alone it
overshoots, because the arm lags its target."""
_WOBBLE_MEMORY = 0.8


class ScriptedExpert:
    """What the experts share: turning a goal pose into an action, and wobbling like a hand."""

    version = -1

    def __init__(self, layout: ActionLayout, noise: float) -> None:
        if not 0.0 <= noise <= 1.0:
            raise InvalidValueError("noise", noise, "a standard deviation of the action from 0 to 1")
        self._names = layout.names
        self._scale = layout.scale.tolist()
        self._noise = noise
        self._wobble = np.zeros(layout.size)

    def reset(self) -> None:
        self._wobble[:] = 0.0

    def act(self, observation: Observation, instruction: str, rng: np.random.Generator) -> Action:
        raise NotImplementedError

    def _towards(
        self,
        observation: Observation,
        position: Vector,
        orientation: Quaternion,
        rng: np.random.Generator,
        *,
        opening: float = 1.0,
        steadiness: float = 1.0,
    ) -> Action:
        """The action that brings the tool to a goal pose, clipped, with the wobble times `steadiness` added."""
        target, tool = observation.tool_target_in_base.tolist(), observation.tool_pose_in_base.tolist()
        from_target = (*(g - t for g, t in zip(position, target, strict=False)), *difference(orientation, target[3:]))
        from_tool = (*(g - t for g, t in zip(position, tool, strict=False)), *difference(orientation, tool[3:]))
        wish = {
            name: _TRUST_TARGET * a + (1.0 - _TRUST_TARGET) * b
            for name, a, b in zip(("x", "y", "z", "rx", "ry", "rz"), from_target, from_tool, strict=True)
        }
        values = np.array(
            [wish[n] / s if n in wish else 2.0 * opening - 1.0 for n, s in zip(self._names, self._scale, strict=True)]
        )
        values = np.minimum(np.maximum(values, -1.0), 1.0)
        if self._noise:
            kick = rng.normal(size=len(values)) * self._noise * math.sqrt(1.0 - _WOBBLE_MEMORY**2)
            self._wobble = _WOBBLE_MEMORY * self._wobble + kick
            moving = np.array([n in wish for n in self._names])
            values = np.minimum(np.maximum(values + steadiness * moving * self._wobble, -1.0), 1.0)
        return Action(values)


class ReachExpert(ScriptedExpert):
    """Goes straight to the target."""

    def act(self, observation: Observation, instruction: str, rng: np.random.Generator) -> Action:
        x, y, z, *_ = observation.privileged["target"].tolist()
        return self._towards(observation, (x, y, z), POINTING_DOWN, rng)


class PickCubeExpert(ScriptedExpert):
    """Goes above the cube, turns along its sides, descends, closes, lifts."""

    HOVER = 0.07
    FREE_HEIGHT = 0.045
    FUNNEL = 0.010
    AT_CUBE = 0.012
    TURN_LIMIT = math.radians(70.0)

    def act(self, observation: Observation, instruction: str, rng: np.random.Generator) -> Action:
        cube, tool = observation.privileged["cube"].tolist(), observation.tool_pose_in_base.tolist()
        cx, cy, cz = cube[:3]
        x, y, z = tool[:3]
        tx, ty, tz, *_ = observation.tool_target_in_base.tolist()
        angle = self._grasp_yaw(yaw(cube[3:]), yaw(multiply(tool[3:], POINTING_DOWN)))
        turn = multiply(about_z(angle), POINTING_DOWN)
        aside = math.hypot(cx - x, cy - y)
        crooked = abs(difference(turn, tool[3:])[2])
        closing = observation.gripper_target < 0.5
        slack = 1.8 if closing else 1.0  # once closing, go on through small slips
        at_cube = aside < slack * self.AT_CUBE and abs(z - cz) < slack * self.AT_CUBE and crooked < 0.15 * slack
        if closing and observation.privileged["grasped"][0] > 0.5:
            return self._towards(observation, (tx, ty, tz + 0.04), turn, rng, opening=0.0)
        if at_cube:
            return self._towards(observation, (cx, cy, cz), turn, rng, opening=0.0)
        height = z - cz
        if aside < self.FUNNEL + 0.25 * max(height - 0.03, 0.0) and crooked < 0.1 + 2.0 * max(height - 0.04, 0.0):
            return self._towards(observation, (cx, cy, cz), turn, rng)
        if height < self.FREE_HEIGHT and aside > self.FUNNEL:
            return self._towards(observation, (x, y, cz + self.HOVER), turn, rng)
        return self._towards(observation, (cx, cy, cz + self.HOVER), turn, rng)

    def _grasp_yaw(self, cube: float, tool: float) -> float:
        """Of the four equivalent grasps, the one nearest to how the tool is turned, within the wrist's range."""
        nearest = tool + wrap(cube - tool, math.pi / 2.0)
        return nearest if abs(nearest) < self.TURN_LIMIT else cube


class PegInsertExpert(ScriptedExpert):
    """Aligns the peg above the hole, lowers it the more slowly the tighter the hole, then pushes it straight down."""

    HOVER = 0.008
    FUNNEL = 6.0
    """Height kept above the mouth per metre of misalignment that is left."""
    LOST = 0.004
    """Misalignment at which to go back up, m."""
    LEVER = 0.02
    """What a radian of misalignment counts, m."""
    CLEAR = 0.02
    """Distance from the hole beyond which the peg first rises, lest it catches the block, m."""
    STEADY_RANGE = 0.05
    """Within this distance of the mouth, m, a person moves the more carefully the nearer it is."""
    STEADIEST = 0.06
    FEELING = 0.8
    """Share of their shortest tap to which people can place the peg; from there on they press it down lightly and shift
    it about until it falls in."""
    LIGHT = 30.0
    """Force, N, above which they yield, by so much:"""
    YIELD = 0.002

    def __init__(self, layout: ActionLayout, noise: float, clearance: float, tap: float = 0.0) -> None:
        super().__init__(layout, noise)
        self._feels = tap > 0.0
        self._tolerance = max(0.4 * clearance, self.FEELING * tap * self._scale[0])
        self._entry_step = 1.5 * clearance

    def act(self, observation: Observation, instruction: str, rng: np.random.Generator) -> Action:
        hole, tool = observation.privileged["hole"].tolist(), observation.tool_pose_in_base.tolist()
        hx, hy, hz = hole[:3]
        upright = multiply(about_z(yaw(hole[3:])), POINTING_DOWN)
        aside = math.hypot(hx - tool[0], hy - tool[1])
        height = tool[2] - hz
        misaligned = aside + self.LEVER * math.hypot(*difference(upright, tool[3:]))
        z_now = _TRUST_TARGET * float(observation.tool_target_in_base[2]) + (1.0 - _TRUST_TARGET) * tool[2]
        floor = min(self.FUNNEL * max(misaligned - self._tolerance, 0.0), self.HOVER)
        if observation.privileged["depth"][0] > 0.001:
            goal = (hx, hy, hz - 0.03)
        elif aside > self.CLEAR and height < self.HOVER:
            goal = (tool[0], tool[1], hz + 2.0 * self.HOVER)
        elif misaligned > self.LOST or (misaligned > self._tolerance and z_now < hz):
            goal = (hx, hy, hz + self.HOVER)
        else:  # down as far as the funnel allows, else wait: going up again would stir what has to settle
            step = self._entry_step if height < self.HOVER else 0.01
            goal = (hx, hy, min(z_now, max(hz + floor, z_now - step)) if floor else z_now - step)
        if self._feels and float(np.linalg.norm(observation.tool_wrench[:3])) > self.LIGHT:
            goal = (*goal[:2], max(goal[2], tool[2] + self.YIELD))
        steadiness = min(max(math.hypot(aside, height) / self.STEADY_RANGE, self.STEADIEST), 1.0)
        return self._towards(observation, goal, upright, rng, steadiness=steadiness)
