"""Puts the ring together from a run's settings."""

from __future__ import annotations

import platform
from importlib.metadata import version

from robot_rlhf.apps.config import TrainConfig
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.place import Place
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Policy
from robot_rlhf.run.learning import build_features
from robot_rlhf.runtime.station import Station
from robot_rlhf.timing import Clock, FakeClock


def open_place(config: TrainConfig, clock: Clock, *, cameras: bool = True) -> Place:
    """Robot, guard and task of a run.

    Args:
        cameras: with the pictures that are recorded.

    Raises:
        ConfigError: a task option that the task does not have; a place that lives in real time, asked for another one.
    """
    size = (config.image_size, config.image_size)
    pictures = dict.fromkeys(config.cameras, size) if cameras else {}
    return config.place.open(config.task, clock=clock, cameras=pictures, seed=config.seed)


def open_twin(config: TrainConfig) -> Place | None:
    """A place like the run's in simulated time, to measure and to film in; None where there is none.

    It takes the pictures that the policy looks at.
    """
    if not config.place.simulated:
        return None
    return open_place(config, FakeClock(), cameras=bool(config.features.cameras))


def build_policy(config: TrainConfig, spec: RobotSpec, *, practises: bool) -> LearnedPolicy:
    """The policy network, without weights yet; one that practises explores."""
    exploration = config.exploration if practises else None
    return LearnedPolicy(spec, build_features(config, spec), config.network, exploration=exploration)


def build_station(config: TrainConfig, place: Place, policy: Policy | None = None) -> Station:
    """Robot, task and policy; person and subscribers are added by the app."""
    return Station(
        guard=place.guard,
        task=place.task,
        policy=policy,
        arbiter=Arbiter(place.spec.action, give_back_after=place.give_back_after),
        reward=config.reward,
        clock=place.clock,
        monitor=place.monitor,
        release_faults=place.releases_faults,
        waiting_for=place.waiting_for,
        attended=place.attended,
    )


def evaluation_station(config: TrainConfig, policy: Policy | None = None) -> Station:
    """A robot of its own, in simulated time, for unaided evaluation.

    Raises:
        ConfigError: the place has no twin.
    """
    twin = open_twin(config)
    if twin is None:
        raise ConfigError(f"place {config.place.kind}: has no twin in simulated time to measure a policy in")
    return build_station(config, twin, policy)


def software_versions() -> dict[str, str]:
    """What a result depends on."""
    names = ("robot-rlhf", "mujoco", "numpy", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
