"""What a clause says about the places of things: skills on them."""

from __future__ import annotations

from robot_rlhf.language.clause import DRAWERS, Clause
from robot_rlhf.meaning import Meaning


def too_near(clause: Clause) -> None:
    """'too close to the glass', 'too far from me'."""
    if not clause.has("negate", "too"):
        return
    for at in clause.free("at", "near", "to", "far", "above", "from", "away"):
        sign = clause.signs[at]
        far = sign.value in ("far", "from", "away")
        who = clause.signs[at + 1] if at + 1 < len(clause.signs) else None
        if who is not None and who.role == "who" and who.value == "me":
            clause.use(at, at + 1)
            clause.add(at, Meaning("back" if far else "forward", clause.amount("back")))
        elif (thing := clause.thing_after(at)) is not None:
            clause.use(at, thing)
            name = clause.signs[thing].value
            if sign.value == "above":
                clause.add(at, Meaning("down", clause.amount("down")))
            else:
                clause.add(at, Meaning("goal", skill="to" if far else "away_from", thing=name))


def to_me(clause: Clause) -> None:
    """'towards me', 'away from the camera'."""
    for at in clause.free("at", "to", "near", "away", "far"):
        after = at + 1
        if after < len(clause.signs) and clause.signs[after].role == "who" and clause.signs[after].value == "me":
            away = clause.signs[at].value in ("away", "far")
            for move in [m for m in clause.free("move", "forward", "back") if m < at]:
                clause.use(move)
            clause.use(after)
            clause.plain(at, "forward" if away else "back", "move")


_DRAWN = ("pull", "shut")


def opened_drawer(clause: Clause) -> None:
    """Drawers and handles are pulled and shut, not gripped."""
    things = [at for at in clause.free("named") if any(word in DRAWERS for word in _words(clause, at))]
    if not things or clause.told or clause.has("at", "in", "onto"):
        return
    verb = next((at for at in (*clause.free("grip"), *clause.free("verb", "pull", "push"))), None)
    if verb is None:
        return
    grips = {clause.signs[at].value for at in clause.free("grip")}
    if clause.is_denied:
        if "open" in grips:  # not to open a drawer is no word to close the fingers
            clause.use(*clause.free("grip"), *things)
            clause.vague += [Meaning("goal", skill=skill, thing=clause.signs[things[0]].value) for skill in _DRAWN]
        return
    pulled = "open" in grips or (clause.signs[verb].value == "pull" and "close" not in grips)
    if not grips and clause.signs[verb].value == "push" and clause.has("at", "to"):
        return
    if grips == {"close"} and not _shuts(clause):
        return
    clause.use(*clause.free("grip"), *clause.free("verb", "pull", "push"), *clause.free("move"), *things)
    clause.use(*clause.free("at"), *clause.free("verb", "go"))
    clause.add(verb, Meaning("goal", skill="pull" if pulled else "shut", thing=clause.signs[things[0]].value))


def _shuts(clause: Clause) -> bool:
    """Whether a word for closing is for drawers too: one does not 'grip' a drawer shut."""
    at = clause.first("grip", "close")
    direct = at is not None and clause.thing_after(at) is not None
    return (direct or clause.has("verb", "push", "pull")) and not clause.has("at", "above", "to")


def _words(clause: Clause, at: int) -> list[str]:
    return [*clause.signs[at].text.split(), *clause.signs[at].value.split("_")]


def put_in(clause: Clause) -> None:
    place = next((at for at in clause.free("at", "in", "onto") if clause.thing_after(at) is not None), None)
    verb = next((at for at in (*clause.free("verb", "put", "drop"), *clause.free("grip", "open"))), None)
    if clause.is_denied or clause.told:
        return
    if place is None or (clause.signs[place].value == "onto" and verb is None):
        if verb is not None and clause.signs[verb].value == "put" and clause.has("at", "in"):
            at = clause.first("at", "in")
            clause.use(verb, at, *clause.free("it"))
            clause.add(verb, Meaning("goal", skill="put_in", thing=_first_named(clause)))
        return
    where = clause.thing_after(place)
    what = next((at for at in clause.free("named") if at < place), None)
    clause.use(place, where, what, verb, *(at for at in clause.free("it") if at < place))
    clause.use(*clause.free("verb", "go", "pick", "grab", "lift", "push", "pull", "get", "hold"))
    clause.use(*clause.free("move", "down", "up"), *clause.free("verb", "put_down"))
    thing = clause.signs[what].value if what is not None else ""
    at = min(each for each in (place, verb, what) if each is not None)
    clause.add(at, Meaning("goal", skill="put_in", thing=thing, place=clause.signs[where].value if where else ""))


