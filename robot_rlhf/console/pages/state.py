"""What the operator's page shows beside the present: seat, guard, sentences, learning; plain data for JSON."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from robot_rlhf.console.coach import advice, demonstrating
from robot_rlhf.console.desk import Visitor
from robot_rlhf.console.pages.learning import number
from robot_rlhf.console.pages.sentences import sentences_state
from robot_rlhf.console.wire import Present
from robot_rlhf.console.words import guard_words
from robot_rlhf.datatypes import GuardEvent, Outcome, whole_episode

if TYPE_CHECKING:
    from robot_rlhf.console.history import History
    from robot_rlhf.console.shared import Console

DASH = "–"
EVENTS = 4
"""Guard events shown at once."""
EVENT_AGE = 60.0
"""Seconds after which a guard event is no longer shown beside the robot; the review has all."""


def page_state(console: Console, visitor: Visitor) -> dict[str, Any]:
    """What one visitor's page shows; see drive.js for how.

    Args:
        console: of a live session: with robot and desk.
        visitor: whose page it is.
    """
    robot, desk, settings = console.robot, console.desk, console.settings
    assert robot is not None
    assert desk is not None
    status, present = robot.status, robot.present
    ended = status.get("stage") == "ended" or not robot.connected
    state: dict[str, Any] = {
        "seat": desk.sits(visitor),
        "operator": desk.operator.name if desk.operator is not None else "",
        "you": visitor.name,
        "mode": desk.hands.mode,
        "speed": desk.hands.speed_level,
        "frame": desk.hands.frame,
        "period": settings.control_period,
        "can_rewind": settings.can_rewind,
        "judged_by": settings.judged_by,
        "operator_kind": str(status.get("operator_kind", "")),
        "stage": str(status.get("stage", "")),
        "demonstrations": whole(status.get("demonstrations")),
        "demonstrations_wanted": whole(status.get("demonstrations_wanted")),
        "shows": shows(status, present),
        "guard": guard_lines(console),
        "history": desk.sentences[:20],
        **sentences_state(console, desk, status),
        "numbers": numbers(status),
        "labels": labels(status),
        "loop": loop(status),
        "trains": trains(status),
        "advice": advice_lines(console.history, status),
        "last": last_episode(console.history),
        "ended": ended,
    }
    if present is None and not status:
        state["trains"] = {"level": "", "text": "Waiting for the robot's process"}
    if ended:
        state["summary"] = summary(console.history, status, str(Path(settings.journal).parent))
        gone = not robot.connected and status.get("stage") != "ended"
        state["ended_why"] = (
            "The robot's process is gone. What was recorded until then is saved."
            if gone
            else "Everything is saved. This page can be closed."
        )
    return state


def shows(status: Mapping[str, Any], present: Present | None) -> bool:
    """Whether a script can show how the present episode is done."""
    way: Any = status.get("ghost")
    if not isinstance(way, dict) or present is None:
        return False
    return whole_episode(str(way.get("episode"))) == whole_episode(present.episode)


def last_episode(history: History) -> dict[str, str]:
    """How the last episode ended and why, and what an undo of its judgement does, if there is one."""
    last = history.last()
    return {"text": "", "undo": ""} if last is None else {"text": last.words, "undo": last.takes_back}


def guard_lines(console: Console) -> list[dict[str, Any]]:
    """Latched faults first, then what the guard did lately, newest first, the same in one line."""
    present = console.robot.present if console.robot is not None else None
    if present is None:
        return []
    lines: list[dict[str, Any]] = []
    for rule, detail in present.faults:
        text = guard_words(GuardEvent(present.stamp, rule, detail, latched=True))
        lines.append({"key": f"{rule}!", "text": text, "detail": detail, "latched": True, "count": 1})
    recent: dict[str, dict[str, Any]] = {}
    for note in console.history.notes():
        if present.stamp - note.stamp > EVENT_AGE:
            break
        if note.kind != "guard" or note.latched:
            continue
        if note.text in recent:
            recent[note.text]["count"] += 1
        else:
            line = {"key": f"{note.text}@{note.stamp}", "text": note.text, "detail": "", "latched": False, "count": 1}
            recent[note.text] = line
    return [*lines, *recent.values()][:EVENTS]


def numbers(status: Mapping[str, Any]) -> dict[str, str]:
    """The big numbers, in words; a dash for what nobody said."""
    unaided: Any = status.get("unaided")
    alone, _ = unaided if isinstance(unaided, list | tuple) and len(unaided) == 2 else (None, None)
    hands, machine = (number(status.get(name)) / 60.0 for name in ("hands_on_seconds", "at_machine_seconds"))
    updates, age = whole(status.get("updates")), whole(status.get("policy_age_updates"))
    return {
        "help": percent(status.get("success_with_help")),
        "alone": percent(alone),
        "share": percent(status.get("human_share")),
        "minutes": DASH if math.isnan(hands + machine) else f"{hands:.1f} of {machine:.1f}",
        "updates": DASH if updates is None else short(updates),
        "age": DASH if age is None else short(age),
    }


def labels(status: Mapping[str, Any]) -> dict[str, str]:
    """What stands below a number, where that changes."""
    unaided: Any = status.get("unaided")
    tried = whole(unaided[1]) if isinstance(unaided, list | tuple) and len(unaided) == 2 else None
    return {"alone": f"alone (last {tried})" if tried else "success, alone"}


def loop(status: Mapping[str, Any]) -> str:
    """How punctual the robot's loop is."""
    period, late = number(status.get("period_p99_ms")), whole(status.get("period_overruns"))
    if math.isnan(period):
        return DASH
    return f"{period:.0f} ms" + (f", {short(late)} late" if late else "")


