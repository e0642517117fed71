"""Rules that stand, taught: kept to where they hold, and nothing else changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Action, Array, Driver, EpisodeKind, EpisodeMeta, Observation, Source, Step
from robot_rlhf.errors import CheckpointError
from robot_rlhf.learner.cloning import CloningLearner, DaggerConfig
from robot_rlhf.learner.meant import Ruled
from robot_rlhf.learner.rule_lessons import AGAIN, EACH, NEAR, OUT
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.words import Words, WordsConfig
from robot_rlhf.meaning import Meaning
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.ports import RuledLearner
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from tests.journal.sessions import ACTIONS, make_spec
from tests.learner.test_words import SPEC, Hands, means, undone
from tests.replay.test_feed import see

ENTRIES = len(ACTIONS)
SHAPES = Shapes(state=2, action=ENTRIES, gripper=4)
SMALL = NetworkConfig(hidden=(32, 32))
BORDER = 0.5
AWAY = Meaning("rule", rule="keep_away", thing="glass")
TAUGHT = WordsConfig(rule_weight=1.0)
SLOWER = Meaning("rule", rule="slower", thing="glass")
LAMP = Meaning("rule", rule="keep_away", thing="lamp")
IT = "s/0/keep_away/glass"
"""What lessons of AWAY, said first, are called."""


class RuledHands(Hands):
    """A glass stands where the joint is beyond BORDER: keep away wants x to be -0.8 there, slower halves motion."""

    def rules(self, meanings: Sequence[Meaning], seen: Sequence[Observation], actions: Array) -> Ruled | None:
        whole: Ruled | None = None
        for meaning in meanings:
            found = self.rule(meaning, seen, actions if whole is None else whole.actions)
            if found is not None and whole is not None:
                within = whole.in_scope | found.in_scope
                found = Ruled(found.actions, within, (whole.near | found.near) & ~within)
            whole = whole if found is None else found
        return whole

    def rule(self, meaning: Meaning, seen: Sequence[Observation], actions: Array) -> Ruled | None:
        if meaning.thing != "glass":
            return None
        where = np.array([observation.joint_position[0] for observation in seen])
        scope = where > BORDER
        given = actions.copy()
        if meaning.rule == "slower":
            given[scope, :4] *= 0.5
        else:
            given[scope, 0] = -0.8
        return Ruled(given, scope, (where > BORDER - 0.15) & ~scope)


class Room:
    """A policy that moves along +x everywhere, and what it did along one joint, there and back."""

    def __init__(self, config: WordsConfig | None = None, learner: Any = None) -> None:
        self.learner = learner or CloningLearner(SHAPES, SMALL, DaggerConfig(), seed=0)
        self.buffer = ReplayBuffer(2_000, state_size=2, action_size=ENTRIES, discount=0.9)
        self.feed = ReplayFeed(self.buffer, lambda seen: {"state": seen.joint_position})
        self.words = Words(self.learner, self.buffer, RuledHands(), make_spec().action, config or TAUGHT)
        self.told = 0

    def tell(self, *events: Any) -> None:
        for event in events:
            self.feed.on_event(event)
            self.words.on_event(event)

    def drive(self, steps: int = 200, driver: Driver = Driver.POLICY) -> None:
        name = f"practice-{self.told:06d}"
        self.told += 1
        where = np.sin(np.linspace(0.0, 20.0, steps + 1))
        seen = [place(stamp=self.told * 100 + 0.05 * i, at=float(at)) for i, at in enumerate(where)]
        meta = EpisodeMeta(name, "task", EpisodeKind.PRACTICE, 0, "someone", "task_success@1")
        for tutor in (self.feed, self.words):
            tutor.on_episode_start(meta, seen[0])
        action = Action(np.array([0.6, 0.1, -0.2, 0.0, 1.0], np.float32))
        for i in range(steps):
            step = Step(i, seen[i], action, action, driver, 0.0, False, False, 1, "", seen[i + 1])
            for tutor in (self.feed, self.words):
                tutor.on_step(step)

    def behave(self) -> None:
        """The policy becomes what moves along +x."""
        for _ in range(200):
            batch = self.buffer.sample(64)
            batch.source.fill_(int(Source.DEMO))
            self.learner.update(batch)
        self.words.work()  # nobody spoke: no advice is due for that

    def advise(self, count: int) -> None:
        """So many updates' worth of advice, with a policy that otherwise stays."""
        for _ in range(count):
            self.learner.updates += 1
            self.words.work()

    def learn(self, count: int) -> None:
        """So many updates with what teaches beside them."""
        for _ in range(count):
            self.words.work()
            self.learner.update(self.buffer.sample(64))
        self.words.work()

    def does(self) -> tuple[Array, Array]:
        """Places (N,), and actions there (N, m)."""
        at = np.linspace(-1.0, 1.0, 81).astype(np.float32)
        state = torch.tensor(np.stack([at, at], axis=1))
        return at, self.learner.mode({"state": state}).numpy()


