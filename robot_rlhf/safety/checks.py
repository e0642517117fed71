"""What makes an observation a fault: too old, implausible, out of the joints' limits, or too much force."""

from __future__ import annotations

import math

import numpy as np

from robot_rlhf.datatypes import Observation, RobotSpec
from robot_rlhf.safety.limits import DirectLimits, ToolLimits

Finding = tuple[str, str]
"""Name of a rule, and what was measured and is allowed."""

FORCE_FAULTS = frozenset({"force_hard", "torque_hard"})
"""Faults the policy is to learn to avoid: they end an episode like a failure, with no future."""


class ObservationChecks:
    """The laws that every observation of one robot must keep."""

    def __init__(self, spec: RobotSpec, limits: ToolLimits | DirectLimits) -> None:
        self._spec = spec
        self._limits = limits
        self._age_max = limits.observation_age_max
        margin = limits.joint_margin if isinstance(limits, ToolLimits) else 0.0
        self._lowest = spec.position_lower - margin
        self._highest = spec.position_upper + margin

    def age(self, stamp: float, now: float) -> list[Finding]:
        """Findings about the time an observation was sensed."""
        age = now - stamp
        if age > self._age_max:
            return [("stale_observation", f"sensed {age:.3f} s ago, allowed {self._age_max:g} s")]
        if age < -self._age_max:
            return [("stale_observation", f"sensed {-age:.3f} s in the future: robot and guard need one clock")]
        return []

    def findings(self, observation: Observation, previous: Observation | None, now: float) -> list[Finding]:
        """Everything wrong with an observation.

        Args:
            observation: what was sensed.
            previous: the observation before it, without a reset in between; None at the start.
            now: seconds of the session's clock.
        """
        found = self.age(observation.stamp, now)
        if isinstance(self._limits, ToolLimits):
            self._pose(observation, found)
            self._joints(observation, found)
            self._forces(observation, self._limits, found)
            if previous is not None:
                self._jump(observation, previous, self._limits, found)
        return found

    @staticmethod
    def _pose(observation: Observation, found: list[Finding]) -> None:
        w, x, y, z = observation.tool_pose_in_base.tolist()[3:]
        size = math.sqrt(w * w + x * x + y * y + z * z)
        if not 0.99 < size < 1.01:
            found.append(("nan", f"orientation of the tool has length {size:.4f}, a rotation has 1"))

    def _joints(self, observation: Observation, found: list[Finding]) -> None:
        position, velocity = observation.joint_position, observation.joint_velocity
        outside = (position < self._lowest) | (position > self._highest)
        if outside.any():
            i = int(np.argmax(outside))
            low, high = float(self._spec.position_lower[i]), float(self._spec.position_upper[i])
            found.append(
                ("joint_position", f"{self._spec.joint_names[i]} at {position[i]:.4f}, allowed {low:.4f} to {high:.4f}")
            )
        fast = np.abs(velocity) > self._spec.speed_max
        if fast.any():
            i = int(np.argmax(fast))
            allowed = float(self._spec.speed_max[i])
            found.append(
                ("joint_speed", f"{self._spec.joint_names[i]} at {velocity[i]:.3f} rad/s, allowed {allowed:.3f}")
            )

    @staticmethod
    def _forces(observation: Observation, limits: ToolLimits, found: list[Finding]) -> None:
        fx, fy, fz, tx, ty, tz = observation.tool_wrench.tolist()
        force = math.sqrt(fx * fx + fy * fy + fz * fz)
        torque = math.sqrt(tx * tx + ty * ty + tz * tz)
        if force > limits.force_hard:
            found.append(("force_hard", f"{force:.1f} N measured, allowed {limits.force_hard:g} N"))
        if torque > limits.torque_hard:
            found.append(("torque_hard", f"{torque:.2f} N m measured, allowed {limits.torque_hard:g} N m"))

    @staticmethod
    def _jump(observation: Observation, previous: Observation, limits: ToolLimits, found: list[Finding]) -> None:
        new, old = observation.tool_pose_in_base.tolist(), previous.tool_pose_in_base.tolist()
        jump = math.dist(new[:3], old[:3])
        if jump > limits.jump_max:
            found.append(("jump", f"measured tool moved {jump:.4f} m at once, plausible are {limits.jump_max:g} m"))
