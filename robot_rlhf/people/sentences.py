"""How people put what they mean: paraphrases of each intent, slips of the tongue, and words that get lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from robot_rlhf.datatypes import ActionLayout
from robot_rlhf.facts import FactBook
from robot_rlhf.meaning import MOVES, OPPOSITE, SKILLS, TURNS, Meaning

_PLACED = " as seen from {place}"


@dataclass(frozen=True)
class Paraphrases:
    """Ways to say one thing; {thing} and {place} stand for names with their article, {cm} for an amount."""

    practice: tuple[str, ...]
    """The plainest first."""
    held_out: tuple[str, ...]
    """Never said in practice: for who asks whether others are understood, too."""


INTENTS: Mapping[str, Paraphrases] = MappingProxyType(
    {
        "above": Paraphrases(
            ("go above {thing}", "move above {thing}", "above {thing}", "go over {thing}"),
            ("hover over {thing}", "get right above {thing}"),
        ),
        "down_on": Paraphrases(
            ("go down on {thing}", "down on {thing}", "lower onto {thing}"),
            ("come down onto {thing}", "lower yourself onto {thing}"),
        ),
        "to": Paraphrases(("go to {thing}", "move to {thing}", "to {thing}"), ("head to {thing}", "get to {thing}")),
        "away_from": Paraphrases(
            ("move away from {thing}", "go away from {thing}", "away from {thing}"),
            ("get away from {thing}", "back away from {thing}"),
        ),
        "behind": Paraphrases(
            ("go behind {thing}", "get behind {thing}", "move behind {thing}"),
            ("go around behind {thing}", "get yourself behind {thing}"),
        ),
        "push_to": Paraphrases(
            ("push {thing} to {place}", "push {thing} into {place}", "slide {thing} to {place}"),
            ("shove {thing} to {place}", "push {thing} over to {place}"),
        ),
        "put_in": Paraphrases(
            ("put {thing} in {place}", "put {thing} into {place}", "place {thing} in {place}"),
            ("drop {thing} into {place}", "stow {thing} in {place}"),
        ),
        "pull": Paraphrases(("pull {thing}", "tug {thing}", "haul {thing}"), ("drag {thing}", "pull on {thing}")),
        "shut": Paraphrases(
            ("shut the drawer", "close the drawer", "push the drawer shut"),
            ("push the drawer closed", "shut that drawer"),
        ),
        "grasp": Paraphrases(
            ("grasp {thing}", "grab {thing}", "take {thing}"), ("take hold of {thing}", "get hold of {thing}")
        ),
        "lift": Paraphrases(("lift it", "lift it up", "lift"), ("hoist it", "heave it up")),
        "open": Paraphrases(("open the gripper", "let go", "release it"), ("open your fingers", "let go of it")),
        "close": Paraphrases(
            ("close the gripper", "close the fingers", "close"), ("shut the gripper", "close your fingers")
        ),
        "wait": Paraphrases(("wait", "wait a moment", "hold still"), ("stay there a moment", "wait a second")),
        "keep_away": Paraphrases(
            ("keep away from {thing}", "stay away from {thing}", "never touch {thing}"),
            ("always keep clear of {thing}", "stay well away from {thing}"),
        ),
        "left": Paraphrases(("left", "go left", "move to the left"), ("over to the left", "shift left")),
        "right": Paraphrases(("right", "go right", "move to the right"), ("over to the right", "shift right")),
        "forward": Paraphrases(("forward", "go forward", "move forward"), ("further forward", "shift forward")),
        "back": Paraphrases(("back", "go back", "move back"), ("further back", "shift back")),
        "up": Paraphrases(("up", "go up", "move up"), ("further up", "higher")),
        "down": Paraphrases(("down", "go down", "move down"), ("further down", "lower")),
        "turn_left": Paraphrases(("turn left", "rotate left"), ("turn counterclockwise", "twist to the left")),
        "turn_right": Paraphrases(("turn right", "rotate right"), ("turn clockwise", "twist to the right")),
    }
)
"""By rule, skill, or reading."""
FILLERS = ("please", "now", "please now")
"""What talkative people add."""
_OPPOSITE_SKILLS = {
    one: other
    for a, b in (("open", "close"), ("pull", "shut"), ("lift", "down_on"), ("to", "away_from"), ("grasp", "open"))
    for one, other in ((a, b), (b, a))
}
_NEEDS_HEIGHT = frozenset({"above", "down_on", "put_in", "pull", "shut", "grasp", "lift"})
_NEEDS_FINGERS = frozenset({"grasp", "open", "close"})


def intent(meaning: Meaning) -> str:
    """Under what name of INTENTS a meaning is said."""
    return meaning.rule or meaning.skill or meaning.reading


def in_words(
    meaning: Meaning,
    facts: FactBook,
    rng: np.random.Generator,
    *,
    held_out: bool = False,
    plainest: bool = False,
) -> str:
    """One of the ways to say it; raises KeyError for what nobody here says.

    Args:
        meaning: a skill, a motion, a turn or a grip.
        facts: whose things have words.
        held_out: one of those that are not said in practice.
        plainest: the first of them, with the first word for each thing.
    """
    ways = INTENTS[intent(meaning)]
    among = ways.held_out if held_out else ways.practice

    def chosen(options: Sequence[str]) -> str:
        return options[0] if plainest else options[int(rng.integers(len(options)))]

    text = chosen(among)
    if meaning.skill == "behind" and meaning.place:
        text += _PLACED
    if meaning.amount is not None and meaning.reading in MOVES:
        text += f" {100.0 * meaning.amount:.0f} cm"
    elif meaning.amount is not None and meaning.reading in TURNS:
        text += f" {np.degrees(meaning.amount):.0f} degrees"
    return text.format(
        thing=chosen(_words(meaning.thing, facts)) if meaning.thing else "it",
        place=chosen(_words(meaning.place, facts)) if meaning.place else "there",
    )


def _words(name: str, facts: FactBook) -> Sequence[str]:
    thing = facts.things.get(name)
    return thing.words if thing is not None and thing.words else (f"the {name.replace('_', ' ')}",)


def with_words_lost(text: str, rate: float, rng: np.random.Generator) -> str:
    """The sentence as it arrives where each word is lost with a chance; empty where all are."""
    words = text.split()
    return " ".join(word for word, lost in zip(words, rng.random(len(words)) < rate, strict=True) if not lost)


def mistaken(meaning: Meaning, facts: FactBook, rng: np.random.Generator) -> Meaning:
    """The same with a slip: the opposite way, the opposite skill, or another thing; itself where there is none."""
    if not meaning.skill:
        return meaning.mirrored
    if meaning.skill in _OPPOSITE_SKILLS:
        skill = _OPPOSITE_SKILLS[meaning.skill]
        return Meaning(OPPOSITE.get(meaning.reading, meaning.reading), skill=skill, thing=meaning.thing)
    others = [name for name in facts.things if name not in (meaning.thing, meaning.place)]
    if not others:
        return replace(meaning, skill="away_from", place="") if meaning.thing else meaning
    other = others[int(rng.integers(len(others)))]
    return replace(meaning, place=other) if meaning.place else replace(meaning, thing=other)


def everything(layout: ActionLayout, things: Iterable[str]) -> tuple[Meaning, ...]:
    """All that could be said to a robot with some things before it, sensible now or not: motions and skills."""
    names, things = {*layout.names}, tuple(things)
    axes = {"left": "y", "right": "y", "forward": "x", "back": "x", "up": "z", "down": "z"}
    turns = [Meaning(turn) for turn in TURNS if "rz" in names]
    found = [*(Meaning(move) for move, axis in axes.items() if axis in names), *turns]
    for skill, many in SKILLS.items():
        if (skill in _NEEDS_HEIGHT and "z" not in names) or (skill in _NEEDS_FINGERS and "gripper" not in names):
            continue
        reading = skill if skill in ("open", "close") else "goal"
        if many == 0:
            found.append(Meaning(reading, skill=skill))
        for thing in things if many else ():
            places = [place for place in things if place != thing] if many == 2 else [""]
            found += [Meaning(reading, skill=skill, thing=thing, place=place) for place in places]
    return tuple(found)
