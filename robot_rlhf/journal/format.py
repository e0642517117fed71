"""The journal's own records: names and version of the format, and the JSON form of steps, events and episodes.

Each encoder has its inverse beside it. Numbers are JSON numbers: a float32 becomes the decimal of the double that
equals it, so that reading gives back the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_rlhf.datatypes import (
    ActionLayout,
    Array,
    CommandLayout,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    GuardEvent,
    Observation,
    Outcome,
    RobotSpec,
    Segment,
    Step,
)
from robot_rlhf.errors import InvalidValueError

JOURNAL_VERSION = 2
"""Version of everything on this page, as it is written."""
LIBRARY_PREFIX = "robot_rlhf journal "
LIBRARY = f"{LIBRARY_PREFIX}{JOURNAL_VERSION}"
"""The library field of the MCAP header: how a reader knows the file for one of ours."""
UNSEALED_VERSION = 1
"""The same without seals: what 0.1.0 wrote."""
READABLE = {f"{LIBRARY_PREFIX}{version}": version for version in (UNSEALED_VERSION, JOURNAL_VERSION)}
"""Library field to version; a reader refuses any other."""
SESSION_METADATA = "robot_rlhf.session"
"""Name of the MCAP metadata record with format version, robot spec and the caller's own entries."""

TOPIC_EPISODE_START = "/robot_rlhf/episode_start"
TOPIC_STEP = "/robot_rlhf/step"
TOPIC_EVENT = "/robot_rlhf/event"
TOPIC_EPISODE_END = "/robot_rlhf/episode_end"

Json = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def to_json(value: Json, what: str) -> bytes:
    """UTF-8 text on one line.

    Raises:
        InvalidValueError: a number is NaN or infinite, which JSON cannot hold.
    """
    try:
        return _encode(value).encode()
    except ValueError as error:
        raise InvalidValueError(what, str(error), "finite numbers") from error


def _vectors(arrays: Mapping[str, Array]) -> dict[str, list[float]]:
    return {name: array.tolist() for name, array in arrays.items()}


def observation_rest(observation: Observation) -> Json:
    """What of an observation no sensor topic holds: the exact stamp, scene and privileged state."""
    return {
        "stamp": observation.stamp,
        "scene": _vectors(observation.scene),
        "privileged": _vectors(observation.privileged),
    }


def encode_episode_start(meta: EpisodeMeta, observation: Observation) -> bytes:
    return to_json(
        {
            "meta": {
                "id": meta.id,
                "task": meta.task,
                "kind": meta.kind.value,
                "seed": meta.seed,
                "operator": meta.operator,
                "reward_source": meta.reward_source,
                "versions": dict(meta.versions),
                "continues": meta.continues,
                "continues_at": meta.continues_at,
                "weights": meta.weights,
            },
            "observation": observation_rest(observation),
        },
        f"episode {meta.id}",
    )


def decode_meta(fields: Json) -> EpisodeMeta:
    changed: Json = {**fields, "kind": EpisodeKind(fields["kind"])}
    return EpisodeMeta(**changed)


def encode_step(step: Step) -> bytes:
    """The optional fields, context, authority and spoken, are left out where the step has none."""
    fields: Json = {
        "index": step.index,
        "driver": step.driver.name.lower(),
        "executed": None if step.executed is None else step.executed.values.tolist(),
        "proposed": None if step.proposed is None else step.proposed.values.tolist(),
        "reward": step.reward,
        "gold_reward": step.gold_reward,
        "terminated": step.terminated,
        "truncated": step.truncated,
        "policy_version": step.policy_version,
        "instruction": step.instruction,
        "next_observation": observation_rest(step.next_observation),
    }
    if step.context:
        fields["context"] = _vectors(step.context)
    if step.authority is not None:
        fields["authority"] = step.authority.tolist()
    if step.spoken:
        fields["spoken"] = step.spoken
    return to_json(fields, "Step")


def _segment(segment: Segment) -> Json:
    return {"episode_id": segment.episode_id, "start": segment.start, "length": segment.length}


def encode_event(event: Event) -> bytes:
    if isinstance(event, GuardEvent):
        return to_json(
            {
                "type": "guard",
                "stamp": event.stamp,
                "rule": event.rule,
                "detail": event.detail,
                "latched": event.latched,
            },
            "GuardEvent",
        )
    fields: Json = {"payload": dict(event.payload)} if event.payload else {}
    return to_json(
        {
            "type": "feedback",
            "stamp": event.stamp,
            "kind": event.kind.value,
            "author": event.author,
            "span": _segment(event.span),
            "value": event.value,
            "text": event.text,
            "other": None if event.other is None else _segment(event.other),
            "confidence": event.confidence,
            **fields,
        },
        "Feedback",
    )


def decode_event(payload: bytes) -> Event:
    fields: Json = json.loads(payload)
    kind = fields.pop("type")
    if kind == "guard":
        return GuardEvent(**fields)
    other = fields["other"]
    fields["kind"] = FeedbackKind(fields["kind"])
    fields["span"] = Segment(**fields["span"])
    fields["other"] = None if other is None else Segment(**other)
    return Feedback(**fields)


def encode_episode_end(end: EpisodeEnd) -> bytes:
    return to_json({"id": end.id, "outcome": end.outcome.value, "steps": end.steps, "detail": end.detail}, "EpisodeEnd")


def decode_episode_end(payload: bytes) -> EpisodeEnd:
    fields: Json = json.loads(payload)
    fields["outcome"] = Outcome(fields["outcome"])
    return EpisodeEnd(**fields)


def encode_spec(spec: RobotSpec) -> str:
    return _encode(
        {
            "joint_names": list(spec.joint_names),
            "position_lower": spec.position_lower.tolist(),
            "position_upper": spec.position_upper.tolist(),
            "speed_max": spec.speed_max.tolist(),
            "control_period": spec.control_period,
            "action": {
                "names": list(spec.action.names),
                "scale": spec.action.scale.tolist(),
                "frame": spec.action.frame,
            },
            "command": {
                "kind": spec.command.kind,
                "names": list(spec.command.names),
                "lower": spec.command.lower.tolist(),
                "upper": spec.command.upper.tolist(),
            },
            "cameras": {name: list(size) for name, size in spec.cameras.items()},
            "scene": dict(spec.scene),
            "privileged": dict(spec.privileged),
        }
    )


def decode_spec(text: str) -> RobotSpec:
    fields: Json = json.loads(text)
    action, command = fields["action"], fields["command"]
    changed: Json = {
        **fields,
        "joint_names": tuple(fields["joint_names"]),
        "action": ActionLayout(tuple(action["names"]), np.array(action["scale"], np.float32), action["frame"]),
        "command": CommandLayout(
            command["kind"],
            tuple(command["names"]),
            np.array(command["lower"], np.float64),
            np.array(command["upper"], np.float64),
        ),
        "cameras": {name: (int(size[0]), int(size[1])) for name, size in fields["cameras"].items()},
    }
    return RobotSpec(**changed)
