"""`robot-rlhf offline`: learns a policy from recorded sessions alone, by a reward of your choice, and measures it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro

from robot_rlhf.apps.command import parse
from robot_rlhf.apps.learner_choice import Chosen, chosen_learner
from robot_rlhf.apps.reward_data import warn_of_words
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError, RenderError
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.robots import LEARNED, check_same
from robot_rlhf.journal.summary import JournalSummary, describe
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.learner.classroom import Classroom, open_scores
from robot_rlhf.learner.iql import IqlConfig
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.naming import OWN, is_own, label_of
from robot_rlhf.ports import Scores
from robot_rlhf.ranges import AT_LEAST_ONE, COUNT, SEED, Range, check_ranges
from robot_rlhf.replay.blocks import POLICY
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.rewards.clip_reward import ClipConfig, ClipScores, open_reward
from robot_rlhf.rewards.gates import GateConfig
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.folder.provenance import note_invocation
from robot_rlhf.run.folder.run_folder import MetricsLog, RunFolder
from robot_rlhf.run.folder.stopwatch import Stopwatch
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.numerics import tiny_is_zero
from robot_rlhf.run.recordings import journal_path
from robot_rlhf.run.results.judge import last_measurement
from robot_rlhf.run.results.progress import result_table
from robot_rlhf.run.results.report import write_json
from robot_rlhf.run.results.summary import summarise
from robot_rlhf.run.results.video import write_rollouts
from robot_rlhf.run.reward_features import features_of
from robot_rlhf.run.rewarded import REWARD, SCORES, build_gates, score_episodes, show_to_reward
from robot_rlhf.run.screen import screen
from robot_rlhf.run.settings import TrainConfig, defaults_for, read_yaml, recorded_defaults_for, write_yaml
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.gate_feed import GateFeed
from robot_rlhf.runtime.interrupts import EndedAtOnceError, ending_in_order, interrupts_held
from robot_rlhf.runtime.offline import JudgedFeed, check_learnable, learn_offline, relabelled, unit_rewards
from robot_rlhf.runtime.preference_learning import TeacherConfig
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.runtime.trainer import Trainer

log = logging.getLogger(__name__)

SAY_EVERY = 10.0
"""Seconds between two lines about how far it is."""


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
    chosen: Chosen = IqlConfig.kind
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
    updates: int = 20_000
    """Steps of learning."""
    batch_size: int = 256
    episodes: int | None = None
    """Episodes of the evaluation at the end; as many as the first run's had when left out."""
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
        check_ranges(self, "", updates=AT_LEAST_ONE, batch_size=Range(1, 1_000_000), seed=SEED)
        check_ranges(self, "", episodes=AT_LEAST_ONE, video_episodes=COUNT)
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


def run(argv: Sequence[str]) -> int:
    """Learn; returns the exit code."""
    learner = chosen_learner(argv, IqlConfig())
    options = parse(OfflineOptions, "offline", argv, OfflineOptions((), None, learner.kind, learner))
    summary = train_offline(options)
    return 130 if summary["interrupted"] else 0


def train_offline(options: OfflineOptions) -> dict[str, Any]:
    """Read, relabel, learn, measure, write; returns what summary.json holds.

    Raises: as OfflineLearning.
    """
    return OfflineLearning(options).run()