def place(stamp: float, at: float) -> Observation:
    observation = see(stamp)
    object.__setattr__(observation, "joint_position", np.full(2, at, np.float32))
    return observation


def taught(config: WordsConfig | None = None, rule: Meaning = AWAY) -> tuple[Array, Array, Array]:
    """Places, and what is done there before and after."""
    room = Room(config)
    room.drive()
    room.behave()
    at, before = room.does()
    room.tell(means("s/0", "rule", rule))
    room.advise(500)
    return at, before, room.does()[1]


def test_it_is_kept_to_in_scope_and_nothing_else_is_changed() -> None:
    at, before, after = taught()
    inside, outside = at > BORDER + 0.1, at < BORDER - 0.3
    obeyed = np.abs(after[inside, 0] + 0.8) < 0.2
    assert obeyed.mean() >= 0.9
    assert np.abs(after[outside] - before[outside]).mean() <= 0.02
    assert np.abs(after[inside, 1:3] - before[inside, 1:3]).max() < 0.15


def test_it_is_kept_to_against_what_is_imitated_all_the_while() -> None:
    """What people showed within its scope says the opposite, and the learner goes on imitating."""
    room = Room()
    for driver in (Driver.HUMAN, Driver.POLICY):
        room.drive(driver=driver)
    room.behave()
    at, before = room.does()
    room.tell(means("s/0", "rule", AWAY))
    room.learn(500)
    inside, outside = at > BORDER + 0.1, at < BORDER - 0.3
    after = room.does()[1]
    assert (np.abs(after[inside, 0] + 0.8) < 0.2).mean() >= 0.9
    assert np.abs(after[outside] - before[outside]).mean() <= 0.02
    room.tell(undone("s/0"))
    room.learn(1_000)
    assert np.abs(room.does()[1][inside, 0] - before[inside, 0]).mean() < 0.2


def test_what_hands_do_against_it_is_not_imitated_and_taught_as_it_would_have_it() -> None:
    room = Room()
    room.tell(means("s/0", "rule", AWAY))
    room.drive(driver=Driver.HUMAN)
    at = room.buffer.gather(room.buffer.indices())
    inside = at.observation["state"][:, 0] > BORDER
    assert inside.any()
    assert (at.source[inside] == Source.OTHER).all()
    assert (at.source[~inside] == Source.HUMAN).all()
    room.words.work()
    rows = room.words.rules.lessons.of(IT)
    assert rows is not None
    assert sorted(rows.numbers.tolist()) == at.index[inside].tolist()
    assert np.allclose(rows.target, [-0.8, 0.1, -0.2, 0.0, 1.0])
    room.tell(undone("s/0"))
    assert (room.buffer.gather(at.index).source == Source.HUMAN).all()


@pytest.mark.parametrize("imitators", [0, 2])
def test_taken_back_it_leaves_a_learner_equal_to_the_bit(imitators: int) -> None:
    """Whoever drove, before it and after it, and what success proved meanwhile."""
    rooms = [
        Room(learner=SacLearner(SHAPES, SMALL, SacConfig(imitators=imitators), seed=0)) for _ in ("spoken", "silent")
    ]
    for room in rooms:
        room.drive(100)
        room.drive(50, driver=Driver.HUMAN)
        if room is rooms[0]:
            room.tell(means("s/0", "rule", AWAY))
        room.drive(50, driver=Driver.HUMAN)
        room.drive(50)
        room.buffer.prove()
        if room is rooms[0]:
            room.tell(undone("s/0"))
        for _ in range(4):
            room.words.work()
            room.learner.update(room.buffer.sample(16))
    ours, theirs = (room.learner.state() for room in rooms)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_imitators_learn_it_with_the_moments_of_imitation_and_draw_nothing() -> None:
    learner = SacLearner(SHAPES, SMALL, SacConfig(imitators=2), seed=0)
    assert isinstance(learner, RuledLearner)
    assert learner.imitation is not None
    seen, target = {"state": torch.rand(64, 2)}, torch.full((64, ENTRIES), -0.8)
    drawn, before = learner.generator.get_state(), learner.imitation.optimiser.state()
    before = {name: value.clone() for name, value in before.items()}

    def error() -> float:
        assert learner.imitation is not None
        actions = learner.imitation.imitators.members(learner.actor.encoder(seen))[0]
        return float((actions - target[:, :-1]).abs().mean())

    far = error()
    for _ in range(100):
        learner.keep(seen, target, torch.ones_like(target), torch.ones(64))
    assert error() < 0.5 * far
    assert torch.equal(learner.generator.get_state(), drawn)
    assert any(not torch.equal(value, before[name]) for name, value in learner.imitation.optimiser.state().items())
    assert not any(name.startswith("advice.imitators") for name in learner.state())


