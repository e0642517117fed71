"""People as they are: late eyes, slow or clumsy hands, heads turned away; and each of the cast can do it alone."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest

from robot_rlhf.datatypes import Action, Assignment, Button, EpisodeKind, Observation
from robot_rlhf.people.person import CAST, PEOPLE, PersonConfig, SimulatedPerson
from robot_rlhf.people.spells import Spells
from tests.sim.scene import STEADY, Scene, bursts, drives, first

PERIOD = 0.05


# -- eyes --------------------------------------------------------------------------------------------------------------


class Looking(Scene):
    """Writes down what the person is shown, and what they see of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.seen: list[float] = []
        self.person = SimulatedPerson(self.config, self.spec, self.task.expert, self._look, self.task.success)

    def _look(self, observation: Observation) -> float:
        self.seen.append(observation.stamp)
        return self.task.remaining(observation)


@pytest.mark.parametrize(("seconds", "periods"), [(0.0, 0), (0.05, 1), (0.1, 2), (0.12, 2), (0.5, 10)])
def test_what_is_seen_is_as_old_as_it_says(seconds: float, periods: int) -> None:
    shown, late = Looking(STEADY), Looking(replace(STEADY, sight_delay=seconds))
    shown.watch(20)
    late.watch(20)
    assert len(late.seen) == 21
    assert late.seen == [shown.seen[max(0, t - periods)] for t in range(21)]


def test_late_eyes_take_over_late() -> None:
    """The robot goes away from the target."""
    starts: list[int] = []
    for seconds in (0.0, 0.3):
        scene = Scene(replace(STEADY, patience=60.0, indulgence=0.0, sight_delay=seconds))
        expert, rng = scene.task.expert(0.0), np.random.default_rng(0)
        starts.append(first(scene.watch(60, policy=lambda o: Action(-expert.act(o, Assignment(), rng).values))))  # noqa: B023
    assert starts[1] == starts[0] + 6


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_late_eyes_know_what_their_own_hands_do(seconds: float) -> None:
    """Who went by what they see alone would overshoot, and come back."""
    scene = Scene(replace(STEADY, sight_delay=seconds))
    read = scene.watch(40, kind=EpisodeKind.DEMONSTRATION)
    assert scene.solved
    motion = np.stack([r.action.values for r in read if r.action is not None])
    np.testing.assert_array_less(np.abs(motion).sum(axis=0), 1.2 * np.abs(motion.sum(axis=0)))


def test_the_end_is_looked_at_until_it_is_seen() -> None:
    """A success in the last step is no failure, however late the eyes are."""
    scene = Scene(replace(STEADY, sight_delay=0.5))
    ended = scene.watch(60, kind=EpisodeKind.DEMONSTRATION, until_success=True)
    assert scene.solved
    assert not any(r.buttons for r in ended), "not seen yet"
    scene = Scene(replace(STEADY, sight_delay=0.5))
    scene.watch(60, kind=EpisodeKind.DEMONSTRATION, until_success=True, ends=True)
    assert scene.verdict == {Button.SUCCESS}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 1.0])
def test_spells_add_up_to_their_share(share: float) -> None:
    rng, spells, looks = np.random.default_rng(1), Spells(share, 3.0, PERIOD), list[bool]()
    for _ in range(200):
        looks.append(spells.begin(rng))
        looks.extend(spells.go_on(rng) for _ in range(999))
    # Spells of 60 periods: 200,000 looks are worth some 200,000 / 60 independent ones, five standard errors.
    assert np.mean(looks) == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) * 60 / len(looks)))


def test_spells_are_as_long_as_they_say() -> None:
    rng, spells = np.random.default_rng(2), Spells(0.25, 4.0, PERIOD)
    spells.begin(rng)
    looks = [spells.go_on(rng) for _ in range(100_000)]
    lengths = {look: [len(list(run)) for key, run in itertools.groupby(looks) if key is look] for look in (True, False)}
    assert np.mean(lengths[True]) * PERIOD == pytest.approx(1.0, rel=0.15)
    assert np.mean(lengths[False]) * PERIOD == pytest.approx(3.0, rel=0.15)


