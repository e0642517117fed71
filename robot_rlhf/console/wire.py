"""What the console's process and the robot's say to each other: one JSON object per packet, checked on arrival."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robot_rlhf.console.readings import Reading
from robot_rlhf.datatypes import Button, Feedback, FeedbackKind, Segment, Situation
from robot_rlhf.errors import LinkError

MAX_PACKET = 64 * 1024
"""Bytes of one packet; a longer one is refused where it is made."""
MAX_SENTENCE = 2_000
"""Characters of one sentence."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Drive:
    """What the operator's hands do; sent at each change and several times per control period: the heartbeat."""

    action: tuple[float, ...] | None
    """In [-1, 1], laid out as the robot's actions; None while the hands are off."""
    rewind_to: int | None = None
    """HumanInput.rewind_to."""
    heard: float = 0.0
    """Seconds of this machine's monotonic clock at which the page's message reached the console; 0 if not known."""


@dataclass(frozen=True)
class Press:
    """A judgement or request; `episode` is the one that the page showed under way when it was pressed, if any."""

    button: Button
    episode: str = ""


@dataclass(frozen=True)
class Spoken:
    """A sentence; `seconds_ago` is when the person began with it."""

    text: str
    seconds_ago: float = 0.0


@dataclass(frozen=True)
class Label:
    """A judgement of what was recorded."""

    feedback: Feedback


@dataclass(frozen=True)
class Operator:
    """Who has the operator's seat from now on; empty when it is free."""

    name: str


@dataclass(frozen=True)
class Lost:
    """The operator's browser is gone."""


