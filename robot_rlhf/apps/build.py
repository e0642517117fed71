"""Puts the ring together from a run's settings."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray

from robot_rlhf.apps.config import TASKS, TrainConfig, known
from robot_rlhf.datatypes import Array, Observation, RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.learner.cloning import CloningLearner
from robot_rlhf.learner.graphs import UpdateGraphs
from robot_rlhf.learner.iql import IqlLearner
from robot_rlhf.learner.precision import precision_on
from robot_rlhf.learner.sac import SacLearner
from robot_rlhf.people.person import PersonConfig, SimulatedPerson
from robot_rlhf.policy.encoders import FrozenEncoder
from robot_rlhf.policy.features import Features
from robot_rlhf.policy.learned import LearnedPolicy, shapes_of
from robot_rlhf.ports import Policy
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.replay.mixing import Mix
from robot_rlhf.replay.pictures import PictureConfig
from robot_rlhf.replay.rest import StandsStill
from robot_rlhf.runtime.lead import Lead
from robot_rlhf.runtime.station import Station
from robot_rlhf.runtime.trainer import Trainer
from robot_rlhf.runtime.value_check import ValueCheck
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


def build_features(config: TrainConfig, spec: RobotSpec) -> Features:
    """What the networks see; with a frozen encoder its features instead of pictures.

    Raises:
        CheckpointError: the encoder's weights cannot be read.
    """
    network = config.network
    frozen = None
    if network.encoder_frozen and config.features.cameras and network.encoder_weights is not None:
        frozen = FrozenEncoder(network.encoder, network.encoder_weights)
    return Features(spec, config.features, frozen)


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


def build_trainer(
    config: TrainConfig,
    spec: RobotSpec,
    on_metrics: Callable[[int, Mapping[str, float]], None],
) -> tuple[Trainer, ValueCheck | None]:
    """The learner with its replay, and what compares its values with real returns (None without a critic)."""
    features = build_features(config, spec)
    shapes = shapes_of(spec, features)
    buffer = ReplayBuffer(
        config.replay.rows,
        state_size=features.size,
        action_size=shapes.action,
        cameras=shapes.cameras,
        n_step=config.replay.n_step,
        discount=config.replay.discount,
        pre_intervention=config.replay.pre_intervention,
        pictures=picture_config(config),
        device=config.device,
        seed=config.seed,
    )
    feed = ReplayFeed(buffer, features, None if config.replay.imitate_rest else StandsStill(spec.action))
    learner: SacLearner | IqlLearner
    if config.algorithm in ("cloning", "dagger"):
        cloning = replace(config.cloning, shift_pixels=0)  # replay shifts the pictures
        cloner = CloningLearner(
            shapes, config.network, cloning, seed=config.seed, device=config.device, counts=lambda: buffer.counts
        )
        return Trainer(cloner, buffer, feed, config.trainer, on_metrics=on_metrics), None
    if config.algorithm == "iql":
        iql = replace(config.iql, shift_pixels=0)
        learner = IqlLearner(shapes, config.network, iql, seed=config.seed, device=config.device)
    else:
        sac = replace(config.sac, shift_pixels=0, return_bounds=return_bounds(config))
        learner = SacLearner(shapes, config.network, sac, seed=config.seed, device=config.device)

    def q_values(observations: list[Observation], actions: Array) -> NDArray[np.float32]:
        rows = [features(o) for o in observations]
        stacked = {name: torch.as_tensor(np.stack([r[name] for r in rows]), device=config.device) for name in rows[0]}
        return learner.q_values(stacked, torch.as_tensor(actions, device=config.device)).cpu().numpy()

    def whole_update(mix: Mix) -> Callable[[], Mapping[str, torch.Tensor]]:
        assert isinstance(learner, SacLearner)
        return UpdateGraphs(learner, buffer, config.trainer.batch_size, mix).update

    recordable = isinstance(learner, SacLearner) and learner.device.type == "cuda"
    graphs = whole_update if recordable and config.replay.pictures == "device" else None
    lead = None
    if isinstance(learner, SacLearner) and learner.imitation is not None:
        lead = Lead(learner, config.seed)
    trainer = Trainer(learner, buffer, feed, config.trainer, on_metrics=on_metrics, whole_update=graphs, lead=lead)
    if config.reward_model.is_used or config.reward.gold:
        return trainer, None  # real returns are those of recorded rewards: they say nothing of values by another one
    return trainer, ValueCheck(q_values, config.replay.discount)


def return_bounds(config: TrainConfig) -> tuple[float, float] | None:
    """Possible returns: those of the recorded reward, unless a reward model makes others possible."""
    model, bounds = config.reward_model, config.sac.return_bounds
    if bounds is None or (config.reward.gold and not model.is_used):
        return bounds and (0.0, 1.0)
    if not model.is_used:
        return bounds
    if model.use == "replace" and model.gates.rules:  # what breaks a rule is worth less than nothing
        return bounds if model.bounded else None
    if model.use == "shape":  # values are those of the recorded reward minus the potential, in [0, 1] if it is bounded
        return (bounds[0] - model.scale, bounds[1]) if model.bounded else None
    return (0.0, 1.0) if model.bounded else None


def picture_config(config: TrainConfig, device: torch.device | None = None) -> PictureConfig:
    """How replay gives pictures to the learner: shifted; on a GPU normalised too, which costs nothing more there.

    Args:
        device: where replay is; None: where the settings have it.
    """
    shift = {"sac": config.sac, "iql": config.iql}.get(config.algorithm, config.cloning).shift_pixels
    device = torch.device(config.device) if device is None else device
    if device.type == "cpu":
        return PictureConfig(shift=shift)
    # Only sac multiplies in other numbers than float32; the others' convolutions take pictures of their weights' type.
    precision = precision_on(device, config.sac.precision) if config.algorithm == "sac" else "float32"
    return PictureConfig(precision, shift, config.replay.pictures)


def software_versions() -> dict[str, str]:
    """What a result depends on."""
    names = ("robot-rlhf", "mujoco", "numpy", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
