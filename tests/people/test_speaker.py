"""The simulated speaker: what they say, when, how well, and that what they say does the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from robot_rlhf.conformance import TeleopConformance
from robot_rlhf.datatypes import (
    Action,
    Button,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    HumanInput,
    Outcome,
    Sentence,
    Step,
)
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.facts import OVER
from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.meaning import MOVES, Meaning
from robot_rlhf.people.advice import in_small_steps
from robot_rlhf.people.person import PersonConfig
from robot_rlhf.people.sentences import INTENTS, everything, in_words, intent, mistaken, with_words_lost
from robot_rlhf.people.speaker import SPEAKERS, SimulatedSpeaker, SpeakerConfig
from robot_rlhf.place import Place
from robot_rlhf.skills.nudges import Nudge, grounded, nudge_of
from robot_rlhf.skills.primitives import make_skill
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import TASKS, SimConfig
from tests.skills.place import Obedient

ALERT = PersonConfig(reaction_delay=0.5, attention=1.0, patience=0.5, indulgence=0.0, burst=0.3, skill_noise=0.0)
STEADY = SpeakerConfig(person=ALERT, per_word=0.2, plainest=True)
"""Begins to speak a second after progress has ended."""
PERIOD = 0.05


@dataclass
class Watched:
    """An episode of a robot that does what it is told here, and a speaker who watches it."""

    config: SpeakerConfig
    task: str = "pick_cube"

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.place = SimConfig().open(self.task, clock=self.clock, cameras={})
        self.speaker: SimulatedSpeaker = self.place.speaker(self.config)

    def watch(
        self, steps: int, seed: int = 0, *, spoken: Callable[[int], bool] = lambda _: False, over: bool = False
    ) -> list[HumanInput]:
        """What they do while the robot rests.

        Args:
            spoken: whether the robot says of a step that it obeys.
            over: the last step ends the episode.
        """
        guard = self.place.guard
        observation = guard.begin(lambda: self.place.task.reset(np.random.default_rng(seed)))
        self.speaker.on_episode_start(EpisodeMeta("e", "t", EpisodeKind.PRACTICE, seed, "p", "r"), observation)
        read: list[HumanInput] = []
        rest = Action(np.zeros(self.place.spec.action.size, np.float32))
        for index in range(steps):
            human = self.speaker.read()
            assert human is not None
            read.append(human)
            self.clock.advance(PERIOD)
            after = guard.observe()
            obeys = spoken(index)
            driver = Driver.HUMAN if human.action is not None or obeys else Driver.POLICY
            last = over and index == steps - 1
            step = Step(
                index, observation, rest, rest, driver, 0.0, False, last, 0, "", after, spoken="e/0" if obeys else ""
            )
            self.speaker.on_step(step)
            observation = after
        return read


def said(read: list[HumanInput]) -> list[tuple[int, Sentence]]:
    return [(index, sentence) for index, human in enumerate(read) for sentence in human.sentences]


class TestSpeaker(TeleopConformance):
    action_size = 5

    def make_teleop(self) -> SimulatedSpeaker:
        watched = Watched(SPEAKERS["helping"])
        watched.watch(60)
        return watched.speaker


# -- when --------------------------------------------------------------------------------------------------------------


def test_a_sentence_arrives_when_it_has_been_thought_of_and_said() -> None:
    watched = Watched(STEADY)
    index, sentence = said(watched.watch(80))[0]
    assert sentence.text == "grasp the cube"
    assert sentence.began == pytest.approx(1.0), "half a second of patience, and half a second to think"
    assert index == 20 + 3 * 4 - 1, "three words of four periods each"


@pytest.mark.parametrize(
    ("changes", "later"),
    [({"per_word": 0.4}, 12), ({"person": replace(ALERT, reaction_delay=1.0)}, 10), ({"fillers": 1.0}, 4)],
)
def test_each_delay_counts(changes: dict[str, object], later: int) -> None:
    plain, slower = (said(Watched(config).watch(80))[0][0] for config in (STEADY, replace(STEADY, **changes)))
    assert slower - plain >= later
    assert slower - plain <= later + 4


def test_a_seed_gives_the_same_sentences() -> None:
    config = replace(SPEAKERS["clear"], wrong_side=0.3, word_drop=0.2, fillers=0.3)
    a, b, c = (said(Watched(config).watch(200, seed)) for seed in (3, 3, 4))
    assert a
    assert a == b
    assert a != c


def test_who_is_silent_says_nothing() -> None:
    assert not said(Watched(SPEAKERS["nobody"]).watch(200))


def test_a_budget_ends_the_talking() -> None:
    watched = Watched(replace(STEADY, budget=2))
    told = [len(said(watched.watch(150, seed))) for seed in range(3)]
    assert sum(told) == watched.speaker.sentences == 2


def test_what_is_billed_is_what_was_said() -> None:
    watched = Watched(STEADY)
    texts = [sentence.text for _, sentence in said(watched.watch(150))]
    speaker = watched.speaker
    assert speaker.sentences - len(texts) in (0, 1), "one may be on the tongue"
    assert speaker.words == 3 * speaker.sentences
    assert speaker.speaking == pytest.approx(speaker.sentences * (0.5 + 3 * 0.2))
    assert speaker.driven == 0.0


def test_while_the_robot_obeys_they_watch_on() -> None:
    read = Watched(STEADY).watch(150, spoken=lambda _: True)
    assert not said(read)
    assert all(human.action is None for human in read)


def test_what_words_moved_was_not_driven_by_hand() -> None:
    watched = Watched(STEADY)
    watched.watch(40, spoken=lambda index: index > 10)
    assert watched.speaker.driven == 0.0


def test_who_follows_up_goes_on_as_soon_as_it_was_done() -> None:
    chatty, plain = (
        said(Watched(replace(STEADY, follows_up=follows)).watch(100, spoken=lambda i: i < 20))[0][0]
        for follows in (True, False)
    )
    assert chatty == 20 + 3 * 4
    assert plain > chatty + 10


def test_when_it_is_over_they_judge() -> None:
    watched = Watched(STEADY)
    watched.watch(30, over=True)
    verdict = watched.speaker.read()
    assert verdict is not None
    assert verdict.buttons == {Button.FAILURE}
    assert not verdict.sentences
    watched.speaker.on_episode_end(EpisodeEnd("e", Outcome.TIME_LIMIT, 30))
    after = watched.speaker.read()
    assert after is not None
    assert not after.buttons


# -- hands -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SPEAKERS if SPEAKERS[name].hands_after is None])
def test_who_only_speaks_never_drives(name: str) -> None:
    assert all(human.action is None for human in Watched(SPEAKERS[name]).watch(200))


@pytest.mark.parametrize("sentences", [0, 1, 2])
def test_after_so_many_sentences_in_vain_they_take_over(sentences: int) -> None:
    read = Watched(replace(STEADY, hands_after=sentences)).watch(160)
    first = next(index for index, human in enumerate(read) if human.action is not None)
    assert len([index for index, _ in said(read) if index < first]) == sentences


def test_in_a_demonstration_they_drive() -> None:
    watched = Watched(SPEAKERS["clear"])
    place = watched.place
    observation = place.guard.begin(lambda: place.task.reset(np.random.default_rng(0)))
    watched.speaker.on_episode_start(EpisodeMeta("e", "t", EpisodeKind.DEMONSTRATION, 0, "p", "r"), observation)
    human = watched.speaker.read()
    assert human is not None
    assert human.action is not None
    assert not human.sentences


# -- how ---------------------------------------------------------------------------------------------------------------


def test_every_intent_has_words_for_practice_and_others_held_out() -> None:
    for name, ways in INTENTS.items():
        assert len(ways.practice) >= 3 or name.startswith("turn"), name
        assert len(ways.held_out) >= 2, name
        assert not {*ways.practice} & {*ways.held_out}, name
    practised = {text for ways in INTENTS.values() for text in ways.practice}
    held_out = {text for ways in INTENTS.values() for text in ways.held_out}
    assert not practised & held_out
    everyone = [text for ways in INTENTS.values() for text in (*ways.practice, *ways.held_out)]
    assert len(everyone) == len({*everyone}), "no sentence means two things"


def test_a_stranger_says_only_what_nobody_practises() -> None:
    texts = {s.text for seed in range(8) for _, s in said(Watched(SPEAKERS["stranger"]).watch(100, seed))}
    assert texts
    assert all(text.startswith(("take hold of", "get hold of")) for text in texts)


def test_things_are_called_by_their_words() -> None:
    facts, rng = TASKS["push"].facts, np.random.default_rng(0)  # pyright: ignore[reportFunctionMemberAccess]
    push = Meaning("goal", skill="push_to", thing="puck", place="goal")
    assert in_words(push, facts, rng, plainest=True) == "push the puck to the ring"
    assert len({in_words(push, facts, rng) for _ in range(100)}) == 3 * 2 * 2
    assert in_words(Meaning("goal", skill="put_in", place="bowl_left"), facts, rng, plainest=True) == (
        "put it in the bowl left"
    )
    assert in_words(Meaning("left", amount=0.03), facts, rng, plainest=True) == "left 3 cm"


def test_a_slip_says_something_else() -> None:
    facts, rng = TASKS["push"].facts, np.random.default_rng(0)  # pyright: ignore[reportFunctionMemberAccess]
    for meaning in everything(SimConfig().open("drawer_store", clock=FakeClock(), cameras={}).spec.action, ["puck"]):
        if meaning.skill != "wait":
            assert mistaken(meaning, facts, rng) != meaning, meaning
    assert mistaken(Meaning("left"), facts, rng) == Meaning("right")


def test_mixed_up_people_slip_as_often_as_they_say() -> None:
    config = replace(STEADY, wrong_side=0.5)
    texts = [s.text for seed in range(40) for _, s in said(Watched(config).watch(45, seed))]
    wrong = sum(text != "grasp the cube" for text in texts)
    assert 0.25 < wrong / len(texts) < 0.75
    assert not [s for _, s in said(Watched(STEADY).watch(100)) if s.text != "grasp the cube"]


def test_words_are_lost_one_by_one() -> None:
    rng = np.random.default_rng(0)
    words = " ".join(["word"] * 1_000)
    assert with_words_lost(words, 0.0, rng) == words
    assert not with_words_lost(words, 1.0, rng)
    assert len(with_words_lost(words, 0.3, rng).split()) == pytest.approx(700, abs=60)


def test_a_sentence_of_which_nothing_is_left_was_not_said_to_anybody() -> None:
    watched = Watched(replace(STEADY, word_drop=1.0))
    assert not said(watched.watch(100))
    assert watched.speaker.sentences > 0, "but it cost its time"


def test_who_says_ways_says_where_the_expert_goes() -> None:
    watched = Watched(replace(STEADY, says="axes"))
    for seed in range(5):
        _, sentence = said(watched.watch(60, seed))[0]
        observation = watched.place.guard.observe()
        wish = watched.place.task.expert().act(observation, None, np.random.default_rng(0))  # pyright: ignore
        heard = Meaning(sentence.text.replace(" ", "_"))
        found = grounded(heard, watched.place.spec.action, watched.speaker._facts.view)
        assert found is not None
        assert found[0][found[1]] @ wish.values[found[1]] > 0.0


@pytest.mark.parametrize("task", sorted(TASKS))
def test_all_that_random_people_say_can_be_done_there(task: str) -> None:
    robot = obedient(task)
    spec = robot.place.spec
    for meaning in everything(spec.action, [name for name in robot.facts.things if name in spec.scene]):
        assert intent(meaning) in INTENTS
        if meaning.skill:
            made = make_skill(meaning, robot.perceived(), spec, robot.facts)
            assert not isinstance(made, str) or "are the same" in made, made  # a handle, put in its own drawer
        else:
            assert grounded(meaning, spec.action, robot.facts.view) is not None, meaning


@pytest.mark.parametrize(
    "changes",
    [{"per_word": -1.0}, {"wrong_side": 1.5}, {"word_drop": float("nan")}, {"budget": -1}, {"says": "everything"}],
)
def test_what_nobody_can_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(changes))):
        replace(STEADY, **changes)


def test_of_a_task_that_nobody_can_explain_there_is_no_speaker() -> None:
    class Plain:
        name = "plain"

    robot = obedient("reach")
    place = Place(robot.place.guard, Plain(), robot.place.clock)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="plain: no simulated person can say"):
        place.speaker(STEADY)


# -- all by words ------------------------------------------------------------------------------------------------------


@cache
def obedient(task: str) -> Obedient:
    return Obedient(task)


def by_words(robot: Obedient, seed: int, *, small: bool) -> bool:
    """Whether the task is done within its time by doing what the task advises, one thing after the other."""
    robot.reset(seed)
    task, spec = robot.task, robot.place.spec
    while robot.periods < task.time_limit:
        meaning = task.advises(robot.observation)  # pyright: ignore[reportAttributeAccessIssue]
        if meaning is None:
            break
        meaning = in_small_steps(meaning, robot.observation, OVER) if small else meaning
        does = robot.make(meaning) if meaning.skill else nudge_of(meaning, robot.observation, spec, robot.facts.view)
        assert not isinstance(does, str), does
        if isinstance(does, Nudge):
            steps = iter(lambda nudge=does: nudge.act(robot.perceived()), None)
            for values in steps:
                robot.moves(Action(values))
        else:
            for observation in robot.steps(does):
                if task.success(observation) or robot.periods >= task.time_limit:
                    break
    return robot.periods <= task.time_limit and task.success(robot.observation)


@pytest.mark.parametrize(
    ("task", "small"),
    [
        *((task, False) for task in ("reach", "pick_cube", "peg_insert", "push", "drawer_store", "blocks")),
        *((task, True) for task in ("pick_cube", "drawer_store", "blocks")),  # where skills have smaller steps
    ],
)
def test_what_is_advised_does_the_task(task: str, small: bool) -> None:
    done = [by_words(obedient(task), 7_000 + seed, small=small) for seed in range(20)]
    assert sum(done) >= 19, f"{sum(done)} of 20"


# -- understood --------------------------------------------------------------------------------------------------------

NEXT: dict[str, tuple[Meaning, ...]] = {
    "reach": (Meaning("goal", skill="to", thing="target"),),
    "pick_cube": tuple(Meaning("goal", skill=skill, thing="cube") for skill in ("grasp", "above", "down_on")),
    "peg_insert": (Meaning("goal", skill="above", thing="hole"), Meaning("goal", skill="put_in", place="hole")),
    "push": (
        Meaning("goal", skill="push_to", thing="puck", place="goal"),
        Meaning("goal", skill="behind", thing="puck", place="goal"),
        Meaning("goal", skill="away_from", thing="glass"),
    ),
    "drawer_store": (
        Meaning("goal", skill="pull", thing="handle"),
        Meaning("goal", skill="put_in", thing="block", place="drawer"),
        Meaning("goal", skill="shut", thing="handle"),
    ),
}
"""What people are advised to say."""


@pytest.mark.parametrize("task", sorted(NEXT))
def test_what_is_said_in_practice_is_understood_as_it_was_meant(task: str) -> None:
    """Said and heard, it begins the same skill with the same things."""
    robot = obedient(task)
    robot.reset(0)
    interpreter = make_interpreter()
    motions = [Meaning(way) for way in MOVES if grounded(Meaning(way), robot.place.spec.action, robot.facts.view)]
    for meaning in (*NEXT[task], *motions):
        for seed in range(12):
            text = in_words(meaning, robot.facts, np.random.default_rng(seed))
            heard = interpreter.read(text, robot.facts).meanings
            assert len(heard) == 1, text
            if meaning.skill:
                made, meant = robot.make(heard[0]), robot.make(meaning)
                assert not isinstance(made, str), f"{text}: {made}"
                assert not isinstance(meant, str)
                assert (type(made), made.words) == (type(meant), meant.words), text
            else:
                assert heard[0] == meaning, text
