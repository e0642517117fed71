"""Settings of a run, the names that may stand in them, and their defaults per task."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
import tyro
import yaml

from robot_rlhf.device import DeviceConfig
from robot_rlhf.disk import replace_text
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.language.ears import SpeechConfig
from robot_rlhf.language.settings import LanguageConfig
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.learner.words_config import WordsConfig
from robot_rlhf.people.person import PEOPLE, PersonConfig
from robot_rlhf.people.speaker import SPEAKERS, SpeakerConfig
from robot_rlhf.place import PlaceConfig
from robot_rlhf.policy.features import FeatureConfig
from robot_rlhf.policy.learned import ExplorationConfig
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.ranges import AT_LEAST_ONE, COUNT, SECONDS, SEED, SHARE, Range, check_ranges
from robot_rlhf.rewards.network import RewardConfig
from robot_rlhf.run.learning import ReplayConfig
from robot_rlhf.run.setting_values import build, changed, check_values, plain
from robot_rlhf.run.upgrade import KEY, SCHEMA, upgrade
from robot_rlhf.runtime.preference_learning import PreferenceLearning, TeacherConfig
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.trainer import TrainerConfig

T = TypeVar("T")
PIXELS = Range(1, 4_096)
"""Height and width of recorded pictures."""
ARMS = Range(1, 1_024)


@dataclass(frozen=True)
class EvaluationConfig:
    """How a policy is measured, always without help."""

    every: int = 500
    """Practice steps between evaluations; 0 for none before the end, as a session with a person has it."""
    episodes: int = 50
    """Episodes of each of them."""
    final_episodes: int = 100
    """Episodes of the last one, on starts that were used for nothing else; 0 for none."""
    stop_at: float | None = None
    """End practice when two evaluations in a row reach this success rate, and the person has hardly anything left to
    do; None practises all steps."""
    stop_human_share: float = 0.05
    """That is: the person drove less than this share of the steps of the last 20 practice episodes."""

    def __post_init__(self) -> None:
        check_ranges(self, "evaluation", every=COUNT, episodes=AT_LEAST_ONE, final_episodes=COUNT)
        check_ranges(self, "evaluation", stop_at=Range(0.0, 1.0, above=True), stop_human_share=SHARE)


@dataclass(frozen=True)
class AsyncConfig:
    """The asynchronous mode: the learner in its own process, the robot in real time."""

    publish_every: int = 50
    """Learner updates between two sets of weights."""
    without_learner: Literal["hold", "continue"] = "continue"
    """What the robot does while the learner is gone: hold still, or go on with its last policy."""
    heartbeat_timeout: float = 5.0
    """Seconds of silence after which the learner counts as gone."""
    restarts: int = 5
    """Times a dead learner is started again before the run ends."""

    def __post_init__(self) -> None:
        check_ranges(self, "asynchronous", publish_every=AT_LEAST_ONE, heartbeat_timeout=SECONDS, restarts=COUNT)


@dataclass(frozen=True)
class ConsoleConfig:
    """The operator's web page."""

    host: str = "127.0.0.1"
    """Where to listen: this machine alone unless told otherwise; 0.0.0.0 lets the network in (with the token)."""
    port: int = 8765
    """TCP port; 0 takes any free one."""
    names: tuple[str, ...] = ()
    """Further names under which browsers may address this machine, for example robot.lab."""
    certificate: Path | None = None
    """File with a certificate in PEM, for https: over a network browsers give no microphone or gamepad without it."""
    key: Path | None = None
    """File with the certificate's key in PEM, without a password."""
    open_browser: bool = True
    """Open the page in this machine's browser, where it has a screen."""
    patience: float = 6.0
    """Times the task's time limit that an episode may last while a person drives."""
    give_back_after: float = 0.4
    """Seconds of hands off after which the policy drives again: longer than a finger's change of keys."""
    rewind: Literal["restore", "motion"] = "restore"
    """Go back by putting the simulation back, or by moving the arm along its path as a real robot must."""
    device: DeviceConfig = field(default_factory=DeviceConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)

    def __post_init__(self) -> None:
        check_ranges(self, "console", port=Range(0, 65535), patience=SECONDS, give_back_after=SECONDS)


def sim_place() -> PlaceConfig:
    """The simulated arm, as it is."""
    return PlaceConfig.of_kind("sim")()