def test_no_critic_overrules_it_and_it_does_not_fade_where_anchors_do() -> None:
    room = Room(WordsConfig(rule_weight=1.0, q_filter_after=0, lasts=1_000))
    room.drive()
    room.tell(means("s/0", "rule", AWAY))
    room.words.work()
    generator = torch.Generator().manual_seed(0)
    young, old = (room.words.rules.sample(updates, generator) for updates in (0, 1_000_000))
    assert young is not None
    assert old is not None
    assert (len(young.index), len(old.index)) == (256, 128)
    for drawn in (young, old):
        assert float(drawn.weight.mean()) == pytest.approx(1.0)
    assert (old.observation["state"][:, 0] > BORDER).all()
    assert (young.observation["state"][128:, 0] <= BORDER).all()


def test_of_weight_zero_it_teaches_nothing() -> None:
    _, before, after = taught(WordsConfig(rule_weight=0.0))
    assert (before == after).all()
    room = Room(WordsConfig())
    room.drive(driver=Driver.HUMAN)
    counts = dict(room.buffer.counts)
    room.tell(means("s/0", "rule", AWAY))
    room.drive(driver=Driver.HUMAN)
    room.words.work()
    assert room.buffer.counts == {source: 2 * count for source, count in counts.items()}
    assert not room.words.rules
    assert not room.words.rules.state()


def test_a_rule_of_speed_is_taught_where_that_is_asked_for_and_once() -> None:
    """Of what the policy did then: it does not get slower and slower."""
    at, before, after = taught(rule=SLOWER)
    assert (before == after).all()
    at, before, after = taught(WordsConfig(rule_weight=1.0, rule_speeds=True), SLOWER)
    inside = at > BORDER + 0.1
    assert np.abs(after[inside, 0] / before[inside, 0]).mean() == pytest.approx(0.5, abs=0.12)


def test_taken_back_it_is_taught_no_more_and_unknown_ones_never() -> None:
    room = Room()
    room.drive()
    room.tell(means("s/0", "rule", AWAY), means("s/1", "rule", Meaning("rule", rule="keep_away", thing="moon")))
    room.words.work()
    rules = room.words.rules
    assert min(len(rules.lessons), len(rules.anchors)) > 50
    assert "s/1/keep_away/moon" not in rules.lessons
    room.tell(undone("s/0"))
    assert not len(rules.lessons) + len(rules.anchors)
    room.tell(undone("s/1"))
    assert not rules


def test_steps_to_come_are_looked_at_too_and_no_more_than_may_be_held() -> None:
    room = Room()
    room.tell(means("s/0", "rule", AWAY))
    room.words.work()
    assert not len(room.words.rules.lessons)
    for _ in range(4):
        room.drive(500)
        room.learner.updates += AGAIN
        room.words.work()
    rules = room.words.rules
    assert 0 < len(rules.lessons) + len(rules.anchors) <= 4 * 500 / EACH
    anchors = rules.anchors.of(IT)
    assert anchors is not None
    assert set(anchors.weight.tolist()) == {NEAR, OUT}


