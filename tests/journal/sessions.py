"""Sessions made up for the journal's tests: any number of steps of any values, equal for an equal seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import (
    Action,
    ActionLayout,
    CommandLayout,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    GuardEvent,
    Observation,
    Outcome,
    RobotSpec,
    Segment,
    Step,
)
from robot_rlhf.episode import Episode
from robot_rlhf.ports import Subscriber

JOINTS = 7
ACTIONS = ("x", "y", "z", "rz", "gripper")


def make_spec(cameras: Mapping[str, tuple[int, int]] | None = None) -> RobotSpec:
    return RobotSpec(
        joint_names=tuple(f"joint_{i}" for i in range(JOINTS)),
        position_lower=np.full(JOINTS, -2.9, np.float32),
        position_upper=np.full(JOINTS, 2.9, np.float32),
        speed_max=np.full(JOINTS, 2.0, np.float32),
        control_period=0.05,
        action=ActionLayout(ACTIONS, np.array([0.02, 0.02, 0.02, 0.1, 1.0], np.float32)),
        command=CommandLayout(
            "tool_pose",
            ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper"),
            np.array([-1.0, -1, 0, -1, -1, -1, -1, 0]),
            np.array([1.0, 1, 1, 1, 1, 1, 1, 1]),
        ),
        cameras=cameras or {},
        scene={"cube": 7},
        privileged={"cube": 7, "contact": 2},
    )


def make_observation(spec: RobotSpec, rng: np.random.Generator, stamp: float) -> Observation:
    def draw(size: int) -> NDArray[np.float32]:
        return rng.standard_normal(size).astype(np.float32)

    return Observation(
        stamp=stamp,
        joint_position=draw(JOINTS),
        joint_velocity=draw(JOINTS),
        tool_pose_in_base=draw(7),
        tool_target_in_base=draw(7),
        tool_velocity=draw(6),
        tool_wrench=draw(6),
        gripper=rng.random(),
        gripper_target=rng.random(),
        images={name: rng.integers(0, 256, (*size, 3)).astype(np.uint8) for name, size in spec.cameras.items()},
        scene={name: draw(size) for name, size in spec.scene.items()},
        privileged={name: draw(size) for name, size in spec.privileged.items()},
    )


def make_steps(spec: RobotSpec, rng: np.random.Generator, count: int, start: float = 0.0) -> Iterator[Step]:
    observation = make_observation(spec, rng, start)
    m = spec.action.size
    for index in range(count):
        following = make_observation(spec, rng, start + (index + 1) * spec.control_period)
        asked = rng.random() < 0.8
        yield Step(
            index=index,
            observation=observation,
            proposed=Action(rng.uniform(-1, 1, m).astype(np.float32)) if asked else None,
            executed=Action(rng.uniform(-1, 1, m).astype(np.float32)),
            driver=Driver(int(rng.integers(0, 3))),
            reward=float(np.float32(rng.standard_normal())),
            gold_reward=float(np.float32(rng.standard_normal())),
            terminated=index == count - 1 and bool(rng.random() < 0.5),
            truncated=False,
            policy_version=int(rng.integers(0, 1000)) if asked else -1,
            instruction=f"lift the cube, «gently» {index % 3}",
            next_observation=following,
        )
        observation = following


def make_episode(spec: RobotSpec, seed: int, count: int, *, name: str = "", ended: bool = True) -> Episode:
    rng = np.random.default_rng(seed)
    name = name or f"episode-{seed:04d}"
    meta = EpisodeMeta(
        id=name,
        task="pick_cube",
        kind=list(EpisodeKind)[seed % 3],
        seed=seed,
        operator="nobody",
        reward_source="task_success@1",
        versions={"robot_rlhf": "0.1.0"},
    )
    steps = list(make_steps(spec, rng, count, start=10.0 * seed))
    span = Segment(name, 0, count)
    events: tuple[Event, ...] = (
        Feedback(FeedbackKind.CORRECTION, "person", steps[0].observation.stamp, span, text="higher"),
        GuardEvent(steps[-1].observation.stamp, "workspace", "z 0.01 m, allowed 0.02 m and more", latched=True),
        Feedback(FeedbackKind.PREFERENCE, "person", steps[-1].observation.stamp, span, 0.5, other=span, confidence=0.7),
    )
    outcome = Outcome.SUCCESS if steps[-1].terminated else Outcome.TIME_LIMIT
    return Episode.from_steps(meta, steps, events, EpisodeEnd(name, outcome, count, "done") if ended else None)


def tell(subscriber: Subscriber, episode: Episode) -> None:
    """Tell an episode as it happened; its events after its first step."""
    steps = episode.steps()
    subscriber.on_episode_start(episode.meta, steps[0].observation)
    for step in steps:
        subscriber.on_step(step)
        if step.index == 0:
            for event in episode.events:
                subscriber.on_event(event)
    if episode.end is not None:
        subscriber.on_episode_end(episode.end)


def plain(value: Any) -> Any:
    """A value that compares by content and bits: arrays become dtype, shape and bytes.

    What was executed before an observation (`recent`) is never written, but known again from the steps when read.
    """
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (
            type(value).__name__,
            {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name != "recent"},
        )
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(entry) for entry in value]
    return value
