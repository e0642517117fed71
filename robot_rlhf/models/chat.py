"""What a labeler asks of a large vision-language model, and the record of all that was asked and answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, LabelerError
from robot_rlhf.models.secret import private_file

Picture = NDArray[np.uint8]
"""Shape (H, W, 3), RGB."""
Part = str | Picture
"""A question is made of sentences and pictures, in the order in which the model reads them."""


@dataclass(frozen=True)
class Reply:
    """What the model said, and what it cost."""

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0


class Chat(Protocol):
    """A model that looks and answers; it remembers nothing between two questions."""

    @property
    def model(self) -> str:
        """Its name."""
        ...

    def ask(self, parts: Sequence[Part]) -> Reply:
        """Raises LabelerError when there will be no answer."""
        ...


class Transcript:
    """Writes down what another chat is asked and answers: one line of JSON each, pictures as SHA-256 of their pixels.

    The file is appended to, and opened for each line, so that what was paid for survives the process. Only its owner
    may read it.
    """

    def __init__(self, inner: Chat, path: Path) -> None:
        self._inner = inner
        self._path = path

    @property
    def model(self) -> str:
        return self._inner.model

    def ask(self, parts: Sequence[Part]) -> Reply:
        reply = self._inner.ask(parts)
        row = {"model": self.model, "request": _described(parts), "answer": reply.text}
        row |= {"prompt_tokens": reply.prompt_tokens, "answer_tokens": reply.answer_tokens}
        line = json.dumps(row | {"seconds": round(reply.seconds, 3)}, ensure_ascii=False)
        with private_file(self._path) as file:
            file.write(line + "\n")
        return reply


class ReplayedChat:
    """Answers from a transcript, with no model at all. The same question asked again gets the next recorded answer,
    and the last one from then on.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when there is no such transcript, or it holds no answer of one model."""
        self._path = path
        self._answers: dict[str, list[Reply]] = {}
        models: set[str] = set()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: no transcript that can be read ({error})") from error
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                reply = Reply(
                    str(row["answer"]), int(row["prompt_tokens"]), int(row["answer_tokens"]), float(row["seconds"])
                )
                self._answers.setdefault(_key(row["request"]), []).append(reply)
                models.add(str(row["model"]))
            except (ValueError, KeyError, TypeError):
                if number == len(lines):  # cut by a crash
                    continue
                raise ConfigError(f"{path}, line {number}: not a line of a transcript") from None
        if len(models) != 1:
            raise ConfigError(f"{path}: a transcript of {len(models)} models, allowed: one")
        self.model = models.pop()

    def ask(self, parts: Sequence[Part]) -> Reply:
        answers = self._answers.get(_key(_described(parts)))
        if answers is None:
            raise LabelerError(
                f"{self._path}: this question is not in the transcript; it is of other clips or settings"
            )
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _described(parts: Sequence[Part]) -> list[Any]:
    """The parts without pixels."""
    return [part if isinstance(part, str) else {"picture": picture_hash(part)} for part in parts]


def _key(described: Any) -> str:
    return json.dumps(described, sort_keys=True)


def picture_hash(picture: Picture) -> str:
    """SHA-256 of shape and pixels, whatever file format they travel in."""
    pixels = np.ascontiguousarray(picture, np.uint8)
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
