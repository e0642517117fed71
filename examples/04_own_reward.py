"""A reward of your own: how good what was reached is, in [0, 1], takes the place of "1 at success"."""

import math
from typing import Any

import numpy as np

import robot_rlhf as rr
from robot_rlhf.datatypes import Observation
from robot_rlhf_sim.tasks import Reach


class GentleReach(Reach):
    """Reach the marker, and be slow on the way."""

    def gold_reward(self, observation: Observation) -> float:
        apart = float(np.linalg.norm(observation.privileged["target"][:3] - observation.tool_pose_in_base[:3]))
        hurry = float(np.abs(observation.joint_velocity).max())  # rad/s
        return max(0.0, 1.0 - math.tanh(10.0 * apart) - 0.1 * hurry)


def main(steps: int = 2_000, settings: dict[str, Any] | None = None, **others: Any) -> rr.Run:
    """Learn from it alone, without corrections; returns the run."""
    run = rr.train(
        GentleReach, person="absent", steps=steps, settings={"reward.gold": True, **(settings or {})}, **others
    )
    print(run)
    for episode in run.episodes[-3:]:
        print(f"{episode['id']}: {episode['outcome']}, {episode['reward'] / episode['steps']:.2f} per step")
    return run


if __name__ == "__main__":
    main()
