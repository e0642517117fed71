"""`robot-rlhf label`: compare pairs of recorded clips; every answer is appended to the journal at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from robot_rlhf.apps.command import parse
from robot_rlhf.apps.label_backends import Backend, open_backend
from robot_rlhf.apps.label_options import LabelOptions
from robot_rlhf.apps.label_report import Labelled, contradictions, table_of
from robot_rlhf.apps.terminal import EndedByPersonError
from robot_rlhf.datatypes import Array, Feedback
from robot_rlhf.errors import ConfigError, LabelerError
from robot_rlhf.feedback.comparisons import Budget, preference
from robot_rlhf.feedback.queries import Candidate, Pair, Probabilities, choose, clips_of, path_features, usual_length
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.tail import check_journal
from robot_rlhf.journal.writer import check_idle
from robot_rlhf.run.recordings import journal_path
from robot_rlhf.run.screen import screen
from robot_rlhf.runtime.clips import JournalClips, read_clips
from robot_rlhf.runtime.trajectories import read_gold
from robot_rlhf.timing import MonotonicClock


def run(argv: Sequence[str]) -> int:
    """Label; returns the exit code."""
    options = parse(LabelOptions, "label", argv)
    labelled = label(options)
    screen().print(table_of(labelled, options))
    for line in contradictions(labelled.comparisons):
        screen().print(line, highlight=False, soft_wrap=True)
    if labelled.failure is not None:
        raise labelled.failure
    return 0


def label(options: LabelOptions) -> Labelled:
    """Ask about pairs and append the answers to the journal, until enough, the budget or the labeler ends it.

    Raises:
        ConfigError: settings that cannot hold together, or a labeler that lacks what it needs.
        JournalError: no journal that can be read, or a session is writing it.
        RenderError, UnknownNameError: the labeler needs pictures, or a camera, that were not recorded.
    """
    journal = check_journal(journal_path(options.recording))
    if not journal.is_dir():
        raise ConfigError(
            f"{journal}: one file of a journal; allowed: the journal's folder, labels get a file of their own"
        )
    clips = read_clips(journal)
    gold = _recorded_gold(journal)
    candidates = _candidates(options, clips)
    given: list[Feedback] = []
    ended, failure = "", None
    with open_backend(options, clips, [c.segment for c in candidates], gold) as backend, LabelWriter(journal) as sink:
        left = options.count
        if options.budget is not None:
            left = Budget(options.budget).left(clips.comparisons, backend.author)
        pairs = _choose(options, clips, candidates) if left else []
        check_idle(journal)
        try:
            for feedback in _answers(backend, pairs, left):
                sink.give(feedback)
                given.append(feedback)
        except (LabelerError, KeyboardInterrupt) as error:
            ended, failure = str(error) or "interrupted", error
        except EndedByPersonError:
            ended = "ended by you"
        detail = backend.detail()
    if len(given) < options.count and not ended:
        spent = options.budget is not None and left <= sum(f.value is not None for f in given)
        budget = f"the budget of {options.budget} labels by {backend.author} is used up"
        ended = budget if spent else "there are no more pairs of such clips"
    everything = (*clips.comparisons, *given)
    return Labelled(backend.author, tuple(given), ended, failure, everything, gold, detail)


def _answers(backend: Backend, pairs: Sequence[Pair], left: int) -> Iterator[Feedback]:
    """The label of each pair, until there are so many that are not skipped."""
    clock = MonotonicClock()
    console = screen(stderr=True)
    hidden = backend.by_hand or not console.is_terminal
    with Progress(console=console, transient=True, disable=hidden) as progress:
        for pair in progress.track(pairs, description=backend.author):
            if left <= 0:
                return
            answer = backend.labeler.compare(*pair)
            left -= answer != "skip"
            yield preference(pair, answer, backend.author, clock.now())


def _recorded_gold(journal: Path) -> dict[str, Array]:
    """The true reward by episode; empty where only zeros were recorded, as on a real robot."""
    gold = read_gold(journal)
    return gold if any(rewards.any() for rewards in gold.values()) else {}


# -- choosing ----------------------------------------------------------------------------------------------------------


def _candidates(options: LabelOptions, clips: JournalClips) -> list[Candidate]:
    """Raises ConfigError when no two clips of that length are there."""
    comparable = clips.comparable
    length = options.length or usual_length(comparable.values())
    segments = clips_of(clips.steps, length, comparable)
    if len(segments) < 2:
        longest = max(comparable.values(), default=0)
        raise ConfigError(
            f"{options.recording}: {len(segments)} clips of {length} steps are no pair; "
            f"{len(comparable)} episodes are there, the longest of {longest} steps; choose with --length"
        )
    if options.strategy != "k_centre":
        return [Candidate(segment) for segment in segments]
    found: list[Candidate] = []
    for segment in segments:
        columns = clips.observations(segment)
        path = np.column_stack([columns["tool_pose_in_base"][:, :3], columns["gripper"]])
        found.append(Candidate(segment, path_features(path)))
    return found


def _choose(options: LabelOptions, clips: JournalClips, candidates: Sequence[Candidate]) -> list[Pair]:
    asked = [(f.span, f.other) for f in clips.comparisons if f.other is not None]
    rng = np.random.default_rng(options.seed)
    probabilities = None if options.reward is None else _ensemble(options.reward, options.recording)
    return choose(options.strategy, candidates, options.count, rng, asked, probabilities)


def _ensemble(reward: Path, recording: Path) -> Probabilities:
    """What the members of a learned reward say of pairs of a recording."""
    from robot_rlhf.learner.reward_data import Moments, Pairs, preference_probabilities
    from robot_rlhf.rewards.model import LearnedReward
    from robot_rlhf.run.recordings import Recording, read_for
    from robot_rlhf.run.reward_features import features_of

    model = LearnedReward.load(reward, reads="preference")
    if model.config.members < 2:
        raise ConfigError(f"--reward {reward}: has one member; disagreement and entropy need several")
    session = Recording.open(recording)
    seen = features_of(model, session.spec, str(recording))
    trajectories, _ = read_for(seen, session, None, actions=model.inputs.action is not None)
    moments = Moments(trajectories, model.inputs)

    def probabilities(pairs: Sequence[Pair]) -> Array:
        return preference_probabilities(
            model, moments, Pairs.of([preference(p, "left", "", 0.0) for p in pairs], moments)
        )

    return probabilities
