"""What a sentence that is not understood may have meant, where its words do not say: what can be done here."""

from __future__ import annotations

from collections.abc import Mapping

from robot_rlhf.facts import Thing
from robot_rlhf.language.clause import DRAWERS
from robot_rlhf.language.things import CONTAINERS
from robot_rlhf.meaning import Meaning

_MOTIONS = (Meaning("up"), Meaning("down"), Meaning("left"))


def offers(things: Mapping[str, Thing]) -> tuple[Meaning, ...]:
    """Skills on the things of a place, the likeliest first, then motions; never to stop: words for that are known.

    Args:
        things: by name.
    """
    held = next((name for name, thing in things.items() if thing.graspable), "")
    others = [name for name in things if name != held]
    skills: list[Meaning] = []
    if held:
        skills = [Meaning("close", skill="grasp", thing=held), Meaning("goal", skill="above", thing=held)]
        drawn = next((name for name in others if DRAWERS & set(name.split("_"))), "")
        skills += [Meaning("goal", skill="pull", thing=drawn)] if drawn else []
        inside = next((name for name in others if CONTAINERS & set(name.split("_"))), "")
        skills += [Meaning("goal", skill="put_in", thing=held, place=inside)] if inside else []
    elif len(others) > 1:
        first, second = others[:2]
        skills = [
            Meaning("goal", skill="push_to", thing=first, place=second),
            Meaning("goal", skill="behind", thing=first),
        ]
    elif others:
        skills = [Meaning("goal", skill="to", thing=others[0])]
    return (*skills, *_MOTIONS)
