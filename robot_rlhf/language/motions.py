"""What a clause says about fingers, motions, turns, speed, and about what was done."""

from __future__ import annotations

from robot_rlhf.language.clause import Clause, Found, gripping
from robot_rlhf.meaning import OPPOSITE, SPEEDS, Meaning


def grasped(clause: Clause) -> None:
    """'grab the cube', 'pick it up', 'lift it'."""
    if clause.has("negate", "too", "less", "enough"):
        return
    for verb in [*clause.free("verb", "pick", "grab", "hold", "lift"), *clause.free("grip", "close")]:
        if clause.used[verb]:
            continue
        value = clause.signs[verb].value
        thing = clause.thing_after(verb, frozenset({"amount", "word", "at", "who"}))
        named = thing is not None and clause.signs[thing].role == "named"
        if clause.is_denied and (value != "lift" or named):
            if value == "hold" and not clause.has("move"):  # "don't hold on to it any more"
                clause.use(verb, thing)
                clause.add(verb, gripping(Meaning("open")))
            elif value != "close" or named:
                clause.use(verb, thing)
                clause.vague += [Meaning("open", skill="open"), Meaning("close", skill="close")]
            continue
        if value == "grab" and thing is not None and not named and clause.has("move"):  # "take it up"
            clause.use(verb, thing)
        elif value == "lift" or (value == "pick" and not named):
            _lifted(clause, verb, thing)
        elif value in ("grab", "hold", "pick") or named or (thing is not None and clause.has("at")):
            clause.use(verb, thing, *clause.free("move", "up"), *clause.free("at"))
            if thing is None and clause.has("word", "nothing"):  # "grab a coffee"
                clause.vague.append(Meaning("close", skill="grasp"))
                continue
            if value == "pick" or value == "grab":
                clause.use(*clause.free("rule", "from_above"))
            name = clause.signs[thing].value if thing is not None else ""
            clause.add(verb, Meaning("close", skill="grasp", thing=name))


def _lifted(clause: Clause, verb: int, thing: int | None) -> None:
    """What is held is lifted; the arm alone goes up."""
    robot = any(sign.role == "who" and sign.value == "robot" for sign in clause.signs[verb + 1 :])
    sideways = clause.has("move", "left", "right", "forward", "back", "down")
    clause.use(verb, thing, *clause.free("move", "up"))
    skill = "" if robot or sideways or (thing is None and clause.has("amount")) else "lift"
    if clause.is_denied:
        clause.add(verb, Meaning("down"), denied=True)
        return
    clause.add(verb, Meaning("up", clause.amount("up"), skill=skill))


def put_down(clause: Clause) -> None:
    for at in clause.free("verb", "put_down"):
        clause.use(at)
        if not clause.is_denied:
            clause.add(at, Meaning("down"))
            clause.add(at, gripping(Meaning("open")))
    for at in list(clause.free("verb", "drop")):
        clause.use(at)
        after = clause.signs[at + 1] if at + 1 < len(clause.signs) else None
        lowers = clause.has("amount") or (after is not None and after.role == "who" and after.value == "robot")
        if lowers and clause.thing_after(at) is None:
            clause.plain(at, "down", "move")
        else:
            clause.use(clause.thing_after(at))
            _grip(clause, at, "open")


def _grip(clause: Clause, at: int, reading: str) -> None:
    known = len(clause.found)
    clause.plain(at, reading, "grip")
    clause.found[known:] = [Found(each.at, gripping(each.meaning), each.denied) for each in clause.found[known:]]


def turns(clause: Clause) -> None:
    """Left and right are turns of the wrist where there is a word for turning, or degrees."""
    for at in clause.free("turn"):
        clause.plain(at, clause.signs[at].value, "turn")
        clause.use(*clause.free("verb", "turn"))
    degrees = any(sign.role == "amount" and sign.value == "degree" for sign in clause.signs)
    if clause.first("verb", "turn") is None and not degrees and not clause.turning:
        return
    for at in clause.free("move", "left", "right"):
        clause.plain(at, f"turn_{clause.signs[at].value}", "turn")
    for at in clause.free("state", "left", "right"):
        clause.plain(at, f"turn_{clause.signs[at].value}", "turn")


