"""`robot-rlhf reward score`: what a learned reward says of every recorded step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.table import Table

from robot_rlhf.apps.command import parse
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.reader import episodes
from robot_rlhf.rewards.clip_reward import ClipConfig, open_reward
from robot_rlhf.rewards.gates import KEPT, GateConfig, Gates
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.recordings import Recording, read_for, read_pictures
from robot_rlhf.run.reward_features import features_of, warn_of_words
from robot_rlhf.run.rewarded import build_gates
from robot_rlhf.run.screen import screen
from robot_rlhf.run.settings import check_device

OUTCOMES = {True: "success", False: "failure", None: "-"}


@dataclass(frozen=True)
class RewardScoreOptions:
    """What a learned reward says of every recorded step."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, or of journals."""
    reward: Path | None = None
    """File of `robot-rlhf reward train`."""
    clip: ClipConfig = field(default_factory=ClipConfig)
    """Or sentences, in the place of --reward."""
    gates: GateConfig = field(default_factory=GateConfig)
    out: Path | None = None
    """Also write one line of JSON per episode here, with the reward of each step; must not exist."""
    head: Literal["progress", "preference", "success"] | None = None
    """Head to read; the one chosen in training when left out. Of success the probability is given."""
    instruction: str | None = None
    """Sentence to score for; each episode's own when left out."""
    device: str = "cpu"
    """Where it is scored: cpu or cuda."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("reward score: no RUN; allowed: one or more folders of runs or journals")
        if (self.reward is None) != self.clip.is_used:
            raise ConfigError("reward score: allowed is one of --reward FILE and --clip.model MODEL")
        if self.out is not None and self.out.exists():
            raise ConfigError(f"--out {self.out}: exists already")
        check_device(self.device)


@dataclass(frozen=True, eq=False)
class Scored:
    """One episode's rewards. T steps."""

    run: str
    trajectory: Trajectory
    reward: NDArray[np.float32]
    """Mean of the members. Shape (T,)."""
    spread: NDArray[np.float32]
    """Standard deviation over the members. Shape (T,)."""
    seconds: float
    """That scoring took."""
    broken: NDArray[np.int8] | None = None
    """Number of the first broken rule of each step, -1 of none; where some were asked for. Shape (T,)."""


def run(argv: Sequence[str]) -> int:
    """Score; returns the exit code."""
    options = parse(RewardScoreOptions, "reward score", argv)
    found = list(score(options))
    screen().print(_table(options, found))
    if options.out is not None:
        _write(options.out, found, options.gates.rules)
        screen().print(f"{options.out}: {len(found)} lines", highlight=False, soft_wrap=True)
    return 0


def score(options: RewardScoreOptions) -> Iterator[Scored]:
    """Every episode of the runs, in the order of recording.

    Raises:
        CheckpointError: no learned reward, or one that was trained with another robot, camera or picture size; no
            weights of a CLIP.
        ConfigError: its head has not been trained, or a CLIP's camera was not recorded.
        JournalError: a journal that cannot be read.
        UnknownNameError: no such pretrained CLIP.
    """
    for path in options.runs:
        recording = Recording.open(path)
        found = _by_sentences(options, recording) if options.reward is None else _by_model(options, recording)
        if not options.gates.rules:
            yield from found
            continue
        place, task = recording.config.place, recording.config.task
        gates = build_gates(options.gates, recording.spec, place.facts(task, recording.spec))
        broken = {e.meta.id: gates.broken(e.observations) for e in episodes(recording.journal, pictures=False)}
        for scored in found:
            yield _gated(scored, gates, broken[scored.trajectory.id])


def _by_model(options: RewardScoreOptions, recording: Recording) -> Iterator[Scored]:
    assert options.reward is not None
    model = LearnedReward.load(options.reward, options.device, reads=options.head)
    seen = features_of(model, recording.spec, str(recording.path))
    trajectories, _ = read_for(seen, recording, None, actions=model.inputs.action is not None)
    for sentence in sorted({options.instruction or t.instruction for t in trajectories}):
        warn_of_words(model, sentence)
    for trajectory in trajectories:
        yield score_one(model, recording.path.name, trajectory, options.instruction or trajectory.instruction)