def test_lessons_are_made_of_what_the_policy_would_do_by_then() -> None:
    """One that learned something else meanwhile is not pulled back to what it did when the rule was set."""
    room = Room()
    room.drive()
    room.behave()
    room.tell(means("s/0", "rule", AWAY))
    room.words.work()
    learner, rules = room.learner, room.words.rules
    first = rules.anchors.of(IT)
    while float(room.does()[1][:, 1].mean()) < 0.5:  # it learns to move along +y, and nothing of the rule
        batch = room.buffer.sample(64)
        batch.source.fill_(int(Source.DEMO))
        batch.action[:, 1] = 0.8
        learner.update(batch)
    rules.begin(lambda numbers: learner.mode(room.buffer.seen(numbers)), learner.updates + AGAIN)
    anchors, lessons = rules.anchors.of(IT), rules.lessons.of(IT)
    assert first is not None
    assert anchors is not None
    assert lessons is not None
    now = learner.mode(room.buffer.seen(torch.as_tensor(anchors.numbers.copy()))).numpy()
    np.testing.assert_allclose(anchors.target, now, atol=1e-5)
    assert np.abs(anchors.target[:, 1] - first.target[:, 1]).mean() > 0.3
    assert (lessons.target[:, 0] == np.float32(-0.8)).all()
    assert lessons.target[:, 1].mean() > 0.4


def test_where_the_policy_keeps_to_it_there_is_nothing_to_teach() -> None:
    room = Room()
    room.drive()
    room.behave()
    room.tell(means("s/0", "rule", AWAY))
    room.advise(100)
    first = len(room.words.rules.lessons)
    room.advise(1_500)
    assert len(room.words.rules.lessons) < 0.5 * first
    at, does = room.does()
    assert np.abs(does[at > BORDER + 0.1, 0] + 0.8).max() < 0.1


def test_scopes_of_other_rules_are_no_anchors() -> None:
    """Where one rule holds, another does not hold the policy back."""

    class Two(RuledHands):
        def rule(self, meaning: Meaning, seen: Sequence[Observation], actions: Array) -> Ruled | None:
            where = np.array([observation.joint_position[0] for observation in seen])
            scope = where >= 0.0 if meaning.thing == "glass" else where < 0.0
            given = (actions - 0.2 * scope[:, None]).astype(np.float32)
            return Ruled(given, scope, np.zeros_like(scope))

    room = Room()
    room.words = Words(room.learner, room.buffer, Two(), SPEC.action, TAUGHT)
    room.drive()
    room.tell(means("s/0", "rule", AWAY), means("s/1", "rule", LAMP))
    room.words.work()
    for name in (IT, "s/1/keep_away/lamp"):
        assert name in room.words.rules.lessons
        assert name not in room.words.rules.anchors


def test_of_two_rules_in_one_sentence_both_are_taught_and_end_together() -> None:
    """Also where the first of them is one of speed, which is not."""

    class Two(RuledHands):
        def rule(self, meaning: Meaning, seen: Sequence[Observation], actions: Array) -> Ruled | None:
            where = np.array([observation.joint_position[0] for observation in seen])
            assert meaning.rule == "keep_away"
            scope = where > BORDER if meaning.thing == "glass" else where < -BORDER
            given = actions.copy()
            given[scope, 0] = -0.8
            return Ruled(given, scope, np.zeros_like(scope))

    room = Room()
    room.words = Words(room.learner, room.buffer, Two(), SPEC.action, TAUGHT)
    room.drive()
    room.tell(means("s/0", "rule", SLOWER, AWAY, LAMP))
    room.words.work()
    rules = room.words.rules
    where = np.sin(np.linspace(0.0, 20.0, 201))[:200].astype(np.float32)
    for name, inside in ((IT, where > BORDER), ("s/0/keep_away/lamp", where < -BORDER)):
        lessons, anchors = rules.lessons.of(name), rules.anchors.of(name)
        assert lessons is not None
        assert anchors is not None
        np.testing.assert_array_equal(np.sort(lessons.numbers), np.flatnonzero(inside))
        np.testing.assert_array_equal(np.sort(anchors.numbers), np.flatnonzero(np.abs(where) <= BORDER))
    room.tell(undone("s/0"))
    assert not room.words.rules


def test_a_border_beside_a_speed_slows_nothing_down_again_and_again() -> None:
    """Lessons of the border are made anew; what the speed makes of the policy is no wish to slow down further."""
    room = Room(WordsConfig(rule_weight=1.0, rule_speeds=True))
    room.drive()
    room.behave()
    _, before = room.does()
    everywhere = Meaning("rule", rule="slower", thing="glass")
    room.tell(means("s/0", "rule", AWAY), means("s/1", "rule", everywhere))
    room.advise(1_000)
    at, after = room.does()
    inside = at > BORDER + 0.1
    assert np.abs(after[inside, 2]).mean() >= 0.4 * np.abs(before[inside, 2]).mean()