@dataclass(frozen=True)
class Status:
    """To the console: what the session says of itself twice a second, by name; numbers, texts and booleans."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Answer:
    """To the console: what became of something that the operator pressed, where that is not to be seen."""

    text: str


Message = Drive | Press | Spoken | Label | Operator | Lost | Status | Answer


def encode(message: Message) -> bytes:
    """One packet. Raises LinkError when it would be too long or holds NaN."""
    kind, fields = _FIELDS[type(message)](message)
    try:
        packet = json.dumps({"kind": kind, **fields}, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise LinkError(f"console message '{kind}': {error}") from error
    if len(packet) > MAX_PACKET:
        raise LinkError(f"console message '{kind}': {len(packet)} bytes, allowed {MAX_PACKET}")
    return packet


def decode(packet: bytes) -> Message:
    """The inverse of `encode`. Raises LinkError for anything else."""
    try:
        fields = json.loads(packet)
        return _READERS[fields.pop("kind")](fields)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise LinkError(f"console message {packet[:80]!r}: not understood ({type(error).__name__}: {error})") from error


def _segment(segment: Segment) -> Json:
    return {"episode_id": segment.episode_id, "start": segment.start, "length": segment.length}


def _label(message: Label) -> tuple[str, Json]:
    f = message.feedback
    return "label", {
        "feedback": f.kind.value,
        "author": f.author,
        "stamp": f.stamp,
        "span": _segment(f.span),
        "value": f.value,
        "text": f.text,
        "other": None if f.other is None else _segment(f.other),
        "confidence": f.confidence,
        "payload": dict(f.payload),
    }


def _read_label(fields: Json) -> Label:
    other, kind, payload = fields["other"], FeedbackKind(fields["feedback"]), dict(fields["payload"])
    if kind is FeedbackKind.MEANING:
        Reading.of_payload(payload)
    elif payload:
        raise ValueError(f"a {kind.value} with a payload: only a meaning has one")
    return Label(
        Feedback(
            kind,
            str(fields["author"]),
            float(fields["stamp"]),
            Segment(**fields["span"]),
            None if fields["value"] is None else float(fields["value"]),
            whole_letters(str(fields["text"])[:MAX_SENTENCE]),
            None if other is None else Segment(**other),
            float(fields["confidence"]),
            payload,
        )
    )


def _read_drive(fields: Json) -> Drive:
    action, rewind_to = fields["action"], fields["rewind_to"]
    if action is not None:
        action = tuple(float(value) for value in action)
        if not all(math.isfinite(value) and -1.000001 <= value <= 1.000001 for value in action):
            raise ValueError(f"action {action}, allowed are numbers in [-1, 1]")
    return Drive(action, None if rewind_to is None else max(0, int(rewind_to)), float(fields["heard"]))


def whole_letters(text: str) -> str:
    """The text, with a question mark for each half of a letter: a page cannot be sent one (surrogates, RFC 3629)."""
    return text.encode("utf-8", "replace").decode()


def _read_spoken(fields: Json) -> Spoken:
    text, ago = whole_letters(str(fields["text"])).strip(), float(fields["seconds_ago"])
    if not text or len(text) > MAX_SENTENCE:
        raise ValueError(f"a sentence of {len(text)} characters, allowed 1 to {MAX_SENTENCE}")
    if not 0.0 <= ago <= 3600.0:
        raise ValueError(f"seconds_ago {ago}, allowed 0 to 3600")
    return Spoken(text, ago)


_FIELDS: dict[type, Callable[[Any], tuple[str, Json]]] = {
    Drive: lambda m: ("drive", {"action": m.action, "rewind_to": m.rewind_to, "heard": m.heard}),
    Press: lambda m: ("press", {"button": m.button.value, "episode": m.episode}),
    Spoken: lambda m: ("spoken", {"text": m.text, "seconds_ago": m.seconds_ago}),
    Label: _label,
    Operator: lambda m: ("operator", {"name": m.name}),
    Lost: lambda m: ("lost", {}),
    Status: lambda m: ("status", {"values": dict(m.values)}),
    Answer: lambda m: ("answer", {"text": m.text}),
}
_READERS: dict[str, Callable[[Json], Message]] = {
    "drive": _read_drive,
    "press": lambda f: Press(Button(f["button"]), str(f["episode"])),
    "spoken": _read_spoken,
    "label": _read_label,
    "operator": lambda f: Operator(str(f["name"])[:80]),
    "lost": lambda f: Lost(),
    "status": lambda f: Status(dict(f["values"])),
    "answer": lambda f: Answer(str(f["text"])[:MAX_SENTENCE]),
}


@dataclass(frozen=True)
class Present:
    """The newest Situation, as the console has it: plain numbers and words, without pictures."""

    stamp: float
    phase: str
    """A Phase's value."""
    driver: str | None
    """'policy', 'human', 'reflex', or None: nobody."""
    action: tuple[float, ...] | None
    episode: str
    kind: str
    step: int
    time_limit: int
    instruction: str
    policy_version: int
    faults: tuple[tuple[str, str], ...]
    """Rule and detail of each latched fault."""
    detail: str
    tool_pose: tuple[float, ...] | None
    """x, y, z m and w, x, y, z of the measured tool in the base frame; None when nothing can be sensed."""
    tool_wrench: tuple[float, ...] | None
    gripper: float
    gripper_target: float
    observed: float
    """Clock time, seconds, at which state and pictures were sensed."""
    spoken: str = ""
    """Situation.spoken."""


def encode_situation(situation: Situation) -> bytes:
    """A Situation without pictures, as JSON."""
    seen = situation.observation
    return json.dumps(
        {
            "stamp": situation.stamp,
            "phase": situation.phase.value,
            "driver": None if situation.driver is None else situation.driver.name.lower(),
            "action": None if situation.action is None else situation.action.values.tolist(),
            "episode": situation.episode,
            "kind": situation.kind.value,
            "step": situation.step,
            "time_limit": situation.time_limit,
            "instruction": situation.instruction,
            "policy_version": situation.policy_version,
            "faults": [[event.rule, event.detail] for event in situation.faults],
            "detail": situation.detail,
            "tool_pose": None if seen is None else seen.tool_pose_in_base.tolist(),
            "tool_wrench": None if seen is None else seen.tool_wrench.tolist(),
            "gripper": 0.0 if seen is None else seen.gripper,
            "gripper_target": 1.0 if seen is None else seen.gripper_target,
            "observed": situation.stamp if seen is None else seen.stamp,
            "spoken": situation.spoken,
        },
        separators=(",", ":"),
    ).encode()


def decode_present(packet: bytes) -> Present:
    """The inverse of `encode_situation`."""
    fields = json.loads(packet)
    for name in ("action", "tool_pose", "tool_wrench"):
        fields[name] = None if fields[name] is None else tuple(fields[name])
    fields["faults"] = tuple((rule, detail) for rule, detail in fields["faults"])
    return Present(**fields)
