"""`robot-rlhf reward train`: learns a reward from recorded sessions and their labels."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.table import Table

from robot_rlhf.apps.command import parse
from robot_rlhf.datatypes import Feedback
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.summary import describe
from robot_rlhf.learner.reward_training import RewardReport, RewardTraining, train_reward
from robot_rlhf.ranges import SEED, Range, check_ranges
from robot_rlhf.rewards.metrics import Detection, Proportion
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig, RewardInputs
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.numerics import tiny_is_zero
from robot_rlhf.run.recordings import Recording, build_seen, read_for
from robot_rlhf.run.reward_features import compared, features_facts, in_words, inputs_of, robot_facts
from robot_rlhf.run.screen import screen
from robot_rlhf.run.settings import check_device

log = logging.getLogger(__name__)

TEXT_SIZE = 32
"""Size of an instruction's vector, where instructions are read and no other size is asked for."""


@dataclass(frozen=True)
class RewardTrainOptions:
    """Learn a reward from recorded sessions: how far a task is, what people prefer, or whether it has succeeded."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, or of journals, of one robot. What the reward sees is what the first run's policy sees."""
    out: Path
    """File to write."""
    head: tuple[Literal["progress", "preference", "success"], ...] = ("progress",)
    """What to learn, one or several together; the first is what is scored by."""
    pixels: bool = False
    """See the recorded pictures and the robot's own sensors, but no poses of things."""
    cameras: tuple[str, ...] = ()
    """See these cameras; with --pixels all recorded ones when left out."""
    state: bool = True
    """See the state vector; without it robots and tasks may differ that are seen by the same cameras."""
    action: bool = False
    """Also see the action that led to an observation."""
    text: bool = False
    """Also read the instruction, so that one reward serves several tasks."""
    network: RewardConfig = field(default_factory=RewardConfig)
    training: RewardTraining = field(default_factory=RewardTraining)
    seed: int = 0
    device: str = "cpu"
    """Where it learns: cpu or cuda."""
    threads: int = 1
    quiet: bool = False
    """Show neither progress nor result."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("reward train: no RUN; allowed: one or more folders of runs or journals")
        if not self.head:
            raise ConfigError("--head: none; allowed: progress, preference, success")
        check_ranges(self, "", threads=Range(1, 1_024), seed=SEED)
        if self.out.is_dir():
            raise ConfigError(f"--out {self.out}: is a folder; allowed is a file, for example reward.safetensors")
        check_device(self.device)


def run(argv: Sequence[str]) -> int:
    """Train; returns the exit code."""
    options = parse(RewardTrainOptions, "reward train", argv)
    report = train(options)
    if not options.quiet:
        console = screen()
        console.print(table_of(report))
        text = f"{options.out}: robot-rlhf reward score RUN --reward {options.out}"
        console.print(text, highlight=False, soft_wrap=True)
    return 0


def train(options: RewardTrainOptions) -> RewardReport:
    """Read, learn, write.

    Raises:
        ConfigError: nothing to learn from, or sessions of different robots.
        JournalError: a journal that cannot be read.
        CheckpointError: the file cannot be written.
    """
    torch.set_num_threads(options.threads)
    recordings = [Recording.open(path) for path in options.runs]
    first = recordings[0]
    config = first.seen(pixels=options.pixels, cameras=options.cameras)
    inputs = inputs_of(build_seen(first, config), first.spec, state=options.state, action=options.action)
    trajectories: list[Trajectory] = []
    preferences: list[Feedback] = []
    for number, recording in enumerate(recordings):
        _check_same(first, recording, inputs, scene=config.features.scene)
        number_or_none = number if len(recordings) > 1 else None
        seen = build_seen(recording, config)
        found, labels = read_for(seen, recording, number_or_none, actions=options.action)
        if options.action and not found and describe(recording.journal).steps_without_actions:
            raise ConfigError(f"{recording.path}: its actions are not known; allowed: without --action")
        trajectories += found
        preferences += labels
    if not trajectories:
        raise ConfigError(f"{', '.join(map(str, options.runs))}: no recorded episode; there is nothing to learn from")
    network = options.network
    sentences = Counter(trajectory.instruction for trajectory in trajectories)
    if options.text and not network.text:
        network = replace(network, text=TEXT_SIZE)
    if len(sentences) > 1 and not network.text:
        log.warning("reward: %d different instructions, which it does not read; --text reads them", len(sentences))
    model = LearnedReward(inputs, network, seed=options.seed, device=options.device)
    if "success" in options.head and not any(t.success is False for t in trajectories):
        log.warning("reward: no failed episode among %d; what failing looks like is not known", len(trajectories))

    def say(update: int, loss: float) -> None:
        if not options.quiet:
            screen(stderr=True).print(
                f"{update}/{options.training.updates} updates, loss {loss:.3f}", highlight=False, soft_wrap=True
            )

    with tiny_is_zero():
        report = train_reward(
            model,
            trajectories,
            options.head,
            options.training,
            seed=options.seed,
            preferences=preferences,
            on_update=say,
        )
    model.read(options.head[0])
    model.facts = {
        **features_facts(config, first.spec),
        "tasks": sorted({trajectory.task for trajectory in trajectories}),
        "instructions": sorted(sentences),
        "runs": [path.name for path in options.runs],
        "seed": options.seed,
        "report": dataclasses.asdict(report),
    }
    model.save(options.out)
    for line in report.preference.contradictions if report.preference else ():
        log.warning("reward: these preferences contradict each other: %s", line)
    return report


def _check_same(first: Recording, other: Recording, inputs: RewardInputs, *, scene: bool) -> None:
    """Raises ConfigError when sessions cannot be shown to one reward."""
    own, theirs = robot_facts(first.spec), robot_facts(other.spec)
    for name in compared(inputs, scene=scene):
        if own[name] != theirs[name]:
            hint = "; --pixels sees no poses of things" if name == "scene" else "; --no-state sees pictures alone"
            raise ConfigError(
                f"{other.path} has {name} {in_words(theirs[name])}, {first.path} has {in_words(own[name])}: "
                f"one reward needs the same{hint}"
            )
    for camera, size in inputs.cameras.items():
        got = other.spec.cameras.get(camera)
        if got != size:
            has = "it has none of camera" if got is None else f"they are {got[0]} x {got[1]} of camera"
            raise ConfigError(
                f"{other.path}: pictures differ from {first.path}'s {size[0]} x {size[1]}: {has} {camera}"
            )


# -- the result ------------------------------------------------------------------------------------------------------


def table_of(report: RewardReport) -> Table:
    """The figures on what was held out."""
    table = Table(title=f"reward, version {report.version}", title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("learned from", f"{report.episodes} episodes, {report.updates} updates, {report.seconds:.0f} s")
    if report.progress is not None:
        p = report.progress
        table.add_row("progress", f"held out: {p.successes} successes, {p.failures} failures")
        table.add_row("  order in time (VOC)", f"{p.voc:.3f}")
        table.add_row("  success over failure (AUC)", f"{p.auc:.3f}")
        if p.other_text_lower.total:
            table.add_row("  other sentences lower", _share(p.other_text_lower))
    if report.preference is not None:
        f = report.preference
        table.add_row("preference", f"{f.pairs} labels, {f.ties} of them ties; {f.unusable} more not usable")
        table.add_row("  ordered as labelled", f"learned {_share(f.accuracy)}, held out {_share(f.held_out)}")
        table.add_row("  contradictions", str(len(f.contradictions)))
    if report.success is not None:
        s = report.success
        table.add_row("success", f"learned from {s.positives} moments of success and {s.negatives} others")
        table.add_row("  threshold", f"{s.calibration.threshold:.3f}, held for {s.calibration.hold} moment(s)")
        table.add_row("  moments, held out", _detected(s.frames) + f", AUC {s.auc:.4f}")
        table.add_row("  episodes, held out", _detected(s.episodes) + f", too early {_share(s.early)}")
    return table


def _share(share: Proportion) -> str:
    if not share.total:
        return "none"
    low, high = share.interval
    return f"{share.rate:.1%} of {share.total} ({low:.1%} to {high:.1%})"


def _detected(found: Detection) -> str:
    return f"found {_share(found.recall)}, false positives {_share(found.false_positive_rate)}"