@dataclass(frozen=True)
class TrainConfig:
    """A training run: a robot practises a task, a person corrects, a learner learns."""

    task: str = "pick_cube"
    """Which skill: reach, pick_cube, peg_insert, push, drawer_store, blocks, or your own: module:class or
    file.py:class."""
    place: Annotated[PlaceConfig, tyro.conf.arg(name="")] = field(default_factory=sim_place)
    """Where: whose robot, and what stands around it."""
    out: Path = Path("runs")
    """Folder in which the run's own folder is made."""
    name: str | None = None
    """Name of the run's folder; None makes one from task, algorithm and seed."""
    seed: int = 0
    mode: Literal["synchronous", "asynchronous", "parallel"] = "synchronous"
    """synchronous: collect a step, then learn, as fast as possible and reproducibly; asynchronous: real time;
    parallel: simulated arms in processes of their own, as fast as possible, beside the learner's."""
    arms: int = 1
    """Simulated arms that practise at the same time; more than one in mode parallel only."""
    operator: str = "attentive"
    """Who supervises practice: one of the cast (attentive, slow, keys, late, hasty, distracted, clinging, novice), or
    lazy, clumsy, thorough, absent; with a console any other name is that of a real person."""
    person: PersonConfig | None = None
    """A person of your own making instead of a preset."""
    demonstrator: str = "clumsy"
    """Who gives the demonstrations: a simulated person, or with a console the real one, by name."""
    demonstrations: int = 5
    """Successful demonstrations before practice."""
    steps: int = 5_000
    """Practice steps, the person's included."""
    cameras: tuple[str, ...] = ()
    """Cameras to record: front, side, wrist. Those named in features.cameras too are what the policy sees."""
    image_size: int = 128
    """Height and width of the pictures."""
    device: str = "cpu"
    """Where the learner and its replay live: cpu or cuda."""
    threads: int = 1
    """Threads of the learner; one is fastest for policies from state."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    learner: LearnerConfig = field(default_factory=SacConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    reward: SparseReward = field(default_factory=SparseReward)
    success_model: Path | None = None
    """Learned success (`reward train --head success`) that ends episodes, with reward.judge model."""
    reward_model: RewardModelConfig = field(default_factory=RewardModelConfig)
    reward_network: RewardConfig = field(default_factory=RewardConfig)
    """Of a reward that is learned from nothing."""
    preferences: PreferenceLearning = field(default_factory=PreferenceLearning)
    words: WordsConfig = field(default_factory=WordsConfig)
    tutors: tuple[str, ...] = ()
    """What else teaches, of your own: module:class or file.py:class of ports.Tutor, made with a Classroom."""
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    asynchronous: AsyncConfig = field(default_factory=AsyncConfig)
    console: ConsoleConfig | None = None
    """The operator's web page; `robot-rlhf session` has one."""
    video_episodes: int = 9
    """Evaluation episodes in rollouts.mp4; 0 renders none."""
    director: str | None = None
    """module:class or file.py:class of your own that says in every step what is asked for, made for the place
    (ports.Director); None: the task in its own words."""
    language: LanguageConfig = field(default_factory=LanguageConfig)
    """Who understands what people say."""
    speaker: str = "nobody"
    """A simulated person who speaks to the robot while it practises, beside the operator's hands: nobody, clear, terse,
    chatty, slow, stepwise, stranger, mixed_up, mumbling, helping, axes, or random, who says whatever."""
    speech: SpeakerConfig | None = None
    """A speaker of your own making instead of a preset."""
    shield: str | None = None
    """The same for what may replace an action before the guard (ports.Shield); None: nothing does."""
    prior: tuple[Path, ...] = ()
    """What was recorded elsewhere to begin with: folders of runs, of journals, or of what was imported, of this robot.
    It counts as no practice of this run."""
    start: Path | None = None
    """A policy to begin with: its file, or the folder of a run, also of one that was learned offline."""
    checkpoint_every: int = 1_000
    """Practice steps between checkpoints."""

    def __post_init__(self) -> None:
        check_values(self)
        if not self.place.simulated and self.mode != "asynchronous":
            raise ConfigError(f"mode: with place {self.place.kind} a run is asynchronous; a robot lives in real time")
        if not self.place.simulated and self.evaluation.every:
            raise ConfigError(
                f"evaluation.every: got {self.evaluation.every}, allowed 0 with place {self.place.kind}, which has no "
                "twin to be measured in: the robot itself is measured when practice is over"
            )
        self.place.check_task(self.task)
        if self.console is None and self.place.simulated:
            known(self.operator, PEOPLE, "operator")
            known(self.demonstrator, PEOPLE, "demonstrator")
        elif self.console is not None and self.mode != "asynchronous":
            raise ConfigError("mode: with a console a run is asynchronous; a person lives in real time")
        known(self.speaker, SPEAKERS, "speaker")
        if self.language.endpoint.model and self.mode != "asynchronous":
            raise ConfigError(
                f"language.endpoint.model: a model answers when it can, and mode {self.mode} lives in simulated time; "
                "allowed with mode asynchronous"
            )
        if self.speaking is not None and not self.place.simulated:
            raise ConfigError(f"speaker: with place {self.place.kind} people speak who are there, allowed: nobody")
        check_ranges(self, "", seed=SEED, steps=COUNT, demonstrations=COUNT, video_episodes=COUNT)
        check_ranges(self, "", checkpoint_every=AT_LEAST_ONE, image_size=PIXELS, threads=Range(1, 1_024), arms=ARMS)
        if self.features.cameras and not set(self.features.cameras) <= set(self.cameras):
            raise ConfigError(f"features.cameras {self.features.cameras}: allowed are the recorded ones {self.cameras}")
        check_device(self.device)
        if self.reward_model.is_used and self.learner.rewards != "any":
            looks = "looks at no reward" if self.learner.rewards == "none" else "learns from recorded rewards alone"
            raise ConfigError(f"reward_model: {self.algorithm} {looks}; allowed with learner sac")
        self.reward_model.clip.check_camera(dict.fromkeys(self.cameras), "the run (--cameras)")
        if (self.reward.judge == "model") != (self.success_model is not None):
            raise ConfigError("reward.judge model and success_model: allowed only together")
        if self.teacher.labeler != "none" and not (self.reward_model.learns and self.mode == "synchronous"):
            raise ConfigError("teacher.labeler: needs --reward-model.learns, and mode synchronous")
        if self.arms > 1 and self.mode != "parallel":
            raise ConfigError(f"arms: got {self.arms}, allowed 1 in mode {self.mode}; several want mode parallel")
        practises = self.steps > 0 or self.place.simulated
        if self.mode != "synchronous" and self.learner.practice == "none" and practises:
            raise ConfigError(
                f"mode {self.mode}: {self.algorithm} does not learn while the robot practises; use sac or dagger"
            )

    @property
    def algorithm(self) -> str:
        """The learner's name."""
        return self.learner.kind

    @property
    def task_names(self) -> tuple[str, ...]:
        """What recordings may call the task; see PlaceConfig.task_names."""
        return self.place.task_names(self.task)

    @property
    def learner_looks(self) -> bool:
        """The learner, or a reward that it learns from, looks at recorded pictures."""
        return bool(self.features.cameras) or (self.reward_model.is_used and bool(self.cameras))

    @property
    def supervisor(self) -> PersonConfig | None:
        """The simulated person who watches practice; None for a real one."""
        return self.person or PEOPLE.get(self.operator)

    @property
    def speaking(self) -> SpeakerConfig | None:
        """The simulated person who speaks in practice; None where nobody simulated does."""
        return self.speech or (None if self.speaker == "nobody" else SPEAKERS[self.speaker])


