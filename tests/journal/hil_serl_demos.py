"""What hil-serl's recorder writes of an arm that is made up, and what must be said of it to read it."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, RobotSpec
from robot_rlhf.safety import rotation
from tests.journal.sessions import make_spec

AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = np.array([0.01, 0.01, 0.01, 0.06, 0.06, 0.06, 1.0], np.float32)
PERIOD = 0.1
FRANKA = ("gripper", "force", "position", "euler", "torque", "tool_velocity")
"""The state of hil-serl's own environment: names in the order of the alphabet."""
ABSENT = ("joint_position", "joint_velocity", "tool_target_in_base", "gripper_target")
SAID: dict[str, Any] = {
    "state": FRANKA,
    "actions": AXES,
    "action_scale": tuple(float(s) for s in SCALE),
    "period": PERIOD,
    "frame": "relative",
    "wrench_frame": "tool",
    "gripper_closed": 0.0,
    "gripper_open": 1.0,
    "gripper_action": "keep",
    "absent": ABSENT,
}
Rows = list[dict[str, Any]]


def robot(**changes: Any) -> RobotSpec:
    spec = make_spec()
    told: dict[str, Any] = {
        "joint_names": spec.joint_names,
        "position_lower": spec.position_lower,
        "position_upper": spec.position_upper,
        "speed_max": spec.speed_max,
        "control_period": PERIOD,
        "action": ActionLayout(AXES, SCALE),
        "command": spec.command,
    }
    return RobotSpec(**{**told, **changes})


def matrix(turn: Any) -> NDArray[np.float64]:
    """Of a unit quaternion. Shape (3, 3)."""
    return np.stack([rotation.rotate(turn, axis) for axis in cast("Any", np.eye(3))], axis=1)


def adjoint(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the tool's frame to the base's: rotation twice, and p x R in the lower left. Shape (6, 6)."""
    turn = matrix(pose[3:])
    x, y, z = pose[:3]
    across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.block([[turn, np.zeros((3, 3))], [across @ turn, turn]])


def euler(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles about the fixed axes x, y, z of a matrix."""
    return np.array([np.arctan2(turn[2, 1], turn[2, 2]), np.arcsin(-turn[2, 0]), np.arctan2(turn[1, 0], turn[0, 0])])


class Arm:
    """Does what hil-serl's environment does to a Franka: each action is added to where the tool is."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.poses: list[NDArray[np.float64]] = []
        self.openings: list[float] = []
        self.base_actions: list[NDArray[np.float64]] = []
        self.velocities: list[NDArray[np.float64]] = []
        self.forces: list[NDArray[np.float64]] = []

    def episode(self, steps: int) -> Rows:
        turn = rotation.exp((np.pi - 0.1, 0.05, 0.02))
        pose = np.concatenate([[0.5, 0.1, 0.3], turn])
        opening, rows = 1.0, Rows()
        start = pose
        seen, base = self._see(pose, opening, start)
        for t in range(steps):
            by_hand = t % 4 != 3
            wish = np.clip(self.rng.normal(0.0, 0.4, 7), -0.9, 0.9) if by_hand else np.zeros(7)
            wish[6] = {2: -0.95, 5: 0.3, 6: 0.97}.get(t, 0.0) if by_hand else 0.0
            told = wish.copy()
            told[:6] = np.linalg.inv(adjoint(pose)) @ wish[:6]
            self.base_actions.append(wish)
            step: Any = wish * SCALE
            pose = np.concatenate(
                [pose[:3] + step[:3], rotation.multiply(rotation.exp(step[3:6]), cast("Any", pose[3:]))]
            )
            opening = 0.0 if wish[6] <= -0.5 else 1.0 if wish[6] >= 0.5 else opening
            after, base = self._see(pose, opening, start)
            done = t == steps - 1
            info: dict[str, Any] = {"succeed": np.bool_(done), "original_state_obs": base, "left": False}
            if by_hand:
                info["intervene_action"] = told
            rows.append(
                copy.deepcopy(
                    {
                        "observations": seen,
                        "actions": told,
                        "next_observations": after,
                        "rewards": int(done),
                        "masks": 1.0 - done,
                        "dones": done,
                        "infos": info,
                        "grasp_penalty": -0.02,
                    }
                )
            )
            seen = after
        return rows

    def _see(
        self, pose: NDArray[np.float64], opening: float, start: NDArray[np.float64]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is recorded: relative to the start, in the tool's frame, stacked once; and the infos' base state."""
        velocity, force, torque = self.rng.normal(size=6), self.rng.normal(size=3), self.rng.normal(size=3)
        turn = matrix(pose[3:])
        back = matrix(start[3:]).T
        place = np.concatenate([back @ (pose[:3] - start[:3]), euler(back @ turn)])
        told = [[opening], force, place, torque, np.linalg.inv(adjoint(pose)) @ velocity]
        self.poses.append(pose)
        self.openings.append(opening)
        self.velocities.append(velocity)
        self.forces.append(np.concatenate([turn @ force, turn @ torque]))
        picture = self.rng.integers(0, 256, (1, 8, 12, 3)).astype(np.uint8)
        seen = {"state": np.concatenate(told).astype(np.float32)[None], "wrist_1": picture}
        return seen, {"tcp_pose": pose[[0, 1, 2, 4, 5, 6, 3]], "tcp_vel": velocity}


def written(tmp_path: Path, rows: Any, protocol: int = 4) -> Path:
    path = tmp_path / "demos.pkl"
    path.write_bytes(pickle.dumps(rows, protocol=protocol))
    return path
