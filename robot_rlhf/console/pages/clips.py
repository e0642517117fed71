"""What the label and review pages fetch: tables of contents as JSON, pictures as JPEG, whole clips in one piece."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Response

from robot_rlhf.console.episode_index import EpisodeRow
from robot_rlhf.console.pages.sentences import choices
from robot_rlhf.console.readings import readings
from robot_rlhf.console.recording import Recording
from robot_rlhf.console.sentences import Said
from robot_rlhf.console.words import RULES
from robot_rlhf.datatypes import Event, Feedback, FeedbackKind, Outcome, Segment
from robot_rlhf.errors import RobotRlhfError

_UNCHANGING = {"Cache-Control": "private, max-age=3600"}
_CHANGING = {"Cache-Control": "no-store"}
_MAX_CLIP = 1_000
_SPOKEN = (FeedbackKind.CORRECTION, FeedbackKind.MEANING)
_SHOWN_ELSEWHERE = (FeedbackKind.PREFERENCE, FeedbackKind.ATTRIBUTE)

Json = dict[str, Any]


def register_clip_routes(app: FastAPI, recording: Recording) -> None:
    """Serve a recording under /clips/. Call it before `ui.run_with`, whose routes take all addresses left over.

    Nothing here changes anything; who may read is the business of the server's gate. Endpoints run in threads, so
    that the reading of pictures keeps no key press waiting.
    """

    @app.get("/clips/episodes.json")
    def episodes(response: Response, known: int = -1) -> Json:  # pyright: ignore[reportUnusedFunction] -- a route
        response.headers.update(_CHANGING)
        version = recording.refresh()
        if version == known:
            return {"version": version}
        return {
            "version": version,
            "problem": recording.problem,
            "cameras": recording.cameras,
            "period": recording.control_period,
            "readings": choices(readings(recording.things)),
            "episodes": [row_json(row) for row in recording.rows()],
        }

    @app.get("/clips/{number}/episode.json")
    def episode(number: int, response: Response) -> Json:  # pyright: ignore[reportUnusedFunction] -- a route
        response.headers.update(_CHANGING)
        try:
            return episode_json(recording, number)
        except RobotRlhfError as error:
            raise HTTPException(404, str(error)) from error

    @app.get("/clips/{number}/{camera}/{step}.jpg")
    def picture(number: int, camera: str, step: int) -> Response:  # pyright: ignore[reportUnusedFunction] -- a route
        try:
            jpeg = recording.frame(number, step, camera)
        except RobotRlhfError as error:
            raise HTTPException(404, str(error)) from error
        return Response(jpeg, media_type="image/jpeg", headers=_UNCHANGING)

    @app.get("/clips/{number}/{camera}/{start}-{length}.clip")
    def clip(number: int, camera: str, start: int, length: int) -> Response:  # pyright: ignore[reportUnusedFunction] -- a route
        if length > _MAX_CLIP:
            raise HTTPException(404, f"length: got {length}, allowed: at most {_MAX_CLIP} steps")
        try:
            pictures = recording.clip(Segment(recording.row(number).id, start, length), camera)
        except RobotRlhfError as error:
            raise HTTPException(404, str(error)) from error
        return Response(packed(pictures), media_type="application/octet-stream", headers=_UNCHANGING)


def packed(pictures: Sequence[bytes]) -> bytes:
    """Pictures in one piece: before each its length as 4 bytes, least significant first."""
    return b"".join(part for picture in pictures for part in (struct.pack("<I", len(picture)), picture))


def row_json(row: EpisodeRow) -> Json:
    """A line of the list of episodes."""
    return {
        "number": row.number,
        "id": row.id,
        "task": row.task,
        "kind": row.kind.value,
        "recorded": _outcome(row.recorded, row),
        "outcome": _outcome(row.outcome, row),
        "deleted": row.deleted,
        "open": row.open,
        "steps": row.steps,
        "seconds": round(row.seconds, 2),
        "human": row.human_steps,
        "continues": row.continues,
        "detail": row.detail,
        "sentences": row.sentences,
    }


def _outcome(outcome: Outcome | None, row: EpisodeRow) -> str:
    return outcome.value if outcome is not None else "running" if row.open else "broken_off"


def episode_json(recording: Recording, episode: int) -> Json:
    """Everything about an episode but its pictures."""
    row = recording.row(episode)
    labels = recording.labels.of(row.id)
    path = recording.tool_path(Segment(row.id, 0, row.steps)) if row.steps else []
    return {
        **row_json(row),
        "cameras": recording.cameras,
        "drivers": [[run.driver.name.lower(), run.start, run.length] for run in recording.driver_runs(episode)],
        "rewards": recording.rewards(episode),
        "instructions": recording.instructions(episode),
        "events": list(_events(recording, episode, {id(event) for event in labels.later})),
        "marks": [{"text": f.text, "start": f.span.start, "length": f.span.length} for f in labels.spans],
        "path": path,
    }


def _events(recording: Recording, episode: int, later: set[int]) -> Iterator[Json]:
    """What is listed: a sentence once, at its first place, with what it means today."""
    said = {(s.text, s.span, s.stamp): s for s in reversed(recording.sentences(episode))}
    for event, start, length in recording.events(episode):
        sentence = None
        if isinstance(event, Feedback):
            if event.kind in _SHOWN_ELSEWHERE:
                continue
            if event.kind in _SPOKEN:
                sentence = said.pop((event.text, event.span, event.stamp), None)
            if event.kind is FeedbackKind.MEANING and sentence is None:
                continue
        told = {**_event_json(event, start, length), "later": id(event) in later}
        if sentence is not None:
            told |= {"kind": FeedbackKind.CORRECTION.value, "sentence": said_json(sentence)}
        yield told


def said_json(said: Said) -> Json | None:
    """What a sentence means today, and what it was taken for before; None where nobody has read it."""
    reading, meant = said.reading, said.spoken_of
    if reading is None or meant is None:
        return None
    before = [f"{old.by or 'nobody'}: {old.words}" for old in said.before]
    return {
        "name": said.name,
        "words": meant.words,
        "meant": meant.meant,
        "by": reading.by,
        "undone": said.taken_back,
        "before": before,
        "nearest": choices(reading.nearest),
    }


def _event_json(event: Event, start: int, length: int) -> Json:
    if isinstance(event, Feedback):
        return {
            "kind": event.kind.value,
            "text": event.text,
            "detail": "",
            "author": event.author,
            "value": event.value,
            "start": start,
            "length": length,
        }
    return {
        "kind": "fault" if event.latched else "guard",
        "text": RULES[event.rule].means if event.rule in RULES else event.rule,
        "detail": event.detail,
        "author": "guard",
        "value": None,
        "start": start,
        "length": length,
    }
