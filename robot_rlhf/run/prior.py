"""What was recorded elsewhere, as something to begin with: earlier runs, journals, imported recordings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from robot_rlhf.datatypes import Feedback, RobotSpec, Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.labels import read_labels
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.robots import LEARNED, check_same
from robot_rlhf.journal.tail import JournalTail, journal_spec
from robot_rlhf.meaning import FROM_PRIOR
from robot_rlhf.run.recordings import journal_path
from robot_rlhf.run.trainer import Learning
from robot_rlhf.runtime.named_recording import NamedRecording
from robot_rlhf.runtime.offline import JudgedFeed
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.standing import StandingSentences
from robot_rlhf.runtime.station import Station

log = logging.getLogger(__name__)


class PriorConfig(Protocol):
    """Of a run's settings those about what it begins with."""

    @property
    def prior(self) -> tuple[Path, ...]: ...
    @property
    def reward(self) -> SparseReward: ...
    @property
    def learner_looks(self) -> bool: ...


def take_in_prior(config: PriorConfig, spec: RobotSpec, learning: Learning) -> int:
    """Fill replay with what was recorded before the run, judged by its labels of today; returns the steps.

    It counts as no practice of this run: nothing is earned by it, and nobody's seconds are billed.

    Raises:
        ConfigError: no journal, or none of a step to learn from.
        JournalError: it is of another robot, or cannot be read.
    """
    buffer = learning.trainer.buffer
    before = len(buffer)
    for number, path in enumerate(config.prior):
        journal = journal_path(path)
        if not journal_files(journal):
            raise ConfigError(
                f"prior {path}: no journal there; allowed: folders of runs, of journals, or of what was imported"
            )
        check_same(journal_spec(journal), spec, str(path), "this run", LEARNED)
        acted, watched = len(buffer), buffer.counts[Source.WATCHED]
        feed = JudgedFeed(
            learning.feed, read_labels(journal), config.reward, "sparse", learning.hears, name=_name(number)
        )
        replay_into(journal, feed, pictures=config.learner_looks)
        watched = buffer.counts[Source.WATCHED] - watched
        if watched and len(buffer) == acted:
            raise ConfigError(
                f"prior {path}: what the robot was told is not known in any of {watched} steps, and a run learns from "
                "actions; allowed: recordings with actions"
            )
        if watched:
            log.warning("prior %s: nothing is learned from %d steps whose actions are not known", path, watched)
    taken = len(buffer) - before
    if config.prior and not taken:
        raise ConfigError(f"prior {', '.join(map(str, config.prior))}: hold no step to learn from")
    return taken


def rules_of_prior(paths: Sequence[Path], spec: RobotSpec) -> list[Feedback]:
    """What was said in recordings and is a rule that stands today, named as its lessons are.

    Raises:
        JournalError: one cannot be read.
    """
    standing = StandingSentences(spec)
    for number, path in enumerate(paths):
        named = NamedRecording(_name(number), standing)
        with JournalTail(journal_path(path), pictures=False, steps=False, same=()) as tail:
            for record in tail.records():
                if isinstance(record, Feedback):
                    named.on_event(record)
    sentences = dict.fromkeys(rule.sentence for rule in standing.rules.standing)
    told = [found.feedback for sentence in sentences if (found := standing.get(sentence)) is not None]
    return [replace(each, payload={**each.payload, "why": FROM_PRIOR, "undoes": ""}) for each in told]


def set_rules_of_prior(paths: Sequence[Path], station: Station) -> None:
    """Have the rules of recordings stand in a run that begins with them, until they are switched off as any."""
    for event in rules_of_prior(paths, station.guard.spec):
        station.audience.on_event(replace(event, stamp=station.clock.now()))


def _name(number: int) -> str:
    return f"prior {number}"