def test_presence_is_the_share_in_which_reasons_are_noticed() -> None:
    def noticed(presence: float) -> float:
        scene = Scene(replace(STEADY, presence=presence, patience=0.0, burst=0.05))
        return float(np.mean([drives(scene.watch(100, seed, obey=False)) for seed in range(8)]))

    assert noticed(0.0) == 0.0
    always = noticed(1.0)
    assert 0.3 * always < noticed(0.5) < 0.7 * always


def test_who_drives_looks() -> None:
    scene = Scene(replace(STEADY, presence=0.0))
    assert all(drives(scene.watch(30, kind=EpisodeKind.DEMONSTRATION)))
    told = 0
    for seed in range(20):
        scene, solved = Scene(replace(STEADY, presence=0.5, patience=0.2, burst=None)), list[bool]()

        def eyes(observation: Observation, scene: Scene = scene, solved: list[bool] = solved) -> bool:
            solved.append(scene.task.success(observation))
            return solved[-1]

        scene.person = SimulatedPerson(scene.config, scene.spec, scene.task.expert, scene.task.remaining, eyes)
        read = scene.watch(80, seed)
        if True in solved and drives(read)[solved.index(True) - 1]:
            assert read[solved.index(True)].buttons == {Button.SUCCESS}, seed
            told += 1
    assert told > 10


# -- hands -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.25, 0.4, 1.0])
def test_speed_is_the_largest_motion(speed: float) -> None:
    read = Scene(replace(STEADY, speed=speed)).watch(30, kind=EpisodeKind.DEMONSTRATION)
    largest = np.abs([r.action.values for r in read if r.action is not None]).max()
    assert largest == pytest.approx(speed)


def test_a_keyboard_has_two_keys_and_three_speeds() -> None:
    scene = Scene(replace(STEADY, keyboard=True, speed=0.8), "pick_cube")
    read = scene.watch(100, 1, kind=EpisodeKind.DEMONSTRATION, until_success=True)
    assert scene.solved
    moved = np.stack([r.action.values for r in read if r.action is not None])[:, :4]
    assert ((moved != 0).sum(axis=1) <= 2).all()
    levels = [0.8 * share * part for share in (0.25, 0.5, 1.0) for part in (1.0, 0.5**0.5)]
    assert np.isclose(np.abs(moved[moved != 0])[:, None], levels, atol=1e-6).any(axis=1).all()


@pytest.mark.parametrize(("seconds", "steps"), [(0.2, 4), (0.5, 10), (5.0, 20)])
def test_mirrored_for_as_long_as_it_takes_to_notice(seconds: float, steps: int) -> None:
    def correction(mirror_rate: float) -> np.ndarray:
        config = replace(STEADY, burst=1.0, mirror_rate=mirror_rate, mirror=seconds)
        read = [r.action.values for r in Scene(config, "pick_cube").watch(40, 2, obey=False) if r.action is not None]
        return np.stack(read[:20])

    straight, mirrored = correction(0.0), correction(1.0)
    np.testing.assert_allclose(mirrored[:steps, :2], -straight[:steps, :2], atol=1e-6)
    np.testing.assert_allclose(mirrored[:steps, 2:], straight[:steps, 2:], atol=1e-6)
    np.testing.assert_allclose(mirrored[steps:], straight[steps:], atol=1e-6)


def test_mirror_rate_is_the_chance_of_it() -> None:
    def begins_mirrored(seed: int) -> bool:
        config = replace(STEADY, mirror_rate=0.3)
        straight, tried = Scene(STEADY), Scene(config)
        one, other = (next(r.action for r in s.watch(12, seed, obey=False) if r.action) for s in (straight, tried))
        return not np.allclose(one.values, other.values, atol=1e-4)

    assert 0.15 < np.mean([begins_mirrored(seed) for seed in range(40)]) < 0.45