def _by_sentences(options: RewardScoreOptions, recording: Recording) -> Iterator[Scored]:
    options.clip.check_camera(recording.spec.cameras, str(recording.path))
    reward = open_reward(options.clip, options.device)
    trajectories, _ = read_pictures(options.clip.camera, recording, None)
    for trajectory in trajectories:
        began = time.perf_counter()
        together, *each = reward.each(trajectory.observations[options.clip.camera][1:])
        seconds = time.perf_counter() - began
        yield Scored(recording.path.name, trajectory, together, np.std(each, axis=0), seconds)


def _gated(scored: Scored, gates: Gates, broken: NDArray[np.int8]) -> Scored:
    reward = gates.applied(torch.from_numpy(scored.reward.copy()), torch.from_numpy(broken))
    return replace(scored, reward=reward.numpy(), broken=broken)


def score_one(model: LearnedReward, run_name: str, trajectory: Trajectory, instruction: str) -> Scored:
    """The reward of each step of one episode: of the observation that it led to."""
    began = time.perf_counter()
    observation = {name: torch.tensor(trajectory.observations[name][1:]) for name in model.inputs.names}
    action = None if model.inputs.action is None else torch.tensor(trajectory.actions)
    values = model.members(observation, action, [instruction] * len(trajectory))
    reward, spread = values.mean(dim=0).cpu().numpy(), values.std(dim=0, correction=0).cpu().numpy()
    return Scored(run_name, trajectory, reward, spread, time.perf_counter() - began)


def _table(options: RewardScoreOptions, found: Sequence[Scored]) -> Table:
    title = str(options.reward or f"{options.clip.model}: {'; '.join(options.clip.goal)}")
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("episode", "outcome", "steps", "first", "last", "mean", "spread of members"):
        table.add_column(name, justify="left" if name in ("episode", "outcome") else "right")
    several = len(options.runs) > 1
    for scored in found:
        trajectory = scored.trajectory
        table.add_row(
            f"{scored.run}: {trajectory.id}" if several else trajectory.id,
            OUTCOMES[trajectory.success],
            str(len(trajectory)),
            *(f"{x:.3f}" for x in (scored.reward[0], scored.reward[-1], scored.reward.mean(), scored.spread.mean())),
        )
    steps = sum(len(scored.trajectory) for scored in found)
    seconds = sum(scored.seconds for scored in found)
    if steps:
        rewards = np.concatenate([scored.reward for scored in found])
        table.caption = (
            f"{steps} steps, reward {rewards.mean():.3f} +- {rewards.std():.3f}; "
            f"{steps / max(seconds, 1e-9):.0f} frames/s on {options.device}"
        )
        for number, rule in enumerate(options.gates.rules):
            count = sum(int((s.broken == number).sum()) for s in found if s.broken is not None)
            table.caption += f"\n{rule}: {count} steps"
    return table


def _write(path: Path, found: Iterable[Scored], rules: Sequence[str]) -> None:
    with path.open("x", encoding="utf-8") as file:
        for scored in found:
            file.write(json.dumps(_line(scored, rules)) + "\n")


def _line(scored: Scored, rules: Sequence[str]) -> dict[str, Any]:
    trajectory = scored.trajectory
    broken: dict[str, Any] = {}
    if scored.broken is not None:
        broken["broken"] = [None if number == KEPT else rules[number] for number in scored.broken]
    return {
        "run": scored.run,
        "episode": trajectory.id,
        "task": trajectory.task,
        "instruction": trajectory.instruction,
        "success": trajectory.success,
        "reward": [round(float(x), 6) for x in scored.reward],
        "uncertainty": [round(float(x), 6) for x in scored.spread],
        **broken,
    }