class OfflineLearning:
    """One run that learns from what was recorded before, in a folder of its own."""

    def __init__(self, options: OfflineOptions) -> None:
        """
        Raises:
            ConfigError: no recordings, or of several tasks or robots, or a reward that is the same everywhere.
            JournalError: a journal that cannot be read.
            CheckpointError: a reward that needs another robot or other features.
        """
        if not options.runs:
            raise ConfigError("offline: no RUN; allowed: one or more folders of runs or journals")
        self.options = options
        self.journals = [journal_path(path) for path in options.runs]
        self.recorded = [describe(path) for path in self.journals]
        self.spec = _same_robot(self.journals)
        self.config = offline_config(options, self.recorded)
        self.features = build_features(self.config, self.spec)
        _same_pictures(self.journals, self.features.config.cameras)
        self.model, self.reward_features = None, self.features
        self.sentences: ClipScores | None = None
        self.own: Scores | None = None
        facts = self.config.place.facts
        self.gates = (
            build_gates(options.gates, self.spec, facts(self.config.task, self.spec)) if options.gates.rules else None
        )
        if options.clip.is_used:
            options.clip.check_camera(self.spec.cameras, str(options.runs[0]))
            self.sentences = ClipScores(open_reward(options.clip, options.device), apart=False)
        elif options.reward not in ("sparse", "gold") and not options.own_reward:
            self.model = LearnedReward.load(Path(options.reward), options.device, reads=options.head)
            seen = features_of(self.model, self.spec, str(options.runs[0]))
            if not seen.same_as(self.features):
                self.reward_features = seen
        torch.set_num_threads(self.config.threads)
        torch.manual_seed(options.seed)
        self.folder = RunFolder.create(options.out, self.config.name or default_name(self.config, options.reward))
        self.stopwatch = Stopwatch(self.folder.seconds, resumed=False)
        self.tally = Tally(self.spec.control_period)
        self.episodes: Counter[str] = Counter()
        self.facts: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Returns what summary.json holds."""
        again = "policy and summary.json; what is to be learned must be learned anew"
        with tiny_is_zero(), self.folder.kept_once_begun(), self.folder.locked(), ending_in_order(again):
            write_yaml(self.config, self.folder.config)
            note_invocation(self.folder, resumed=False)
            self.metrics = MetricsLog(self.folder)
            with closing(self.metrics):
                return self._run()

    def _run(self) -> dict[str, Any]:
        trainer = build_learning(self.config, self.spec).trainer
        interrupted, done = False, 0
        try:
            if self.options.own_reward:
                room = Classroom(
                    trainer.learner, trainer.buffer, self.spec, self.features, self.options.seed, self.options.device
                )
                self.own = open_scores(self.options.reward, room, "--reward")
            self._fill(trainer)
            self.folder.begun = True
            self.stopwatch.begin_training()
            done = self._learn(trainer)
        except EndedAtOnceError:
            raise
        except KeyboardInterrupt:
            if not self.folder.begun:
                raise
            interrupted = True
            log.warning("stopping: what is learned so far is saved")
        finally:
            self.stopwatch.end_training()
        trainer.updates = int(trainer.learner.snapshot().version)
        with interrupts_held():
            trainer.save(self.folder.latest)
            write_snapshot(self.folder.policy, trainer.learner.averaged(), {"task": self.config.task})
        return self._finish(trainer, interrupted or done < self.options.updates)

    # -- replay ----------------------------------------------------------------------------------------------------

    def _fill(self, trainer: Trainer) -> None:
        """Bring what was recorded into replay, with its rewards."""
        buffer, options = trainer.buffer, self.options
        first = ReplayFeed(buffer, self.features)
        gated = None if self.gates is None else GateFeed(first, self.gates)
        fed: ReplayFeed | GateFeed | EpisodeScores = gated or first
        pictures, block = bool(self.features.cameras or self.features.frozen), POLICY
        late = None
        if self.sentences is not None:
            fed = late = score_episodes(gated or first, self.sentences, options.clip.camera)
            block = SCORES
        elif self.reward_features is not self.features:  # it sees other things than the policy
            show_to_reward(first, self.reward_features)
            block = REWARD
            pictures = pictures or bool(self.reward_features.cameras or self.reward_features.frozen)
        successes: list[int] = []
        for path in self.journals:
            labels, takes = read_labels(path), "gold" if options.reward == "gold" else "sparse"
            feed = JudgedFeed(fed, labels, self.config.reward, takes)
            replay_into(path, FanOut([feed, self.tally]), pictures=pictures or late is not None)
            if late is not None:
                late.finish()
            successes += feed.successes
            if self.model is not None:  # one task: what was asked for last is what all of it is scored for
                self.model.instruction = feed.instruction or self.model.instruction
            self.episodes += feed.episodes
        check_learnable(buffer, options.learner, options.reward, options.runs)
        if options.learner.rewards != "none" and options.reward != "sparse":
            self._reward(buffer, block, successes, gated)
        counts = {source.name.lower(): count for source, count in buffer.counts.items() if count}
        self.facts |= {"rows": counts, "episodes_used": dict(sorted(self.episodes.items()))}
        _say(
            options, f"{sum(counts.values())} steps of {sum(self.episodes.values())} episodes: {_words(self.episodes)}"
        )

    def _reward(self, buffer: ReplayBuffer, block: str, successes: list[int], gated: GateFeed | None) -> None:
        """Give the rows dense rewards, scaled to values in [0, 1]; less where a rule is broken."""
        sentences, own = self.sentences, self.own
        if sentences is not None:
            version = max(1, sentences.version)
            index, values = relabelled(buffer, lambda batch: sentences.members_of(batch)[0], version, block=block)
        elif own is not None:
            version = max(1, own.version)
            index, values = relabelled(buffer, lambda batch: own.members_of(batch).mean(dim=0), version)
        elif self.model is None:
            version, rows = 1, buffer.indices().cpu()
            parts = [buffer.gather(chunk, one_step=True).reward.cpu() for chunk in rows.split(1024)]
            index, values = rows.numpy(), torch.cat(parts).numpy()
        else:
            warn_of_words(self.model, self.model.instruction)
            version = max(1, self.model.version)
            index, values = relabelled(buffer, self.model.scores, version, block=block)
        unit = unit_rewards(values, np.isin(index, successes), self.config.replay.discount)
        rewards = torch.as_tensor(unit)
        if gated is not None:
            rewards = gated.gate(torch.as_tensor(index), rewards)
            self.facts["gated_rows"] = int((rewards < 0.0).sum())
        buffer.update_rewards(torch.as_tensor(index), rewards, version=version)
        self.facts |= {"reward_version": version, "reward_range": [float(values.min()), float(values.max())]}

    # -- learning --------------------------------------------------------------------------------------------------

    def _learn(self, trainer: Trainer) -> int:
        options, done = self.options, 0
        all_as_shown = options.learner.rewards == "none" and options.clones == "everything"
        began = said = time.monotonic()
        for done in learn_offline(
            trainer.learner,
            trainer.buffer,
            options.updates,
            options.batch_size,
            all_as_shown=all_as_shown,
            actions=options.learner.actions == "needed",
            on_metrics=self.metrics,
        ):
            now = time.monotonic()
            if now - said > SAY_EVERY:
                said = now
                _say(options, f"{done} of {options.updates} updates, {done / (now - began):.0f} updates/s")
        return done

    def _finish(self, trainer: Trainer, interrupted: bool) -> dict[str, Any]:
        snapshot, final, not_measured = trainer.learner.averaged(), None, ""
        policy = build_policy(self.config, self.spec, practises=False)
        policy.load(snapshot)
        simulated = self.config.place.simulated
        if interrupted:
            not_measured = "the run was interrupted"
        elif simulated:
            final = last_measurement(self.config, policy)
            if final is None:
                interrupted, not_measured = True, "the final evaluation was interrupted; learning had ended before"
        summary = summarise(self.config, self.tally, [], snapshot, final, not_measured=not_measured)
        summary |= {"interrupted": interrupted, "updates": trainer.updates, "offline": self._described()}
        summary |= self.stopwatch.times()
        if not simulated:
            summary["warnings"] = [
                f"not measured: {self.config.task} is not simulated here; robot-rlhf ros policy measures it on the "
                "robot (parameters out, run, and learner:=none evaluate:=20)"
            ]
        write_json(self.folder.summary, summary)
        if final is not None and self.options.video_episodes:
            try:
                write_rollouts(self.folder.video, self.config, policy, self.options.video_episodes)
            except RenderError as error:
                log.warning("no rollouts.mp4: %s", error)
        if not self.options.quiet:
            screen().print(result_table(self.folder.path, summary))
        return summary

    def _described(self) -> dict[str, Any]:
        """Where the policy came from, for summary.json."""
        options = self.options
        looks = options.learner.rewards != "none"
        facts: dict[str, Any] = {
            "runs": [str(path) for path in options.runs],
            "reward": options.reward if looks else "none",
            "gold_used": looks and options.reward == "gold",
            **self.facts,
        }
        if not looks:
            facts["clones"] = options.clones
        if self.model is not None:
            facts["reward_head"] = self.model.reads
        if self.sentences is not None:
            facts["reward_sentences"] = self.sentences.reward.name
        return facts


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
    final = options.episodes or config.evaluation.final_episodes
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
        tutors=(),
        teacher=TeacherConfig(),
        trainer=replace(config.trainer, batch_size=options.batch_size),
        replay=replace(config.replay, rows=rows, n_step=1),
        evaluation=replace(config.evaluation, final_episodes=final),
        video_episodes=options.video_episodes,
    )


def default_name(config: TrainConfig, reward: str) -> str:
    """Folder name of a run: task, algorithm, reward, seed."""
    return f"{label_of(config.task)}-offline_{label_of(config.algorithm)}-{_label(reward)}-seed{config.seed}"


def _label(reward: str) -> str:
    """What a folder may be called by."""
    return label_of(reward) if is_own(reward) else Path(reward).stem


def _same_robot(journals: Sequence[Path]) -> RobotSpec:
    """The robot of all journals; raises JournalError when what is learned from means something else in one."""
    first, *others = [journal_spec(path) for path in journals]
    for path, spec in zip(journals[1:], others, strict=True):
        check_same(spec, first, str(path), str(journals[0]), LEARNED)
    return first


def _same_pictures(journals: Sequence[Path], cameras: Sequence[str]) -> None:
    """Raises ConfigError when the pictures of a camera differ in size."""
    first, *others = [journal_spec(path).cameras for path in journals]
    for path, sizes in zip(journals[1:], others, strict=True):
        for name in cameras:
            if sizes.get(name) != first[name]:
                raise ConfigError(
                    f"{path}: pictures of camera {name!r} are {sizes.get(name)}, in {journals[0]} {first[name]}"
                )


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _say(options: OfflineOptions, text: str) -> None:
    if not options.quiet:
        screen(stderr=True).print(f"offline: {text}", highlight=False, soft_wrap=True)
