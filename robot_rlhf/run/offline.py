"""A run that learns from recordings alone: checks that they go together, and puts its ring together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.robots import LEARNED, check_same
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.folder.provenance import note_invocation
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.numerics import computing
from robot_rlhf.run.offline_settings import OfflineOptions, default_name, offline_config
from robot_rlhf.run.practice.recorded import RecordedPractice
from robot_rlhf.run.recorded_reward import RecordedReward
from robot_rlhf.run.recordings import journal_path
from robot_rlhf.run.ring import Ring
from robot_rlhf.run.settings import write_yaml
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.interrupts import ending_in_order


def learn_from_recordings(options: OfflineOptions) -> tuple[RunFolder, dict[str, Any]]:
    """Read, relabel, learn, measure, report; returns the run's folder, and what its summary.json holds.

    Raises:
        ConfigError: no recordings, or of several tasks or robots, or a reward that is the same everywhere.
        JournalError: a journal that cannot be read.
        CheckpointError: a reward that needs another robot or other features.
    """
    if not options.runs:
        raise ConfigError("offline: no RUN; allowed: one or more folders of runs or journals")
    journals = [journal_path(path) for path in options.runs]
    config = offline_config(options, [describe(path) for path in journals])
    spec = _same_robot(journals)
    features = build_features(config, spec)
    _same_pictures(journals, features.config.cameras)
    facts = config.place.facts(config.task, spec) if options.gates.rules else None
    reward = RecordedReward(options, config.replay, spec, features, facts)
    folder = RunFolder.create(options.out, config.name or default_name(config, options.reward))
    again = "policy and summary.json; what is to be learned must be learned anew"
    with folder.kept_once_begun(), folder.locked(), computing(config.threads, config.seed), ending_in_order(again):
        write_yaml(config, folder.config)
        note_invocation(folder, resumed=False)
        learning = build_learning(config, spec)
        book = Bookkeeping(folder, config, spec, resumed=False, quiet=options.quiet)
        practice = RecordedPractice(folder, config, learning, options, journals, reward, book)
        return folder, Ring(folder, book, practice).run()


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
