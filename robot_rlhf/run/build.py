"""Puts the ring together from a run's settings."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

from robot_rlhf.datatypes import RobotSpec, WeightSnapshot
from robot_rlhf.errors import ConfigError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.naming import make_part
from robot_rlhf.place import Place
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.policy.shapes import weights_of
from robot_rlhf.ports import Director, Policy, Shield
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.settings import TrainConfig
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


def load_policy(config: TrainConfig, spec: RobotSpec, path: Path) -> tuple[LearnedPolicy, WeightSnapshot]:
    """The policy of a file, which takes the likeliest action, and its weights.

    Raises:
        CheckpointError: they cannot be read, or are those of another architecture.
    """
    policy, snapshot = build_policy(config, spec, practises=False), read_snapshot(path)[0]
    with weights_of(path):
        policy.load(snapshot)
    return policy, snapshot


def build_station(config: TrainConfig, place: Place, policy: Policy | None = None) -> Station:
    """Robot, task and policy; whoever runs episodes adds the person and the subscribers.

    Raises:
        ConfigError: a director or shield of one's own that cannot be made, or does not say what the policy looks at.
    """
    director = None if config.director is None else make_part(config.director, "director", Director, place)
    shield = None if config.shield is None else make_part(config.shield, "shield", Shield, place)
    check_context(config.features.context, {} if director is None else director.context_sizes)
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
        director=director,
        shield=shield,
    )


def check_context(wanted: Mapping[str, int], told: Mapping[str, int]) -> None:
    """Raises ConfigError where a policy looks at what nobody says, or in another size."""
    for name, size in wanted.items():
        if told.get(name) != size:
            said = "nobody says it" if name not in told else f"the director says {told[name]} numbers"
            raise ConfigError(f"features.context: {name} of {size} numbers: {said}; allowed: what --director says")


@contextmanager
def evaluation_station(config: TrainConfig, policy: Policy | None = None) -> Iterator[Station]:
    """A robot of its own, in simulated time, for unaided evaluation; it is closed behind the block.

    Raises:
        ConfigError: the place has no twin.
    """
    twin = open_twin(config)
    if twin is None:
        raise ConfigError(f"place {config.place.kind}: has no twin in simulated time to measure a policy in")
    with closing(twin):
        yield build_station(config, twin, policy)


def software_versions() -> dict[str, str]:
    """What a result depends on."""
    names = ("robot-rlhf", "mujoco", "numpy", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