def test_what_is_said_twice_is_taught_once_and_as_long_as_it_stands_once() -> None:
    room = Room()
    room.drive()
    room.tell(means("s/0", "rule", AWAY), means("s/1", "rule", AWAY))
    room.words.work()
    rules = room.words.rules
    assert IT in rules.lessons
    assert "s/1/keep_away/glass" not in rules.lessons
    room.tell(undone("s/0"))
    room.words.work()
    assert IT not in rules.lessons
    assert "s/1/keep_away/glass" in rules.lessons


def test_a_speed_keeps_what_waits_when_hands_break_it() -> None:
    room = Room(WordsConfig(rule_weight=1.0, rule_speeds=True))
    for _ in range(6):
        room.drive()
    room.tell(means("s/0", "rule", SLOWER))
    room.drive(driver=Driver.HUMAN)
    room.words.work()
    lessons = room.words.rules.lessons.of("s/0/slower/glass")
    assert lessons is not None
    assert (lessons.numbers > 1_200).any()
    assert (lessons.numbers < 1_200).any()


def test_what_it_leaves_as_it_is_in_scope_is_neither_taught_nor_held() -> None:
    """A policy that is learning is not held to what it did near a glass when that broke no rule."""

    class Lenient(RuledHands):
        def rule(self, meaning: Meaning, seen: Sequence[Observation], actions: Array) -> Ruled | None:
            where = np.array([observation.joint_position[0] for observation in seen])
            scope, broken = where > 0.0, where > BORDER
            given = (actions - 0.3 * broken[:, None]).astype(np.float32)
            return Ruled(given, scope, np.zeros_like(scope))

    room = Room()
    room.words = Words(room.learner, room.buffer, Lenient(), SPEC.action, TAUGHT)
    room.drive()
    room.tell(means("s/0", "rule", AWAY))
    room.words.work()
    lessons, anchors = room.words.rules.lessons.of(IT), room.words.rules.anchors.of(IT)
    assert lessons is not None
    assert anchors is not None
    where = np.sin(np.linspace(0.0, 20.0, 201))[:200]
    np.testing.assert_array_equal(lessons.numbers, np.flatnonzero(where.astype(np.float32) > BORDER))
    np.testing.assert_array_equal(anchors.numbers, np.flatnonzero(where.astype(np.float32) <= 0.0))


def test_borders_go_on_equally_in_another_process(tmp_path: Path) -> None:
    """Also where they were not set at one time, and lessons are made anew after it."""

    class Two(RuledHands):
        def rule(self, meaning: Meaning, seen: Sequence[Observation], actions: Array) -> Ruled | None:
            found = super().rule(AWAY, seen, actions)
            if meaning.thing == "glass" or found is None:
                return found
            scope = ~found.in_scope & ~found.near
            return Ruled(np.where(scope[:, None], actions * np.float32(0.5), actions), scope, found.near)

    live, resumed = Room(), Room()
    for room in (live, resumed):
        room.words = Words(room.learner, room.buffer, Two(), SPEC.action, TAUGHT)
        room.drive()
    live.behave()
    live.tell(means("s/0", "rule", AWAY))
    live.advise(150)
    live.tell(means("s/1", "rule", LAMP))
    resumed.tell(means("s/0", "rule", AWAY), means("s/1", "rule", LAMP))
    live.advise(150)
    kept = dict(live.words.save(tmp_path))
    resumed.learner.load_state(live.learner.state())
    resumed.words.load(kept)
    for room in (live, resumed):
        room.advise(300)
    ours, theirs = live.learner.state(), resumed.learner.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_the_policy_did_then_outlasts_the_process(tmp_path: Path) -> None:
    config = WordsConfig(rule_weight=1.0, rule_speeds=True)
    live, resumed = Room(config), Room(config)
    for room in (live, resumed):
        room.drive()
    live.behave()
    for room in (live, resumed):
        room.tell(means("s/0", "rule", SLOWER))
    live.advise(100)
    kept = dict(live.words.save(tmp_path))
    resumed.learner.load_state(live.learner.state())
    resumed.words.load(kept)
    for room in (live, resumed):
        room.advise(50)
    ours, theirs = live.learner.state(), resumed.learner.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    damaged = {name: value for name, value in kept.items() if ".mask." not in name}
    with pytest.raises(CheckpointError, match="rule 's/0/slower/glass'"):
        resumed.words.load(damaged)
