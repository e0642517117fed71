"""The console's recogniser of speech: a process of its own, that is started, asked, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from typing import Any

from robot_rlhf.errors import RobotRlhfError
from robot_rlhf.language.ear_process import to_json
from robot_rlhf.language.ears import Heard, SpeechConfig

log = logging.getLogger(__name__)

LOADS = 60.0
"""Seconds in which a recogniser must be loaded."""
ANSWERS = 20.0
"""Seconds in which it must have understood a sentence; it is ended, and started again for the next, when it has not."""


ENDED = "the recogniser of speech ended; it is started again for the next sentence"


class DeafError(RobotRlhfError):
    """The recogniser of speech cannot be started, died, or takes too long."""


class Listener:
    """Asks a recogniser in a process of its own, one sound at a time. Lives in one event loop."""

    def __init__(self, config: SpeechConfig) -> None:
        self._config = config
        self._asking = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def load(self) -> None:
        """Load it before the first sentence; what goes wrong is logged now, and told when somebody speaks."""
        async with self._asking:
            try:
                await self._running()
            except DeafError as error:
                log.warning("%s", error)

    async def hear(self, pcm: bytes, rate: int) -> Heard:
        """What was said.

        Args:
            pcm: one channel, little-endian int16.
            rate: samples per second.

        Raises:
            DeafError: the recogniser says why not, does not answer, or cannot be started.
        """
        async with self._asking:
            process = await self._running()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps({"rate": rate, "bytes": len(pcm)}).encode() + b"\n" + pcm)
                await asyncio.wait_for(process.stdin.drain(), ANSWERS)
                told = await self._line(process, ANSWERS)
            except OSError as error:
                await self._end(process)
                raise DeafError(ENDED) from error
            except (DeafError, asyncio.CancelledError):
                await self._end(process)  # half a sound, or an answer that nobody waits for, may be on its way
                raise
            if "error" in told:
                raise DeafError(str(told["error"]))
            return Heard(str(told["text"]), float(told["confidence"]))

    async def close(self) -> None:
        """End its process."""
        if self._process is not None:
            await self._end(self._process)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self.starts += 1
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "robot_rlhf.language.ear_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise DeafError(f"the recogniser of speech cannot be started ({error})") from error
        assert process.stdin is not None
        process.stdin.write(json.dumps(to_json(self._config)).encode() + b"\n")
        try:
            told = await self._line(process, LOADS)
        except (DeafError, asyncio.CancelledError):
            await self._end(process)
            raise
        if "error" in told:
            await self._end(process)
            raise DeafError(str(told["error"]))
        return process

    async def _line(self, process: asyncio.subprocess.Process, seconds: float) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), seconds)
            return json.loads(line)
        except TimeoutError as error:
            raise DeafError(f"the recogniser of speech did not answer within {seconds:g} s") from error
        except ValueError as error:
            raise DeafError(ENDED) from error

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._process = None
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