def trains(status: Mapping[str, Any]) -> dict[str, str]:
    """Whether it trains, and why it does not."""
    said = " ".join(str(status.get("learner_state", "")).split())[:200]
    healthy = status.get("learner_healthy")
    if not said and healthy is None:
        return {"level": "", "text": DASH}
    if healthy is False or (said and said != "learning"):
        return {"level": "warn", "text": f"Not training: {said if said and said != 'learning' else 'no reason given'}"}
    ratio, target = number(status.get("ratio")), number(status.get("target_ratio"))
    pace = "" if math.isnan(ratio) else f": {ratio:.1f} updates per step"
    aim = "" if math.isnan(ratio) or math.isnan(target) else f" (target {target:g})"
    return {"level": "good", "text": f"Training{pace}{aim}"}


def summary(history: History, status: Mapping[str, Any], run: str) -> list[list[str]]:
    """What the session leaves behind, where it lies, and what comes next: name and value."""
    facts = history.facts()
    successes = sum(each.outcome is Outcome.SUCCESS for each in facts)
    told = numbers(status)
    lines = [["Episodes saved", f"{len(facts)}, of them {successes} successes"]]
    lines += [["Steps saved", short(sum(each.steps for each in facts))]]
    lines += [
        ["Minutes hands on, of those at the machine", told["minutes"]],
        ["Updates of the policy", told["updates"]],
    ]
    if status.get("learned") is False:
        lines += [["Policy", "has learned nothing yet, and is not measured"]]
    lines += [["Success, alone", told["alone"]], ["Success, with help", told["help"]]]
    lines += [["Folder", run], ["Look at it", f"robot-rlhf review {shlex.quote(run)}"]]
    lines += [["Go on with it", f"robot-rlhf session --resume {shlex.quote(run)}"]]
    return [line for line in lines if line[1] != DASH]


_advised: WeakKeyDictionary[History, tuple[tuple[object, bool, float, str], list[dict[str, str]]]] = WeakKeyDictionary()
"""The last advice, and what it was made from: the same for all pages."""


def advice_lines(history: History, status: Mapping[str, Any]) -> list[dict[str, str]]:
    """The coach's lines; made anew only when an episode or a label has come. Why it is not training stands above."""
    if status.get("stage") == "demonstrations":
        told = demonstrating(whole(status.get("demonstrations")) or 0, whole(status.get("demonstrations_wanted")) or 0)
        return [{"level": told.level, "text": told.text, "because": told.because}]
    alarm, over = status.get("alarm") is True, number(status.get("over_estimation"))
    found = status.get("practice")
    practice = (str(found.get("verdict")), str(found.get("because"))) if isinstance(found, Mapping) else ("", "")
    key = (history.series, alarm, 0.0 if math.isnan(over) else over, practice[0])
    known = _advised.get(history)
    if known is None or known[0][0] is not key[0] or known[0][1:] != key[1:]:
        made = advice(
            history.facts(practice=True),
            alarm=alarm,
            over_estimation=None if math.isnan(over) else over,
            practice=practice,
        )
        known = key, [{"level": each.level, "text": each.text, "because": each.because} for each in made]
        _advised[history] = known
    return known[1]


def percent(value: object) -> str:
    """A share in [0, 1] in words."""
    share = number(value)
    return DASH if math.isnan(share) else f"{100 * share:.0f} %"


def whole(value: object) -> int | None:
    """A count, or None for anything else."""
    count = number(value)
    return None if math.isnan(count) else int(count)


def short(count: int) -> str:
    """A count with narrow gaps between the thousands."""
    return f"{count:,}".replace(",", "\u202f")