SIMULATED = "simulated"
"""The operator's name that stands for a simulated person; a preset's name chooses another one."""


def simulated_like(name: str) -> str | None:
    """The simulated person whose name somebody probably meant to type; None for a name of one's own."""
    people = (*PEOPLE, SIMULATED)
    near = () if name in people else difflib.get_close_matches(name, people, n=1, cutoff=0.8)
    return near[0] if near else None


def check_names(config: TrainConfig) -> None:
    """Raises ConfigError where a new run with a console, so with real people, names one almost as a simulated one."""
    for what in ("operator", "demonstrator"):
        name = getattr(config, what)
        meant = simulated_like(name)
        if config.console is not None and meant is not None:
            raise ConfigError(
                f"{what} {name!r}: no simulated person is called so. Did you mean {meant!r}? A real person of this "
                f"name writes it with a capital letter, {name.capitalize()!r}"
            )


def check_opened_here(config: TrainConfig, why: str) -> None:
    """Raises ConfigError for a place that a command of its own opens; says which."""
    if config.place.kind == "ros":
        raise ConfigError(
            f"place ros: {why}; a robot behind ROS topics is driven, taught and measured by robot-rlhf ros "
            "policy (parameters run, config; learner:=none evaluate:=20 measures what a run has learned)"
        )