@pytest.mark.parametrize(("seconds", "steps"), [(0.0, 0), (0.1, 2), (0.5, 10)])
def test_hands_stay_on_without_moving(seconds: float, steps: int) -> None:
    read = Scene(replace(STEADY, linger=seconds), "pick_cube").watch(120, obey=False)
    assert set(bursts(read)) == {6 + steps}
    begin = first(read)
    motion = np.stack([r.action.values for r in read[begin : begin + 6 + steps] if r.action is not None])[:, :4]
    assert motion[:6].any(axis=1).all()
    assert not motion[6:].any()


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_hands_that_rest_keep_what_they_hold(delay: float) -> None:
    """With late eyes, too: who has just closed the gripper does not open it because it looks open still."""
    scene = Scene(replace(STEADY, sight_delay=delay, pause_rate=0.2, pause=0.2), "pick_cube")
    solved = 0
    for seed in range(5):
        read = scene.watch(100, seed, kind=EpisodeKind.DEMONSTRATION, until_success=True)
        solved += scene.solved
        values = np.stack([r.action.values for r in read if r.action is not None])
        resting = ~values[:, :4].any(axis=1)
        changed = np.diff(values[:, 4], prepend=values[0, 4]) != 0.0
        assert not (resting & changed).any()
        assert resting.any()
    assert solved >= 4


# -- the cast ----------------------------------------------------------------------------------------------------------


def test_the_cast_are_eight_from_the_expert_to_the_novice() -> None:
    assert len(set(CAST)) == 8
    assert (CAST[0], CAST[-1]) == ("attentive", "novice")
    assert set(CAST) < set(PEOPLE)


@pytest.mark.parametrize(
    "trait",
    ["speed", "keyboard", "sight_delay", "reaction_delay", "mirror_rate", "linger", "presence", "burst", "patience"],
)
def test_every_trait_has_somebody_who_shows_it(trait: str) -> None:
    usual = getattr(PersonConfig(), trait)
    assert any(getattr(PEOPLE[name], trait) != usual for name in CAST)


def test_every_setting_changes_somebody() -> None:
    """What nobody shows, nothing that is measured over people would show."""
    unused = [f.name for f in fields(PersonConfig) if len({getattr(p, f.name) for p in PEOPLE.values()}) == 1]
    assert unused == ["budget", "alarm_force", "mirror"]


def alone(name: str, task: str, seeds: range) -> int:
    scene, solved = Scene(PEOPLE[name], task), 0
    for seed in seeds:
        scene.watch(scene.task.time_limit, seed, kind=EpisodeKind.DEMONSTRATION, until_success=True)
        solved += scene.solved
    return solved


@pytest.mark.parametrize("name", CAST)
def test_each_picks_the_cube_alone(name: str) -> None:
    assert alone(name, "pick_cube", range(100, 120)) >= 18


@pytest.mark.parametrize("name", CAST)
def test_each_inserts_the_peg_alone(name: str) -> None:
    assert alone(name, "peg_insert", range(100, 106)) >= 4


@pytest.mark.parametrize("name", CAST)
@pytest.mark.parametrize("task", ["push", "drawer_store", "blocks"])
def test_each_pushes_and_stores_alone(name: str, task: str) -> None:
    assert alone(name, task, range(100, 105)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("task", ["pick_cube", "peg_insert", "push", "drawer_store", "blocks"])
@pytest.mark.parametrize("name", CAST)
def test_each_of_the_cast_is_reliable(name: str, task: str) -> None:
    assert alone(name, task, range(100, 140)) >= 35


def test_the_novice_takes_more_than_twice_as_long_as_the_expert() -> None:
    def seconds(name: str) -> float:
        scene = Scene(PEOPLE[name], "pick_cube")
        kind = EpisodeKind.DEMONSTRATION
        return float(np.median([len(scene.watch(100, s, kind=kind, until_success=True)) for s in range(100, 110)]))

    assert seconds("novice") > 2.0 * seconds("attentive")
