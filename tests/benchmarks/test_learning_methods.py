"""Every method of the learning benchmark, in little: all measured on the same starts, and clones of what they say."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning import imitation
from benchmarks.learning.cases import METHODS, NOBODY, Case
from benchmarks.learning.imitation import Corrections, Dealt, UpTo
from benchmarks.learning.rows import Row
from benchmarks.learning.run import run
from robot_rlhf.datatypes import Driver, EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step
from robot_rlhf.journal.reader import replay_into

pytestmark = pytest.mark.timeout(1800)  # whole runs, on a machine that may have other work
SAMPLE = Path(__file__).parents[2] / "datasets" / "sample_session"
LITTLE = (
    *("steps=30", "demonstrations=1", "network.hidden=[8]", "trainer.batch_size=8", "trainer.start_after=20"),
    *("trainer.updates_per_step=1", "trainer.warm_start_updates=5", "trainer.warm_critic_updates=2"),
    *("evaluation.final_episodes=2", "evaluation.episodes=1"),
)
DONE = ("ours", "sirius", "cloning", "cloning_shuffled", "demonstrations", "no_interventions", "sb3_sac", "session")
UNLEARNED = ("scripted", "random")
"""Every kind of method, and every way of data; the others differ by a setting."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """A row of each, of one person and seed."""
    runs = tmp_path_factory.mktemp("runs")
    found: dict[str, Row] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imitation, "UPDATES", 20)
        for name in (*DONE, *UNLEARNED):
            kind = METHODS[name].kind
            person = NOBODY if kind in ("stock", "unlearned") else "attentive"
            settings = (*LITTLE, f"evaluation.every={0 if kind == 'session' else 30}")
            found[name] = run(Case("pick_cube", name, person, 100, "little", settings), runs)
    return found


def test_all_methods_are_measured_on_the_same_starts(rows: dict[str, Row]) -> None:
    finals = [row["final"] for row in rows.values()] + [*rows["session"]["policies"].values()]
    assert {METHODS[name].kind for name in rows} == {method.kind for method in METHODS.values()}
    assert len(finals) == len(DONE) + len(UNLEARNED) + 4
    assert len({final["starts"] for final in finals}) == 1
    assert {len(final["outcomes"]) for final in finals} == {2}


def test_another_seed_has_other_starts(rows: dict[str, Row], tmp_path: Path) -> None:
    settings = (*LITTLE, "evaluation.every=0")
    other = run(Case("pick_cube", "demonstrations", "attentive", 101, "little", settings), tmp_path)
    assert other["final"]["starts"] != rows["demonstrations"]["final"]["starts"]


def test_rows_tell_what_was_run_and_what_it_cost(rows: dict[str, Row]) -> None:
    for name, row in rows.items():
        assert row["method"] == name
        assert row["versions"]["torch"]
        assert row["changed"]["evaluation.final_episodes"] == 2
        assert row["wall_s"] > 0
        for outcome, length in zip(row["final"]["outcomes"], row["final"]["lengths"], strict=True):
            assert outcome in "01"
            assert length > 0
    shown = rows["demonstrations"]["hands_on_seconds"]
    assert rows["no_interventions"]["hands_on_seconds"] == rows["demonstrations"]["at_machine_seconds"] == shown > 0
    assert rows["sb3_sac"]["hands_on_seconds"] == 0.0
    for name in UNLEARNED:
        assert rows[name]["hands_on_seconds"] == rows[name]["env_steps"] == rows[name]["demonstrations"] == 0
    assert rows["scripted"]["final"]["successes"] == 2
    assert rows["ours"]["at_machine_seconds"] > rows["ours"]["hands_on_seconds"] >= shown


def test_a_clone_costs_what_its_data_cost_and_is_measured_when_they_were(rows: dict[str, Row]) -> None:
    ours = rows["ours"]
    for name in ("cloning", "cloning_shuffled"):
        clone = rows[name]
        for figure in ("hands_on_seconds", "at_machine_seconds", "env_steps"):
            assert clone[figure] == ours[figure]
        assert [point["step"] for point in clone["curve"]] == [ours["curve"][0]["step"]]


class Seen:
    """Takes down what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[EpisodeKind, Step]] = []
        self.episodes: Counter[EpisodeKind] = Counter()
        self._kind = EpisodeKind.PRACTICE

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._kind = meta.kind
        self.episodes[meta.kind] += 1

    def on_step(self, step: Step) -> None:
        self.steps.append((self._kind, step))

    def on_event(self, event: Event) -> None: ...

    def on_episode_end(self, end: EpisodeEnd) -> None: ...


def corrected(seen: Seen) -> list[bool]:
    return [kind is EpisodeKind.PRACTICE and step.driver is Driver.HUMAN for kind, step in seen.steps]


def test_dealt_corrections_are_the_same_actions_at_other_moments() -> None:
    as_was, dealt, corrections = Seen(), Seen(), Corrections()
    replay_into(SAMPLE, as_was)
    replay_into(SAMPLE, corrections)
    replay_into(SAMPLE, Dealt(dealt, corrections, np.random.default_rng(0)))
    marks = corrected(as_was)
    assert sum(marks) == len(corrections.actions) == 9
    before = [step.action.values.tobytes() for _, step in as_was.steps]
    after = [step.action.values.tobytes() for _, step in dealt.steps]
    moved = [a != b for a, b in zip(before, after, strict=True)]
    assert any(moved)
    assert not any(one and not mark for one, mark in zip(moved, marks, strict=True))  # demonstrations stay
    assert Counter(before) == Counter(after)
    for (_, one), (_, other) in zip(as_was.steps, dealt.steps, strict=True):
        assert dataclasses.replace(other, executed=one.executed).reward == one.reward
        assert np.array_equal(one.observation.joint_position, other.observation.joint_position)


def test_up_to_a_step_passes_on_whole_episodes() -> None:
    """Of two sessions one after the other: nothing, the first to the end of its practice episode, or both."""
    whole = Seen()
    replay_into(SAMPLE, whole)
    assert whole.episodes[EpisodeKind.PRACTICE] == 1
    none, first, both = (Seen() for _ in range(3))
    for limit, seen in ((0, none), (1, first), (None, both)):
        listener = UpTo(limit, seen)
        for _ in range(2):
            replay_into(SAMPLE, listener)
    assert none.steps == []
    assert first.episodes == whole.episodes
    assert len(first.steps) == len(whole.steps)
    assert len(both.steps) == 2 * len(whole.steps)
