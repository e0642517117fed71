"""What there is to choose where a policy is learned from recordings alone, and the settings of such a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.summary import JournalSummary
from robot_rlhf.learner.iql import IqlConfig
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.learner.words_config import WordsConfig
from robot_rlhf.naming import OWN, is_own, label_of
from robot_rlhf.ranges import AT_LEAST_ONE, COUNT, SEED, Range, check_ranges
from robot_rlhf.rewards.clip_reward import ClipConfig
from robot_rlhf.rewards.gates import GateConfig
from robot_rlhf.run.settings import TrainConfig, defaults_for, read_yaml, recorded_defaults_for
from robot_rlhf.runtime.preference_learning import TeacherConfig


@dataclass(frozen=True)
class OfflineOptions:
    """Learn a policy from recorded sessions alone, without moving a robot; then measure it without help.

    Counted are all steps of practice, whoever drove and however it ended, and of demonstrations that succeeded. Left
    out are evaluations, discarded and deleted episodes, and demonstrations that failed. How an episode ended is what
    its labels say today.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, or of journals, of the same task and robot. Settings are those of the first."""
    task: str | None = None
    """The task, where recordings without a run's settings are of one of your own, module:class or file.py:class, or
    where it has moved since."""
    chosen: Annotated[str, tyro.conf.arg(name="learner")] = IqlConfig.kind
    """iql: implicit Q-learning, finds what was best in what was done; cloning: imitates, and looks at no reward; or
    module:class of your own."""
    learner: LearnerConfig = field(default_factory=IqlConfig)
    reward: str = "sparse"
    """sparse: 1 at success, with the recorded costs; a file of `robot-rlhf reward train`; clip: sentences, see --clip;
    module:class or file.py:class of your own (ports.Scores);
    or gold: the simulator's true reward, for comparison, marked as such in summary.json."""
    clip: ClipConfig = field(default_factory=ClipConfig)
    gates: GateConfig = field(default_factory=GateConfig)
    head: Literal["progress", "preference", "success"] | None = None
    """Head of a learned reward to read; the one chosen in training when left out."""
    clones: Literal["people", "everything"] = "everything"
    """What cloning imitates: demonstrations and corrections, or every step that counts."""
    words: WordsConfig = field(default_factory=WordsConfig)
    start: Path | None = None
    """A policy to begin with: its file, or the folder of a run."""
    updates: int = 20_000
    """Steps of learning."""
    every: int = 0
    """Updates between measurements without help, the best of which is kept; 0 for none before the end."""
    batch_size: int = 256
    episodes: int | None = None
    """Episodes of the evaluation at the end, 0 for none; as many as the first run's had when left out."""
    video_episodes: int = 0
    """Evaluation episodes in rollouts.mp4; 0 renders none."""
    seed: int = 0
    device: str = "cpu"
    """Where replay and learner live: cpu or cuda."""
    out: Path = Path("runs")
    """Folder in which the run's own folder is made."""
    name: str | None = None
    """Name of the run's folder; None makes one from task, algorithm, reward and seed."""
    quiet: bool = False
    """Show neither progress nor result."""

    def __post_init__(self) -> None:
        if self.learner.practice == "needed":
            raise ConfigError(
                f"--learner {self.learner.kind}: learns while a robot practises; allowed: iql, cloning, or one of your "
                "own that need not"
            )
        check_ranges(self, "", updates=AT_LEAST_ONE, batch_size=Range(1, 1_000_000), seed=SEED, every=COUNT)
        check_ranges(self, "", episodes=COUNT, video_episodes=COUNT)
        if self.reward not in ("sparse", "gold", "clip") and not self.own_reward and not Path(self.reward).is_file():
            raise ConfigError(
                f"--reward {self.reward}: no such file; allowed: sparse, gold, clip, a learned reward's file, or {OWN}"
            )
        if (self.reward == "clip") != self.clip.is_used:
            raise ConfigError("--reward clip and --clip.model: allowed only together")
        if self.gates.rules and self.reward in ("sparse", "gold"):
            raise ConfigError(f"--gates.rules: allowed with a learned reward, got --reward {self.reward}")

    @property
    def own_reward(self) -> bool:
        """The reward is one of the user's own."""
        return is_own(self.reward) and not Path(self.reward).is_file()


def offline_config(options: OfflineOptions, recorded: Sequence[JournalSummary]) -> TrainConfig:
    """The settings of the first run, or the task's own, for learning without a robot.

    Raises:
        ConfigError: the recordings are of several tasks, or of another than the settings.
    """
    tasks = sorted({task for summary in recorded for task in summary.tasks})
    if len(tasks) != 1:
        found = ", ".join(tasks) or "no episode"
        raise ConfigError(f"offline: the recordings hold {found}; allowed: episodes of one task")
    file = options.runs[0] / "config.yaml"
    config = read_yaml(file) if file.is_file() else recorded_defaults_for(tasks[0])
    if options.task is not None:
        config = replace(config, task=options.task) if file.is_file() else defaults_for(options.task)
    if (names := config.task_names) and tasks[0] not in names:
        raise ConfigError(
            f"{options.runs[0]}: task: got {config.task!r}, but the run is of {tasks[0]!r}; allowed is that, "
            "or a new run"
        )
    rows = sum(summary.steps + 2 * summary.total_episodes for summary in recorded) + 1000  # a rewind takes one more
    if options.every and not config.place.simulated:
        raise ConfigError(
            f"--every {options.every}: a policy is measured in a simulation; allowed with place {config.place.kind}: 0"
        )
    final = config.evaluation.final_episodes if options.episodes is None else options.episodes
    return replace(
        config,
        learner=options.learner,
        mode="synchronous" if config.place.simulated else "asynchronous",
        arms=1,
        console=None,
        operator="absent",
        person=None,
        demonstrator="clumsy",
        demonstrations=0,
        steps=0,
        out=options.out,
        name=options.name,
        seed=options.seed,
        device=options.device,
        reward_model=RewardModelConfig(),  # what the recorded policy learned from is no matter here
        words=options.words,
        tutors=(),
        prior=(),
        start=options.start,
        teacher=TeacherConfig(),
        trainer=replace(config.trainer, batch_size=options.batch_size),
        replay=replace(config.replay, rows=rows, n_step=1),
        evaluation=replace(config.evaluation, every=options.every, final_episodes=final, stop_at=None),
        video_episodes=options.video_episodes,
    )


def default_name(config: TrainConfig, reward: str) -> str:
    """Folder name of a run: task, algorithm, reward, seed."""
    return f"{label_of(config.task)}-offline_{label_of(config.algorithm)}-{_label(reward)}-seed{config.seed}"


def _label(reward: str) -> str:
    """What a folder may be called by."""
    return label_of(reward) if is_own(reward) else Path(reward).stem
