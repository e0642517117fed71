"""A recogniser in a process of its own: sounds come in on standard input, words go out on standard output.

    python -m robot_rlhf.language.ear_process

First comes a line of JSON with the settings, then for each sound a line {"rate": samples per second, "bytes": n} and
those n bytes, little-endian int16. Each is answered by one line: {"text", "confidence"} or {"error"}; the first answer,
{"ready"} or {"error"}, says whether the recogniser was loaded. It ends with its input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from robot_rlhf.errors import ConfigError, RobotRlhfError
from robot_rlhf.language.ears import HIGHEST_RATE, MAX_SECONDS, Ear, SpeechConfig, open_ear

MAX_BYTES = int(2 * MAX_SECONDS * HIGHEST_RATE)
"""Bytes of the longest sound."""
NICENESS = 5
"""Lower priority than the robot's loop: words may be a moment late, the loop may not."""


def to_json(config: SpeechConfig) -> dict[str, Any]:
    """Settings as plain values."""
    return {**asdict(config), "model": config.model and str(config.model)}


def from_json(fields: dict[str, Any]) -> SpeechConfig:
    """The inverse. Raises ConfigError, or TypeError for other fields."""
    return SpeechConfig(**{**fields, "model": Path(fields["model"]) if fields.get("model") else None})


def answer(ear: Ear, head: bytes, source: IO[bytes]) -> dict[str, Any]:
    """What is told about the next sound.

    Raises:
        EOFError: the input is not what was announced; nothing behind it can be understood.
    """
    try:
        fields = json.loads(head)
        rate, count = int(fields["rate"]), int(fields["bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise EOFError("no sound's head") from error
    if not 0 <= count <= MAX_BYTES:
        raise EOFError(f"a sound of {count} bytes")
    data = source.read(count)
    if len(data) < count:
        raise EOFError("a sound was cut off")
    try:
        heard = ear.hear(np.frombuffer(data[: count // 2 * 2], "<i2").astype(np.int16), rate)
    except (RobotRlhfError, RuntimeError, ValueError) as error:
        return {"error": str(error)}
    return asdict(heard)


def run(source: IO[bytes], sink: IO[bytes]) -> None:
    """Load and listen until the input ends."""

    def tell(fields: dict[str, Any]) -> None:
        sink.write(json.dumps(fields).encode() + b"\n")
        sink.flush()

    try:
        ear = open_ear(from_json(json.loads(source.readline())))
    except (ConfigError, ImportError, ValueError, TypeError) as error:
        tell({"error": str(error)})
        return
    tell({"ready": True})
    while head := source.readline():
        try:
            tell(answer(ear, head, source))
        except EOFError:
            return


def main() -> None:
    """Answers go to what was standard output; what libraries print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it, by closing its input
    os.nice(NICENESS)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        run(sys.stdin.buffer, sink)
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)


if __name__ == "__main__":
    main()
