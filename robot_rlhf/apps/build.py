"""Puts the ring together from a run's settings."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version

from robot_rlhf.apps.config import TASKS, TrainConfig, known
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.people.person import PersonConfig, SimulatedPerson
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Policy
from robot_rlhf.run.learning import build_features
from robot_rlhf.runtime.station import Station
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_sim.disturbance import DisturbedRobot
from robot_rlhf_sim.varied import SimTask, VariedTask

GIVE_BACK_AFTER = 0.1
"""Seconds of hands off after which the policy drives again."""


@dataclass
class World:
    """One simulated robot with its task, behind a guard."""

    task: SimTask
    guard: GuardedRobot
    clock: Clock

    @property
    def spec(self) -> RobotSpec:
        return self.guard.spec


def build_world(config: TrainConfig, clock: Clock, *, cameras: bool = True) -> World:
    """The task's scene, arm and guard; between arm and guard what makes the robot late and inexact, where asked for.

    Raises:
        ConfigError: a task option that the task does not have.
    """
    size = (config.image_size, config.image_size)
    pictures = dict.fromkeys(config.cameras, size) if cameras else {}
    make = known(config.task, TASKS, "task")
    try:
        task: SimTask = make(clock, cameras=pictures, **config.task_options)
    except TypeError as error:
        raise ConfigError(f"task_options {config.task_options}: {config.task} does not take them ({error})") from error
    if config.disturbance.is_none and not config.randomise:
        return World(task, GuardedRobot(task.arm, task.limits, clock), clock)
    robot = DisturbedRobot(task.arm, config.disturbance, clock, seed=config.seed)
    return World(VariedTask(task, robot, config.randomise), GuardedRobot(robot, task.limits, clock), clock)


def build_person(world: World, config: PersonConfig) -> SimulatedPerson:
    """A person who knows the task and watches this robot."""
    task = world.task
    return SimulatedPerson(config, world.spec, task.expert, task.remaining, succeeded=task.success)


def build_policy(config: TrainConfig, spec: RobotSpec, *, practises: bool) -> LearnedPolicy:
    """The policy network, without weights yet; one that practises explores."""
    exploration = config.exploration if practises else None
    return LearnedPolicy(spec, build_features(config, spec), config.network, exploration=exploration)


def build_station(config: TrainConfig, world: World, policy: Policy | None = None) -> Station:
    """Robot, task and policy; person and subscribers are added by the app."""
    return Station(
        guard=world.guard,
        task=world.task,
        policy=policy,
        arbiter=Arbiter(world.spec.action, give_back_after=GIVE_BACK_AFTER),
        reward=config.reward,
        clock=world.clock,
        release_faults=True,  # simulated: nobody stands beside this robot
    )


def evaluation_station(config: TrainConfig, policy: Policy) -> Station:
    """A robot of its own, in simulated time, for unaided evaluation; it takes the pictures the policy looks at."""
    return build_station(config, build_world(config, FakeClock(), cameras=bool(config.features.cameras)), policy)


def software_versions() -> dict[str, str]:
    """What a result depends on."""
    names = ("robot-rlhf", "mujoco", "numpy", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
