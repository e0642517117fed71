"""What a clause says that lasts: rules near things or everywhere, and of speed."""

from __future__ import annotations

from robot_rlhf.language.clause import Clause
from robot_rlhf.language.vocabulary import renamed
from robot_rlhf.meaning import MOVES, OPPOSITE, SPEEDS, Meaning

_BETWEEN = frozenset({"amount", "it", "who", "word", "verb", "move", "at", "is", "rule"})


def speed_as_noun(clause: Clause) -> None:
    """'reduce the speed', 'turn the speed up'."""
    if (noun := clause.first("verb", "speed")) is None:
        return
    for at in clause.free("move", "up", "down"):
        clause.use(noun, at)
        value = "faster" if clause.signs[at].value == "up" else "slower"
        clause.signs[at] = renamed(clause.signs[at], "pace", value)
        clause.used[at] = False
        return
    if clause.has("negate", "less") or clause.has("word", "more"):
        clause.use(noun)
        clause.signs[noun] = renamed(clause.signs[noun], "pace", "faster")
        clause.used[noun] = False


def keep_away(clause: Clause) -> None:
    """'keep away from', 'avoid', 'never touch', 'do not go near'."""
    for at in [*clause.free("verb", "avoid"), *clause.free("verb", "keep", "touch"), *clause.free("at", "near", "to")]:
        sign = clause.signs[at]
        thing = _thing_beyond(clause, at)
        if thing is None and sign.value == "touch":  # where verbs stand last
            thing = next((i for i in clause.free("named") if i < at), None)
        if thing is None or clause.used[at]:
            continue
        keeps = sign.value == "keep" and any(clause.signs[i].value in ("away", "far") for i in range(at, thing))
        never = clause.has("rule", "never")
        paced = clause.has("pace") or clause.has("state", *SPEEDS)
        forbidden = (
            clause.is_denied and not paced and sign.value in (("touch", "near", "to") if never else ("touch", "near"))
        )
        if keeps or forbidden or (sign.value == "avoid" and not clause.is_denied):
            clause.use(*range(min(at, thing), max(at, thing) + 1))
            clause.add(at, Meaning("rule", rule="keep_away", thing=clause.signs[thing].value))


def _thing_beyond(clause: Clause, at: int) -> int | None:
    """The next thing, with verbs and places between; a named one before 'it'."""
    passed: int | None = None
    for there in range(at + 1, len(clause.signs)):
        role = clause.signs[there].role
        if role == "named":
            return there
        if role == "it" and passed is None:
            passed = there
        elif role not in _BETWEEN:
            break
    return passed


def from_above(clause: Clause) -> None:
    above = clause.first("rule", "from_above")
    if above is None:
        return
    others = ("turn", "pace", "state") if clause.always else ("turn", "grip", "pace", "state")
    busy = not clause.always and clause.has("verb", "grab", "pick", "hold", "put", "push", "lift")
    moves = clause.has("move", *(value for value in MOVES if not clause.always or value != "down"))
    if busy or moves or clause.is_denied or any(clause.has(role) for role in others):
        return
    thing = clause.first("named")
    clause.use(*range(len(clause.signs)))
    clause.add(above, Meaning("rule", rule="from_above", thing=clause.signs[thing].value if thing is not None else ""))


def _is_unknown(clause: Clause, at: int) -> bool:
    return at < len(clause.signs) and clause.signs[at].role == "unknown"


def pace_rule(clause: Clause) -> None:
    """'slower near the glass', 'always slower'."""
    place = next((at for at in clause.free("at", "near", "to") if clause.thing_after(at) is not None), None)
    pace = clause.first("pace")
    state = clause.first("state", *SPEEDS) if pace is None else None
    at = pace if pace is not None else state
    near = clause.signs[place].value == "near" or clause.always or clause.has("verb", "approach") if place else False
    near = near or (place == 0 and clause.signs[0].value == "near")
    approached = clause.first("verb", "approach")
    thing = clause.thing_after(place) if place is not None and near else None
    if thing is None and approached is not None:
        place, thing = approached, clause.thing_after(approached)
    if at is not None and thing is None and any(_is_unknown(clause, near + 1) for near in clause.free("at", "near")):
        clause.use(at)
        clause.vague.append(Meaning("rule", rule=clause.signs[at].value))
        return
    if at is None or not (thing is not None or clause.always or clause.near is not None):
        return
    flip = clause.flips("pace" if pace is not None else "state")
    if flip is None:
        return
    said = clause.signs[at].value
    rule = OPPOSITE[said] if flip else said
    named = clause.near if thing is None else clause.signs[thing]
    name = named.value if named is not None else ""
    amount = clause.amount(rule)
    clause.use(at, place if thing is not None else None, thing)
    clause.add(min(at, place if place is not None else at), Meaning("rule", amount, rule=rule, thing=name))