def _first_named(clause: Clause) -> str:
    at = clause.first("named")
    clause.use(at)
    return clause.signs[at].value if at is not None else ""


def push_to(clause: Clause) -> None:
    """'push the puck to the ring', 'bring it to the bowl'."""
    if clause.is_denied or clause.told:
        return
    for verb in [
        *clause.free("verb", "push"),
        *clause.free("verb", "go", "pull", "grab", "put", "get", "hold", "lift"),
    ]:
        pushes = clause.signs[verb].value == "push"
        what = clause.thing_after(verb)
        if what is None:
            continue
        place = next((at for at in clause.free("at", "to", "in", "onto", "near") if at > what), None)
        where = clause.thing_after(place) if place is not None else None
        if where is None and (not pushes or clause.has("move") or clause.signs[what].role == "it"):
            continue
        clause.use(verb, what, place, where, *clause.free("move", "forward", "back"))
        name = clause.signs[where].value if where is not None else ""
        clause.add(verb, Meaning("goal", skill="push_to", thing=clause.signs[what].value, place=name))
        return


def pulled(clause: Clause) -> None:
    verb = clause.first("verb", "pull")
    thing = clause.thing_after(verb) if verb is not None else None
    if verb is None or thing is None or clause.is_denied or clause.has("move"):
        return
    clause.use(verb, thing, *clause.free("grip", "open"))
    clause.add(verb, Meaning("goal", skill="pull", thing=clause.signs[thing].value))


def down_on(clause: Clause) -> None:
    for at in clause.free("at", "onto", "to", "above", "near"):
        thing = clause.thing_after(at)
        down = next((i for i in clause.free("move", "down") if i < at and _only_between(clause, i, at)), None)
        onto = clause.signs[at].value == "onto" and not clause.has("verb", "pull", "push", "put")
        if thing is None or clause.flips("move") or (down is None and not onto):
            continue
        if down is None and (clause.has("grip") or clause.has("move") or clause.has("verb", "grab", "hold")):
            continue
        clause.use(at, thing, down, *(i for i in clause.free("it") if i < at))
        start = down if down is not None else at
        name = clause.signs[thing].value
        clause.add(start, Meaning("down", clause.amount("down"), skill="down_on", thing=name))


def _only_between(clause: Clause, start: int, end: int) -> bool:
    return all(clause.signs[i].role in ("amount", "it", "who", "word", "named") for i in range(start + 1, end))


def to_places(clause: Clause) -> None:
    """'above the cube', 'behind the puck', 'away from the lamp', 'to the ring'."""
    skills = {"above": "above", "behind": "behind", "away": "away_from", "to": "to", "near": "to", "far": "away_from"}
    for at in clause.free("at", *skills):
        sign = clause.signs[at]
        thing = clause.thing_after(at)
        if thing is None or clause.used[at]:
            continue
        clause.use(at, thing)
        before = at - 1
        if before >= 0 and clause.signs[before].role == "move" and not clause.used[before]:
            led = clause.signs[before].value in ("forward", "back", "up") or clause.signs[before].text == "right"
            clause.use(before if led and not (sign.value == "to" and clause.signs[before].value == "up") else None)
            if sign.value == "to" and clause.signs[before].value == "up":
                clause.use(before)
        if clause.told and not (clause.is_denied and sign.value in ("above", "behind", "to", "near")):
            continue
        name = clause.signs[thing].value
        if clause.is_denied and not clause.told:
            clause.vague += [Meaning("goal", skill="away_from", thing=name), Meaning("goal", thing=name)]
            continue
        place = ""
        if sign.value == "behind" and (seen := clause.first("at", "seen", "from")) is not None:
            other = clause.thing_after(seen)
            clause.use(seen, other)
            place = clause.signs[other].value if other is not None else ""
        always = clause.always and sign.value in ("away", "far")
        if always:
            clause.add(at, Meaning("rule", rule="keep_away", thing=name))
        else:
            clause.add(at, Meaning("goal", skill=skills[sign.value], thing=name, place=place))