def states(clause: Clause) -> None:
    modified = clause.has("negate", "not", "dont", "too", "less", "enough", "short") or clause.has("rule", "never")
    for at in list(clause.free("state")):
        sign = clause.signs[at]
        if clause.told == "unknown":
            clause.use(at)
            clause.vague += [Meaning(OPPOSITE[sign.value]), Meaning(sign.value)]
            continue
        role = "grip" if sign.value in ("open", "close") else "state"
        sideways = sign.value in ("left", "right", "forward", "back")
        if modified or sideways:
            clause.plain(at, sign.value, role if not sideways else "move")
            continue
        complained = any(s.role == "amount" for s in clause.signs[:at]) and not clause.has("word", "more")
        verb = (
            clause.has("verb", "go", "keep", "hold", "grab") or clause.has("is", "need") or clause.has("word", "more")
        )
        if clause.flips(role) or (complained and not verb):
            clause.use(at)
            reading = OPPOSITE[sign.value]
            clause.add(at, Meaning(reading))
        elif verb or (sign.value in SPEEDS and len(clause.signs) == sum(clause.used) + 1):
            clause.plain(at, sign.value, role)
        else:
            clause.use(at)
            clause.vague += [Meaning(OPPOSITE[sign.value]), Meaning(sign.value)]


def moved(clause: Clause) -> None:
    moves = list(clause.free("move"))
    for at in moves:
        sign = clause.signs[at]
        after = next((i for i in moves if i == at + 1), None)
        before = clause.signs[at - 1] if at else None
        if before is not None and (before.role, before.value) == ("at", "from"):  # "from the left"
            clause.use(at)
            clause.vague.append(Meaning("goal"))
        elif sign.value == "back" and after is not None and clause.signs[after].value not in ("back", "forward"):
            clause.use(at)  # "back up", "back to the left"
        elif clause.told == "unknown":  # "the server is up"
            clause.use(at)
            clause.vague += [Meaning(sign.value), Meaning(OPPOSITE[sign.value])]
        elif clause.told == "it" and not clause.flips("move") and _is_unclear(clause):
            clause.use(at)  # "it is left of the cube", "that is left": who is, or what?
            clause.vague += [Meaning(sign.value), Meaning(OPPOSITE[sign.value])]
        else:
            clause.plain(at, sign.value, "move")
    for at in clause.free("pace"):
        clause.plain(at, clause.signs[at].value, "pace")


def _is_unclear(clause: Clause) -> bool:
    """Whether 'it is left' may be said of the robot."""
    of_a_thing = clause.has("at", "of") and clause.first("named") is not None
    return of_a_thing or not (clause.has("word", "more") or clause.has("at", "to", "onto", "of"))


def grips(clause: Clause) -> None:
    for at in list(clause.free("grip")):
        if clause.told and not clause.has("negate", "too"):
            clause.use(at)
            clause.vague.append(Meaning(clause.signs[at].value))
            continue
        clause.use(clause.thing_after(at))
        _grip(clause, at, clause.signs[at].value)


def verdicts(clause: Clause) -> None:
    for at in clause.free("verdict"):
        if clause.is_called_wrong:
            continue
        if clause.has("word", "nothing"):  # about something else
            clause.vague.append(Meaning(clause.signs[at].value))
            continue
        flip = clause.is_denied or clause.has("negate", "less", "too")
        said = clause.signs[at].value
        clause.add(at, Meaning(OPPOSITE[said] if flip else said))
        clause.use(at)
    for at in clause.free("order", "retry", "undo"):
        clause.use(at)
        if clause.is_denied:
            clause.vague.append(Meaning(clause.signs[at].value))
        else:
            clause.add(at, Meaning(clause.signs[at].value))


def named_alone(clause: Clause) -> None:
    """'the red one'."""
    vague = clause.vague or clause.told or clause.unknown or clause.has("word", "nothing")
    if clause.found or vague or clause.has("at", "of", "from"):
        return
    for at in clause.free("named"):
        meaning = Meaning("goal", thing=clause.signs[at].value)
        if clause.is_denied:
            clause.vague.append(meaning)
        else:
            clause.add(at, meaning)
        return
