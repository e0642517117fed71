"""One page on how far a learned reward can be trusted: its options, what it is about, and its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from robot_rlhf.audit.material import Audited, audit
from robot_rlhf.audit.page import Section, write_page
from robot_rlhf.audit.sections import (
    calibration_section,
    confusion_section,
    disagreement_section,
    gold_section,
    order_section,
    success_section,
)
from robot_rlhf.audit.supervision import label_section, training_section
from robot_rlhf.errors import ConfigError
from robot_rlhf.rewards.clip_reward import ClipConfig
from robot_rlhf.run.build import software_versions
from robot_rlhf.run.results.report import write_json
from robot_rlhf.run.settings import check_device


@dataclass(frozen=True)
class RewardReportOptions:
    """One page on how far a learned reward can be trusted, measured on sessions that it was not trained on.

    Writes report.html, which needs nothing beside itself, and report.json with the same figures.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, or of journals; none that the reward was trained on, or the figures flatter it."""
    reward: Path | None = None
    """File of `robot-rlhf reward train`."""
    clip: ClipConfig = field(default_factory=ClipConfig)
    """Or sentences, in the place of --reward."""
    out: Path | None = None
    """Folder for the page; beside the reward's file when left out. An older report there is replaced."""
    head: Literal["progress", "preference", "success"] | None = None
    """Head that is scored by; the one chosen in training when left out."""
    device: str = "cpu"
    """Where it is scored: cpu or cuda."""
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("reward report: no RUN; allowed: one or more folders of runs or journals")
        if (self.reward is None) != self.clip.is_used:
            raise ConfigError("reward report: allowed is one of --reward FILE and --clip.model MODEL")
        if self.reward is None and self.out is None:
            raise ConfigError("--out: missing; with --clip there is no reward's file to put the page beside")
        if self.threads < 1:
            raise ConfigError(f"--threads: got {self.threads}, allowed >= 1")
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"--out {self.out}: is a file; allowed is a folder")
        check_device(self.device)


def report(options: RewardReportOptions) -> tuple[Path, list[Section], list[str]]:
    """Measure, and write report.html and report.json.

    Returns:
        The page, its sections, and what makes the figures less than they seem.

    Raises:
        CheckpointError: no learned reward, or one that was trained with another robot, camera or picture size.
        ConfigError: its head has not been trained, or no episode is recorded.
        JournalError: a journal that cannot be read.
    """
    torch.set_num_threads(options.threads)
    audited = audit(options.reward or options.clip, options.runs, head=options.head, device=options.device)
    sections = sections_of(audited)
    warnings = warnings_of(audited)
    folder = options.out
    if folder is None:
        assert options.reward is not None
        folder = options.reward.with_name(f"{options.reward.stem}-report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be made ({error.strerror})") from error
    about = _about(options, audited)
    write_json(folder / "report.json", _plain(_facts(audited, sections, warnings)))
    title = f"How far {name_of(options)} can be trusted"
    by = "the fit of pictures to sentences" if options.reward is None else f"its {audited.head} head"
    subtitle = f"Learned reward, version {audited.model.version}, scored by {by}."
    write_page(folder / "report.html", title, subtitle, warnings, about, sections)
    return folder / "report.html", sections, warnings


def name_of(options: RewardReportOptions) -> str:
    """Of the reward, for people."""
    return options.reward.name if options.reward else f"{options.clip.model}: {'; '.join(options.clip.goal)}"


def sections_of(audited: Audited) -> list[Section]:
    """All of them, in the order of the page."""
    several = len(audited.recordings) > 1
    return [
        *(
            training_section(audited, recording.path.name, f"{number}:" if several else "")
            for number, recording in enumerate(audited.recordings)
        ),
        success_section(audited),
        calibration_section(audited),
        gold_section(audited),
        order_section(audited),
        label_section(audited),
        disagreement_section(audited),
        confusion_section(audited),
    ]


def warnings_of(audited: Audited) -> list[str]:
    """What makes the figures less than they seem."""
    warnings: list[str] = []
    if audited.learned_from:
        warnings.append(
            f"{', '.join(audited.learned_from)}: by its name the reward was trained on this session; "
            "figures on it are not held out and flatter the reward"
        )
    elif not audited.model.facts.get("runs"):
        warnings.append(
            "the reward does not say what it was trained on; whether these sessions are held out is not known"
        )
    tasks = {trajectory.task for trajectory in audited.trajectories}
    new = sorted(tasks - set(audited.model.facts.get("tasks", tasks)))
    if new:
        warnings.append(f"the reward was not trained on the task {', '.join(new)}")
    return warnings


def _about(options: RewardReportOptions, audited: Audited) -> list[tuple[str, str]]:
    model = audited.model
    seen = [
        f"state of {model.inputs.state}" if model.inputs.state else "",
        *(f"camera {c}" for c in model.inputs.cameras),
    ]
    seen.append("the action" if model.inputs.action is not None else "")
    return [
        ("reward", f"{options.reward or name_of(options)}, version {model.version}"),
        ("heads trained", ", ".join(model.trained)),
        ("sees", ", ".join(filter(None, seen))),
        ("members", str(audited.number_of_members)),
        ("trained on", ", ".join(model.facts.get("runs", ())) or "not said"),
        ("measured on", ", ".join(str(path) for path in options.runs)),
        ("episodes", audited.episodes()),
        ("true reward known of", f"{sum(t.id in audited.gold for t in audited.trajectories)} episodes, for audit only"),
        ("software", ", ".join(f"{name} {version}" for name, version in software_versions().items())),
    ]


def _facts(audited: Audited, sections: Sequence[Section], warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "version": audited.model.version,
        "head": audited.head,
        "trained": list(audited.model.trained),
        "trained_on": list(audited.model.facts.get("runs", ())),
        "measured_on": [str(r.path) for r in audited.recordings],
        "episodes": len(audited.trajectories),
        "steps": sum(map(len, audited.trajectories)),
        "gold_episodes": sum(t.id in audited.gold for t in audited.trajectories),
        "warnings": list(warnings),
        "sections": {s.title: {"basis": s.basis, "missing": s.missing, **s.facts} for s in sections},
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN: null stands for what could not be computed."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