def check_device(name: str) -> None:
    """Raises ConfigError when torch does not know the device, or this machine does not have it."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r}: not usable here ({str(error).splitlines()[0]}); allowed: cpu, cuda"
        ) from error


def known(name: str, names: Mapping[str, T], what: str) -> T:
    """Look a name up; raises UnknownNameError with the nearest known one."""
    if name not in names:
        raise UnknownNameError(what, name, names)
    return names[name]


def defaults_for(task: str, place: PlaceConfig | None = None) -> TrainConfig:
    """The settings that work for a task: with people as they are, from state.

    Args:
        place: where; None: the simulated arm.
    """
    place = place or sim_place()
    base = TrainConfig(
        task=task,
        place=place,
        mode="synchronous" if place.simulated else "asynchronous",
        # A real robot is measured where it stands, and only when that is asked for.
        evaluation=EvaluationConfig() if place.simulated else EvaluationConfig(every=0, final_episodes=0),
        exploration=ExplorationConfig(noise=0.3, gripper="likelier"),
        replay=ReplayConfig(imitate_rest=False),
        learner=SacConfig(imitators=5, caution=2.0, cloning_weight=5.0, cloning_weight_end=0.5),
    )
    suggested = {name: plain(value) for name, value in place.suggested(task).items()}
    return changed(base, suggested, f"what {task} suggests") if suggested else base


def recorded_defaults_for(task: str) -> TrainConfig:
    """The settings to read recordings with that have none of their own.

    They are the task's; the usual ones for a task that is not simulated here, as of a robot whose topics were recorded.

    Args:
        task: as the recordings call it.
    """
    try:
        return defaults_for(task)
    except UnknownNameError:
        return defaults_for(task, PlaceConfig.of_kind("ros")())


def pixel_defaults_for(task: str, place: PlaceConfig | None = None) -> TrainConfig:
    """The settings that work for a task from pictures and the robot's own sensors alone.

    Demonstrations come from an attentive person: what a clumsy one shows is learned from pictures, too.
    """
    base = defaults_for(task, place)
    cameras = ("front", "wrist")
    return replace(
        base,
        cameras=cameras,
        image_size=64,
        demonstrator="attentive",
        demonstrations=60,
        steps=4_000,
        features=replace(base.features, cameras=cameras, scene=False, absolute=True),
        exploration=ExplorationConfig(),
        replay=replace(base.replay, rows=30_000, n_step=3),
        trainer=replace(
            base.trainer, batch_size=64, updates_per_step=2.0, warm_start_updates=4_000, warm_critic_updates=1_500
        ),
        learner=SacConfig(precision="auto", cloning_weight_end=1.5, average_rate=0.005, learning_rate_end=3e-5),
        evaluation=replace(base.evaluation, stop_at=0.97),
    )


# -- config.yaml -----------------------------------------------------------------------------------------------------


def write_yaml(config: TrainConfig, path: Path) -> None:
    """Write every setting; a run that is resumed on a full disk keeps what it had."""
    replace_text(path, yaml.safe_dump({KEY: SCHEMA, **plain(config)}, sort_keys=False, allow_unicode=True))


def read_yaml(path: Path) -> TrainConfig:
    """The inverse of write_yaml; files of earlier versions are read, too.

    Raises:
        ConfigError: missing, not YAML, or a setting of the wrong type.
        UnknownNameError: a setting that does not exist.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; is it a run's folder?") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}: {error.reason})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that does not exist
        raise ConfigError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    return build(TrainConfig, upgrade(data, str(path)), str(path))


def named_settings(config: TrainConfig) -> dict[str, object]:
    """Every setting by its name in full, for example learner.learning_rate."""
    named: dict[str, object] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, entry in value.items():
                add(f"{prefix}.{name}" if prefix else str(name), entry)
        else:
            named[prefix] = value

    add("", plain(config))
    return named
