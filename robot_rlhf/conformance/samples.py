"""Arbitrary observations and episodes of a robot, to be told to whoever hears them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeKind,
    EpisodeMeta,
    Observation,
    RobotSpec,
    Step,
)


def sample_observation(spec: RobotSpec, stamp: float, rng: np.random.Generator) -> Observation:
    """An arbitrary observation that matches a spec."""
    n = len(spec.joint_names)
    pose = np.array([*rng.normal(size=3), 0.0, 1.0, 0.0, 0.0], np.float32)

    def vectors(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}

    return Observation(
        stamp=stamp,
        joint_position=rng.normal(size=n).astype(np.float32),
        joint_velocity=rng.normal(size=n).astype(np.float32),
        tool_pose_in_base=pose,
        tool_target_in_base=pose,
        tool_velocity=rng.normal(size=6).astype(np.float32),
        tool_wrench=rng.normal(size=6).astype(np.float32),
        gripper=float(rng.uniform()),
        gripper_target=1.0,
        images={k: rng.integers(0, 256, (*hw, 3)).astype(np.uint8) for k, hw in spec.cameras.items()},
        scene=vectors(spec.scene),
        privileged=vectors(spec.privileged),
    )


def sample_meta(number: int) -> EpisodeMeta:
    return EpisodeMeta(f"episode-{number:04d}", "sample", EpisodeKind.PRACTICE, number, "none", "task_success@1")


def sample_steps(spec: RobotSpec, count: int, seed: int, start: float = 0.0) -> list[Step]:
    """An arbitrary episode of steps that follow one another; the last one is cut by the time limit."""
    rng = np.random.default_rng(seed)
    seen = [sample_observation(spec, start + i * spec.control_period, rng) for i in range(count + 1)]
    steps = []
    for i in range(count):
        by_human = bool(rng.uniform() < 0.3)
        executed = Action(rng.uniform(-1, 1, spec.action.size).astype(np.float32))
        steps.append(
            Step(
                index=i,
                observation=seen[i],
                proposed=Action(rng.uniform(-1, 1, spec.action.size).astype(np.float32)) if by_human else executed,
                executed=executed,
                driver=Driver.HUMAN if by_human else Driver.POLICY,
                reward=0.0,
                terminated=False,
                truncated=i == count - 1,
                policy_version=i,
                instruction="do it",
                next_observation=seen[i + 1],
                gold_reward=float(rng.normal()),
            )
        )
    return steps
