"""JSON schemas that describe the journal's own channels to other tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robot_rlhf.datatypes import Driver, EpisodeKind, FeedbackKind, Outcome
from robot_rlhf.journal.format import TOPIC_EPISODE_END, TOPIC_EPISODE_START, TOPIC_EVENT, TOPIC_STEP

Schema = dict[str, Any]


def _object(properties: dict[str, Schema], description: str = "", *, optional: Sequence[str] = ()) -> Schema:
    """Args: optional: properties that may be missing."""
    required = [name for name in properties if name not in optional]
    schema: Schema = {"type": "object", "properties": properties, "required": required}
    return {**schema, "description": description} if description else schema


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


_NUMBER: Schema = {"type": "number"}
_INTEGER: Schema = {"type": "integer"}
_TEXT: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_VECTOR: Schema = {"type": "array", "items": _NUMBER}
_NAMED_VECTORS: Schema = {"type": "object", "additionalProperties": _VECTOR}
_SEGMENT = _object({"episode_id": _TEXT, "start": _INTEGER, "length": _INTEGER})
_OBSERVATION = _object(
    {
        "stamp": _described(_NUMBER, "Seconds of the session's monotonic clock"),
        "scene": _described(_NAMED_VECTORS, "What perception reports of the world"),
        "privileged": _described(_NAMED_VECTORS, "The simulator's truth; never for a policy"),
    },
    "What of an observation the sensor topics with the same sequence number do not hold",
)


def _optional(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


JSON_SCHEMAS: dict[str, tuple[str, Schema]] = {
    TOPIC_EPISODE_START: (
        "robot_rlhf.EpisodeStart",
        _object(
            {
                "meta": _object(
                    {
                        "id": _TEXT,
                        "task": _TEXT,
                        "kind": {"type": "string", "enum": [kind.value for kind in EpisodeKind]},
                        "seed": _INTEGER,
                        "operator": _TEXT,
                        "reward_source": _described(_TEXT, "Name and version of what makes the reward"),
                        "versions": {"type": "object", "additionalProperties": _TEXT},
                        "continues": _described(_TEXT, "Id of the paused episode that goes on here; else empty"),
                        "continues_at": _described(_INTEGER, "Steps of the whole before this part"),
                        "weights": _described(_TEXT, "Whose actions are tried: newest, averaged, kept; or empty"),
                    }
                ),
                "observation": _OBSERVATION,
            }
        ),
    ),
    TOPIC_STEP: (
        "robot_rlhf.Step",
        _object(
            {
                "index": _described(_INTEGER, "Number of this step in its episode, from 0"),
                "driver": {"type": "string", "enum": [driver.name.lower() for driver in Driver]},
                "executed": _described(_optional(_VECTOR), "What the robot was told, in [-1, 1]; null: not known"),
                "proposed": _described(_optional(_VECTOR), "The policy's wish; null where none was asked"),
                "reward": _NUMBER,
                "gold_reward": _described(_NUMBER, "The simulator's true reward, for evaluation only"),
                "terminated": _BOOLEAN,
                "truncated": _BOOLEAN,
                "policy_version": _INTEGER,
                "instruction": _TEXT,
                "next_observation": _OBSERVATION,
                "context": _described(_NAMED_VECTORS, "What was asked for beside the instruction; missing: nothing"),
                "authority": _described(_VECTOR, "The person's share of each entry; missing: the driver's is whole"),
                "spoken": _described(_TEXT, "The sentence by which the person decided their share; missing: none"),
            },
            optional=("context", "authority", "spoken"),
        ),
    ),
    TOPIC_EVENT: (
        "robot_rlhf.Event",
        {
            "type": "object",
            "description": "A person's or model's judgement (feedback), or something the guard did (guard)",
            "properties": {
                "type": {"type": "string", "enum": ["feedback", "guard"]},
                "stamp": _NUMBER,
                "kind": {"type": "string", "enum": [kind.value for kind in FeedbackKind]},
                "author": _TEXT,
                "span": _SEGMENT,
                "value": _optional(_NUMBER),
                "text": _TEXT,
                "other": _optional(_SEGMENT),
                "confidence": _NUMBER,
                "payload": _described({"type": "object"}, "Of a meaning: its sentence, meanings, by, doing"),
                "rule": _TEXT,
                "detail": _TEXT,
                "latched": _BOOLEAN,
            },
            "required": ["type", "stamp"],
        },
    ),
    TOPIC_EPISODE_END: (
        "robot_rlhf.EpisodeEnd",
        _object(
            {
                "id": _TEXT,
                "outcome": {"type": "string", "enum": [outcome.value for outcome in Outcome]},
                "steps": _INTEGER,
                "detail": _TEXT,
            }
        ),
    ),
}
"""Topic to schema name and JSON schema."""
