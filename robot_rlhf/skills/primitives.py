"""From what was meant to what is done: the skill, begun with things that are perceived, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from robot_rlhf.datatypes import Observation, RobotSpec
from robot_rlhf.facts import PLACES, FactBook
from robot_rlhf.meaning import SKILLS, Meaning
from robot_rlhf.skills.closed_loop import ClosedLoop, Workplace, place_of, tool, within_fingers
from robot_rlhf.skills.grasping import Grasp, Insert, PutIn
from robot_rlhf.skills.hand import Hand
from robot_rlhf.skills.handles import Pull, Shut, is_handle
from robot_rlhf.skills.pushing import Behind, PushTo
from robot_rlhf.skills.reaching import Above, AwayFrom, DownOn, Fingers, Lift, To, Wait
from robot_rlhf.skills.skill import Skill

RISES, GRIPS, CROSSES = "move up and down", "open and close its fingers", "move over the table"
NEEDS: dict[str, tuple[str, ...]] = {
    "above": (RISES,),
    "down_on": (RISES,),
    "to": (CROSSES,),
    "away_from": (CROSSES,),
    "behind": (CROSSES,),
    "push_to": (CROSSES,),
    "put_in": (CROSSES,),
    "pull": (RISES,),
    "shut": (RISES,),
    "grasp": (RISES, GRIPS),
    "lift": (RISES,),
    "open": (GRIPS,),
    "close": (GRIPS,),
    "wait": (),
}
"""What a robot must be able to do for each of SKILLS."""


@dataclass(frozen=True, eq=False)
class _Begin:
    """All that a skill can be begun with."""

    meaning: Meaning
    observation: Observation
    at: Workplace
    words: str
    thing: str
    place: str


def make_skill(
    meaning: Meaning, observation: Observation, spec: RobotSpec, facts: FactBook, last: str = "", last_place: str = ""
) -> Skill | str:
    """A skill that begins now.

    Args:
        meaning: names one of SKILLS, or else says to open or close.
        observation: the present; only what is perceived of it is looked at.
        last: the thing that was named last, which 'it' means unless the fingers hold something.
        last_place: the second thing that was named last.

    Returns:
        The skill, or why there is none, in words.
    """
    name = meaning.skill or (meaning.reading if meaning.reading in ("open", "close") else "")
    if not name:
        return f"{meaning.words}: says nothing to do"
    at = Workplace(spec, facts, Hand(spec.action))
    if name == "put_in" and not at.hand.rises:
        name = "push_to"
    can = {RISES: at.hand.rises, GRIPS: at.hand.grips, CROSSES: at.hand.crosses}
    missing = next((need for need in NEEDS[name] if not can[need]), "")
    if missing:
        return f"{meaning.words}: this robot cannot {missing}"
    thing = place = ""
    fixed = name == "put_in" and at.hand.rises and not at.hand.grips  # what it holds for good is no thing of the scene
    if SKILLS[name] and not fixed:
        thing = _thing(name, meaning.thing, observation, at, last)
        if thing not in things_of(observation):
            return _not_there(meaning, meaning.thing or "it", observation)
    if SKILLS[name] > 1:
        place = _place(name, meaning.place, thing, observation, at, last_place)
        if place and place not in things_of(observation):
            return _not_there(meaning, meaning.place, observation)
    if name in ("push_to", "put_in") and not place:
        return f"{meaning.words}: it was not said where"
    if thing and thing == place:
        return f"{meaning.words}: {_plain(thing)} and place are the same"
    words = Meaning("goal", skill=name, thing=thing, place=place).words
    skill = _BEGINNERS[name](_Begin(meaning, observation, at, words, thing, place))
    skill.about = tuple(filter(None, (thing, place)))
    return skill


def things_of(observation: Observation) -> list[str]:
    """What is perceived to be somewhere."""
    return [name for name, pose in observation.scene.items() if len(pose) in PLACES]


def _thing(skill: str, said: str, observation: Observation, at: Workplace, last: str) -> str:
    """Which thing is meant; empty where there is none."""
    seen = things_of(observation)
    if skill in ("pull", "shut"):
        handles = [name for name in seen if is_handle(name)]
        return said if said in handles or not handles else _nearest(handles, observation)
    if said:
        return said
    graspable = [name for name in seen if at.graspable(name)]
    held = next((name for name in graspable if within_fingers(observation, name)), "")
    if held and skill in ("put_in", "push_to", "grasp", "to", "above", "down_on"):
        return held
    fits = not graspable or skill not in ("grasp", "put_in") or last in graspable
    if last in seen and fits:
        return last
    return _nearest(graspable or seen, observation) if seen else ""


def _place(skill: str, said: str, thing: str, observation: Observation, at: Workplace, last: str) -> str:
    """Which place is meant: a drawer is where its handle is; the only other thing, where none is said."""
    seen = things_of(observation)
    handles = [name for name in seen if is_handle(name)]
    if skill == "put_in" and handles and said not in _containers(seen, at, handles):
        return _nearest(handles, observation)
    if said:
        return said
    if last in seen and last != thing:
        return last
    others = [name for name in seen if name != thing and not at.graspable(name)]
    return others[0] if len(others) == 1 and skill != "behind" else ""


def _containers(seen: list[str], at: Workplace, handles: list[str]) -> list[str]:
    """Things other than drawers in which something can be put."""
    return [name for name in seen if name not in handles and name != "cabinet" and not at.graspable(name)]


def _nearest(names: list[str], observation: Observation) -> str:
    return min(names, key=lambda name: math.dist(place_of(observation, name), tool(observation)))


def _not_there(meaning: Meaning, name: str, observation: Observation) -> str:
    there = ", ".join(_plain(each) for each in things_of(observation)) or "nothing"
    return f"{meaning.words}: {_plain(name)} is not seen here; seen: {there}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _put_in(b: _Begin) -> ClosedLoop:
    if b.at.hand.grips:
        return PutIn(b.words, b.at, b.thing, b.place)
    return Insert(b.words, b.at, b.place)


_BEGINNERS: dict[str, Callable[[_Begin], ClosedLoop]] = {
    "above": lambda b: Above(b.words, b.at, b.thing),
    "down_on": lambda b: DownOn(b.words, b.at, b.thing),
    "to": lambda b: To(b.words, b.at, b.thing),
    "away_from": lambda b: AwayFrom(b.words, b.at, b.thing, b.observation, b.meaning.amount),
    "behind": lambda b: Behind(b.words, b.at, b.thing, b.place, b.at.facts.view.back),
    "push_to": lambda b: PushTo(b.words, b.at, b.thing, b.place),
    "put_in": _put_in,
    "pull": lambda b: Pull(b.words, b.at, b.thing),
    "shut": lambda b: Shut(b.words, b.at, b.thing),
    "grasp": lambda b: Grasp(b.words, b.at, b.thing),
    "lift": lambda b: Lift(b.words, b.at, b.observation, b.meaning.amount),
    "open": lambda b: Fingers(b.words, b.at, 1.0),
    "close": lambda b: Fingers(b.words, b.at, 0.0),
    "wait": lambda b: Wait(b.words, b.at),
}
